import { advanceGoods, type FulfillmentDeps } from '../../../activities/fulfillment/goods'
import { noteTold } from '../../../db/payment/work'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements } from '../../support/goods-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database?.drop())

const { sold, warehouse } = goodsStatements(() => database.pool)

it('whoever asks for something once the goods were read is told of anew, though the money was not read between', async () => {
  const { orderId } = await sold([{ from: [[await warehouse(), 1]] }])
  const deps = { pool: database.pool, providers: { get: () => undefined } } as unknown as FulfillmentDeps
  expect(await noteTold(database.pool, orderId)).toBe(true)
  expect(await noteTold(database.pool, orderId)).toBe(false)
  await advanceGoods(deps, { orderId })
  expect(await noteTold(database.pool, orderId)).toBe(true)
})
