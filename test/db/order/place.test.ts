import { newId } from '../../../db/id'
import { refuseOrder } from '../../../db/order/place'
import { readOrder } from '../../../db/order/read'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { accepted, cancel, cartOf, followsTheTable, place, reservedOf, warehouseId } = orderStatements(
  () => database.pool,
)

describe('placing', () => {
  it('reserves, writes lines and the attempt, once of many at the same time', async () => {
    const order = await accepted()
    const done = await Promise.all(Array.from({ length: 6 }, () => place(order)))
    expect(done.filter((one) => one !== null)).toHaveLength(1)
    expect(await reservedOf(order.sku)).toBe(2)
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'payment_pending',
      total: 1_000,
      lines: [{ quantity: 2 }],
      attempts: [{ status: 'sent', amount: 1_000 }],
    })
    await followsTheTable(order.orderId)
  })

  it('consumes the cart’s own hold instead of reserving twice', async () => {
    const order = await accepted(2)
    await database.pool.query(
      `insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
       values ($1, 'soft', $2, $3, $4, 2, now() + interval '1 minute')`,
      [newId('reservation'), order.cartId, order.sku, warehouseId()],
    )
    await database.pool.query('update stock_level set reserved = 2 where sku = $1', [order.sku])
    expect(await place(order)).not.toBeNull()
    expect(await reservedOf(order.sku)).toBe(2)
    const { rows } = await database.pool.query('select kind, state from reservation where sku = $1 order by kind', [
      order.sku,
    ])
    expect(rows).toEqual([
      { kind: 'hard', state: 'held' },
      { kind: 'soft', state: 'released' },
    ])
  })

  it('changes nothing when the stock is gone or the order is over', async () => {
    const [short, over] = [await accepted(1), await accepted()]
    expect(await place(short)).toBeNull()
    expect(await readOrder(database.pool, short.orderId)).toMatchObject({ status: 'pending', lines: [] })
    await cancel(over)
    expect(await place(over)).toBeNull()
    expect(await reservedOf(over.sku)).toBe(0)
  })

  it('changes nothing when the order is older than its hold would last', async () => {
    const order = await accepted()
    await database.pool.query(`update orders set created_at = now() - interval '61 seconds' where id = $1`, [
      order.orderId,
    ])
    expect(await place(order, 60)).toBeNull()
    expect(await reservedOf(order.sku)).toBe(0)
    expect(await place(order, 120)).not.toBeNull()
  })

  it('refused: the cart is free with the new price, the answer is kept', async () => {
    const order = await accepted()
    const old = { amount: 1_000, currency: 'GBP' }
    const refusal = { code: 'price_changed' as const, old_total: old, new_total: { ...old, amount: 1_200 } }
    const prices = { [order.sku]: 600 }
    expect(await refuseOrder(database.pool, { orderId: order.orderId, refusal, prices })).toBe(true)
    expect(await refuseOrder(database.pool, { orderId: order.orderId, refusal, prices })).toBe(false)
    expect(await cartOf(order)).toMatchObject({ orderId: null, lines: { [order.sku]: { price_at_add: 600 } } })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'cancelled',
      cancelReason: 'price_changed',
      refusal,
      attempts: [{ status: 'failed', outcome: 'refused' }],
    })
    await followsTheTable(order.orderId)
  })
})
