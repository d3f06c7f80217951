import { randomUUID } from 'node:crypto'
import type { OrderId } from '../../../../domain/ids'
import type { ChargeRequest } from '../../../../providers/payment/provider'
import { StripeProvider } from '../../../../providers/payment/stripe/provider'
import { skipped } from '../../../support/skipped'
import { startStripeMock, type StripeMock, stripeMockProgram } from '../../../support/stripe-mock'
import { startStripeStub, type StripeStub, type StubRequest } from '../../../support/stripe-stub'

const SECRET_KEY = 'sk_test_123'

describe("by Stripe's own schema (stripe-mock)", () => {
  const program = stripeMockProgram()
  if (program === null) skipped('stripe-mock is not there and cannot be built: what is sent is not held to its schema')
  else bySchema(program)
})

function bySchema(program: string): void {
  let mock: StripeMock
  let stub: StripeStub

  beforeAll(async () => {
    mock = await startStripeMock(program)
    stub = await startStripeStub({ secretKey: SECRET_KEY, webhookSecret: 'whsec_a' })
    await useEverything(stub)
  })
  afterAll(() => Promise.all([mock.stop(), stub.stop()]))

  /** One request of each kind that the adapter sends: of those with the same parameters the last. */
  const kinds = (): StubRequest[] => {
    const one = new Map<string, StubRequest>()
    for (const request of stub.requests) {
      const names = [...new URLSearchParams(request.text).keys()].filter((name) => !name.startsWith('types'))
      one.set(`${kindOf(request)} ${names.join()}`, request)
    }
    return [...one.values()]
  }

  const ask = async ({ name, text }: StubRequest): Promise<{ status: number; body: Record<string, unknown> }> => {
    const [method = '', path = ''] = name.split(' ')
    const response = await fetch(`${mock.url}${path}${method === 'GET' ? `?${text}` : ''}`, {
      method,
      headers: { authorization: `Bearer ${SECRET_KEY}`, 'content-type': 'application/x-www-form-urlencoded' },
      ...(method === 'POST' && { body: text }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  test('everything that the adapter does was done', () => {
    expect(new Set(kinds().map(kindOf))).toEqual(
      new Set([
        'POST /v1/payment_intents',
        'GET /v1/payment_intents/…',
        'POST /v1/payment_intents/…/confirm',
        'POST /v1/payment_intents/…/capture',
        'POST /v1/payment_intents/…/cancel',
        'POST /v1/refunds',
        'GET /v1/refunds',
        'GET /v1/disputes',
        'GET /v1/events',
        'GET /v1/balance_transactions',
      ]),
    )
  })

  test('each request is one that Stripe takes', async () => {
    for (const request of kinds()) {
      const { status, body } = await ask(request)
      expect([request.name, status, body['error'] ?? null]).toEqual([request.name, 200, null])
    }
  })

  test('one that Stripe does not know would be noticed', async () => {
    const [request] = kinds()
    const wrong = { ...(request as StubRequest), text: `${request?.text}&amount_to_charge=1` }
    expect((await ask(wrong)).status).toBe(400)
  })

  test("the stub's answers have fields that Stripe's have, of the same type", async () => {
    for (const request of kinds().filter(({ answer }) => !('error' in (answer as object)))) {
      const { body } = await ask(request)
      expect([request.name, strangersOf(request.answer, body)]).toEqual([request.name, []])
    }
  })
}

function kindOf({ name }: StubRequest): string {
  return name.replace(/pi_\w+/, '…')
}

/** All that the adapter can do, in every way that changes what it sends. */
async function useEverything({ url, account }: StripeStub): Promise<void> {
  const stripe = new StripeProvider({
    publishableKey: null,
    secretKey: SECRET_KEY,
    webhookSecrets: [],
    url,
    timeoutMs: 2_000,
  })
  const made = async (change: Partial<ChargeRequest> = {}): Promise<ChargeRequest> => {
    const orderId = `order_${randomUUID()}` as OrderId
    const asked = {
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
    return { ...asked, reference: (await stripe.authorize(asked, () => Promise.resolve(true))).reference }
  }
  const capture = (charge: ChargeRequest, amount: number, final: boolean) =>
    stripe.capture({ key: randomUUID(), charge, amount, final })
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString()

  await stripe.cancel(await made({ returnUrl: null }))
  await capture(await made({ method: 'pm_card_credit_disableEnterpriseCardFeatures' }), 500, true)
  const charge = await made()
  for (let time = 0; time < 2; time++) await capture(charge, 300, false)
  await stripe.release(charge)
  for (let time = 0; time < 12; time++) await stripe.refund({ key: randomUUID(), charge, amount: 1 })
  account.dispute(String(charge.reference), 100)
  await stripe.find(charge)
  // More in one second than a page holds: the next pages are asked for too.
  for (let time = 0; time < 60; time++) await made()
  for (const list of ['list', 'movements'] as const) {
    for (let cursor: string | null = null; ; ) {
      cursor = (await stripe[list](hourAgo, cursor)).nextCursor
      if (cursor === null) break
    }
  }
  await stripe.close()
}

/** Fields that Stripe leaves out where they say nothing, as in its examples. */
const LEFT_OUT = ['.latest_charge.payment_method_details.card.capture_before']

/** What holds now one and now another. */
const OF_ANY_TYPE = /\.(metadata|data\.object|source)$/

/** Paths of what `ours` has and `theirs` has not, or has as another type. What is null says nothing. */
function strangersOf(ours: unknown, theirs: unknown, path = ''): string[] {
  if (ours === null || theirs === null || ours === undefined) return []
  if (Array.isArray(ours) && Array.isArray(theirs)) return strangersOf(ours[0], theirs[0] ?? null, `${path}[]`)
  if (typeof ours !== typeof theirs) return [`${path}: ${typeof ours}, not ${typeof theirs}`]
  if (typeof ours !== 'object' || OF_ANY_TYPE.test(path)) return []
  const known = theirs as Record<string, unknown>
  return Object.entries(ours).flatMap(([name, value]) =>
    name in known || LEFT_OUT.includes(`${path}.${name}`)
      ? strangersOf(value, known[name] ?? null, `${path}.${name}`)
      : [`${path}.${name}: unknown`],
  )
}
