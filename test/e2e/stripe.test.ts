import type { OrderId } from '../../domain/ids'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { type Delivery, startStripeStub, type StripeStub } from '../support/stripe-stub'

const SECRETS = { secretKey: 'sk_test_of_a_shop', webhookSecret: 'whsec_of_a_shop' }

let stub: StripeStub
let stack: TestStack
let shop: Shop

beforeAll(async () => {
  stub = await startStripeStub(SECRETS)
  const env = {
    STRIPE_API_URL: stub.url,
    STRIPE_SECRET_KEY: SECRETS.secretKey,
    STRIPE_WEBHOOK_SECRETS: SECRETS.webhookSecret,
  }
  stack = await testStack({ env })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
}, 240_000)
afterAll(async () => {
  await stack?.stop()
  await stub?.stop()
}, 30_000)

async function buy(method: string, product: { price: number; currency?: string } = { price: 1_000 }) {
  const buyer = await shop.buyerOf(product, 2)
  const body = { payment: { provider: 'stripe', method }, return_url: 'https://shop.example/order' }
  return { buyer, answer: await buyer.checkout({ body }) }
}

/** The intent of an order, as Stripe has it. */
function intentOf(orderId: string) {
  const [intent, ...others] = stub.account
    .all('payment_intent')
    .filter(({ metadata }) => (metadata as Record<string, string>)['order_id'] === orderId)
  if (!intent || others.length > 0) throw new Error(`${orderId} has ${others.length + (intent ? 1 : 0)} intents`)
  return intent
}

async function send({ rawBody, headers }: Delivery): Promise<number> {
  const url = `${shop.address.apis[0]}/webhooks/payments/stripe`
  const sent = { 'content-type': 'application/json', ...headers }
  return (await fetch(url, { method: 'POST', headers: sent, body: new Uint8Array(rawBody) })).status
}

/** All that Stripe has to tell of an intent, the newest first, each of it twice. */
async function tellAll(intentId: string): Promise<void> {
  for (const event of stub.account.events.filter((one) => JSON.stringify(one).includes(intentId))) {
    for (let time = 0; time < 2; time++) expect(await send(stub.delivery(event))).toBe(204)
  }
}

const gbp = (amount: number) => ({ amount, currency: 'GBP' })
const movesOf = async (orderId: string, kind: 'captures' | 'refunds') =>
  (await shop.admin('get', `/v1/admin/orders/${orderId}/${kind}`)).body.data

it('is paid after 3-D Secure, captured in two parts and given back, with webhooks doubled and out of order', async () => {
  const { buyer, answer } = await buy('pm_card_authenticationRequired')
  expect([answer.status, answer.body.action?.url]).toEqual([202, expect.stringMatching(/^https:/)])
  const orderId: OrderId = answer.body.order_id
  const { id } = intentOf(orderId)
  stub.account.decide(id, true)
  await tellAll(id)
  await buyer.stateBecomes(orderId, 'completed')

  for (const amount of [700, 800]) {
    const { status, body } = await shop.admin('post', `/v1/admin/orders/${orderId}/captures`, { amount: gbp(amount) })
    expect([status, body.status]).toEqual([201, 'succeeded'])
  }
  const refund = await shop.admin('post', `/v1/admin/orders/${orderId}/refunds`, {
    amount: gbp(300),
    reason_code: 'goodwill',
  })
  expect([refund.status, refund.body.status]).toEqual([201, 'succeeded'])
  await tellAll(id)

  expect(intentOf(orderId)).toMatchObject({ amount_received: 1_500 })
  expect(stub.account.all('refund')).toMatchObject([{ amount: 300, status: 'succeeded' }])
  expect(await movesOf(orderId, 'captures')).toHaveLength(2)
  expect(await movesOf(orderId, 'refunds')).toHaveLength(1)
  expect(await shop.cases(orderId)).toEqual([])
}, 120_000)

it('takes in its steps what is left of an order of which a unit was cancelled', async () => {
  const { buyer, answer } = await buy('pm_card_credit_disableEnterpriseCardFeatures', { price: 3_335, currency: 'KWD' })
  expect(answer.status).toBe(201)
  const orderId: OrderId = answer.body.id
  const lines = [{ sku: buyer.sku, quantity: 1 }]
  const order = `/v1/admin/orders/${orderId}`
  const kwd = (amount: number) => ({ amount, currency: 'KWD' })
  const cancelled = await shop.admin('post', `${order}/cancel`, { reason_code: 'customer', lines })
  expect(cancelled.body.totals).toMatchObject({ total: kwd(6_670), cancelled: kwd(3_335), waived: kwd(5) })
  const { status, body } = await shop.admin('post', `${order}/captures`, { amount: kwd(3_330) })
  expect([status, body.status, body.amount]).toEqual([201, 'succeeded', kwd(3_330)])
  const { body: paid } = await shop.admin('get', order)
  expect([paid.payment_status, paid.totals.captured]).toEqual(['captured', kwd(3_330)])
  expect(await shop.cases(orderId)).toEqual([])
}, 120_000)

it('declines once, and another card pays', async () => {
  const { buyer, answer } = await buy('pm_card_chargeDeclinedInsufficientFunds')
  expect([answer.status, answer.body.code]).toEqual([402, 'payment_declined'])
  const orderId = answer.body.checkout.order_id
  expect(intentOf(orderId)['status']).toBe('canceled')
  const paid = await shop.call('post', `/v1/store/checkouts/${orderId}/payments`, {
    token: buyer.token,
    idempotencyKey: 'another-card',
    body: { provider: 'stripe', method: 'pm_card_visa' },
  })
  expect(paid.status).toBe(201)
}, 60_000)

it('pays once when the answer of Stripe is lost', async () => {
  // The client tries a broken connection again, once.
  for (let time = 0; time < 2; time++) stub.loseNext(/confirm$/)
  const { buyer, answer } = await buy('pm_card_visa')
  const orderId = answer.body.order_id ?? answer.body.id
  await buyer.stateBecomes(orderId, 'completed')
  const { id, status } = intentOf(orderId)
  expect(status).toBe('requires_capture')
  expect(stub.account.all('charge').filter(({ payment_intent: of }) => of === id)).toHaveLength(1)
}, 60_000)
