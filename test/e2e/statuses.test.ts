import { randomUUID } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { OrderId } from '../../domain/ids'
import { newId } from '../../db/id'
import { checkoutWorkflowId } from '../../domain/workflow-id'
import { SandboxClient } from '../sandbox/client'
import { startApi, type TestApi, unseen } from '../support/http'
import { type ProviderProxy, startProviderProxy } from '../support/provider-proxy'
import { ADDRESS, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { testNamespace } from '../support/temporal'
import { until } from '../support/wait'

/**
 * Each status that the routes around an order list for themselves, once: what leads to it is told in full by the other
 * tests. (`unseen` counts per file, so they stand together here.)
 */

let stack: TestStack
let shop: Shop
let provider: ProviderProxy
/** An API in this process whose Temporal has no workers. */
let alone: TestApi
beforeAll(async () => {
  provider = await startProviderProxy()
  // A cancel is waited for less long than an attempt that cannot be settled is tried.
  stack = await testStack({
    env: {
      ATTENTION_AFTER_SECONDS: '2',
      CHECKOUT_WAIT_MS: '1200',
      RECONCILIATION_QUIET_SECONDS: '0',
      SANDBOX_URL: provider.url,
    },
  })
  provider.target = stack.stack.file.sandbox
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
  alone = await startApi({ CHECKOUT_WAIT_MS: '1000', TEMPORAL_NAMESPACE: (await testNamespace()).namespace })
}, 60_000)
afterAll(async () => {
  await stack?.stop()
  await alone?.close()
  await provider?.close()
}, 30_000)

it('a checkout and its payments', async () => {
  const paid = await shop.buyerOf()
  const key = randomUUID()
  const order = await eventually(201, () => paid.checkout({ key }))
  expect((await paid.checkout({ key, body: { return_url: 'https://shop.example/other' } })).status).toBe(422)
  expect((await (await shop.buyer()).checkout()).status).toBe(409)
  expect((await paid.cancel(order.id)).status).toBe(409)

  const declined = await shop.buyerOf()
  const { order_id } = (await eventually(402, () => declined.checkout({ method: 'pm_card_chargeDeclined', key })))
    .checkout
  expect((await declined.state(order_id)).state).toBe('ready_for_payment')
  const again = randomUUID()
  await eventually(402, () => declined.pay(order_id, 'pm_card_chargeDeclined', again))
  expect((await declined.pay(order_id, 'pm_card_visa', again)).status).toBe(422)
  expect((await declined.pay(order_id, 'pm_card_authenticationRequired')).status).toBe(202)
  const second = randomUUID()
  await eventually(201, () => declined.pay(order_id, 'pm_card_visa', second))

  const left = await shop.buyerOf()
  const begun = await left.checkout({ method: 'pm_card_authenticationRequired' })
  expect(begun.status).toBe(202)
  await eventually(200, () => left.cancel(begun.body.order_id, key))
  expect((await left.pay(begun.body.order_id, 'pm_card_visa')).status).toBe(409)

  const late = await shop.buyerOf()
  const pending = await late.checkout({ method: 'pm_sandbox_late' })
  await until(
    'the charge is at the provider',
    () => shop.charges(pending.body.order_id),
    (charges) => charges.length > 0,
  )
  expect((await late.cancel(pending.body.order_id)).status).toBe(202)

  const events = new URL((await paid.state(order.id)).events_url as string)
  expect((await shop.call('get', events.pathname + events.search)).body).toContain('event: checkout')
  expect((await shop.call('get', `/v1/store/checkouts/${order.id}/events`)).status).toBe(404)
  expect((await shop.call('get', '/v1/store/payment-methods')).status).toBe(200)
  expect(unseen('Checkout')).toEqual([])
})

it('an order and its money', async () => {
  const paid = await shop.buyerOf({ price: 500 }, 2)
  const order = await eventually(201, () => paid.checkout())
  expect((await paid.order(order.id)).status).toBe(200)
  expect((await shop.order(order.id)).status).toBe(200)
  expect((await shop.admin('get', '/v1/admin/orders')).status).toBe(200)

  const path = `/v1/admin/orders/${order.id}`
  const key = randomUUID()
  const capture = await eventually(201, () => shop.admin('post', `${path}/captures`, { amount: 300 }, key))
  expect((await shop.admin('post', `${path}/captures`, { amount: 301 }, key)).status).toBe(422)
  expect((await shop.admin('post', `${path}/captures`, { amount: 701 })).status).toBe(409)
  expect((await shop.admin('get', `${path}/captures`)).status).toBe(200)
  expect((await shop.admin('get', `${path}/captures/${capture.id}`)).status).toBe(200)

  const back = { amount: 100, reason_code: 'goodwill' }
  const refund = await eventually(201, () => shop.admin('post', `${path}/refunds`, back, key))
  expect((await shop.admin('post', `${path}/refunds`, { ...back, amount: 99 }, key)).status).toBe(422)
  expect((await shop.admin('post', `${path}/refunds`, { ...back, amount: 201 })).status).toBe(409)
  expect((await shop.admin('get', `${path}/refunds`)).status).toBe(200)
  expect((await shop.admin('get', `${path}/refunds/${refund.id}`)).status).toBe(200)
  for (const list of ['captures', 'refunds'])
    expect((await shop.admin('get', `/v1/admin/orders/${newId('order')}/${list}`)).status).toBe(404)
  for (const [list, body] of [
    ['captures', { amount: 1 }],
    ['refunds', back],
  ] as const)
    expect((await shop.admin('post', `/v1/admin/orders/${newId('order')}/${list}`, body)).status).toBe(404)

  provider.fail(order.id)
  expect((await shop.admin('post', `${path}/refunds`, { all: true, reason_code: 'goodwill' })).status).toBe(202)
  provider.heal(order.id)
  expect(unseen('Payments')).toEqual([])

  const one = { reason_code: 'customer', lines: [{ sku: paid.sku, quantity: 1 }] }
  expect((await shop.admin('post', `/v1/admin/orders/${newId('order')}/cancel`, one)).status).toBe(404)
  expect((await shop.admin('post', `${path}/cancel`, { ...one, lines: [{ sku: paid.sku, quantity: 3 }] })).status).toBe(
    409,
  )
  await eventually(200, () => shop.admin('post', `${path}/cancel`, one, key))
  expect((await shop.admin('post', `${path}/cancel`, { reason_code: 'customer' }, key)).status).toBe(422)
  provider.fail(order.id)
  expect((await shop.admin('post', `${path}/cancel`, { reason_code: 'customer' })).status).toBe(202)

  const own = await shop.buyerOf()
  const left = await eventually(201, () => own.checkout())
  const cancel = (token = own.token) =>
    shop.call('post', `/v1/store/orders/${left.id}/cancel`, { token, idempotencyKey: key, body: {} })
  expect((await cancel(paid.token)).status).toBe(404)
  provider.fail(left.id)
  expect((await cancel()).status).toBe(202)
  provider.heal(left.id)
  await eventually(200, cancel)
  const atOnce = () => Promise.all(Array.from({ length: 8 }, () => cancel()))
  await until('one finds the key in use', atOnce, (answers) => answers.some(({ status }) => status === 409))
  await callHoldsAndAddresses({ id: left.id, token: own.token })
  expect(unseen('Orders')).toEqual([])
})

/** Of an order that is held, goes on and goes elsewhere; of one that is over; and of one that is none. */
async function callHoldsAndAddresses(over: { id: string; token: string }): Promise<void> {
  const buyer = await shop.buyerOf()
  const { id } = await eventually(201, () => buyer.checkout())
  const path = (order: string, what = '') => `/v1/admin/orders/${order}${what}`
  for (const what of ['/hold', '/resume']) {
    const [key, body] = [randomUUID(), { reason_code: 'look' }]
    await eventually(200, () => shop.admin('post', path(id, what), body, key))
    expect((await shop.admin('post', path(id, what), { reason_code: 'other' }, key)).status).toBe(422)
    expect((await shop.admin('post', path(over.id, what), body)).status).toBe(409)
    expect((await shop.admin('post', path(newId('order'), what), body)).status).toBe(404)
  }
  const body = { shipping_address: { ...ADDRESS, line1: '2 High St' } }
  const own = (order: string, token: string) => shop.call('patch', `/v1/store/orders/${order}`, { token, body })
  await eventually(200, () => own(id, buyer.token))
  expect((await own(id, over.token)).status).toBe(404)
  expect((await own(over.id, over.token)).status).toBe(409)
  await eventually(200, () => shop.admin('patch', path(id), body))
  expect((await shop.admin('patch', path(newId('order')), body)).status).toBe(404)
  expect((await shop.admin('patch', path(over.id), body)).status).toBe(409)
  const stale = { key: stack.adminKey, headers: { 'if-match': '"0"' }, body }
  expect((await shop.call('patch', path(id), stale)).status).toBe(412)
}

it('support', async () => {
  const stuck = await shop.buyerOf()
  void stuck.checkout({ method: 'pm_sandbox_slow' }).catch(() => undefined)
  const orderId = await stuck.accepted()
  provider.fail(orderId)
  await shop.waitForCase(orderId, 'provider_unreachable')
  const repairs = `/v1/admin/orders/${orderId}/repairs`
  const body = { action: 'retryPayment', reason_code: 'checked_with_provider' }
  expect((await shop.admin('post', repairs, { ...body, action: 'resume' })).status).toBe(409)
  provider.heal(orderId)
  const key = randomUUID()
  await eventually(202, () => shop.admin('post', repairs, body, key))
  expect((await shop.admin('post', repairs, { ...body, note: 'other' }, key)).status).toBe(422)
  expect((await shop.admin('post', `/v1/admin/orders/${newId('order')}/repairs`, body)).status).toBe(404)
  expect((await shop.admin('get', `/v1/admin/orders/${orderId}/timeline`)).status).toBe(200)
  await eventually(200, () => shop.admin('get', '/v1/admin/invariants'))

  const key503 = await alone.key()
  expect((await alone.call('get', '/v1/admin/invariants', { key: key503 })).status).toBe(503)
  expect(
    (await alone.call('post', await caseWithoutWorker(), { key: key503, body, idempotencyKey: randomUUID() })).status,
  ).toBe(503)
  await callReconciliations()
  expect(unseen('Support')).toEqual([])
})

async function callReconciliations(): Promise<void> {
  const path = '/v1/admin/reconciliations'
  const key = randomUUID()
  const charge = await new SandboxClient(stack.stack.file.sandbox).made(key, { reference: 'of another shop' })
  const atOnce = () => Promise.all(Array.from({ length: 8 }, () => shop.admin('post', path, {}, key)))
  await until('one finds the key in use', atOnce, (answers) => answers.some(({ status }) => status === 409))
  const asked = await eventually(202, () => shop.admin('post', path, {}))
  const run = await until(
    'the run has ended',
    async () => (await shop.admin('get', `${path}/${asked.id}?limit=100`)).body,
    ({ ended_at }) => ended_at !== null,
    60_000,
  )
  expect((await shop.admin('get', path)).status).toBe(200)

  const { id } = run.differences.data.find(({ object }: { object: string }) => object === charge.id)
  const resolve = (of: string, reason: string, by = randomUUID()) =>
    shop.admin('post', `${path}/differences/${of}/resolve`, { outcome: 'done', reason_code: reason }, by)
  expect((await resolve(newId('difference'), 'known')).status).toBe(404)
  expect((await resolve(id, 'known', key)).status).toBe(200)
  expect((await resolve(id, 'other', key)).status).toBe(422)
  expect((await resolve(id, 'known')).status).toBe(409)
}

it('webhooks', async () => {
  const raw = JSON.stringify({
    id: `evt_${randomUUID()}`,
    type: 'charge.updated',
    charge: {
      id: 'ch_1',
      key: 'order_x/charge/1',
      reference: 'order_x',
      amount: 1,
      currency: 'GBP',
      method: 'pm_card_visa',
      status: 'authorized',
      decline_code: null,
      captured: 0,
      released: 0,
      refunded: 0,
      refunds: [],
      disputes: [],
      action_url: null,
      created_at: new Date().toISOString(),
    },
  })
  await isHeard('/webhooks/payments/sandbox', raw, alone.deps.settings.SANDBOX_WEBHOOK_SECRET)
  const told = JSON.stringify({ id: 'evt_1', type: 'account.updated' })
  await isHeard('/webhooks/carriers/sandbox', told, alone.deps.settings.CARRIER_SANDBOX_WEBHOOK_SECRET)
  // What warehouses send is tested where they are.
  expect(unseen('Webhooks').filter((name) => !name.includes('/webhooks/warehouses/'))).toEqual([])
})

/** As it was signed, and not otherwise. */
async function isHeard(path: string, raw: string, secret: string): Promise<void> {
  const at = new Date()
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign('msg_1', at, raw),
  }
  expect((await alone.call('post', path, { raw, headers })).status).toBe(204)
  expect((await alone.call('post', path, { raw: raw.replace('_1', '_2'), headers })).status).toBe(401)
}

/** A slow machine may answer 202 (or 503) first: asked again under the same key the answer is the outcome. */
async function eventually(status: number, ask: () => ReturnType<Shop['call']>) {
  const answer = await until(
    `an answer ${status}`,
    ask,
    (one) => one.status === status || ![202, 503].includes(one.status),
    30_000,
  )
  expect(answer.status).toBe(status)
  return answer.body
}

/** An accepted order whose workflow nobody works on, with a case: where its repairs go. */
async function caseWithoutWorker(): Promise<string> {
  const here = new Shop({ apis: [alone.url], adminKey: await alone.key(), sandbox: '', database: alone.database })
  const buyer = await here.buyerOf()
  const key = randomUUID()
  let orderId = ''
  // Asked again until it is there: on a busy machine an answer's deadline may pass before the workflow is started.
  await until(
    'its workflow is there',
    async () => {
      orderId = (await buyer.checkout({ key })).body.order_id
      return hasWorkflow(orderId)
    },
    Boolean,
    30_000,
  )
  await alone.database.pool.query(
    `insert into attention (order_id, code, workflow_id) values ($1, 'provider_unreachable', $2)`,
    [orderId, checkoutWorkflowId(orderId as OrderId)],
  )
  return `/v1/admin/orders/${orderId}/repairs`
}

function hasWorkflow(orderId: string): Promise<boolean> {
  return alone.deps.temporal.workflow
    .getHandle(checkoutWorkflowId(orderId as OrderId))
    .describe()
    .then(
      () => true,
      () => false,
    )
}
