import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import {
  BACK_ORDERS_AT_ONCE,
  listServableBackOrders,
  type ServedUnits,
  serveBackOrders,
} from '../../../db/inventory/back-order'
import { adjustStock } from '../../../db/inventory/stock'
import { readEvents } from '../../../db/order/read'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { OrderId, Sku, WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { besideTransaction } from '../../support/lock'
import { pastOrders } from '../../support/orders'
import { until } from '../../support/wait'

let database: TestDatabase
let crowd: Pool
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})

let warehouseId: WarehouseId

async function product(stock = 0): Promise<Sku> {
  const sku = `B-${randomUUID().slice(0, 8).toUpperCase()}`
  warehouseId = await seedProducts(database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock }])
  return sku
}

/** Confirmed orders that wait for so many units each, the first of them the longest. */
async function waiting(sku: Sku, ...quantities: number[]): Promise<OrderId[]> {
  const orders = quantities.map((_, n) => ({ skus: [sku], daysAgo: quantities.length - n }))
  const ids = await pastOrders(database.pool, orders)
  await database.pool.query(
    `insert into back_order (order_id, sku, quantity, confirmed_at)
     select o.id, $2, q.quantity, o.confirmed_at
     from unnest($1::text[], $3::int[]) as q (id, quantity)
     join orders o on o.id = q.id`,
    [ids, sku, quantities],
  )
  await database.pool.query('update orders set planned_at = now() where id = any ($1::text[])', [ids])
  return ids
}

const serve = (skus: readonly Sku[], pool = database.pool): Promise<ServedUnits[]> =>
  withTransaction(pool, (tx) => serveBackOrders(tx, { warehouseId, skus }))
const receive = (sku: Sku, delta: number) =>
  adjustStock(database.pool, { sku, warehouseId, delta, reason: 'found', actor: 'key' })
const stillWaiting = async (sku: Sku) =>
  (
    await database.pool.query<{ id: OrderId; quantity: number }>(
      'select order_id as id, quantity from back_order where sku = $1 order by confirmed_at',
      [sku],
    )
  ).rows
const levelOf = async (sku: Sku) =>
  (await database.pool.query('select on_hand, reserved from stock_level where sku = $1', [sku])).rows[0]
const reservations = async (orderId: OrderId) =>
  (
    await database.pool.query('select sku, quantity, state from reservation where owner_id = $1 order by sku, id', [
      orderId,
    ])
  ).rows
const isPlanned = async (orderId: OrderId) =>
  (await database.pool.query('select planned_at is not null as planned from orders where id = $1', [orderId])).rows[0]
    .planned

it('serves the order that was confirmed first, and the next with what is left', async () => {
  const sku = await product(4)
  const [first, second, third] = (await waiting(sku, 3, 2, 1)) as [OrderId, OrderId, OrderId]
  expect(await serve([sku])).toEqual([
    { orderId: first, sku, quantity: 3 },
    { orderId: second, sku, quantity: 1 },
  ])
  expect(await stillWaiting(sku)).toEqual([
    { id: second, quantity: 1 },
    { id: third, quantity: 1 },
  ])
  expect(await levelOf(sku)).toEqual({ on_hand: 4, reserved: 4 })
  expect(await reservations(first)).toEqual([{ sku, quantity: 3, state: 'committed' }])
  expect(await Promise.all([first, second, third].map(isPlanned))).toEqual([false, false, true])
  expect((await readEvents(database.pool, first)).at(-1)).toMatchObject({
    type: 'order.back_order_served',
    from: null,
    to: null,
    data: { warehouse_id: warehouseId, units: [{ sku, quantity: 3 }] },
  })
})

it('adds to what the order has there already, and does nothing without stock', async () => {
  const sku = await product(2)
  const [orderId] = (await waiting(sku, 5)) as [OrderId]
  await serve([sku])
  expect(await serve([sku])).toEqual([])
  await receive(sku, 2)
  expect(await serve([sku])).toEqual([{ orderId, sku, quantity: 2 }])
  expect(await reservations(orderId)).toEqual([{ sku, quantity: 4, state: 'committed' }])
  expect(await stillWaiting(sku)).toEqual([{ id: orderId, quantity: 1 }])
  expect(await serve([])).toEqual([])
})

it('serves an order on hold in its turn, and never one that is over', async () => {
  const sku = await product(2)
  const [over, held] = (await waiting(sku, 1, 1)) as [OrderId, OrderId]
  await database.pool.query(`update orders set status = 'cancelled', cancel_reason = 'merchant' where id = $1`, [over])
  await database.pool.query(
    `update orders set status = 'on_hold', held_from = 'confirmed', held_for = '{staff}' where id = $1`,
    [held],
  )
  expect(await serve([sku])).toEqual([{ orderId: held, sku, quantity: 1 }])
  expect(await levelOf(sku)).toEqual({ on_hand: 2, reserved: 1 })
})

it('leaves what carts hold alone', async () => {
  const sku = await product(3)
  await database.pool.query('update stock_level set reserved = 2 where sku = $1', [sku])
  const [orderId] = (await waiting(sku, 2)) as [OrderId]
  expect(await serve([sku])).toEqual([{ orderId, sku, quantity: 1 }])
  expect(await levelOf(sku)).toEqual({ on_hand: 3, reserved: 3 })
})

it('gives each unit once, of twenty rounds at once over several SKUs', async () => {
  const skus = [await product(7), await product(5), await product(6)]
  for (const sku of skus) await waiting(sku, 2, 2, 2, 2)
  const rounds = await Promise.all(
    Array.from({ length: 20 }, (_, n) => serve(n % 2 ? skus : [...skus].reverse(), crowd)),
  )
  for (const sku of skus) {
    const served = rounds.flat().filter((units) => units.sku === sku)
    const { on_hand: onHand, reserved } = await levelOf(sku)
    expect([served.reduce((sum, { quantity }) => sum + quantity, 0), reserved]).toEqual([onHand, onHand])
    const { rows } = await database.pool.query(
      `select coalesce(sum(quantity), 0)::int as sum from reservation where sku = $1 and state = 'committed'`,
      [sku],
    )
    expect(rows[0].sum).toBe(onHand)
  }
})

it('locks orders before stock, so that nobody waits in a circle', async () => {
  const sku = await product(1)
  const [orderId] = (await waiting(sku, 1)) as [OrderId]
  const { serving } = await besideTransaction(database.pool, async (tx) => {
    await tx.query('select from orders where id = $1 for update', [orderId])
    const begun = serve([sku], crowd)
    await until('it waits for the order', async () => {
      const { rows } = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'crowd' and wait_event_type = 'Lock'`,
      )
      return rows.length > 0
    })
    // It has no stock locked yet: this would wait for ever else.
    await tx.query(`set local lock_timeout = '2s'`)
    await tx.query('select from stock_level where sku = $1 for update', [sku])
    return { serving: begun }
  })
  expect(await serving).toEqual([{ orderId, sku, quantity: 1 }])
})

it('serves a bounded number, and lists what is left for the next round', async () => {
  const sku = await product(BACK_ORDERS_AT_ONCE + 10)
  await waiting(sku, ...Array.from({ length: BACK_ORDERS_AT_ONCE + 5 }, () => 1))
  expect(await serve([sku])).toHaveLength(BACK_ORDERS_AT_ONCE)
  const servable = () => listServableBackOrders(database.pool, { limit: 100 })
  expect(await servable()).toContainEqual({ warehouseId, skus: expect.arrayContaining([sku]) })
  expect(await serve([sku])).toHaveLength(5)
  expect((await servable()).flatMap(({ skus }) => skus)).not.toContain(sku)
})

it('lists nothing where there is no stock, at most what it may, and by warehouse', async () => {
  const [empty, one, two] = [await product(0), await product(1), await product(1)]
  for (const sku of [empty, one, two]) await waiting(sku, 1)
  const other = newId('warehouse')
  await database.pool.query(`insert into warehouse (id, name, country) values ($1, $2, 'GB')`, [other, other])
  await database.pool.query('insert into stock_level (sku, warehouse_id, on_hand) values ($1, $2, 1)', [one, other])
  const all = await listServableBackOrders(database.pool, { limit: 100 })
  const here = all.find((each) => each.warehouseId === warehouseId)?.skus ?? []
  expect(here).toEqual(expect.arrayContaining([one, two]))
  expect(here).not.toContain(empty)
  expect(all).toContainEqual({ warehouseId: other, skus: [one] })
  const few = await listServableBackOrders(database.pool, { limit: 1 })
  expect(few.flatMap(({ skus }) => skus)).toHaveLength(1)
})
