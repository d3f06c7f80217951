import { newId } from '../../../db/id'
import { applyFraudAnswer, letPass, readOrderToCheck } from '../../../db/order/fraud'
import { resumeOrder } from '../../../db/order/hold'
import { readEvents, readOrder } from '../../../db/order/read'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { OrderId } from '../../../domain/ids'
import type { FraudAnswer } from '../../../domain/order'
import { noFraudCheck } from '../../../providers/fraud'
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

const apply = (orderId: OrderId, answer: Exclude<FraudAnswer, 'ok'>, pool = database.pool) =>
  withTransaction(pool, (tx) => applyFraudAnswer(tx, orderId, answer))
const lastEvent = async (orderId: OrderId) => (await readEvents(database.pool, orderId)).at(-1)

it('asks about an order as it was paid, until the check has answered', async () => {
  const orderId = await confirmed()
  const order = await readOrderToCheck(database.pool, orderId)
  expect(order).toMatchObject({
    orderId,
    currency: 'GBP',
    total: 1_000,
    units: 2,
    email: 'a@example.com',
    shippingAddress: { country: 'GB' },
    billingAddress: null,
    provider: 'sandbox',
    method: 'pm_card_visa',
  })
  if (!order) throw new Error('There is nothing to check')
  expect(await noFraudCheck.review(order)).toBe('ok')
  await letPass(database.pool, orderId)
  expect(await readOrder(database.pool, orderId)).toMatchObject({ status: 'confirmed', heldFor: [] })
  expect(await readOrderToCheck(database.pool, orderId)).toBeNull()
  expect(await readOrderToCheck(database.pool, newId('order'))).toBeNull()
})

it.each([
  ['review', 'fraud_review'],
  ['refuse', 'fraud_refused'],
] as const)('%s holds the order for a person, once', async (answer, reasonCode) => {
  const orderId = await confirmed()
  expect(await apply(orderId, answer)).toBe('changed')
  expect(await readOrder(database.pool, orderId)).toMatchObject({ status: 'on_hold', heldFor: ['fraud'] })
  expect(await lastEvent(orderId)).toMatchObject({
    type: 'order.held',
    data: { cause: 'fraud', reason_code: reasonCode },
  })
  expect(await apply(orderId, answer)).toBe('unchanged')
  await withTransaction(database.pool, (tx) => resumeOrder(tx, orderId, { cause: 'fraud', reasonCode: 'known_buyer' }))
  // The same check, asked again by whoever was killed in between, does not take the person's word back.
  await letPass(database.pool, orderId)
  for (const again of ['review', 'refuse'] as const) expect(await apply(orderId, again)).toBe('unchanged')
  expect(await readOrder(database.pool, orderId)).toMatchObject({ status: 'confirmed', heldFor: [] })
  await followsTheTable(orderId)
})

it('takes the first of twenty answers at once', async () => {
  const orderId = await confirmed()
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => apply(orderId, 'review', crowd)))
  expect(outcomes.filter((outcome) => outcome === 'changed')).toHaveLength(1)
  expect((await readEvents(database.pool, orderId)).filter(({ type }) => type === 'order.held')).toHaveLength(1)
})

it('comes too late for an order that was cancelled, and leaves it as it is', async () => {
  const orderId = await confirmed()
  await database.pool.query(`update orders set status = 'cancelled', cancel_reason = 'merchant' where id = $1`, [
    orderId,
  ])
  expect(await apply(orderId, 'refuse')).toBe('refused')
  expect(await readOrder(database.pool, orderId)).toMatchObject({ status: 'cancelled', heldFor: [] })
})
