import { randomUUID } from 'node:crypto'
import { createReconciliationActivities } from '../../../activities/payment/reconciliation'
import type { OrderWorkflows } from '../../../activities/deps'
import { reconcileOnce } from '../../../bench/payment/run'
import { readSettings } from '../../../config'
import { newId } from '../../../db/id'
import { listOrdersAtWork } from '../../../db/order/sweep'
import { withBooks } from '../../../db/payment/books'
import {
  acceptDifference,
  listDifferences,
  listUnsettledSubjects,
  type RecordedDifference,
} from '../../../db/payment/difference'
import { readReconciliation, type Reconciliation } from '../../../db/payment/reconciliation'
import { claimRenewal } from '../../../db/payment/work'
import { withTransaction } from '../../../db/pool'
import { closeCase, listOpenCases, openCase, readOpenCases } from '../../../db/support/attention'
import type { OrderId, PaymentId } from '../../../domain/ids'
import type { CaptureBook, RefundBook } from '../../../domain/payment/books'
import type { PaymentProviders } from '../../../providers/payment'
import { type PaymentProvider, ProviderRejected, ProviderUnavailable } from '../../../providers/payment/provider'
import { ServiceError } from '@temporalio/client'
import { theirChargeOf } from '../../../activities/payment/examine'
import { describeUnknown } from '../../../domain/payment/reconciliation'
import { UNKNOWN_MONEY } from '../../../domain/support'
import { checkoutWorkflowId } from '../../../domain/workflow-id'
import { until } from '../../support/wait'
import { ChargeClient, SandboxClient } from '../../sandbox/client'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'

let effects: PaymentEffects
let sandbox: SandboxClient
let activities: ReturnType<typeof createReconciliationActivities>
interface News {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
}
let told: { checkout: News[]; fulfillment: News[]; settlement: News[] }
beforeAll(async () => {
  effects = await startPaymentEffects()
  sandbox = new SandboxClient(effects.stack.stack.file.sandbox)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)
beforeEach(async () => {
  activities = activitiesAfter(0)
  told = { checkout: [], fulfillment: [], settlement: [] }
  await reconcile()
  // What earlier tests have left is known.
  await pool().query(`
    update reconciliation_difference set state = 'accepted', closed_at = now(), accepted_by = 'an earlier test'
    where state in ('open', 'accepted');
    update attention set closed_at = now() where closed_at is null`)
})

const pool = () => effects.stack.database.pool

function activitiesAfter(
  seconds: number,
  providers: PaymentProviders = effects.providers,
  more: Partial<OrderWorkflows> = {},
) {
  const { stack } = effects
  const settings = { ...readSettings(stack.stack.env), RECONCILIATION_QUIET_SECONDS: seconds }
  const orders: Partial<OrderWorkflows> = {
    tellCheckout: async (news) => told.checkout.push(news) > 0,
    tellNews: async ({ pays, ...news }) => void told[pays ? 'fulfillment' : 'settlement'].push(news),
    tellSettlement: async (news) => void told.settlement.push(news),
    ...more,
  }
  return createReconciliationActivities({
    pool: stack.database.pool,
    providers,
    settings,
    orders: orders as OrderWorkflows,
  })
}

async function reconcile(): Promise<Reconciliation> {
  const { id } = await reconcileOnce(activities)
  return (await readReconciliation(pool(), id)) as Reconciliation
}

/** What a run finds that no earlier test has left. */
async function differences(): Promise<RecordedDifference[]> {
  const run = await reconcile()
  const found = await listDifferences(pool(), { id: run.id, after: '', limit: 100 })
  expect(run.differences).toBe(found.length)
  return found.filter(({ state, acceptedBy }) => state === 'open' || acceptedBy !== 'an earlier test')
}

const figures = (found: readonly RecordedDifference[]) => found.map(({ kind, ours, theirs }) => [kind, ours, theirs])

async function cases() {
  return (await listOpenCases(pool(), { limit: 100, after: 0 })).filter(
    ({ code }) => code === 'reconciliation_difference',
  )
}

interface Paid extends PlacedByBuyer {
  readonly paymentId: PaymentId
  readonly charge: ChargeClient
  readonly chargeId: string
}

/** A confirmed order of 1,000, nothing captured. */
async function paid(method?: string): Promise<Paid> {
  const order = await effects.placed(method)
  const { paymentId } = order.attempt
  const result = await effects.run(effects.activities.charge, { paymentId })
  if (result.outcome !== 'paid') throw new Error(`It is ${result.outcome}`)
  await effects.run(effects.activities.confirm, { orderId: order.orderId, paid: { paymentId, ...result.charge } })
  return withCharge(order, result.charge.reference)
}

function withCharge(order: PlacedByBuyer, chargeId: string): Paid {
  return { ...order, paymentId: order.attempt.paymentId, chargeId, charge: new ChargeClient(sandbox, chargeId) }
}

/** So much of it captured by ours. */
async function captured(amount: number, method?: string): Promise<Paid> {
  const order = await paid(method)
  const capture = (await withBooks(pool(), order.orderId, (books) =>
    books.claimCapture({ amount, actor: null }),
  )) as CaptureBook
  await effects.run(effects.activities.capturePayment, { captureId: capture.id })
  return order
}

const orderStatusOf = async (orderId: OrderId) =>
  (await pool().query(`select status from orders where id = $1`, [orderId])).rows[0]?.status

const statusOf = async (paymentId: PaymentId) =>
  (
    await pool().query(`select status, captured::int, refunded::int, amount::int from payment where id = $1`, [
      paymentId,
    ])
  ).rows[0]

it('finds nothing where nothing differs, and matches each movement once', async () => {
  const { paymentId } = await captured(400)
  await captured(1_000)
  const run = await reconcile()
  expect(run).toMatchObject({ state: 'completed', healed: 0, waiting: 0 })
  expect(await cases()).toEqual([])
  expect(run.providers).toMatchObject([{ provider: 'sandbox', movements: expect.any(Number) }])
  const { rows } = await pool().query(`select movement from capture where payment_id = $1`, [paymentId])
  expect(rows).toEqual([{ movement: expect.stringMatching(/./) }])
  expect(await reconcile()).toMatchObject({ moves: 0 })
})

it('heals a lost webhook of an attempt by its workflow, and says that it differs when nothing comes of it', async () => {
  const order = await effects.placed('pm_card_authenticationRequired')
  const { paymentId } = order.attempt
  expect(await effects.run(effects.activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting' })
  await effects.shop.decide((await order.buyer.state(order.orderId)).action.url, 'approve')
  expect(figures(await differences())).toEqual([['authorized', 0, 1_000]])
  expect(told.checkout).toContainEqual({ orderId: order.orderId, paymentId })
  expect(await cases()).toHaveLength(1)

  const [charge] = await effects.shop.charges(order.orderId)
  const seen = {
    status: 'authorized',
    reference: charge?.id ?? '',
    capturesInParts: true,
    captureBefore: null,
  } as const
  await effects.run(effects.activities.confirm, { orderId: order.orderId, paid: { paymentId, ...seen } })
  expect(await differences()).toEqual([])
  expect(await cases()).toEqual([])
})

it.each([
  ['a capture', { captured: 300, refunded: 0 }, (charge: ChargeClient) => charge.capture({ amount: 300 })],
  ['a refund', { captured: 400, refunded: 100 }, (charge: ChargeClient) => charge.refund({ amount: 100 })],
] as const)('takes over %s that was made at the pages of the provider', async (_what, expected, act) => {
  const { paymentId, charge } = expected.refunded > 0 ? await captured(400) : await paid()
  await act(charge)
  expect(await reconcile()).toMatchObject({ healed: 1 })
  expect(await statusOf(paymentId)).toMatchObject(expected)
  expect(await cases()).toEqual([])
  expect(await reconcile()).toMatchObject({ healed: 0 })
})

it.each([
  ['lost', 'on_hold', 100],
  ['won', 'confirmed', 0],
] as const)('hears that a dispute was %s when its webhook was lost', async (status, orderStatus, disputed) => {
  const { orderId, paymentId, charge } = await captured(400)
  await charge.dispute({ amount: 100 })
  expect(await reconcile()).toMatchObject({ healed: 1 })
  expect(await orderStatusOf(orderId)).toBe('on_hold')
  await charge.close((await charge.now()).disputes[0]?.id as string, status)

  expect(await reconcile()).toMatchObject({ healed: 1 })
  const { rows } = await pool().query(
    `select d.status, p.disputed::int from dispute d join payment p on p.id = d.payment_id
    where p.id = $1`,
    [paymentId],
  )
  expect(rows).toEqual([{ status, disputed }])
  const entries = await pool().query(`select from ledger_entry where payment_id = $1 and operation = $2`, [
    paymentId,
    `dispute_${status}`,
  ])
  expect(entries.rowCount).toBe(2)
  // What is lost is for a person to deal with.
  expect(await orderStatusOf(orderId)).toBe(orderStatus)
  expect(told.fulfillment).toContainEqual({ orderId, paymentId, isOver: false })
  expect(await cases()).toEqual([])
})

it('leaves its news in the row when nobody could be told of it: the sweep tells the owner', async () => {
  const { orderId, paymentId, charge } = await captured(400)
  await charge.dispute({ amount: 100 })
  const unavailable = Object.assign(new Error('14 UNAVAILABLE'), { code: 14, details: 'no connection', metadata: {} })
  // As the client of Temporal throws it.
  const away = new ServiceError('Failed to signal workflow', { cause: unavailable })
  let failures = 1
  const tellNews: OrderWorkflows['tellNews'] = async () => (failures-- > 0 ? Promise.reject(away) : undefined)
  activities = activitiesAfter(0, effects.providers, { tellNews, tellCheckout: async () => false })
  await expect(reconcile()).rejects.toBe(away)
  // On the retry both sides agree, and nobody is told.
  expect(await reconcile()).toMatchObject({ healed: 0 })

  await pool().query(`update payment set news_at = news_at - interval '1 minute' where id = $1`, [paymentId])
  const work = { shard: 0, shards: 1, limit: 1_000, after: '', holdSeconds: 900, overdueSeconds: 120 }
  expect((await listOrdersAtWork(pool(), work)).filter((order) => order.orderId === orderId)).toContainEqual(
    expect.objectContaining({ owner: 'fulfillment', object: paymentId, mustRemind: true }),
  )
})

it('hands a renewal whose answer was lost to fulfillment, which made it', async () => {
  const { orderId, paymentId } = await paid()
  const renewalId = newId('payment')
  await withTransaction(pool(), (tx) => claimRenewal(tx, { paymentId, renewalId, amount: 1_000 }))
  const key = `${orderId}/charge/2`
  await sandbox.made(key, { reference: orderId, amount: 1_000, currency: 'GBP' })
  activities = activitiesAfter(0, effects.providers, { tellCheckout: async () => false })
  expect(await differences()).toMatchObject([{ kind: 'authorized', paymentId: renewalId, ours: 0, theirs: 1_000 }])
  expect(told.fulfillment).toContainEqual({ orderId, paymentId: renewalId, isOver: false })
  expect(told.settlement).toEqual([])
})

it('opens a case for a charge that nobody asked for, once, until its money has gone back', async () => {
  const charge = await sandbox.made(randomUUID(), { reference: 'a shop of somebody else' })
  const first = await differences()
  expect(first).toMatchObject([
    { kind: 'unknown_charge', object: charge.id, ours: 0, theirs: 510, orderId: null, paymentId: null, state: 'open' },
  ])
  const [open] = await cases()
  expect(open).toMatchObject({ orderId: null, object: first[0]?.id, detail: expect.stringContaining('GBP 5.10') })
  expect(await differences()).toMatchObject([{ id: first[0]?.id, firstSeen: first[0]?.firstSeen }])
  expect((await cases()).map(({ id }) => id)).toEqual([open?.id])

  await new ChargeClient(sandbox, charge.id).void()
  expect(await differences()).toEqual([])
  expect(await cases()).toEqual([])
})

it('names the order of a charge under a key that is none of ours', async () => {
  const { orderId } = await paid()
  await sandbox.made(randomUUID(), { reference: orderId, amount: 70 })
  expect(await differences()).toMatchObject([{ kind: 'unknown_charge', orderId, theirs: 70 }])
  expect(await cases()).toMatchObject([{ orderId }])
})

it('finds what was changed in our rows by hand, and closes the case when it is mended', async () => {
  const { paymentId, orderId } = await captured(400)
  const change = (by: number) =>
    pool().query(`update payment set captured = captured + $2 where id = $1`, [paymentId, by])
  await change(-100)
  const found = await differences()
  expect(figures(found)).toEqual(
    expect.arrayContaining([
      ['authorized', 700, 600],
      ['captured', 300, 400],
      ['ledger_authorized', 700, 600],
      ['ledger_clearing', 300, 400],
    ]),
  )
  expect(await cases()).toHaveLength(found.length)
  expect((await cases()).every((open) => open.orderId === orderId)).toBe(true)
  await change(100)
  expect(await differences()).toEqual([])
  expect(await cases()).toEqual([])
})

it('finds a capture of ours that the provider never made, also when that was long ago', async () => {
  const { orderId } = await paid()
  await withBooks(pool(), orderId, (books) => {
    const { id } = books.claimCapture({ amount: 250, actor: null }) as CaptureBook
    books.sendCapture(id)
    books.answerCapture(id, { outcome: 'succeeded', reference: 'cp_never' })
  })
  const expected = ['movement_missing', 250, 0]
  expect(figures(await differences())).toContainEqual(expected)
  await pool().query(`update reconciliation_watermark set at = now() + interval '3 days'`)
  try {
    expect(figures(await differences())).toContainEqual(expected)
  } finally {
    await pool().query(`update reconciliation_watermark set at = now()`)
  }
})

/** The provider, with something of it changed. */
function providersWith(change: (provider: PaymentProvider) => Partial<PaymentProvider>): PaymentProviders {
  const get = (name: string): PaymentProvider | undefined => {
    const provider = effects.providers.get(name)
    return provider && Object.assign(Object.create(provider) as PaymentProvider, change(provider))
  }
  return Object.assign(Object.create(effects.providers) as PaymentProviders, { get })
}

/** The provider, of which one charge does not answer to its key any more: somebody has changed it there. */
function rejecting({ orderId }: Paid, error: Error): PaymentProviders {
  return providersWith((provider) => ({
    find: (charge, signal) => (charge.orderId === orderId ? Promise.reject(error) : provider.find(charge, signal)),
  }))
}

it('goes on behind a charge that the provider rejects, which is a difference until it can be compared', async () => {
  const [strange, other] = [await captured(400), await captured(400)]
  for (const { charge } of [strange, other]) await charge.refund({ amount: 30 })
  const rejected = new ProviderRejected('key_reused', 'it was made for another request')
  activities = activitiesAfter(0, rejecting(strange, rejected))
  const found = {
    kind: 'incomparable',
    state: 'open',
    object: strange.paymentId,
    orderId: strange.orderId,
    ours: 1_000,
  }
  expect(await differences()).toMatchObject([found])
  expect(await statusOf(other.paymentId)).toMatchObject({ refunded: 30 })
  expect(await cases()).toMatchObject([{ orderId: strange.orderId, detail: expect.stringContaining('`key_reused`') }])
  expect(await differences()).toMatchObject([found])
  expect(await cases()).toHaveLength(1)

  activities = activitiesAfter(0)
  expect(await differences()).toEqual([])
  expect(await cases()).toEqual([])
  expect(await statusOf(strange.paymentId)).toMatchObject({ refunded: 30 })
})

it.each([
  ['the provider does not let us in', new ProviderRejected('not_allowed', 'our key is not valid')],
  ['Postgres is away', Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })],
])('compares nothing while %s', async (_, error) => {
  const order = await captured(400)
  await order.charge.refund({ amount: 30 })
  activities = activitiesAfter(0, rejecting(order, error))
  await expect(reconcile()).rejects.toBe(error)
})

/** The provider is away, but for its lists at first. */
function leaving(error: Error): PaymentProviders {
  let isThere = true
  return providersWith((provider) => ({
    movements: (...page) => (isThere ? provider.movements(...page) : Promise.reject(error)),
    find: async () => {
      isThere = false
      throw error
    },
  }))
}

it('compares nothing while the provider is away', async () => {
  const { charge } = await captured(400)
  await charge.refund({ amount: 30 })
  const error = new ProviderUnavailable('no answer')
  activities = activitiesAfter(0, leaving(error))
  await expect(reconcile()).rejects.toBe(error)
})

it('goes on behind a charge for which alone the provider has no answer, which is a difference until it has', async () => {
  const [silentOne, other] = [await captured(400), await captured(400)]
  for (const { charge } of [silentOne, other]) await charge.refund({ amount: 30 })
  activities = activitiesAfter(0, rejecting(silentOne, new ProviderUnavailable('answered 500')))
  for (let night = 0; night < 2; night++)
    expect(await differences()).toMatchObject([{ kind: 'incomparable', paymentId: silentOne.paymentId, state: 'open' }])
  expect(await statusOf(other.paymentId)).toMatchObject({ refunded: 30 })
  expect(await cases()).toHaveLength(1)

  activities = activitiesAfter(0)
  expect(await differences()).toEqual([])
  expect(await cases()).toEqual([])
}, 30_000)

it('asks a provider that is away for nothing, and keeps what it knows', async () => {
  const { charge, paymentId } = await captured(400)
  const change = (by: number) =>
    pool().query(`update payment set captured = captured + $2 where id = $1`, [paymentId, by])
  await change(-100)
  const ids = (await differences()).map(({ id }) => id)
  await charge.refund({ amount: 30 })
  activities = activitiesAfter(0, leaving(new ProviderUnavailable('no answer')))
  const input = { after: null, away: ['sandbox'] }
  await effects.run(activities.compareLedger, { ...input, since: new Date(0).toISOString() })
  await effects.run(activities.compareMoves, input)
  expect(await effects.run(activities.recheckDifferences, input)).toMatchObject({ healed: 0, waiting: 1 })
  const kept = await listUnsettledSubjects(pool(), { after: '', limit: 100 })
  expect(kept.map(({ id }) => id)).toEqual(expect.arrayContaining(ids))
  await change(100)
})

it('leaves alone what a person has accepted, until its figures change', async () => {
  const charge = await sandbox.made(randomUUID(), { reference: 'elsewhere' })
  const [found] = await differences()
  const accepted = { id: found?.id as RecordedDifference['id'], by: 'key_1', reasonCode: 'known', note: 'Ours too.' }
  expect(await withTransaction(pool(), (tx) => acceptDifference(tx, accepted))).toMatchObject({ state: 'accepted' })
  await pool().query(`update attention set closed_at = now() where object = $1`, [found?.id])
  expect(await differences()).toMatchObject([{ state: 'accepted', reasonCode: 'known' }])
  expect(await cases()).toEqual([])
  await new ChargeClient(sandbox, charge.id).capture({ amount: 200, final: true })
  expect(await differences()).toMatchObject([{ state: 'open', theirs: 200 }])
  expect(await cases()).toHaveLength(1)
  await new ChargeClient(sandbox, charge.id).refund()
  expect(await differences()).toEqual([])
})

it('asks anew about what a person has accepted once it was gone in between, though its figures are the same', async () => {
  const charge = await sandbox.made(randomUUID(), {
    reference: 'elsewhere',
    method: 'pm_sandbox_refund_fails_later',
  })
  const there = new ChargeClient(sandbox, charge.id)
  await there.capture({ final: true })
  const [found] = await differences()
  const accepted = { id: found?.id as RecordedDifference['id'], by: 'key_1', reasonCode: 'refunded', note: null }
  expect(await withTransaction(pool(), (tx) => acceptDifference(tx, accepted))).toMatchObject({ state: 'accepted' })
  await there.refund()
  expect(await differences()).toEqual([])
  await until(
    'the bank sends it back',
    async () => (await sandbox.all()).find(({ id }) => id === charge.id)?.refunds[0]?.status === 'failed',
  )
  expect(await differences()).toMatchObject([
    { id: found?.id, state: 'open', theirs: found?.theirs, acceptedBy: null, reasonCode: null },
  ])
})

it('does not ask about a charge that a person has explained already, until its money changes', async () => {
  const { orderId } = await paid()
  const { id: object } = await sandbox.made(randomUUID(), { reference: orderId, amount: 70 })
  const key = { workflowId: checkoutWorkflowId(orderId), step: UNKNOWN_MONEY, object }
  const known = await effects.providers.get('sandbox')?.read(object)
  const detail = known ? describeUnknown(theirChargeOf(known)) : null
  await openCase(pool(), { ...key, orderId, code: 'amount_mismatch', detail })
  await closeCase(pool(), { ...key, by: 'person' })
  expect(await differences()).toMatchObject([{ kind: 'unknown_charge', orderId, theirs: 70 }])
  expect(await cases()).toEqual([])
  await new ChargeClient(sandbox, object).capture({ amount: 50, final: true })
  await differences()
  expect(await cases()).toMatchObject([{ orderId, code: 'reconciliation_difference' }])

  await openCase(pool(), { ...key, orderId, code: 'amount_mismatch', detail })
  await new ChargeClient(sandbox, object).refund()
  await differences()
  expect(await readOpenCases(pool(), orderId)).toEqual([])
})

it('goes on while another order is in flight: what is young, or at work, waits', async () => {
  const { orderId, charge } = await captured(400)
  await withBooks(pool(), orderId, (books) =>
    books.claimRefund({ amount: 50, cause: 'staff', reasonCode: null, restock: false, actor: null }),
  )
  await charge.refund({ amount: 30 })
  const foreign = await sandbox.made(randomUUID(), { reference: 'elsewhere' })
  const found = await differences()
  expect(found).toMatchObject([{ kind: 'unknown_charge', object: foreign.id }])

  activities = activitiesAfter(600)
  await sandbox.made(randomUUID(), { reference: 'younger' })
  expect(figures(await differences())).toEqual(figures(found))
  await new ChargeClient(sandbox, foreign.id).void()
})

/** The provider, whose lists tell of nothing any more. */
const silent = () =>
  providersWith((provider) => ({
    list: async () => ({ charges: [], unreadable: [], nextCursor: null }),
    movements: async () => ({ movements: [], unreadable: [], nextCursor: null }),
    find: (charge, signal) => provider.find(charge, signal),
  }))

it('looks again at what had to wait, however long, also when the provider lists it no more', async () => {
  const { orderId, paymentId, charge } = await captured(400)
  const [claimed] = (await withBooks(pool(), orderId, (books) =>
    books.claimRefund({ amount: 50, cause: 'staff', reasonCode: null, restock: false, actor: null }),
  )) as RefundBook[]
  await charge.refund({ amount: 30 })
  expect((await reconcile()).waiting).toBeGreaterThan(0)
  activities = activitiesAfter(0, silent())
  for (let night = 0; night < 3; night++) expect(await differences()).toEqual([])
  expect(await statusOf(paymentId)).toMatchObject({ refunded: 0 })

  const refused = { outcome: 'failed', code: 'refused', reference: null } as const
  await withBooks(pool(), orderId, (books) => books.answerRefund((claimed as RefundBook).id, refused))
  expect(await reconcile()).toMatchObject({ healed: 1 })
  expect(await statusOf(paymentId)).toMatchObject({ refunded: 30 })
  const kept = await listUnsettledSubjects(pool(), { after: '', limit: 100 })
  expect(kept.map(({ subject }) => subject.paymentId)).not.toContain(paymentId)
})

it('gives the owner of what had waited until the next run before it says that it differs', async () => {
  const order = await effects.placed('pm_card_authenticationRequired')
  const { paymentId } = order.attempt
  expect(await effects.run(effects.activities.charge, { paymentId })).toMatchObject({ outcome: 'waiting' })
  await effects.shop.decide((await order.buyer.state(order.orderId)).action.url, 'approve')
  activities = activitiesAfter(600)
  expect(await differences()).toEqual([])

  activities = activitiesAfter(0, silent())
  expect(await differences()).toEqual([])
  expect(told.checkout).toContainEqual({ orderId: order.orderId, paymentId })
  expect(figures(await differences())).toEqual([['authorized', 0, 1_000]])
})

it('moves the watermark on with the end of a run, and begins 48 h before it', async () => {
  const first = await reconcile()
  const mark = first.providers[0]?.watermarkAfter as string
  const second = await reconcile()
  expect(second.providers[0]?.watermarkBefore).toBe(mark)
  expect(Date.parse(mark) - Date.parse(second.providers[0]?.since ?? '')).toBe(48 * 3_600_000)
})

it('a run that died is taken up, and moves no watermark before its end', async () => {
  const { id } = await effects.run(activities.beginReconciling, undefined as never)
  const before = await readReconciliation(pool(), id)
  expect((await effects.run(activities.beginReconciling, undefined as never)).id).toBe(id)
  const ended = await reconcile()
  expect(ended.id).toBe(id)
  expect(ended.providers[0]?.since).toBe(before?.providers[0]?.since)
})
