import { chargeRequestOf } from '../../../activities/payment/charge'
import { presentRefund } from '../../../api/payment/answer'
import { readRefund } from '../../../db/payment/move'
import { type Attempt, readAttempt } from '../../../db/payment/attempt'
import { endNews, noteNews, readNews } from '../../../db/payment/work'
import type { CaptureId, RefundId } from '../../../domain/ids'
import type { PaymentBook } from '../../../domain/payment/books'
import { ProviderUnavailable } from '../../../providers/payment/provider'
import { type PaymentEffects, type PlacedByBuyer, startPaymentEffects } from '../../support/payment-effects'
import type { ProviderCall } from '../../support/provider-proxy'
import type { Shop } from '../../support/shop'
import { until } from '../../support/wait'

let effects: PaymentEffects
let shop: Shop
let activities: PaymentEffects['activities']
let run: PaymentEffects['run']
let confirmed: PaymentEffects['confirmed']
beforeAll(async () => {
  effects = await startPaymentEffects()
  ;({ shop, activities, run, confirmed } = effects)
}, 60_000)
afterAll(() => effects?.stop(), 30_000)

async function claim(order: PlacedByBuyer, amount: number | 'all'): Promise<CaptureId> {
  const claimed = await effects.inBooks(order, (books) =>
    books.claimCapture({ amount: amount === 'all' ? books.due : amount, actor: null }),
  )
  if ('refused' in claimed) throw new Error(claimed.refused)
  return claimed.id
}

const capture = (captureId: CaptureId) => run(activities.capturePayment, { captureId })
const refund = (refundId: RefundId) => run(activities.refundPayment, { refundId })
const release = ({ attempt: { paymentId } }: PlacedByBuyer) => run(activities.releasePayment, { paymentId })
const refresh = ({ attempt: { paymentId } }: PlacedByBuyer) => run(activities.refreshPayment, { paymentId })

async function claimBack(order: PlacedByBuyer, amount: number | 'all'): Promise<RefundId> {
  const request = { amount, cause: 'staff', reasonCode: null, restock: false, actor: null } as const
  const claimed = await effects.inBooks(order, (books) => books.claimRefund(request))
  if ('refused' in claimed) throw new Error(claimed.refused)
  return claimed[0]?.id as RefundId
}

/** All of it captured. */
async function captured(method?: string): Promise<PlacedByBuyer> {
  const order = await confirmed(method)
  expect(await capture(await claim(order, 'all'))).toBe('succeeded')
  return order
}

const rows = (order: PlacedByBuyer) =>
  effects.inBooks(order, ({ payments, captures, refunds, disputes }) =>
    structuredClone({ payment: payments[0], captures, refunds, disputes }),
  )
const payment = async (order: PlacedByBuyer) => (await rows(order)).payment
const work = async ({ orderId }: PlacedByBuyer) =>
  (await run(activities.readPaymentWork, { orderId, paymentId: null })).items.map(({ kind }) => kind)

/** The provider's own view of the charge: the totals, and the parts. */
async function atProvider({ orderId }: PlacedByBuyer) {
  const [charge] = (await shop.charges(orderId)) as unknown as ProviderCharge[]
  if (!charge) throw new Error('There is no charge')
  return charge
}
interface ProviderCharge {
  readonly id: string
  readonly amount: number
  readonly status: string
  readonly captured: number
  readonly refunded: number
  readonly captures: readonly { readonly id: string }[]
  readonly refunds: readonly { readonly id: string; readonly status: string }[]
  readonly disputes: readonly { readonly id: string }[]
}

const isCapture = ({ path }: ProviderCall): boolean => path.endsWith('/capture')
const isRefund = ({ path }: ProviderCall): boolean => path.endsWith('/refunds')

/** The provider does what it is asked, and its answers get lost. */
async function unheard(ask: () => Promise<unknown>): Promise<void> {
  await shop.faults({ drop_answer_rate: 1 })
  await expect(ask()).rejects.toThrow()
  await shop.faults()
}

/** The provider answers nothing. */
async function unanswered(ask: () => Promise<unknown>): Promise<void> {
  await shop.faults({ error_rate: 1 })
  await expect(ask()).rejects.toThrow()
  await shop.faults()
}

describe('a capture', () => {
  it('is taken once, however often it is run', async () => {
    const order = await confirmed()
    const id = await claim(order, 600)
    expect([await capture(id), await capture(id)]).toEqual(['succeeded', 'succeeded'])
    expect(await atProvider(order)).toMatchObject({ captured: 600, captures: [expect.anything()] })
    expect(await payment(order)).toMatchObject({ status: 'authorized', captured: 600, capturing: 0 })
  })

  it('whose answer was lost is taken once', async () => {
    const order = await confirmed()
    const id = await claim(order, 600)
    await unheard(() => capture(id))
    expect(await payment(order)).toMatchObject({ captured: 0, capturing: 600 })
    expect(await capture(id)).toBe('succeeded')
    expect(await atProvider(order)).toMatchObject({ captured: 600, captures: [expect.anything()] })
  })

  it('that the provider never answers ends by what a person says of it', async () => {
    const order = await confirmed()
    const [left, taken] = [await claim(order, 200), await claim(order, 300)]
    effects.proxy.fail(order.orderId)
    for (const id of [left, taken]) await expect(capture(id)).rejects.toThrow('503')
    for (let times = 0; times < 2; times++) {
      await run(activities.decideCapture, { captureId: left, decision: 'leave' })
      await run(activities.settleElsewhere, { orderId: order.orderId, object: taken })
    }
    expect([await capture(left), await capture(taken)]).toEqual(['failed', 'succeeded'])
    expect(await work(order)).toEqual([])
    expect(await payment(order)).toMatchObject({ captured: 300, capturing: 0 })
    effects.proxy.heal(order.orderId)
  })

  it('waits while the provider is away, and says the same when it is back', async () => {
    const order = await confirmed()
    const id = await claim(order, 'all')
    effects.proxy.fail(order.orderId)
    await expect(capture(id)).rejects.toThrow('503')
    await expect(capture(id)).rejects.toThrow('503')
    expect((await rows(order)).captures).toMatchObject([{ status: 'pending', wasSent: true, final: true }])
    effects.proxy.heal(order.orderId)
    expect(await capture(id)).toBe('succeeded')
    expect(await payment(order)).toMatchObject({ status: 'captured', releasing: false })
  })

  it('in two parts ends the payment with the second', async () => {
    const order = await confirmed()
    expect(await capture(await claim(order, 600))).toBe('succeeded')
    expect(await capture(await claim(order, 'all'))).toBe('succeeded')
    const charge = await atProvider(order)
    expect(charge).toMatchObject({ status: 'captured', captured: charge.amount })
    expect(await payment(order)).toMatchObject({ status: 'captured', captured: charge.amount, released: 0 })
    expect(await work(order)).toEqual([])
  })

  it('that is refused stays so under its key, and works under a new one after a decision', async () => {
    const order = await confirmed('pm_sandbox_capture_refused')
    const id = await claim(order, 'all')
    expect([await capture(id), await capture(id)]).toEqual(['failed', 'failed'])
    expect(await work(order)).toEqual(['capture'])
    const decision = { captureId: id, decision: 'retry' } as const
    await run(activities.decideCapture, decision)
    await run(activities.decideCapture, decision)
    const { captures } = await rows(order)
    expect(captures).toMatchObject([
      { status: 'failed', atWork: false },
      { retries: id, status: 'pending' },
    ])
    expect(await capture(captures[1]?.id as CaptureId)).toBe('succeeded')
    expect(await work(order)).toEqual([])
  })

  it('that is refused and left is over: what it asked for may be claimed again', async () => {
    const order = await confirmed('pm_sandbox_capture_refused')
    const id = await claim(order, 600)
    expect(await capture(id)).toBe('failed')
    await run(activities.decideCapture, { captureId: id, decision: 'leave' })
    expect(await work(order)).toEqual([])
    expect(await capture(await claim(order, 'all'))).toBe('succeeded')
  })

  it('of a charge that allows one takes all that is due, and releases the rest', async () => {
    const order = await confirmed('pm_sandbox_single_capture')
    await effects.inBooks(order, (books) => books.cancel({ amount: 300, isAll: false }))
    const id = await claim(order, 1)
    expect(await capture(id)).toBe('succeeded')
    const { amount } = await atProvider(order)
    expect(await payment(order)).toMatchObject({ status: 'captured', captured: amount - 300, released: 300 })
    expect(await work(order)).toEqual([])
  })

  it('with the authorization is known, and is no second one when the provider shows it', async () => {
    const order = await confirmed('pm_sandbox_captured_at_once')
    await refresh(order)
    await refresh(order)
    const { captures, refunds, payment: paid } = await rows(order)
    expect(captures).toMatchObject([{ cause: 'authorization', status: 'succeeded', reference: expect.any(String) }])
    expect(refunds).toEqual([])
    expect(paid).toMatchObject({ status: 'captured', captured: paid?.amount })
    expect(await refund(await claimBack(order, 'all'))).toBe('succeeded')
    expect(await payment(order)).toMatchObject({ status: 'refunded' })
  })

  it('by somebody else counts: the rest alone is taken', async () => {
    const order = await confirmed()
    const { id, amount } = await atProvider(order)
    expect(await shop.atProvider(`${id}/capture`, { amount: 400, final: false })).toMatchObject({ status: 200 })
    await refresh(order)
    await refresh(order)
    expect(await payment(order)).toMatchObject({ captured: 400 })
    expect(await capture(await claim(order, 'all'))).toBe('succeeded')
    expect(await atProvider(order)).toMatchObject({ captured: amount, status: 'captured' })
  })
})

it('a capture of what is cancelled in part before it is sent takes what is left', async () => {
  const order = await confirmed()
  const id = await claim(order, 'all')
  await effects.inBooks(order, (books) => books.cancel({ amount: 300, isAll: false }))
  expect(await capture(id)).toBe('failed')
  expect(await work(order)).toEqual(['capture'])
  const again = (await rows(order)).captures[1]
  expect(again).toMatchObject({ status: 'pending', cause: 'staff', retries: id })
  expect(await capture(again?.id as CaptureId)).toBe('succeeded')
  const { amount } = await atProvider(order)
  expect(await atProvider(order)).toMatchObject({ captured: amount - 300, refunds: [] })
  expect(await payment(order)).toMatchObject({ captured: amount - 300, refunding: 0, refunded: 0 })
})

describe('a capture of an order that is cancelled', () => {
  it('before it is sent is never sent', async () => {
    const order = await confirmed()
    const id = await claim(order, 600)
    await effects.cancelled(order)
    expect(await capture(id)).toBe('failed')
    expect(await work(order)).toEqual(['release'])
    await release(order)
    await release(order)
    expect(await atProvider(order)).toMatchObject({ status: 'voided', captured: 0 })
    expect(await payment(order)).toMatchObject({ status: 'voided', releasing: false })
    expect(await work(order)).toEqual([])
  })

  it('after it was taken, unheard, is found and goes back', async () => {
    const order = await confirmed()
    const id = await claim(order, 600)
    await unheard(() => capture(id))
    await effects.cancelled(order)
    expect(await work(order)).toEqual(['capture'])
    expect([await capture(id), await capture(id)]).toEqual(['succeeded', 'succeeded'])
    expect(await work(order)).toEqual(['refund'])
    const { refunds } = await rows(order)
    expect(refunds).toMatchObject([{ amount: 600, cause: 'cancel' }])
    expect(await refund(refunds[0]?.id as RefundId)).toBe('succeeded')
    expect(await atProvider(order)).toMatchObject({ captured: 600, refunded: 600 })
    expect(await work(order)).toEqual([])
  })

  it('after it was sent, which arrives too late, is refused there', async () => {
    const order = await confirmed()
    const id = await claim(order, 600)
    effects.proxy.keepBack(order.orderId, isCapture)
    await expect(capture(id)).rejects.toThrow('503')
    await effects.cancelled(order)
    expect(await capture(id)).toBe('failed')
    expect(await work(order)).toEqual([])
    await effects.proxy.release(order.orderId)
    await refresh(order)
    expect(await atProvider(order)).toMatchObject({ status: 'voided', captured: 0 })
    expect(await payment(order)).toMatchObject({ status: 'voided', captured: 0 })
  })

  it('whose money was taken at the provider’s pages goes back too', async () => {
    const order = await confirmed()
    const { id } = await atProvider(order)
    await effects.cancelled(order)
    expect(await shop.atProvider(`${id}/capture`, { amount: 400, final: false })).toMatchObject({ status: 200 })
    await release(order)
    expect(await payment(order)).toMatchObject({ captured: 400, releasing: false, refunding: 400 })
    expect(await work(order)).toEqual(['refund'])
  })
})

describe('a refund', () => {
  it('is given once, however often it is run, and when its answer was lost', async () => {
    const order = await captured()
    const id = await claimBack(order, 200)
    await unheard(() => refund(id))
    expect([await refund(id), await refund(id)]).toEqual(['succeeded', 'succeeded'])
    expect(await atProvider(order)).toMatchObject({ refunded: 200, refunds: [expect.anything()] })
    expect(await payment(order)).toMatchObject({ refunded: 200, refunding: 0 })
  })

  it('waits while the provider is away', async () => {
    const order = await captured()
    const id = await claimBack(order, 'all')
    effects.proxy.fail(order.orderId, isRefund)
    await expect(refund(id)).rejects.toThrow('503')
    expect(await work(order)).toEqual(['refund'])
    effects.proxy.heal(order.orderId)
    expect(await refund(id)).toBe('succeeded')
  })

  it('that is refused stays so, until somebody says that it was given elsewhere', async () => {
    const order = await captured('pm_sandbox_refund_refused')
    const id = await claimBack(order, 200)
    expect([await refund(id), await refund(id)]).toEqual(['failed', 'failed'])
    await run(activities.decideRefund, { refundId: id, decision: 'retry' })
    const again = (await rows(order)).refunds[1]?.id as RefundId
    expect(await refund(again)).toBe('failed')
    for (let times = 0; times < 2; times++)
      await run(activities.decideRefund, { refundId: again, decision: 'elsewhere' })
    expect((await rows(order)).refunds).toMatchObject([
      { status: 'failed', atWork: false },
      { status: 'failed', atWork: false, retries: id },
      { status: 'succeeded', atWork: false, retries: again, requestId: id },
    ])
    expect(await payment(order)).toMatchObject({ refunded: 200, refunding: 0 })
    expect(await work(order)).toEqual([])
  })

  it('that is refused once works under a new key', async () => {
    const order = await captured('pm_sandbox_refund_refused_once')
    const id = await claimBack(order, 'all')
    expect(await refund(id)).toBe('failed')
    await run(activities.decideRefund, { refundId: id, decision: 'retry' })
    expect(await refund((await rows(order)).refunds[1]?.id as RefundId)).toBe('succeeded')
    expect(await payment(order)).toMatchObject({ status: 'refunded' })
    expect(await work(order)).toEqual([])
  })

  it.each(['succeeded', 'failed'] as const)('that stays pending is %s when the provider says so', async (status) => {
    const order = await captured('pm_sandbox_refund_pending')
    const id = await claimBack(order, 300)
    expect([await refund(id), await refund(id)]).toEqual(['pending', 'pending'])
    expect((await rows(order)).refunds).toMatchObject([{ status: 'pending', reference: expect.any(String) }])
    const charge = await atProvider(order)
    expect(charge.refunds).toHaveLength(1)
    await shop.atProvider(`${charge.id}/refunds/${charge.refunds[0]?.id}/settle`, { status })
    expect([await refund(id), await refund(id)]).toEqual([status, status])
    expect(await work(order)).toEqual(status === 'failed' ? ['refund'] : [])
  })

  it('that fails after it succeeded is to be decided', async () => {
    const order = await captured('pm_sandbox_refund_fails_later')
    const id = await claimBack(order, 300)
    expect(await refund(id)).toBe('succeeded')
    await until('the provider takes it back', async () => (await atProvider(order)).refunds[0]?.status === 'failed')
    await refresh(order)
    await refresh(order)
    expect((await rows(order)).refunds).toMatchObject([{ status: 'failed', atWork: true }])
    expect(await payment(order)).toMatchObject({ status: 'captured', refunded: 0, refunding: 0 })
  })

  it('by somebody else counts', async () => {
    const order = await captured()
    const { id, amount } = await atProvider(order)
    await shop.atProvider(`${id}/refunds`, { amount: 300 })
    await refresh(order)
    await refresh(order)
    expect((await rows(order)).refunds).toMatchObject([{ cause: 'provider', amount: 300, status: 'succeeded' }])
    expect(await refund(await claimBack(order, 'all'))).toBe('succeeded')
    expect(await atProvider(order)).toMatchObject({ refunded: amount })
  })
})

it('is asked for by what was asked for at first, also when the provider has shown more since', async () => {
  const order = await confirmed()
  const { paymentId } = order.attempt
  const request = async () => chargeRequestOf((await readAttempt(effects.stack.database.pool, paymentId)) as Attempt)
  const before = await request()
  const { amount, reference } = (await payment(order)) as PaymentBook
  const captures = [{ reference: 'cp_more', key: null, amount: amount + 200 }]
  const seen = { reference: reference as string, amount, state: 'captured', released: 0, captures } as const
  await effects.inBooks(order, (books) =>
    books.observe(paymentId, { ...seen, capturesInParts: true, captureBefore: null, refunds: [], disputes: [] }),
  )
  expect(await payment(order)).toMatchObject({ amount: amount + 200, captured: amount + 200 })
  expect(await request()).toEqual(before)
})

describe('a release', () => {
  it('waits while the provider is away, and is lost by no lost answer', async () => {
    const order = await confirmed()
    await effects.cancelled(order)
    effects.proxy.fail(order.orderId)
    await expect(release(order)).rejects.toThrow('503')
    effects.proxy.heal(order.orderId)
    await unheard(() => release(order))
    expect(await payment(order)).toMatchObject({ status: 'authorized', releasing: true })
    await release(order)
    expect(await payment(order)).toMatchObject({ status: 'voided', releasing: false })
  })

  it('that a person did elsewhere is over', async () => {
    const order = await confirmed()
    await effects.cancelled(order)
    const { orderId, attempt } = order
    for (let times = 0; times < 2; times++)
      await run(activities.settleElsewhere, { orderId, object: attempt.paymentId })
    expect(await payment(order)).toMatchObject({ status: 'voided', releasing: false })
    await release(order)
    expect(await work(order)).toEqual([])
  })

  it('of what is not to be let go does nothing', async () => {
    const order = await confirmed()
    await release(order)
    expect(await atProvider(order)).toMatchObject({ status: 'authorized' })
  })
})

describe('a dispute', () => {
  it.each(['won', 'lost'] as const)('is written down, waits for a person, and is %s', async (status) => {
    const order = await captured()
    const { id } = await atProvider(order)
    await shop.atProvider(`${id}/dispute`, { amount: 400 })
    await refresh(order)
    await refresh(order)
    expect(await payment(order)).toMatchObject({ disputed: 400 })
    expect(await work(order)).toEqual(['dispute'])
    const dispute = (await atProvider(order)).disputes[0]?.id as string
    await shop.atProvider(`${id}/disputes/${dispute}/close`, { status })
    await refresh(order)
    expect(await payment(order)).toMatchObject({ disputed: status === 'won' ? 0 : 400 })
    expect(await work(order)).toEqual(status === 'won' ? [] : ['dispute'])
    for (let times = 0; times < 2; times++)
      await run(activities.closeDispute, { orderId: order.orderId, reference: dispute })
    expect(await work(order)).toEqual([])
  })
})

describe('news of a payment', () => {
  it('is work until it was looked up, and what came during the look-up stays', async () => {
    const order = await captured()
    const { paymentId } = order.attempt
    await noteNews(effects.stack.database.pool, paymentId)
    const seen = (await readNews(effects.stack.database.pool, paymentId)) as string
    expect(await work(order)).toEqual(['news'])
    await noteNews(effects.stack.database.pool, paymentId)
    await endNews(effects.stack.database.pool, paymentId, seen)
    expect(await work(order)).toEqual(['news'])
    await unanswered(() => refresh(order))
    expect(await work(order)).toEqual(['news'])
    await refresh(order)
    expect(await work(order)).toEqual([])
  })
})

it('news of a payment that the provider does not know, by a key of another account say, are not over for that', async () => {
  const order = await effects.confirmed()
  const { paymentId } = order.attempt
  await noteNews(effects.stack.database.pool, paymentId)
  const { refreshPayment } = effects.activitiesFinding(async () => null)
  await expect(run(refreshPayment, { paymentId })).rejects.toThrow('does not know charge')
  expect(await readNews(effects.stack.database.pool, paymentId)).not.toBeNull()
  await refresh(order)
  expect(await readNews(effects.stack.database.pool, paymentId)).toBeNull()
})

describe('a refund that a person has settled', () => {
  it('at the provider’s own pages is counted once', async () => {
    const order = await captured('pm_sandbox_refund_refused_once')
    const [first, second] = [await claimBack(order, 100), await claimBack(order, 100)]
    expect(await refund(first)).toBe('failed')
    const { id } = await atProvider(order)
    await shop.atProvider(`${id}/refunds`, { amount: 100 })
    await run(activities.decideRefund, { refundId: first, decision: 'elsewhere' })
    expect(await refund(second)).toBe('succeeded')
    const { payment: books, refunds } = await rows(order)
    expect(books).toMatchObject({ refunded: 200, refunding: 0 })
    expect(refunds.map(({ cause, status, isElsewhere }) => [cause, status, isElsewhere])).toEqual([
      ['staff', 'failed', false],
      ['staff', 'succeeded', false],
      ['provider', 'succeeded', false],
    ])
    expect(refunds[0]?.reference).toBe(refunds[2]?.reference)
    expect(presentRefund(await readRefund(effects.stack.database.pool, first))).toMatchObject({ status: 'succeeded' })
    const shown = (await shop.order(order.orderId)).body.refunds as { id: string; status: string }[]
    expect(shown).toContainEqual(expect.objectContaining({ id: first, status: 'succeeded' }))
    expect((await atProvider(order)).refunded).toBe(200)
    expect(await work(order)).toEqual([])
  })

  it('in another way is that, whatever the provider shows: nothing, or another currency', async () => {
    const elsewhere = { refunded: 100, refunding: 0 }
    for (const find of [silence, effects.inEuros]) {
      const order = await captured('pm_sandbox_refund_refused_once')
      const refundId = await claimBack(order, 100)
      expect(await refund(refundId)).toBe('failed')
      await run(effects.activitiesFinding(find).decideRefund, { refundId, decision: 'elsewhere' })
      expect(await payment(order)).toMatchObject(elsewhere)
      expect(await work(order)).toEqual([])
    }
  })

  it('in another way, and that the provider makes all the same, is two refunds', async () => {
    const order = await captured('pm_sandbox_refund_pending')
    const refundId = await claimBack(order, 100)
    expect(await refund(refundId)).toBe('pending')
    await run(activities.settleElsewhere, { orderId: order.orderId, object: refundId })
    expect(await payment(order)).toMatchObject({ refunded: 100, refunding: 0 })
    const { id, refunds } = await atProvider(order)
    await shop.atProvider(`${id}/refunds/${refunds[0]?.id}/settle`, { status: 'succeeded' })
    await refresh(order)
    await refresh(order)
    expect(await payment(order)).toMatchObject({ refunded: 200, refunding: 0 })
  })
})

const silence = (): Promise<never> => Promise.reject(new ProviderUnavailable('nobody is there'))
