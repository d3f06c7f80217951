import { randomUUID } from 'node:crypto'
import type { Client } from '@temporalio/client'
import { closeTemporalClient, createTemporalClient } from '../../../api/http/temporal'
import type { OrderWorkflows } from '../../../activities/deps'
import { receiveEvent } from '../../../db/payment/inbox'
import { readNews } from '../../../db/payment/work'
import { closeCase, listOpenCases, readStanding } from '../../../db/support/attention'
import type { OrderId, PaymentId } from '../../../domain/ids'
import { UNKNOWN_MONEY } from '../../../domain/support'
import { checkoutWorkflowId } from '../../../domain/workflow-id'
import { createLog } from '../../../log'
import { StripeProvider } from '../../../providers/payment/stripe/provider'
import { runInbox } from '../../../workers/loops/inbox'
import { type TestDatabase, testDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'
import { startStripeStub, type StripeStub } from '../../support/stripe-stub'
import { testNamespace } from '../../support/temporal'
import { until } from '../../support/wait'

const KEYS = { secretKey: 'sk_test_of_the_stub', webhookSecret: 'whsec_of_the_stub' }

let database: TestDatabase
let stub: StripeStub
let stripe: StripeProvider
let stop: AbortController
let running: Promise<void>
const told: PaymentId[] = []
const tell = async ({ paymentId }: { paymentId: PaymentId }): Promise<void> => void told.push(paymentId)
let temporal: Client
beforeAll(async () => {
  const { address, namespace } = await testNamespace()
  temporal = createTemporalClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace })
})
afterAll(() => temporal && closeTemporalClient(temporal))
beforeEach(async () => {
  ;[database, stub] = await Promise.all([testDatabase(), startStripeStub(KEYS)])
  stripe = new StripeProvider({
    ...{ publishableKey: null, secretKey: KEYS.secretKey, webhookSecrets: [KEYS.webhookSecret] },
    ...{ url: stub.url, timeoutMs: 2_000 },
  })
  stop = new AbortController()
  running = runInbox(
    {
      settings: { DATABASE_URL: database.url },
      pool: database.pool,
      providers: { get: (name) => (name === 'stripe' ? stripe : undefined) },
      // No checkout is open.
      temporal,
      orders: { tellNews: tell, tellSettlement: tell } as Partial<OrderWorkflows> as OrderWorkflows,
      log: createLog('silent', 'test'),
    },
    stop.signal,
  )
})
afterEach(async () => {
  stop.abort()
  await running
  await stripe.close()
  await stub.stop()
  await database.drop()
})

const { cancel, confirm, placed } = orderStatements(() => database.pool)

/** A charge that names the order, made by somebody else: under another key, and of another amount. */
function chargeFor(orderId: OrderId): { reference: string; key: string } {
  const key = `${orderId}/by-hand`
  const metadata = { order_id: orderId, key }
  const intent = { amount: '777', currency: 'gbp', capture_method: 'manual', metadata }
  const { id: reference } = stub.account.createIntent(intent)
  stub.account.confirmIntent(reference, { payment_method: 'pm_card_visa' })
  return { reference, key }
}

/** Hears of the charge, and waits until nothing more has to be done about that. */
async function hear(
  orderId: OrderId,
  { reference, key }: { reference: string; key: string },
  state = 'authorized',
): Promise<void> {
  const eventId = randomUUID()
  const event = { provider: 'stripe', eventId, type: 'payment_intent.amount_capturable_updated', state }
  await receiveEvent(database.pool, { ...event, chargeReference: reference, chargeKey: key, orderId })
  await database.pool.query('update inbox set due_at = now() where event_id = $1', [eventId])
  await until('the event is done', async () => {
    const { rows } = await database.pool.query('select done_at from inbox where event_id = $1', [eventId])
    return rows[0].done_at !== null
  })
}

const cases = async () => listOpenCases(database.pool, { limit: 10, after: 0 })

it('a charge for an order of ours that none of its payments asked for is a case, until its money is let go', async () => {
  const { orderId } = await placed()
  const charge = chargeFor(orderId)
  await hear(orderId, charge)
  expect(await cases()).toMatchObject([
    { orderId, code: 'amount_mismatch', object: charge.reference, detail: expect.stringContaining('GBP 7.77') },
  ])
  stub.account.cancelIntent(charge.reference)
  await hear(orderId, charge)
  expect(await cases()).toEqual([])
})

it('a charge that a person has explained is a case again only when the provider holds another sum by it', async () => {
  const { orderId } = await placed()
  const [charge, other] = [chargeFor(orderId), chargeFor(orderId)]
  const key = { workflowId: checkoutWorkflowId(orderId), step: UNKNOWN_MONEY, object: charge.reference }
  for (const each of [charge, other]) await hear(orderId, each)
  const first = (await cases()).find(({ object }) => object === other.reference)?.detail ?? ''
  for (const { reference: object } of [charge, other])
    expect(await closeCase(database.pool, { ...key, object, by: 'person' })).toBe(true)
  await hear(orderId, charge)
  expect(await cases()).toEqual([])
  stub.account.cancelIntent(other.reference)
  await hear(orderId, other)
  const explained = { ...key, object: other.reference, orderId, detail: first }
  expect(await readStanding(database.pool, explained)).toBeNull()
  stub.account.captureIntent(charge.reference, { amount_to_capture: '700' })
  await hear(orderId, charge)
  expect(await cases()).toMatchObject([{ orderId, detail: expect.stringContaining('GBP 7.00') }])
})

it('a charge that the provider does not have is none', async () => {
  const { orderId } = await placed()
  await hear(orderId, { reference: 'pi_of_another_account', key: `${orderId}/by-hand` })
  expect(await cases()).toEqual([])
})

it('news of a payment that is decided is told once, and stands in its row until somebody has looked it up', async () => {
  const order = await placed()
  await confirm(order)
  const { orderId, paymentId } = order
  const { rows } = await database.pool.query<{ key: string }>('select key from payment where id = $1', [paymentId])
  await hear(orderId, { reference: 'pi_unknown', key: rows[0]?.key as string }, 'captured')
  expect(told).toEqual([paymentId])
  expect(await readNews(database.pool, paymentId)).not.toBeNull()
})

it('news of an attempt of an order that is over is for its settlement, as often as it comes, and counts as no restart', async () => {
  const order = await placed()
  await cancel(order)
  const event = { provider: 'stripe', type: 'payment_intent.amount_capturable_updated', state: 'authorized' }
  for (let times = 1; times <= 4; times++) {
    const [eventId, seen] = [randomUUID(), told.length]
    await receiveEvent(database.pool, {
      ...event,
      eventId,
      chargeReference: 'pi_late',
      chargeKey: `${order.orderId}/charge/1`,
      orderId: order.orderId,
    })
    await database.pool.query('update inbox set due_at = now() where event_id = $1', [eventId])
    await until('it is told', () => told.length > seen)
  }
  expect(new Set(told.slice(-4))).toEqual(new Set([order.paymentId]))
  const { rows } = await database.pool.query('select restarts from orders where id = $1', [order.orderId])
  expect(rows).toEqual([{ restarts: 0 }])
})
