import { advanceGoods } from '../../../activities/fulfillment/goods'
import { noteTold } from '../../../db/payment/work'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import type { CaptureId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { fulfillmentDeps } from '../../support/fulfillment-deps'
import { goodsStatements } from '../../support/goods-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database?.drop())

const { inGoods, labelled, onlyShipment, pay, sold, warehouse } = goodsStatements(() => database.pool)

const deps = () => fulfillmentDeps(database)

it('money that was claimed is told of until somebody sends it, whoever has claimed it', async () => {
  const order = await sold([{ from: [[await warehouse(), 1]] }])
  const id = await onlyShipment(order)
  await labelled(order, id)
  const hasMoney = async () => (await advanceGoods(deps(), order)).hasClaimedMoney
  expect(await hasMoney()).toBe(false)
  await inGoods(order, (goods) => wantToShip(goods, id))
  for (let times = 0; times < 3; times++) expect(await hasMoney()).toBe(true)
  await inGoods(order, (_, books) => books.sendCapture(books.captures[0]?.id as CaptureId))
  expect(await hasMoney()).toBe(false)
  await pay(order)
})

it('whoever asks for something once the goods were read is told of anew, though the money was not read between', async () => {
  const { orderId } = await sold([{ from: [[await warehouse(), 1]] }])
  expect(await noteTold(database.pool, orderId)).toBe(true)
  expect(await noteTold(database.pool, orderId)).toBe(false)
  await advanceGoods(deps(), { orderId })
  expect(await noteTold(database.pool, orderId)).toBe(true)
})
