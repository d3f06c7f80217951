import { restockUnits } from '../../../db/fulfillment/restock'
import { newId } from '../../../db/id'
import { listMovements } from '../../../db/inventory/stock'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { Units } from '../../../domain/fulfillment/shipment'
import { observe } from '../../../domain/fulfillment/tracking'
import type { Sku, WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
let crowd: Pool
let main: WarehouseId
let far: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
  ;[main, far] = [await warehouse(), await warehouse()]
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})
afterEach(() => isSound())

const { inGoods, isSound, levels, sent, shipmentsOf, sold, warehouse } = goodsStatements(() => database.pool)

async function shipped(from: readonly (readonly [WarehouseId, number])[]): Promise<SoldOrder & { sku: Sku }> {
  const order = await sold([{ from }])
  for (const { id } of await shipmentsOf(order)) await sent(order, id)
  return { ...order, sku: order.skus[0] as Sku }
}

const restock = ({ orderId }: SoldOrder, wanted: readonly Units[] | null, refundId = newId('refund')) =>
  withTransaction(crowd, async (tx) => {
    await tx.query('select from orders where id = $1 for update', [orderId])
    return restockUnits(tx, { orderId, wanted, refundId, actor: 'key_1' })
  })

it('puts units back to where they were sent from, with a movement', async () => {
  const order = await shipped([[main, 3]])
  const refundId = newId('refund')
  expect(await restock(order, [{ sku: order.sku, quantity: 2 }], refundId)).toEqual([])
  expect(await levels(order.sku)).toEqual({ [main]: [2, 0] })
  const [movement] = await listMovements(database.pool, { sku: order.sku, before: null, limit: 1 })
  expect(movement).toMatchObject({ delta: 2, onHand: 2, cause: 'restock', reference: refundId, actor: 'key_1' })
})

it('puts each unit back once, of ten at once, and all that is left without lines', async () => {
  const order = await shipped([
    [main, 2],
    [far, 2],
  ])
  await Promise.all(Array.from({ length: 10 }, () => restock(order, [{ sku: order.sku, quantity: 1 }])))
  expect(await levels(order.sku)).toEqual({ [main]: [2, 0], [far]: [2, 0] })
  expect(await restock(order, null)).toEqual([])
  expect(await levels(order.sku)).toEqual({ [main]: [2, 0], [far]: [2, 0] })
  const other = await shipped([[main, 2]])
  await restock(other, [{ sku: other.sku, quantity: 1 }])
  await restock(other, null)
  expect(await levels(other.sku)).toEqual({ [main]: [2, 0] })
})

it('takes the parcel that came back first, and nothing of what has not left', async () => {
  const order = await shipped([
    [main, 2],
    [far, 1],
  ])
  const [, second] = await shipmentsOf(order)
  await inGoods(order, (goods, books) => {
    const label = goods.labels.find(({ shipmentId }) => shipmentId === second?.id)
    const told = [{ type: 'returned', happenedAt: new Date().toISOString(), expectedAt: null } as const]
    return observe(goods, label?.id ?? newId('label'), told, books)
  })
  await restock(order, [{ sku: order.sku, quantity: 1 }])
  const back = second?.warehouseId === main ? { [main]: [1, 0], [far]: [0, 0] } : { [main]: [0, 0], [far]: [1, 0] }
  expect(await levels(order.sku)).toEqual(back)
  const waiting = await sold([{ from: [[main, 2]] }])
  expect(await restock(waiting, null)).toEqual([])
  expect(await levels(waiting.skus[0] as Sku)).toEqual({ [main]: [2, 2] })
})

it('answers what a level cannot hold', async () => {
  const order = await shipped([[main, 1]])
  await database.pool.query('update stock_level set on_hand = 1000000000 where sku = $1 and warehouse_id = $2', [
    order.sku,
    main,
  ])
  const refused = withTransaction(database.pool, async (tx) => {
    throw Object.assign(new Error('rolled back'), {
      skus: await restockUnits(tx, { orderId: order.orderId, wanted: null, refundId: newId('refund'), actor: 'key_1' }),
    })
  })
  await expect(refused).rejects.toMatchObject({ skus: [order.sku] })
  await database.pool.query('update stock_level set on_hand = 0 where sku = $1 and warehouse_id = $2', [
    order.sku,
    main,
  ])
})
