import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { holdOrder } from '../../../db/order/hold'
import { readEvents, readOrder } from '../../../db/order/read'
import { readUnits } from '../../../db/order/units'
import { withBooks } from '../../../db/payment/books'
import { readPaymentWork } from '../../../db/payment/work'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { Sku } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'

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

const { cancel, confirm, followsTheTable, placed, reservedOf, warehouseId } = orderStatements(() => database.pool)

/** Two units at 500 and a fee of 99, reserved and paid. */
async function confirmed(): Promise<AcceptedOrder> {
  const order = await placed()
  await database.pool.query('update orders set total = 1099, shipping = 99 where id = $1', [order.orderId])
  await database.pool.query('update payment set amount = 1099 where order_id = $1', [order.orderId])
  expect(await confirm(order)).not.toBeNull()
  return order
}

const cancelSome = (order: AcceptedOrder, quantity: number | null, pool = database.pool, step = 1) =>
  withTransaction(pool, (tx) =>
    cancelUnits(tx, {
      orderId: order.orderId,
      wanted: quantity === null ? null : [{ sku: order.sku as Sku, quantity }],
      reason: 'merchant',
      reasonCode: 'changed_mind',
      actor: null,
      step,
    }),
  )

const read = (order: AcceptedOrder) => readOrder(database.pool, order.orderId)
const owed = (order: AcceptedOrder) => withBooks(database.pool, order.orderId, (books) => books.owed)

const reservations = async ({ orderId }: AcceptedOrder) =>
  (
    await database.pool.query<{ state: string; quantity: number }>(
      'select state, quantity from reservation where owner_id = $1 order by warehouse_id',
      [orderId],
    )
  ).rows

/** One of the two units lies in another warehouse. */
async function split({ orderId, sku }: AcceptedOrder): Promise<void> {
  const other = newId('warehouse')
  const { pool } = database
  await pool.query(`insert into warehouse (id, name, country) values ($1, $2, 'GB')`, [other, randomUUID()])
  await pool.query('insert into stock_level (sku, warehouse_id, on_hand, reserved) values ($1, $2, 3, 1)', [sku, other])
  await pool.query('update stock_level set reserved = 1 where sku = $1 and warehouse_id = $2', [sku, warehouseId()])
  await pool.query('update reservation set quantity = 1 where owner_id = $1', [orderId])
  await pool.query(
    `insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
     values ($1, 'hard', $2, $3, $4, 1, 'committed')`,
    [newId('reservation'), orderId, sku, other],
  )
  // Its shipments are made anew, one for each warehouse.
  await pool.query('delete from shipment_line where shipment_id in (select id from shipment where order_id = $1)', [
    orderId,
  ])
  await pool.query('delete from shipment where order_id = $1', [orderId])
  await pool.query('update orders set planned_at = null where id = $1', [orderId])
}

const levels = async ({ sku }: AcceptedOrder): Promise<number[]> =>
  (await database.pool.query('select reserved from stock_level where sku = $1 order by warehouse_id', [sku])).rows.map(
    ({ reserved }) => reserved,
  )

describe('cancelling units of a confirmed order', () => {
  it('gives one of two back: stock, a smaller reservation, and less that is owed', async () => {
    const order = await confirmed()
    expect(await cancelSome(order, 1)).toEqual({ outcome: 'cancelled' })
    expect(await readUnits(database.pool, order.orderId)).toMatchObject([{ quantity: 2, cancelled: 1, shipped: 0 }])
    expect(await reservedOf(order.sku)).toBe(1)
    expect(await reservations(order)).toEqual([{ state: 'committed', quantity: 1 }])
    expect(await owed(order)).toBe(599)
    expect(await read(order)).toMatchObject({ status: 'confirmed', cancelReason: null })
    const [event] = (await readEvents(database.pool, order.orderId)).slice(-1)
    expect(event).toMatchObject({
      type: 'order.units_cancelled',
      from: null,
      to: null,
      data: { units: [{ sku: order.sku, quantity: 1 }], amount: 500, reason_code: 'changed_mind' },
    })
    await followsTheTable(order.orderId)
  })

  it('ends the order with its last unit: the fee goes too, and what was authorized is let go', async () => {
    const order = await confirmed()
    await cancelSome(order, 1)
    expect(await cancelSome(order, 1)).toEqual({ outcome: 'cancelled' })
    expect(await read(order)).toMatchObject({ status: 'cancelled', cancelReason: 'merchant' })
    expect(await reservedOf(order.sku)).toBe(0)
    expect(await reservations(order)).toEqual([{ state: 'released', quantity: 1 }])
    const { payments, cancelled } = await withBooks(database.pool, order.orderId, (books) => ({
      payments: books.payments,
      cancelled: books.order.cancelled,
    }))
    expect(cancelled).toBe(1_099)
    expect(payments).toMatchObject([{ releasing: true }])
    await followsTheTable(order.orderId)
  })

  it('rounds what is left down to what the provider can take, until nothing is left', async () => {
    const order = await confirmed()
    await cancelSome(order, 1, database.pool, 10)
    expect(await read(order)).toMatchObject({ cancelled: 500, waived: 9, paymentStatus: 'authorized' })
    await withBooks(database.pool, order.orderId, (books) => {
      const claimed = books.claimCapture({ amount: 590, actor: null })
      if (!('refused' in claimed)) books.answerCapture(claimed.id, { outcome: 'succeeded', reference: 'ca_1' })
    })
    expect([await owed(order), (await read(order))?.paymentStatus]).toEqual([590, 'captured'])
    const work = await readPaymentWork(database.pool, { orderId: order.orderId, paymentId: null })
    expect(work?.items.map(({ kind }) => kind)).toEqual(['release'])
    await cancelSome(order, null, database.pool, 10)
    expect(await read(order)).toMatchObject({ cancelled: 1_099, waived: 0 })
  })

  it('gives back what was captured, fee and all', async () => {
    const order = await confirmed()
    await withBooks(database.pool, order.orderId, (books) => {
      const claimed = books.claimCapture({ amount: 1_099, actor: null })
      if (!('refused' in claimed)) books.answerCapture(claimed.id, { outcome: 'succeeded', reference: 'ca_1' })
    })
    await cancelSome(order, 1)
    await cancelSome(order, null)
    const refunds = await withBooks(database.pool, order.orderId, (books) => books.refunds)
    expect(refunds).toMatchObject([
      { amount: 500, cause: 'cancel', status: 'pending' },
      { amount: 599, cause: 'cancel', status: 'pending' },
    ])
    await followsTheTable(order.orderId)
  })

  it('of an order that is split over two warehouses gives each its own back', async () => {
    const [part, whole] = [await confirmed(), await confirmed()]
    await split(part)
    await split(whole)
    await cancelSome(part, 1)
    expect((await levels(part)).sort()).toEqual([0, 1])
    expect((await reservations(part)).map(({ state }) => state).sort()).toEqual(['committed', 'released'])
    await cancelSome(whole, null)
    expect(await levels(whole)).toEqual([0, 0])
    expect(await reservations(whole)).toEqual([
      { state: 'released', quantity: 1 },
      { state: 'released', quantity: 1 },
    ])
  })

  it('takes a person back from a hold when all is cancelled', async () => {
    const order = await confirmed()
    await withTransaction(database.pool, (tx) =>
      holdOrder(tx, order.orderId, { cause: 'staff', reasonCode: 'address_unclear' }),
    )
    expect(await cancelSome(order, null)).toEqual({ outcome: 'cancelled' })
    expect(await read(order)).toMatchObject({ status: 'cancelled' })
    const { rows } = await database.pool.query('select held_from, held_for from orders where id = $1', [order.orderId])
    expect(rows).toEqual([{ held_from: null, held_for: [] }])
    await followsTheTable(order.orderId)
  })

  it('does nothing the second time, nor to an order that was never confirmed', async () => {
    const [done, open, lost] = [await confirmed(), await placed(), await placed()]
    await cancelSome(done, null)
    await cancel(lost)
    const before = await Promise.all([done, open, lost].map((order) => readEvents(database.pool, order.orderId)))
    for (const order of [done, open, lost]) expect(await cancelSome(order, null)).toEqual({ outcome: 'nothing_left' })
    expect(await Promise.all([done, open, lost].map((order) => readEvents(database.pool, order.orderId)))).toEqual(
      before,
    )
    expect(await reservedOf(open.sku)).toBe(2)
  })

  it('refuses more than is left, and changes nothing', async () => {
    const order = await confirmed()
    await cancelSome(order, 1)
    await database.pool.query('update order_line set shipped = 1 where order_id = $1', [order.orderId])
    const state = async () => [await read(order), await reservations(order), await levels(order), await owed(order)]
    const before = await state()
    expect(await cancelSome(order, 1)).toEqual({
      outcome: 'refused',
      lines: [{ sku: order.sku, requested: 1, available: 0 }],
    })
    expect(await state()).toEqual(before)
  })

  it('takes no unit twice, of twenty cancellations at once', async () => {
    const order = await confirmed()
    const done = await Promise.all(Array.from({ length: 20 }, () => cancelSome(order, 1, crowd)))
    expect(done.filter(({ outcome }) => outcome === 'cancelled')).toHaveLength(2)
    expect(await reservedOf(order.sku)).toBe(0)
    expect(await read(order)).toMatchObject({ status: 'cancelled' })
    await followsTheTable(order.orderId)
  })

  it('and a capture at once: one comes first, and what is taken too much goes back', async () => {
    for (let turn = 0; turn < 6; turn++) {
      const order = await confirmed()
      const claim = withBooks(crowd, order.orderId, (books) => books.claimCapture({ amount: 1_099, actor: null }))
      const [claimed] = await Promise.all([claim, cancelSome(order, null, crowd)])
      const { captures, payments } = await withBooks(database.pool, order.orderId, (books) => books)
      expect(captures.every(({ status }) => status === 'failed')).toBe(true)
      expect(captures).toHaveLength('refused' in claimed ? 0 : 1)
      expect(payments).toMatchObject([{ releasing: true, captured: 0, capturing: 0 }])
    }
  })
})
