import type { Address } from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import { changeAddress } from '../../../db/order/address'
import { readEvents, readOrder } from '../../../db/order/read'
import { createPool, type Pool, type Tx, withTransaction } from '../../../db/pool'
import type { OrderId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { besideTransaction } from '../../support/lock'
import { orderStatements } from '../../support/order-statements'
import { ADDRESS } from '../../support/shop'
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

const { confirm, followsTheTable, placed, warehouseId } = orderStatements(() => database.pool)

async function confirmed(): Promise<OrderId> {
  const order = await placed()
  expect(await confirm(order)).not.toBeNull()
  return order.orderId
}

const at = (line1: string): Address => ({ ...ADDRESS, line1 })

const change = (orderId: OrderId, address: Address, version: number | null = 1, pool = database.pool) =>
  withTransaction(pool, (tx) => changeAddress(tx, { orderId, address, version }))
const read = (orderId: OrderId) => readOrder(database.pool, orderId)

/** A label of the order, in this state, as whoever makes labels writes it. */
async function label(db: Pool | Tx, orderId: OrderId, status: string): Promise<void> {
  const [shipment, id] = [newId('shipment'), newId('label')]
  await db.query(
    `insert into shipment (id, order_id, number, warehouse_id)
     select $1::text, $2::text, count(*) + 1, $3::text from shipment where order_id = $2::text`,
    [shipment, orderId, warehouseId()],
  )
  await db.query(
    `insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status)
     select $1::text, $2::text, o.id, s.number, $1::text, 'sandbox', 'standard', o.address_version, $4
     from orders o join shipment s on s.id = $2::text where o.id = $3`,
    [id, shipment, orderId, status],
  )
}

it('changes the address, counts its version, and tells nothing of it', async () => {
  const orderId = await confirmed()
  expect(await change(orderId, at('2 High St'))).toBe('changed')
  expect(await read(orderId)).toMatchObject({ shippingAddress: { line1: '2 High St' }, addressVersion: 2 })
  const event = (await readEvents(database.pool, orderId)).at(-1)
  expect(event).toMatchObject({ type: 'order.address_changed', from: null, to: null, data: { address_version: 2 } })
  expect(JSON.stringify(event)).not.toContain('High St')
  await followsTheTable(orderId)
})

it('does nothing the second time, whatever the order has come to', async () => {
  const orderId = await confirmed()
  await change(orderId, at('2 High St'))
  const before = await readEvents(database.pool, orderId)
  for (const status of ['confirmed', 'shipped', 'cancelled']) {
    await database.pool.query(
      `update orders set status = $2, cancel_reason = case when $2 = 'cancelled' then 'merchant' end where id = $1`,
      [orderId, status],
    )
    expect(await change(orderId, at('2 High St'))).toBe('same')
  }
  expect(await readEvents(database.pool, orderId)).toEqual(before)
  expect(await read(orderId)).toMatchObject({ addressVersion: 2 })
})

it.each([
  ['claimed', 'already_labelled'],
  ['live', 'already_labelled'],
  ['voiding', 'changed'],
  ['voided', 'changed'],
  ['refused', 'changed'],
])('with a label that is %s: %s', async (status, outcome) => {
  const orderId = await confirmed()
  await label(database.pool, orderId, status)
  expect(await change(orderId, at('2 High St'))).toBe(outcome)
  expect(await read(orderId)).toMatchObject({
    isLabelled: outcome !== 'changed',
    addressVersion: outcome === 'changed' ? 2 : 1,
  })
})

it('is not fixed by a label that its carrier has yet to decide about, having taken it back', async () => {
  const orderId = await confirmed()
  await label(database.pool, orderId, 'voiding')
  await database.pool.query('update label set void_sent_at = now(), check_at = now() where order_id = $1', [orderId])
  expect(await change(orderId, at('2 High St'))).toBe('changed')
})

it('is refused before the order is paid, after it has left, and once it is cancelled', async () => {
  const open = (await placed()).orderId
  expect(await change(open, at('2 High St'))).toBe('checkout_in_progress')
  const left = await confirmed()
  await database.pool.query('update order_line set shipped = quantity where order_id = $1', [left])
  expect(await change(left, at('2 High St'))).toBe('already_labelled')
  await database.pool.query(`update orders set status = 'cancelled', cancel_reason = 'merchant' where id = $1`, [left])
  expect(await change(left, at('2 High St'))).toBe('invalid_state')
})

it('is compared again where somebody was faster, or nobody has compared it', async () => {
  const orderId = await confirmed()
  await change(orderId, at('2 High St'))
  expect(await change(orderId, at('3 High St'), 1)).toBe('stale')
  expect(await change(orderId, at('3 High St'), null)).toBe('stale')
  expect(await read(orderId)).toMatchObject({ shippingAddress: { line1: '2 High St' } })
})

it('lets one of twenty changes of the same address win', async () => {
  const orderId = await confirmed()
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, n) => change(orderId, at(`${n + 10} High St`), 1, crowd)),
  )
  expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(1)
  expect(await read(orderId)).toMatchObject({ addressVersion: 2 })
})

it('waits for a label that is being claimed, and then finds it', async () => {
  const orderId = await confirmed()
  const { waiting } = await besideTransaction(database.pool, async (tx) => {
    await tx.query('select from orders where id = $1 for update', [orderId])
    const changing = change(orderId, at('2 High St'), 1, crowd)
    await until('the change waits', async () => {
      const { rows } = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'crowd' and wait_event_type = 'Lock'`,
      )
      return rows.length > 0
    })
    await label(tx, orderId, 'claimed')
    return { waiting: changing }
  })
  expect(await waiting).toBe('already_labelled')
})
