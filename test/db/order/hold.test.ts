import { holdOrder, type HoldOutcome, resumeOrder } from '../../../db/order/hold'
import { readEvents, readOrder } from '../../../db/order/read'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { OrderId } from '../../../domain/ids'
import { HOLD_CAUSES, type HoldCause, ORDER_STATUSES, type OrderStatus } from '../../../domain/order'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

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

const { confirm, followsTheTable, placed } = orderStatements(() => database.pool)

async function confirmed(): Promise<OrderId> {
  const order = await placed()
  expect(await confirm(order)).not.toBeNull()
  return order.orderId
}

const hold = (orderId: OrderId, cause: HoldCause, pool = database.pool): Promise<HoldOutcome> =>
  withTransaction(pool, (tx) => holdOrder(tx, orderId, { cause, reasonCode: `${cause}_begins` }))
const resume = (orderId: OrderId, cause: HoldCause, pool = database.pool): Promise<HoldOutcome> =>
  withTransaction(pool, (tx) => resumeOrder(tx, orderId, { cause, reasonCode: `${cause}_ends` }))

const stateOf = async (orderId: OrderId) => {
  const order = await readOrder(database.pool, orderId)
  return [order?.status, order?.heldFor]
}
const holdEvents = async (orderId: OrderId) =>
  (await readEvents(database.pool, orderId))
    .filter(({ type }) => /hold|held|resumed/.test(type))
    .map(({ type, from, to, data }) => [type, from, to, data['cause'], data['reason_code']])

/** As the order would be in this status. */
async function become(orderId: OrderId, status: OrderStatus): Promise<void> {
  await database.pool.query(
    `update orders
     set status = $2, cancel_reason = case when $2 = 'cancelled' then 'merchant' end,
         held_from = case when $2 = 'on_hold' then 'processing' end,
         held_for = case when $2 = 'on_hold' then array['dispute'] else '{}' end
     where id = $1`,
    [orderId, status],
  )
}

it('holds an order once for each cause, until the last one ends', async () => {
  const orderId = await confirmed()
  expect(await hold(orderId, 'staff')).toBe('changed')
  expect(await stateOf(orderId)).toEqual(['on_hold', ['staff']])
  expect(await hold(orderId, 'staff')).toBe('unchanged')
  expect(await hold(orderId, 'dispute')).toBe('changed')
  expect(await stateOf(orderId)).toEqual(['on_hold', ['staff', 'dispute']])
  expect(await resume(orderId, 'fraud')).toBe('unchanged')
  expect(await resume(orderId, 'staff')).toBe('changed')
  expect(await resume(orderId, 'staff')).toBe('unchanged')
  expect(await stateOf(orderId)).toEqual(['on_hold', ['dispute']])
  expect(await resume(orderId, 'dispute')).toBe('changed')
  expect(await stateOf(orderId)).toEqual(['confirmed', []])
  expect(await resume(orderId, 'dispute')).toBe('unchanged')
  expect(await holdEvents(orderId)).toEqual([
    ['order.held', 'confirmed', 'on_hold', 'staff', 'staff_begins'],
    ['order.hold_added', null, null, 'dispute', 'dispute_begins'],
    ['order.hold_removed', null, null, 'staff', 'staff_ends'],
    ['order.resumed', 'on_hold', 'confirmed', 'dispute', 'dispute_ends'],
  ])
  await followsTheTable(orderId)
})

it('returns to where it came from, and is to be looked at then', async () => {
  const orderId = await confirmed()
  await become(orderId, 'processing')
  const lookAt = async (): Promise<boolean> =>
    (await database.pool.query('select look_at <= now() as due from orders where id = $1', [orderId])).rows[0].due
  await hold(orderId, 'staff')
  await hold(orderId, 'fraud')
  await resume(orderId, 'staff')
  expect(await lookAt()).toBe(false)
  await resume(orderId, 'fraud')
  expect(await stateOf(orderId)).toEqual(['processing', []])
  expect(await lookAt()).toBe(true)
})

describe.each(ORDER_STATUSES)('an order that is %s', (status) => {
  const mayHold = status === 'confirmed' || status === 'processing'
  const expected = (): HoldOutcome => (mayHold || status === 'on_hold' ? 'changed' : 'refused')

  it('is held, or refused and left as it is', async () => {
    const orderId = await confirmed()
    await become(orderId, status)
    const before = await readEvents(database.pool, orderId)
    expect(await hold(orderId, 'staff')).toBe(expected())
    expect((await readOrder(database.pool, orderId))?.status).toBe(mayHold ? 'on_hold' : status)
    if (expected() === 'refused') expect(await readEvents(database.pool, orderId)).toEqual(before)
  })

  it('is not resumed where nothing holds it', async () => {
    const orderId = await confirmed()
    await become(orderId, status)
    const before = await readEvents(database.pool, orderId)
    expect(await resume(orderId, 'staff')).toBe(expected() === 'refused' ? 'refused' : 'unchanged')
    expect((await readOrder(database.pool, orderId))?.status).toBe(status)
    expect(await readEvents(database.pool, orderId)).toEqual(before)
  })
})

it('loses no cause and writes no event twice, of sixty changes at once', async () => {
  const orderId = await confirmed()
  const changes = Array.from({ length: 20 }, () => HOLD_CAUSES.map((cause) => hold(orderId, cause, crowd))).flat()
  expect((await Promise.all(changes)).filter((outcome) => outcome === 'changed')).toHaveLength(3)
  const [status, causes] = await stateOf(orderId)
  expect([status, [...(causes as HoldCause[])].sort()]).toEqual(['on_hold', [...HOLD_CAUSES].sort()])
  const ends = Array.from({ length: 20 }, () => HOLD_CAUSES.map((cause) => resume(orderId, cause, crowd))).flat()
  expect((await Promise.all(ends)).filter((outcome) => outcome === 'changed')).toHaveLength(3)
  expect(await stateOf(orderId)).toEqual(['confirmed', []])
  expect((await holdEvents(orderId)).map(([type]) => type)).toEqual([
    'order.held',
    'order.hold_added',
    'order.hold_added',
    'order.hold_removed',
    'order.hold_removed',
    'order.resumed',
  ])
  await followsTheTable(orderId)
})
