import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MockActivityEnvironment } from '@temporalio/testing'
import type { ActivityDeps } from '../../../activities/deps'
import { type Audit, createAuditActivities } from '../../../activities/support/audit'
import { readSettings } from '../../../config'
import { newId } from '../../../db/id'
import { confirmOrder } from '../../../db/order/confirm'
import { withBooks } from '../../../db/payment/books'
import { createRedis, type Redis } from '../../../db/redis'
import { openCase } from '../../../db/support/attention'
import type { OrderId, PaymentId } from '../../../domain/ids'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../../domain/workflow-id'
import { createPaymentProviders, type PaymentProviders } from '../../../providers/payment'
import type { Charge, ChargeRequest, PaymentProvider } from '../../../providers/payment/provider'
import { type Sandbox, startSandbox } from '../../../sandbox/sandbox'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { testRedis } from '../../support/redis'

/** Real rows and a real provider, each of its own for every test. What Temporal has is told by the test: it must lack workflows. */
let redis: Redis
let redisUrl: string
let database: TestDatabase
let sandbox: Sandbox
let providers: PaymentProviders
let provider: PaymentProvider
let audit: () => Promise<Audit>
const journal = (): string => join(tmpdir(), `audit-${process.pid}.journal`)
const open = new Set<string>()

beforeAll(async () => {
  redisUrl = (await testRedis()).url
})
beforeEach(async () => {
  open.clear()
  database = await testDatabase()
  const secret = `whsec_${Buffer.from(randomUUID()).toString('base64')}`
  const options = { host: '127.0.0.1', port: 0, journal: journal(), webhookUrl: 'http://127.0.0.1:9/', secret }
  sandbox = await startSandbox({ ...options, onFailure: () => undefined })
  const settings = readSettings({
    DATABASE_URL: database.url,
    REDIS_URL: redisUrl,
    SANDBOX_URL: sandbox.url,
    SANDBOX_WEBHOOK_SECRET: secret,
  })
  redis = createRedis(settings)
  providers = createPaymentProviders(settings)
  provider = providers.get('sandbox') as PaymentProvider
  const orders = {
    listRunning: async () => new Set([...open].filter((id) => id.startsWith('order_'))),
    listFailing: async () => [],
    listStoppedExpiry: async () => [],
    isOpen: async (workflowId: string) => open.has(workflowId),
    isCheckoutOpen: async (orderId: OrderId) => open.has(checkoutWorkflowId(orderId)),
  }
  const deps = { pool: database.pool, redis, providers, settings, orders } as unknown as ActivityDeps
  audit = () => new MockActivityEnvironment().run(createAuditActivities(deps).audit) as Promise<Audit>
})
afterEach(async () => {
  redis.disconnect()
  await providers.close()
  await sandbox.stop()
  await rm(journal(), { force: true })
  await database.drop()
})

const { cancel, placed } = orderStatements(() => database.pool)

/** An order of 1,000 whose charge is authorized at the provider. */
interface Charged extends AcceptedOrder {
  readonly request: ChargeRequest
}

async function charged(): Promise<Charged> {
  const order = await placed()
  const request: ChargeRequest = {
    key: `${order.orderId}/charge/1`,
    orderId: order.orderId,
    amount: { amount: 1_000, currency: 'GBP' },
    method: 'pm_card_visa',
    returnUrl: null,
    expiresAt: null,
    requestedAt: new Date().toISOString(),
    reference: null,
  }
  const { reference } = await provider.authorize(request, async () => true)
  return { ...order, request: { ...request, reference } }
}

async function won(): Promise<Charged> {
  const order = await charged()
  const { reference } = order.request as { reference: string }
  const paid = { paymentId: order.paymentId, status: 'authorized', reference } as const
  await confirmOrder(database.pool, {
    orderId: order.orderId,
    paid: { ...paid, capturesInParts: true, captureBefore: null },
  })
  return order
}

const capture = ({ orderId, request: charge }: Charged, amount: number, number = 1) =>
  provider.capture({ key: `${orderId}/capture/${number}`, charge, amount, final: false })

const refund = ({ orderId, request: charge }: Charged, amount: number) =>
  provider.refund({ key: `${orderId}/refund/1`, charge, amount })

/** Brings the books to what the provider has. */
async function catchUp({ orderId, paymentId, request }: Charged): Promise<void> {
  const { state, ...charge } = (await provider.find(request)) as Charge
  const seen = { ...charge, amount: charge.amount.amount, state: state as 'captured' }
  await withBooks(database.pool, orderId, (books) => books.observe(paymentId, seen))
}

async function post({ request }: Charged, path: string, body: object): Promise<void> {
  const response = await fetch(`${sandbox.url}/v1/charges/${request.reference}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(response.ok).toBe(true)
}

const dispute = (order: Charged, amount: number) => post(order, '/dispute', { amount })

const closeDispute = (order: Charged, reference: string, status: 'won' | 'lost') =>
  post(order, `/disputes/${reference}/close`, { status })

async function violated(): Promise<string[]> {
  return (await audit()).checks.filter(({ ok }) => !ok).map(({ name }) => name)
}

/** What compares with the provider; the rest is of rows that a test may leave behind. */
const atProvider = (names: readonly string[]): string[] =>
  names.filter((name) => /provider|charge/.test(name) && name !== 'every_event_from_a_provider_is_acted_on')

describe('charges', () => {
  it('whose dispute is lost there do not agree while it is open here', async () => {
    const order = await won()
    await capture(order, 300)
    await dispute(order, 50)
    await catchUp(order)
    const { disputes } = (await provider.find(order.request)) as Charge
    await closeDispute(order, disputes[0]?.reference as string, 'lost')
    expect(atProvider(await violated())).toEqual(['charges_agree_with_the_payments'])
    await catchUp(order)
    expect(atProvider(await violated())).toEqual([])
  })

  it('that were captured in parts, released, refunded and disputed agree once the books have caught up', async () => {
    const order = await won()
    await capture(order, 300)
    await capture(order, 200, 2)
    await refund(order, 100)
    await provider.release(order.request)
    await dispute(order, 50)
    expect(atProvider(await violated())).toEqual(['charges_agree_with_the_payments', 'ledger_agrees_with_the_provider'])
    await catchUp(order)
    expect(atProvider(await violated())).toEqual([])
  })

  it.each<[what: string, change: (order: Charged) => Promise<unknown>, wrong: string[]]>([
    ['a capture', (order) => capture(order, 1), ['ledger_agrees_with_the_provider']],
    ['a capture of all', (order) => capture(order, 1_000), ['ledger_agrees_with_the_provider']],
    [
      'a release',
      ({ request }) => provider.release(request),
      ['payments_are_known_to_the_provider', 'ledger_agrees_with_the_provider'],
    ],
  ])('%s that our books do not know is seen', async (_what, change, wrong) => {
    const order = await won()
    expect(atProvider(await violated())).toEqual([])
    await change(order)
    expect(atProvider(await violated())).toEqual(['charges_agree_with_the_payments', ...wrong])
  })

  it.each<[what: string, change: (order: Charged) => Promise<unknown>]>([
    ['a refund', (order) => refund(order, 1)],
    ['a refund of all', (order) => refund(order, 1_000)],
    ['a dispute', (order) => dispute(order, 1)],
  ])('%s that our books do not know is seen', async (_what, change) => {
    const order = await won()
    await capture(order, 1_000)
    await catchUp(order)
    expect(atProvider(await violated())).toEqual([])
    await change(order)
    expect(atProvider(await violated())).toEqual(['charges_agree_with_the_payments', 'ledger_agrees_with_the_provider'])
    await openCase(database.pool, {
      orderId: order.orderId,
      code: 'reconciliation_difference',
      workflowId: 'reconcile',
      step: null,
      object: null,
    })
    expect(atProvider(await violated())).toEqual([])
  })

  it('given back in another way are still captured at the provider', async () => {
    const order = await won()
    await capture(order, 1_000)
    await catchUp(order)
    await withBooks(database.pool, order.orderId, (books) => {
      const claimed = books.claimRefund({
        amount: 'all',
        cause: 'staff',
        reasonCode: null,
        restock: false,
        actor: null,
      })
      if (!('refused' in claimed)) for (const { id } of claimed) books.settleElsewhere(id)
    })
    expect(await violated()).not.toContain('charges_agree_with_the_payments')
    expect(await violated()).not.toContain('ledger_agrees_with_the_provider')
  })

  it('that the provider does not have are seen', async () => {
    const order = await placed()
    const paid = { status: 'authorized', reference: 'ch_invented', capturesInParts: true, captureBefore: null } as const
    await confirmOrder(database.pool, { orderId: order.orderId, paid: { paymentId: order.paymentId, ...paid } })
    expect(atProvider(await violated())).toEqual([
      'payments_are_known_to_the_provider',
      'ledger_agrees_with_the_provider',
    ])
  })

  it('of one order may be two only where one has no use for its money any more', async () => {
    const order = await won()
    const second = { ...order.request, key: `${order.orderId}/charge/2`, reference: null }
    const { reference } = await provider.authorize(second, async () => true)
    expect(atProvider(await violated())).toEqual(['an_order_is_charged_once', 'charges_agree_with_the_payments'])
    await database.pool.query(
      `insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, outcome, reference, renews)
       select $2, order_id, 2, $3, provider, method, 1000, currency, 'authorized', 'completed', $4, id from payment where id = $1`,
      [order.paymentId, newId('payment'), second.key, reference],
    )
    expect(await violated()).not.toContain('an_order_is_charged_once')
    await database.pool.query(`update payment set renews = null`)
    expect(await violated()).toContain('an_order_is_charged_once')
    await database.pool.query('update payment set releasing = true where attempt = 1')
    expect(await violated()).not.toContain('an_order_is_charged_once')
    await database.pool.query(`update payment set releasing = false, outcome = 'expired' where attempt = 2`)
    expect(await violated()).not.toContain('an_order_is_charged_once')
  })

  it('that hold money of an attempt that failed are seen', async () => {
    const order = await charged()
    await cancel(order)
    await database.pool.query(`update payment set status = 'voided', reference = $2 where id = $1`, [
      order.paymentId,
      order.request.reference,
    ])
    expect(await violated()).toContain('charges_agree_with_the_payments')
  })
})

describe('money at work', () => {
  it.each<[what: string, idOf: (order: AcceptedOrder) => string]>([
    ['fulfillment', ({ orderId }) => fulfillmentWorkflowId(orderId)],
    ['its settlement', ({ paymentId }) => settlementWorkflowId(paymentId as PaymentId)],
    ['its checkout', ({ orderId }) => checkoutWorkflowId(orderId)],
  ])('has its workflow: %s', async (_what, idOf) => {
    const order = await won()
    await withBooks(database.pool, order.orderId, (books) => books.claimCapture({ amount: 1, actor: null }))
    expect(await audit()).toMatchObject({ settled: false })
    expect(await violated()).not.toContain('money_at_work_has_its_workflow')
    await database.pool.query(`update capture set updated_at = now() - interval '1 minute'`)
    expect(await violated()).toContain('money_at_work_has_its_workflow')
    open.add(idOf(order))
    expect(await violated()).not.toContain('money_at_work_has_its_workflow')
  })

  it('is not missed where a person knows that its workflow was stopped', async () => {
    const order = await won()
    await withBooks(database.pool, order.orderId, (books) => books.claimCapture({ amount: 1, actor: null }))
    await database.pool.query(`update capture set updated_at = now() - interval '1 minute'`)
    const workflowId = fulfillmentWorkflowId(order.orderId)
    await openCase(database.pool, {
      orderId: order.orderId,
      code: 'workflow_failing',
      workflowId,
      step: null,
      object: null,
    })
    expect(await violated()).not.toContain('money_at_work_has_its_workflow')
  })
})
