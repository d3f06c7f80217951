import { randomUUID } from 'node:crypto'
import { typeid } from 'typeid-js'
import type { OrderId } from '../../../domain/ids'
import {
  AttemptOver,
  type ChargeRequest,
  InvalidSignature,
  type Movement,
  type PaymentProvider,
  ProviderRejected,
  ProviderUnavailable,
} from '../../../providers/payment/provider'
import { StripeProvider } from '../../../providers/payment/stripe/provider'
import { startStripeStub, type StripeStub, type StripeStubOptions } from '../../support/stripe-stub'

const SECRET_KEY = 'sk_test_MustNotBeSeen'
const WEBHOOK_SECRET = 'whsec_MustNotBeSeen'
const DAY_MS = 86_400_000

let stub: StripeStub
let stripe: StripeProvider

beforeEach(() => start({}))
afterEach(() => end())

async function start(options: Partial<StripeStubOptions>): Promise<void> {
  stub = await startStripeStub({ secretKey: SECRET_KEY, webhookSecret: WEBHOOK_SECRET, ...options })
  stripe = adapter()
}

async function end(): Promise<void> {
  await stripe.close()
  await stub.stop()
}

async function restart(options: Partial<StripeStubOptions>): Promise<void> {
  await end()
  await start(options)
}

function adapter(change: { secretKey?: string; timeoutMs?: number } = {}): StripeProvider {
  return new StripeProvider({
    publishableKey: null,
    secretKey: SECRET_KEY,
    webhookSecrets: ['whsec_the_next_one', WEBHOOK_SECRET],
    url: stub.url,
    timeoutMs: 2_000,
    ...change,
  })
}

function request(change: Partial<ChargeRequest> = {}): ChargeRequest {
  const orderId = `order_${typeid().getSuffix()}` as OrderId
  return {
    key: `${orderId}/charge/1`,
    orderId,
    amount: { amount: 1_000, currency: 'GBP' },
    method: 'pm_card_visa',
    returnUrl: 'https://shop.example/order',
    expiresAt: null,
    requestedAt: new Date().toISOString(),
    reference: null,
    ...change,
  }
}

const keepAll = () => Promise.resolve(true)

/** A charge that was asked for, with its reference kept as our database would. */
async function authorized(change: Partial<ChargeRequest> = {}): Promise<ChargeRequest & { reference: string }> {
  const asked = request(change)
  const { reference } = await stripe.authorize(asked, keepAll)
  return { ...asked, reference }
}

function capture(
  charge: ChargeRequest,
  amount: number,
  final = true,
  key = `${charge.orderId}/capture/${randomUUID()}`,
) {
  return stripe.capture({ key, charge, amount, final })
}

function refund(charge: ChargeRequest, amount: number, key = `${charge.orderId}/refund/${randomUUID()}`) {
  return stripe.refund({ key, charge, amount })
}

/** All pages, and how many there were. */
async function allMovements(provider: PaymentProvider, since: string): Promise<Movement[]> {
  const movements: Movement[] = []
  for (let cursor: string | null = null; ; ) {
    const page = await provider.movements(since, cursor)
    movements.push(...page.movements)
    if (page.nextCursor === null) return movements
    cursor = page.nextCursor
  }
}

const asked = (fits: RegExp) => stub.requests.filter(({ name }) => fits.test(name)).length
const hourAgo = () => new Date(Date.now() - 3_600_000).toISOString()

describe('authorize', () => {
  test('sets the money aside, and says until when', async () => {
    const wanted = request()
    const charge = await stripe.authorize(wanted, keepAll)
    expect(charge).toEqual({
      reference: expect.stringMatching(/^pi_/),
      key: wanted.key,
      orderId: wanted.orderId,
      amount: wanted.amount,
      state: 'authorized',
      declineCode: null,
      captured: 0,
      released: 0,
      refunded: 0,
      captures: [],
      refunds: [],
      disputes: [],
      capturesInParts: true,
      captureBefore: expect.stringMatching(/^\d{4}-.*Z$/),
      actionUrl: null,
      createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    expect(Date.parse(charge.captureBefore as string)).toBeGreaterThan(Date.now() + 6 * DAY_MS)
    expect(await stripe.find({ ...wanted, reference: charge.reference })).toEqual(charge)
  })

  test('keeps the reference before it confirms', async () => {
    const kept: string[] = []
    const charge = await stripe.authorize(request(), (reference) => {
      expect(asked(/confirm/)).toBe(0)
      kept.push(reference)
      return Promise.resolve(true)
    })
    expect(kept).toEqual([charge.reference])
  })

  test('of an attempt that is over confirms nothing', async () => {
    const wanted = request()
    await expect(stripe.authorize(wanted, () => Promise.resolve(false))).rejects.toThrow(AttemptOver)
    expect(asked(/confirm/)).toBe(0)
    expect(await stripe.find(wanted)).toBeNull()
  })

  test('a process that dies between the create and the confirm leaves no money held, and the next one goes on', async () => {
    const wanted = request()
    await expect(stripe.authorize(wanted, () => Promise.reject(new Error('killed')))).rejects.toThrow('killed')
    expect(await stripe.find(wanted)).toBeNull()
    expect(await stripe.authorize(wanted, keepAll)).toMatchObject({ state: 'authorized' })
    expect(stub.account.all('payment_intent')).toHaveLength(1)
  })

  test('makes one charge per key, however many at once, with and without the reference', async () => {
    const wanted = request()
    const charges = await Promise.all(Array.from({ length: 8 }, () => stripe.authorize(wanted, keepAll)))
    const [first] = charges
    charges.push(await stripe.authorize({ ...wanted, reference: first?.reference as string }, keepAll))
    expect(new Set(charges.map(({ reference }) => reference)).size).toBe(1)
    expect(stub.account.all('charge')).toHaveLength(1)
  })

  test.each([
    ['with its reference', true],
    ['without it', false],
  ])('a repeated key that asks for something else is refused, %s', async (_, known) => {
    const first = await authorized()
    const other = { ...first, reference: known ? first.reference : null, amount: { amount: 1_001, currency: 'GBP' } }
    await expect(stripe.authorize(other, keepAll)).rejects.toMatchObject({ code: 'key_reused' })
  })

  test.each([
    ['pm_card_chargeDeclined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
    ['pm_of_nobody', 'resource_missing'],
  ])('%s is declined with %s, and nobody can pay with that intent any more', async (method, code) => {
    const wanted = request({ method })
    const charge = await stripe.authorize(wanted, keepAll)
    expect(charge).toMatchObject({ state: 'declined', declineCode: code, captured: 0, released: 0 })
    expect(stub.account.get(charge.reference)['status']).toBe('canceled')
  })

  test('a decline stays a decline, whoever asks', async () => {
    const charge = await authorized({ method: 'pm_card_chargeDeclined' })
    for (const seen of [await stripe.find(charge), await stripe.authorize(charge, keepAll)]) {
      expect(seen).toMatchObject({ state: 'declined', declineCode: 'generic_decline' })
    }
  })

  test('a decline of which the cancellation was lost is not told before the intent is dead', async () => {
    stub.failNext(/cancel$/, 500)
    const wanted = request({ method: 'pm_card_chargeDeclined' })
    let reference = ''
    const keep = (kept: string) => Promise.resolve((reference = kept) !== '')
    await expect(stripe.authorize(wanted, keep)).rejects.toThrow(ProviderUnavailable)
    expect(stub.account.get(reference)['status']).toBe('requires_payment_method')
    expect(await stripe.find({ ...wanted, reference })).toMatchObject({ state: 'declined' })
    expect(stub.account.get(reference)['status']).toBe('canceled')
  })

  test('sends the customer to their bank, and learns what they did there', async () => {
    const charge = await authorized({ method: 'pm_card_authenticationRequired' })
    const waiting = { state: 'requires_action', actionUrl: expect.stringMatching(/^https:/) }
    expect(await stripe.find(charge)).toMatchObject(waiting)
    stub.account.decide(charge.reference, true)
    expect(await stripe.find(charge)).toMatchObject({ state: 'authorized', actionUrl: null })
  })

  test('a customer who does not prove who they are has been declined', async () => {
    const charge = await authorized({ method: 'pm_card_authenticationRequired' })
    stub.account.decide(charge.reference, false)
    const declined = { state: 'declined', declineCode: 'payment_intent_authentication_failure' }
    expect(await stripe.find(charge)).toMatchObject(declined)
    expect(stub.account.get(charge.reference)['status']).toBe('canceled')
  })

  test('who has no way back is not sent away', async () => {
    const charge = await stripe.authorize(
      request({ method: 'pm_card_authenticationRequired', returnUrl: null }),
      keepAll,
    )
    expect(charge).toMatchObject({ state: 'declined', declineCode: 'authentication_required' })
  })

  test('what Stripe is still processing is pending, until it is not', async () => {
    const charge = await authorized({ method: 'pm_stub_processing' })
    expect(await stripe.find(charge)).toMatchObject({ state: 'pending' })
    expect(await stripe.cancel(charge)).toMatchObject({ outcome: 'refused', charge: { state: 'pending' } })
    stub.account.decide(charge.reference, true)
    expect(await stripe.find(charge)).toMatchObject({ state: 'authorized' })
  })

  test.each(['KWD', 'ISK', 'MGA', 'JPY'])('takes %s', async (currency) => {
    const amount = { amount: 12_000, currency }
    expect(await stripe.authorize(request({ amount }), keepAll)).toMatchObject({ state: 'authorized', amount })
  })
})

describe('a charge that Stripe does not make', () => {
  const cases = [
    ['too little', { amount: 20, currency: 'GBP' }, 'amount_too_small'],
    ['too much', { amount: 100_000_000, currency: 'GBP' }, 'amount_too_large'],
    ['a currency that the account lacks', { amount: 1_000, currency: 'KPW' }, 'status_400'],
    ['a currency that Stripe does not take', { amount: 1_000, currency: 'IQD' }, 'amount_not_exact'],
    ['no multiple of the step', { amount: 1_005, currency: 'KWD' }, 'amount_not_exact'],
  ] as const

  test.each(cases)('is declined at once, and stays so: %s', async (_, amount, code) => {
    const wanted = request({ amount })
    const kept: string[] = []
    const keep = (reference: string) => Promise.resolve(kept.push(reference) > 0)
    const declined = { key: wanted.key, amount, state: 'declined', declineCode: code, captured: 0, released: 0 }
    expect(await stripe.authorize(wanted, keep)).toMatchObject(declined)
    expect(await stripe.authorize(wanted, keep)).toMatchObject(declined)
    expect(await stripe.find(wanted)).toMatchObject(declined)
    expect(await stripe.release(wanted)).toMatchObject(declined)
    expect(kept).toEqual([])
    expect(stub.account.all('payment_intent')).toEqual([])
  })

  test.each(cases)('is dead when it is cancelled: %s', async (_, amount) => {
    expect(await stripe.cancel(request({ amount }))).toEqual({ outcome: 'dead', charge: null })
  })

  test.each(cases)('has nothing to capture or to refund: %s', async (_, amount, reason) => {
    const wanted = request({ amount })
    expect(await capture(wanted, amount.amount)).toEqual({ outcome: 'refused', reason })
    expect(await refund(wanted, amount.amount)).toEqual({ outcome: 'refused', reason, reference: null })
  })

  test('because our key may not is no decline', async () => {
    const locked = adapter({ secretKey: `${SECRET_KEY}x` })
    for (const act of [() => locked.authorize(request(), keepAll), () => locked.cancel(request())])
      await expect(act()).rejects.toMatchObject({ code: 'not_allowed' })
    await locked.close()
  })
})

test('what cannot be sent exactly is neither captured nor refunded', async () => {
  const charge = await authorized({ amount: { amount: 2_000, currency: 'KWD' } })
  const refused = { outcome: 'refused', reason: 'amount_not_exact' }
  expect(await capture(charge, 1_005, false)).toEqual(refused)
  expect(await stripe.find(charge)).toMatchObject({ captured: 0 })
  await capture(charge, 2_000)
  expect(await refund(charge, 1_005)).toEqual({ ...refused, reference: null })
  expect(await stripe.find(charge)).toMatchObject({ captured: 2_000, refunded: 0 })
})

describe('when no answer comes', () => {
  test.each(['pm_stub_slow', 'pm_stub_lost'])('the reference tells what happened: %s', async (method) => {
    const impatient = adapter({ timeoutMs: 300 })
    const wanted = request({ method })
    let reference = ''
    const keep = (kept: string) => Promise.resolve((reference = kept) !== '')
    const start = Date.now()
    await expect(impatient.authorize(wanted, keep)).rejects.toThrow(ProviderUnavailable)
    expect(Date.now() - start).toBeLessThan(700)
    expect(await stripe.find({ ...wanted, reference })).toMatchObject({ state: 'authorized' })
    expect(stub.account.all('charge')).toHaveLength(1)
    await impatient.close()
  })

  test('to the create, the same create tells', async () => {
    // A connection that breaks is tried again by the client, once.
    for (let time = 0; time < 2; time++) stub.loseNext(/^POST \/v1\/payment_intents$/)
    const wanted = request()
    await expect(stripe.authorize(wanted, keepAll)).rejects.toThrow(ProviderUnavailable)
    expect(await stripe.authorize(wanted, keepAll)).toMatchObject({ state: 'authorized' })
    expect(stub.account.all('payment_intent')).toHaveLength(1)
  })

  test.each([500, 503, 429, 409])('%i says nothing', async (status) => {
    const charge = await authorized()
    for (let time = 0; time < 60; time++) stub.failNext(/cancel$/, status)
    await expect(adapter({ timeoutMs: 200 }).cancel(charge)).rejects.toThrow(ProviderUnavailable)
    expect(stub.account.get(charge.reference)['status']).toBe('requires_capture')
  })

  test('what is locked for a moment is asked for again', async () => {
    const charge = await authorized()
    stub.failNext(/cancel$/, 409)
    expect(await stripe.cancel(charge)).toMatchObject({ outcome: 'dead' })
  })

  test('a failure that Stripe has saved does not stand in the way of a create', async () => {
    const wanted = request()
    stub.failNext(/^POST \/v1\/payment_intents$/, 500, { saved: true })
    await expect(stripe.authorize(wanted, keepAll)).rejects.toThrow(ProviderUnavailable)
    const charge = await stripe.authorize(wanted, keepAll)
    expect(charge).toMatchObject({ state: 'authorized' })
    expect(await stripe.find(wanted)).toEqual(charge)
  })

  test.each(['confirm', 'capture', 'refund'] as const)(
    'but a saved failure to %s is not asked for under a new key',
    async (what) => {
      const charge = what === 'confirm' ? { ...request(), reference: null } : await authorized()
      if (what === 'refund') await capture(charge, 1_000)
      stub.failNext(what === 'refund' ? /refunds$/ : new RegExp(`${what}$`), 500, { saved: true })
      const go = () =>
        what === 'confirm'
          ? stripe.authorize(charge, keepAll)
          : what === 'capture'
            ? capture(charge, 1_000, true, 'capture/1')
            : refund(charge, 1_000, 'refund/1')
      for (let time = 0; time < 3; time++) await expect(go()).rejects.toThrow(ProviderUnavailable)
      stub.forgetKeys()
      expect(await go()).toBeDefined()
    },
  )

  test('the caller may give up', async () => {
    stub.slowDown(/./, 500)
    const controller = new AbortController()
    const waiting = stripe.authorize(request(), keepAll, controller.signal)
    controller.abort()
    await expect(waiting).rejects.toThrow(ProviderUnavailable)
  })

  test('because nobody is there, the provider is away', async () => {
    await stub.stop()
    await expect(stripe.authorize(request(), keepAll)).rejects.toThrow(ProviderUnavailable)
    await start({})
  })
})

describe('a key that Stripe has forgotten', () => {
  const longAgo = () => new Date(Date.now() - DAY_MS - 1).toISOString()

  test('with a reference, the charge is found and not made again', async () => {
    const charge = await authorized()
    stub.forgetKeys()
    const later = { ...charge, requestedAt: longAgo() }
    expect(await stripe.find(later)).toMatchObject({ state: 'authorized', reference: charge.reference })
    expect(await stripe.authorize(later, keepAll)).toMatchObject({ state: 'authorized', reference: charge.reference })
    expect(stub.account.all('charge')).toHaveLength(1)
  })

  test('without one, nothing was ever confirmed: there is no charge, and none can come', async () => {
    const wanted = request({ requestedAt: longAgo() })
    expect(await stripe.find(wanted)).toBeNull()
    expect(await stripe.cancel(wanted)).toEqual({ outcome: 'dead', charge: null })
    expect(stub.requests).toEqual([])
  })

  test('captures and refunds are made once', async () => {
    const charge = await authorized()
    const first = await capture(charge, 400, false, 'capture/1')
    const back = await refund(charge, 100, 'refund/1')
    stub.forgetKeys()
    expect(await capture(charge, 400, false, 'capture/1')).toEqual({ ...first, charge: expect.anything() })
    expect(await refund(charge, 100, 'refund/1')).toEqual(back)
    expect(await stripe.find(charge)).toMatchObject({ captured: 400, refunded: 100 })
  })
})

describe('a charge that we did not ask for', () => {
  /** As another shop on this account makes it, without any metadata of ours. */
  const foreign = (method: string) => {
    const { id } = stub.account.createIntent({ amount: '700', currency: 'eur', capture_method: 'manual' })
    try {
      stub.account.confirmIntent(id, { payment_method: method })
    } catch {
      // Declined: the intent stays open for another card.
    }
    return id
  }

  test('is read by its id alone', async () => {
    const id = foreign('pm_card_visa')
    const seen = { reference: id, key: null, orderId: '', amount: { amount: 700, currency: 'EUR' } }
    expect(await stripe.read(id)).toMatchObject({ ...seen, state: 'authorized' })
  })

  test('keeps its open decline: reading changes nothing', async () => {
    const id = foreign('pm_card_chargeDeclined')
    expect(await stripe.read(id)).toMatchObject({ state: 'declined', declineCode: 'generic_decline' })
    expect(stub.account.get(id)['status']).toBe('requires_payment_method')
    expect(asked(/^POST/)).toBe(0)
  })

  test('may have metadata that look like ours', async () => {
    const id = foreign('pm_card_visa')
    stub.account.get(id)['metadata'] = { capture_note: '999 by hand', capture_by: 'phone' }
    stub.account.captureIntent(id, { amount_to_capture: '300', final_capture: 'true' })
    const captures = [{ reference: expect.stringMatching(/^ch_\w+$/), key: null, amount: 300 }]
    expect(await stripe.read(id)).toMatchObject({ captured: 300, captures })
    expect(await stripe.list(hourAgo(), null)).toMatchObject({ charges: [{ reference: id, captured: 300 }] })
  })

  test('is none as long as nobody has tried to pay', async () => {
    const { id } = stub.account.createIntent({ amount: '700', currency: 'eur', capture_method: 'manual' })
    expect(await stripe.read(id)).toBeNull()
  })
})

describe('cancel', () => {
  test('lets what was set aside go', async () => {
    const charge = await authorized()
    const dead = { outcome: 'dead', charge: { state: 'voided', released: 1_000, captured: 0, refunds: [] } }
    expect(await stripe.cancel(charge)).toMatchObject(dead)
    expect(await stripe.cancel(charge)).toMatchObject(dead)
    expect(await stripe.authorize(charge, keepAll)).toMatchObject({ state: 'voided' })
  })

  test('without a reference ends the intent that could still be confirmed', async () => {
    const wanted = request()
    let confirmNow = (): void => {}
    const asking = stripe.authorize(wanted, () => new Promise((resolve) => (confirmNow = () => resolve(true))))
    while (stub.account.all('payment_intent').length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await stripe.cancel(wanted)).toMatchObject({ outcome: 'dead' })
    while (asked(/POST/) < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    confirmNow()
    expect(await asking).toMatchObject({ state: 'voided' })
    expect(stub.account.all('charge')).toEqual([])
  })

  test('ends what waits for the customer', async () => {
    const charge = await authorized({ method: 'pm_card_authenticationRequired' })
    expect(await stripe.cancel(charge)).toMatchObject({ outcome: 'dead', charge: { state: 'voided', released: 0 } })
  })

  test('is refused once something was captured', async () => {
    const charge = await authorized()
    await capture(charge, 400, false)
    expect(await stripe.cancel(charge)).toMatchObject({
      outcome: 'refused',
      charge: { state: 'authorized', captured: 400 },
    })
    await capture(charge, 600)
    expect(await stripe.cancel(charge)).toMatchObject({
      outcome: 'refused',
      charge: { state: 'captured', captured: 1_000 },
    })
  })
})

describe('capture', () => {
  test('takes parts until the last one', async () => {
    const charge = await authorized()
    const first = await capture(charge, 300, false, 'capture/1')
    expect(first).toMatchObject({ outcome: 'captured', charge: { state: 'authorized', captured: 300, released: 0 } })
    const second = await capture(charge, 200, true, 'capture/2')
    expect(second).toMatchObject({ outcome: 'captured', charge: { state: 'captured', captured: 500, released: 500 } })
    const references = [first, second].map((outcome) => (outcome.outcome === 'captured' ? outcome.reference : ''))
    expect(new Set(references).size).toBe(2)
    expect((await stripe.find(charge))?.captures).toEqual([
      { reference: references[0], key: 'capture/1', amount: 300 },
      { reference: references[1], key: 'capture/2', amount: 200 },
    ])
  })

  test('without multicapture takes one part and releases the rest', async () => {
    await restart({ multicapture: false })
    const charge = await authorized()
    expect(await stripe.find(charge)).toMatchObject({ capturesInParts: false })
    const outcome = await capture(charge, 300, false, 'capture/1')
    expect(outcome).toMatchObject({
      outcome: 'captured',
      charge: { state: 'captured', captured: 300, released: 700, refunded: 0, refunds: [] },
    })
    expect(await capture(charge, 1, false)).toEqual({ outcome: 'refused', reason: 'already_captured' })
    expect(await capture(charge, 300, false, 'capture/1')).toEqual(outcome)
  })

  test('a card that cannot says so', async () => {
    const charge = await authorized({ method: 'pm_card_credit_disableEnterpriseCardFeatures' })
    expect(await stripe.find(charge)).toMatchObject({ capturesInParts: false })
  })

  test('happens once, however many ask at once, and when the answer is lost', async () => {
    const charge = await authorized()
    stub.loseNext(/capture$/)
    const tries = await Promise.allSettled(Array.from({ length: 6 }, () => capture(charge, 400, false, 'capture/1')))
    expect(tries.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(await stripe.find(charge)).toMatchObject({ captured: 400, captures: [{ key: 'capture/1', amount: 400 }] })
  })

  test.each([
    ['more than is authorized', (charge: ChargeRequest) => capture(charge, 1_001), 'amount_too_large'],
    ['what was never authorized', () => capture(request(), 1), 'not_authorized'],
  ])('%s is refused', async (_, act, reason) => {
    const charge = await authorized()
    expect(await act(charge)).toEqual({ outcome: 'refused', reason })
    expect(await stripe.find(charge)).toMatchObject({ captured: 0 })
  })

  test('what was voided, or lapsed, is refused', async () => {
    const [voided, lapsed] = [await authorized(), await authorized()]
    await stripe.cancel(voided)
    stub.account.expire(lapsed.reference)
    for (const charge of [voided, lapsed]) {
      expect(await capture(charge, 1_000)).toEqual({ outcome: 'refused', reason: 'voided' })
      expect(await stripe.find(charge)).toMatchObject({ state: 'voided', captureBefore: null, released: 1_000 })
    }
  })

  test('what somebody took by hand is seen without a key', async () => {
    const charge = await authorized()
    await capture(charge, 300, false, 'capture/1')
    stub.account.captureIntent(charge.reference, { amount_to_capture: '200', final_capture: 'false' })
    expect((await stripe.find(charge))?.captures).toEqual([
      { reference: expect.any(String), key: 'capture/1', amount: 300 },
      { reference: expect.stringMatching(/^ch_\w+$/), key: null, amount: 200 },
    ])
  })
})

test('an intent that tells of more captures than it took is believed in nothing', async () => {
  const charge = await authorized()
  await capture(charge, 300, false, 'capture/1')
  stub.account.get(charge.reference)['amount_received'] = 299
  for (const act of [() => stripe.find(charge), () => capture(charge, 300, false, 'capture/1')])
    await expect(act()).rejects.toMatchObject({ code: 'captures_disagree' })
})

test('an intent that cannot be read hides no other in the lists', async () => {
  const since = new Date(Date.now() - 60_000).toISOString()
  const [unreadable, other] = [await authorized(), await authorized()]
  await capture(unreadable, 300, false, 'capture/1')
  await capture(other, 300, false, 'capture/2')
  stub.account.get(unreadable.reference)['amount_received'] = 299
  const seen = { charges: [] as string[], moved: [] as string[], unreadable: [] as string[] }
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
    const page = await stripe.list(since, cursor)
    seen.charges.push(...page.charges.map(({ reference }) => reference))
    seen.unreadable.push(...page.unreadable)
    cursor = page.nextCursor
  }
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
    const page = await stripe.movements(since, cursor)
    seen.moved.push(...page.movements.map(({ chargeReference }) => chargeReference))
    cursor = page.nextCursor
  }
  expect(seen.charges).toContain(other.reference)
  expect(seen.charges).not.toContain(unreadable.reference)
  expect(seen.unreadable).toContain(unreadable.reference)
  expect(seen.moved).toContain(other.reference)
})

/** A page of each list, until the last one. */
async function allCharges(since: string): Promise<{ charges: string[]; unreadable: string[]; pages: number }> {
  const seen = { charges: [] as string[], unreadable: [] as string[], pages: 0 }
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null; isFirst = false) {
    const page = await stripe.list(since, cursor)
    seen.charges.push(...page.charges.map(({ reference }) => reference))
    seen.unreadable.push(...page.unreadable)
    seen.pages++
    cursor = page.nextCursor
  }
  return seen
}

describe('a list of which one intent alone gives no answer', () => {
  const minuteAgo = () => new Date(Date.now() - 60_000).toISOString()
  const read = ({ reference }: { reference: string }) => new RegExp(`^GET /v1/payment_intents/${reference}$`)

  test('is read to its end, and names it', async () => {
    const [silent, other] = [await authorized(), await authorized()]
    for (let time = 0; time < 2; time++) stub.failNext(read(silent), 500)
    expect(await allCharges(minuteAgo())).toMatchObject({
      charges: [other.reference],
      unreadable: [silent.reference],
    })
  })

  test('waits for it no longer than for an answer', async () => {
    const [silent, other] = [await authorized(), await authorized()]
    stub.slowDown(read(silent), 1_500)
    stripe = adapter({ timeoutMs: 400 })
    expect(await allCharges(minuteAgo())).toMatchObject({
      charges: [other.reference],
      unreadable: [silent.reference],
    })
  })

  test('asks for it once more', async () => {
    const charges = [await authorized(), await authorized()]
    for (const charge of charges) stub.failNext(read(charge), 429)
    expect(await allCharges(minuteAgo())).toMatchObject({ charges: { length: 2 }, unreadable: [] })
  })

  test('is none when no intent gives one', async () => {
    const charges = [await authorized(), await authorized()]
    for (const charge of [...charges, ...charges]) stub.failNext(read(charge), 500)
    await expect(stripe.list(minuteAgo(), null)).rejects.toBeInstanceOf(ProviderUnavailable)
  })
})

test('a crowded second is read a few at a time, in pages', async () => {
  stub.account.shift = -100
  const now = Date.now
  Date.now = () => 1_800_000_000_000
  try {
    for (let time = 0; time < 90; time++) {
      const intent = stub.account.createIntent({ amount: '100', currency: 'gbp', capture_method: 'manual' })
      stub.account.confirmIntent(intent.id, { payment_method: 'pm_card_visa' })
    }
    stub.slowDown(/^GET \/v1\/payment_intents\//, 20)
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, stub.requests.filter(({ answer }) => answer === null).length)
    }, 1)
    const { charges, pages } = await allCharges(new Date(1_800_000_000_000 - 3_600_000).toISOString())
    clearInterval(watch)
    expect(new Set(charges).size).toBe(90)
    expect(pages).toBeGreaterThan(4)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(10)
  } finally {
    Date.now = now
  }
})

describe('release', () => {
  test('of what was never captured voids it', async () => {
    const charge = await authorized()
    for (let time = 0; time < 2; time++)
      expect(await stripe.release(charge)).toMatchObject({ state: 'voided', released: 1_000 })
  })

  test('of a rest leaves what was captured', async () => {
    const charge = await authorized()
    await capture(charge, 300, false)
    for (let time = 0; time < 2; time++)
      expect(await stripe.release(charge)).toMatchObject({ state: 'captured', captured: 300, released: 700 })
  })

  test('an authorization that lapsed after a capture has released its rest', async () => {
    const charge = await authorized()
    await capture(charge, 300, false)
    stub.account.expire(charge.reference)
    expect(await stripe.find(charge)).toMatchObject({ state: 'captured', captured: 300, released: 700 })
  })
})

describe('refund', () => {
  test('gives back in parts, and no more than was captured', async () => {
    const charge = await authorized()
    await capture(charge, 800)
    expect(await refund(charge, 300, 'refund/1')).toEqual({
      outcome: 'succeeded',
      reference: expect.stringMatching(/^re_/),
    })
    expect(await stripe.find(charge)).toMatchObject({ state: 'captured', refunded: 300 })
    expect(await refund(charge, 501)).toEqual({ outcome: 'refused', reason: expect.any(String), reference: null })
    expect(await refund(charge, 500)).toMatchObject({ outcome: 'succeeded' })
    expect(await stripe.find(charge)).toMatchObject({ state: 'refunded', refunded: 800, captured: 800 })
  })

  test('of what was never captured is refused', async () => {
    const charge = await authorized()
    expect(await refund(charge, 1)).toMatchObject({ outcome: 'refused' })
  })

  test('happens once per key', async () => {
    const charge = await authorized()
    await capture(charge, 1_000)
    stub.loseNext(/refunds$/)
    await Promise.allSettled(Array.from({ length: 5 }, () => refund(charge, 100, 'refund/1')))
    expect(await stripe.find(charge)).toMatchObject({ refunded: 100, refunds: [{ key: 'refund/1', amount: 100 }] })
  })

  test('that is on its way is not given back yet', async () => {
    const charge = await authorized({ method: 'pm_card_pendingRefund' })
    await capture(charge, 1_000)
    const outcome = await refund(charge, 1_000, 'refund/1')
    expect(outcome).toMatchObject({ outcome: 'pending' })
    expect(await stripe.find(charge)).toMatchObject({
      state: 'captured',
      refunded: 0,
      refunds: [{ status: 'pending' }],
    })
    expect(await refund(charge, 1)).toMatchObject({ outcome: 'refused' })
    stub.account.endRefund(String(outcome.reference), true)
    expect(await refund(charge, 1_000, 'refund/1')).toMatchObject({ outcome: 'succeeded' })
    expect(await stripe.find(charge)).toMatchObject({ state: 'refunded', refunded: 1_000 })
  })

  test('that came back has failed, and may be asked for under another key', async () => {
    const charge = await authorized({ method: 'pm_card_refundFail' })
    await capture(charge, 1_000)
    const { reference } = await refund(charge, 400, 'refund/1')
    stub.account.endRefund(String(reference), false)
    const refused = { outcome: 'refused', reason: 'expired_or_canceled_card', reference }
    expect(await refund(charge, 400, 'refund/1')).toEqual(refused)
    const failed = { status: 'failed', failureCode: 'expired_or_canceled_card' }
    expect(await stripe.find(charge)).toMatchObject({ refunded: 0, refunds: [failed] })
    expect(await refund(charge, 1_000, 'refund/2')).toMatchObject({ outcome: 'succeeded' })
  })

  test('more of them than Stripe shows at once are all seen', async () => {
    const charge = await authorized()
    await capture(charge, 1_000)
    for (let time = 0; time < 23; time++) await refund(charge, 10, `refund/${time}`)
    const seen = await stripe.find(charge)
    expect(seen?.refunded).toBe(230)
    expect(new Set(seen?.refunds.map(({ key }) => key)).size).toBe(23)
    expect(await refund(charge, 10, 'refund/0')).toMatchObject({ outcome: 'succeeded' })
    expect((await stripe.find(charge))?.refunded).toBe(230)
  })
})

describe('a dispute', () => {
  test.each(['won', 'lost'] as const)('is open, then %s', async (end) => {
    const charge = await authorized({ method: 'pm_card_createDispute' })
    await capture(charge, 1_000)
    const [dispute] = (await stripe.find(charge))?.disputes ?? []
    expect(dispute).toEqual({ reference: expect.stringMatching(/^dp_/), amount: 1_000, status: 'open' })
    stub.account.closeDispute(String(dispute?.reference), end)
    expect((await stripe.find(charge))?.disputes).toEqual([{ ...dispute, status: end }])
  })

  test('that is only an inquiry takes no money', async () => {
    const charge = await authorized()
    await capture(charge, 1_000)
    stub.account.dispute(charge.reference, 1_000, 'warning_needs_response')
    expect(await stripe.find(charge)).toMatchObject({ disputes: [] })
  })
})

describe('movements', () => {
  test('are what the account took and gave back, oldest first', async () => {
    const charge = await authorized({ method: 'pm_card_refundFail' })
    const voided = await authorized()
    await stripe.cancel(voided)
    const first = await capture(charge, 600, false, 'capture/1')
    await capture(charge, 300, true, 'capture/2')
    const back = await refund(charge, 200, 'refund/1')
    stub.account.endRefund(String(back.reference), false)
    const dispute = stub.account.dispute(charge.reference, 500)
    stub.account.closeDispute(dispute.id, 'won')
    const movements = await allMovements(stripe, hourAgo())
    const of = { chargeReference: charge.reference, chargeKey: charge.key, orderId: charge.orderId }
    const gbp = (amount: number) => ({ amount, currency: 'GBP' })
    expect(
      movements.map(({ id, at, ...movement }) => ({ ...movement, ...(id && at ? {} : { broken: true }) })),
    ).toEqual([
      {
        ...of,
        type: 'capture',
        key: 'capture/1',
        reference: first.outcome === 'captured' && first.reference,
        amount: gbp(600),
      },
      { ...of, type: 'capture', key: 'capture/2', reference: expect.any(String), amount: gbp(300) },
      { ...of, type: 'refund', key: 'refund/1', reference: back.reference, amount: gbp(-200) },
      { ...of, type: 'refund_failed', key: 'refund/1', reference: back.reference, amount: gbp(200) },
      { ...of, type: 'dispute', key: null, reference: dispute.id, amount: gbp(-500) },
      { ...of, type: 'dispute_won', key: null, reference: dispute.id, amount: gbp(500) },
    ])
    expect(new Set(movements.map(({ id }) => id)).size).toBe(6)
  })

  test('of parts that cost the same name one capture each', async () => {
    const charge = await authorized()
    for (const key of ['capture/1', 'capture/2', 'capture/3']) await capture(charge, 200, false, key)
    const movements = await allMovements(stripe, hourAgo())
    const seen = (await stripe.find(charge))?.captures ?? []
    expect(movements.map(({ key, reference, amount }) => ({ key, reference, amount: amount.amount }))).toEqual(seen)
  })

  test('of a part of a charge that is captured once count that part', async () => {
    await restart({ multicapture: false })
    const charge = await authorized()
    await capture(charge, 300, true, 'capture/1')
    const movements = await allMovements(stripe, hourAgo())
    expect(movements).toMatchObject([{ type: 'capture', key: 'capture/1', amount: { amount: 300 } }])
  })

  test('that Stripe converted are told in the currency of the customer', async () => {
    await restart({ settles: { currency: 'usd', rate: 1.25 } })
    const charge = await authorized()
    await capture(charge, 600, false, 'capture/1')
    await capture(charge, 400, true, 'capture/2')
    await refund(charge, 250, 'refund/1')
    const movements = await allMovements(stripe, hourAgo())
    expect(movements.map(({ key, amount }) => [key, amount.amount, amount.currency])).toEqual([
      ['capture/1', 600, 'GBP'],
      ['capture/2', 400, 'GBP'],
      ['refund/1', -250, 'GBP'],
    ])
  })

  test('of days come in pages, all of them, once, in order', async () => {
    const days = [3, 2, 1, 0]
    for (const day of days) {
      stub.account.shift = -day * 86_400 - 60
      for (let time = 0; time < 60; time++) {
        const intent = stub.account.createIntent({ amount: '100', currency: 'gbp', capture_method: 'manual' })
        stub.account.confirmIntent(intent.id, { payment_method: 'pm_card_visa' })
        stub.account.captureIntent(intent.id, { final_capture: 'true' })
      }
    }
    const movements = await allMovements(stripe, new Date(Date.now() - 2.5 * DAY_MS).toISOString())
    expect(new Set(movements.map(({ id }) => id)).size).toBe(180)
    expect(movements).toHaveLength(180)
    expect(movements.map(({ at }) => at)).toEqual(movements.map(({ at }) => at).toSorted())
  })

  test('more in one second than a page holds are all told', async () => {
    stub.account.shift = -100
    const now = Date.now
    Date.now = () => 1_800_000_000_000
    for (let time = 0; time < 230; time++) {
      const intent = stub.account.createIntent({ amount: '100', currency: 'gbp', capture_method: 'manual' })
      stub.account.confirmIntent(intent.id, { payment_method: 'pm_card_visa' })
      stub.account.captureIntent(intent.id, {})
    }
    const movements = await allMovements(stripe, new Date(1_800_000_000_000 - 3_600_000).toISOString())
    Date.now = now
    expect(new Set(movements.map(({ id }) => id)).size).toBe(230)
  })
})

describe('list', () => {
  test('tells of every charge that changed since then, also of old ones', async () => {
    stub.account.shift = -2 * 86_400
    const old = await authorized()
    const untouched = await authorized()
    stub.account.shift = 0
    await stripe.authorize(request(), () => Promise.resolve(false)).catch(() => undefined)
    const fresh = await authorized()
    await capture(old, 1_000)
    const seen = new Map<string, string>()
    for (let cursor: string | null = null; ; ) {
      const page = await stripe.list(hourAgo(), cursor)
      for (const charge of page.charges) seen.set(charge.reference, charge.state)
      if (page.nextCursor === null) break
      cursor = page.nextCursor
    }
    expect(Object.fromEntries(seen)).toEqual({ [fresh.reference]: 'authorized', [old.reference]: 'captured' })
    expect(seen.has(untouched.reference)).toBe(false)
  })
})

describe('a webhook', () => {
  const newest = (type: string) => {
    const event = stub.account.events.find((one) => one['type'] === type)
    if (!event) throw new Error(`there was no ${type}`)
    return event
  }
  const heard = (type: string) => {
    const { rawBody, headers } = stub.delivery(newest(type))
    return stripe.verifyWebhook(rawBody, headers)
  }

  test('is a hint at the charge, whatever happened to it', async () => {
    const charge = await authorized({ method: 'pm_card_createDispute' })
    await capture(charge, 1_000)
    await refund(charge, 100)
    expect(heard('payment_intent.amount_capturable_updated')).toMatchObject({
      chargeReference: charge.reference,
      chargeKey: charge.key,
      orderId: charge.orderId,
    })
    expect(heard('payment_intent.succeeded')).toMatchObject({ state: 'captured', type: 'payment_intent.succeeded' })
    for (const type of ['charge.captured', 'refund.created', 'charge.dispute.created'])
      expect(heard(type)).toMatchObject({ type, chargeReference: charge.reference, state: null })
  })

  test('that comes twice, late or in another order names the same event each time', async () => {
    const charge = await authorized({ method: 'pm_card_authenticationRequired' })
    stub.account.decide(charge.reference, true)
    const [later, earlier] = [
      heard('payment_intent.amount_capturable_updated'),
      heard('payment_intent.requires_action'),
    ]
    expect(later?.eventId).not.toBe(earlier?.eventId)
    expect(heard('payment_intent.requires_action')).toEqual(earlier)
    expect(await stripe.find(charge)).toMatchObject({ state: 'authorized' })
  })

  test('of something else is none of a charge', async () => {
    await stripe.authorize(request(), () => Promise.resolve(false)).catch(() => undefined)
    expect(heard('payment_intent.created')).toBeNull()
    const { rawBody, headers } = stub.delivery({
      id: 'evt_1',
      object: 'event',
      created: 1,
      type: 'payout.paid',
      data: { object: { id: 'po_1', object: 'payout' } },
    })
    expect(stripe.verifyWebhook(rawBody, headers)).toBeNull()
  })

  test.each([
    ['with another secret', (event: ReturnType<typeof newest>) => stub.delivery(event, { secret: 'whsec_another' })],
    ['six minutes ago', (event: ReturnType<typeof newest>) => stub.delivery(event, { at: Date.now() - 360_000 })],
    [
      'for another body',
      (event: ReturnType<typeof newest>) => ({ ...stub.delivery(event), rawBody: Buffer.from('{}') }),
    ],
    ['not at all', (event: ReturnType<typeof newest>) => ({ ...stub.delivery(event), headers: {} })],
  ])('that was signed %s is refused', async (_, deliver) => {
    await authorized()
    const { rawBody, headers } = deliver(newest('payment_intent.created'))
    expect(() => stripe.verifyWebhook(rawBody, headers)).toThrow(InvalidSignature)
  })
})

describe('what is said', () => {
  /** Everything that a log could write of an error. */
  const all = (error: unknown): string => {
    const { message, stack, cause, ...rest } = error as Error
    return [String(error), message, stack, JSON.stringify(cause), JSON.stringify(rest)].join('\n')
  }

  test.each([
    ['a key that is refused', () => adapter({ secretKey: `${SECRET_KEY}x` }).find(request()), 'not_allowed'],
    ['an intent that is not ours', () => stripe.release(request({ reference: 'pi_of_nobody' })), 'resource_missing'],
    [
      'a charge that was made for something else',
      async () => stripe.find({ ...(await authorized()), amount: { amount: 1, currency: 'GBP' } }),
      'key_reused',
    ],
  ])('%s is a fault of ours, in our words', async (_, act, code) => {
    const error: unknown = await act().catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ProviderRejected)
    expect(error).toMatchObject({ code })
    expect(all(error)).not.toMatch(/MustNotBeSeen|4242|Xt5EWLLDS7FJjR1c|pi_secret/)
  })

  test('no error and no charge holds a secret, a card or what lets a browser pay', async () => {
    const heard: string[] = []
    stub.failNext(/confirm$/, 500)
    for (const method of ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_of_nobody']) {
      heard.push(await stripe.authorize(request({ method }), keepAll).then((charge) => JSON.stringify(charge), all))
    }
    expect(heard).toHaveLength(3)
    expect(heard.join('\n')).toMatch(/answered 500/)
    expect(heard.join('\n')).not.toMatch(/MustNotBeSeen|4242|Xt5EWLLDS7FJjR1c|pi_secret/)
  })
})

test('methods of the sandbox are not for Stripe', () => {
  expect(
    ['pm_card_visa', 'pm_1NrPZkJVoKnOz', 'pm_sandbox_slow', 'card_1', '', 'pm_', 'pm_../../x'].map((method) =>
      stripe.takes(method),
    ),
  ).toEqual([true, true, false, false, false, false, false])
})
