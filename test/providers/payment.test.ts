import { createServer, type AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { readSettings } from '../../config'
import { createPaymentProviders, type PaymentProviders } from '../../providers/payment'
import {
  ProviderUnavailable,
  type Charge,
  type ChargeRequest,
  type PaymentProvider,
} from '../../providers/payment/provider'
import { SandboxProvider } from '../../providers/payment/sandbox'
import { StripeProvider } from '../../providers/payment/stripe/provider'
import { ChargeClient, SandboxClient } from '../sandbox/client'
import { startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from '../sandbox/process'
import { WebhookReceiver } from '../sandbox/receiver'
import { skipped } from '../support/skipped'
import { startStripeStub, stripeSignature, type StripeStub } from '../support/stripe-stub'
import { paymentProviderContract, type ProviderRig } from './contract'

/** Tokens of Stripe's own test mode, which the stub knows too. */
const STRIPE_METHODS = {
  works: 'pm_card_visa',
  declined: { method: 'pm_card_chargeDeclinedInsufficientFunds', code: 'insufficient_funds' },
  needsAction: 'pm_card_authenticationRequired',
  inParts: 'pm_card_visa',
  singleCapture: 'pm_card_credit_disableEnterpriseCardFeatures',
  capturedAtOnce: null,
  pendingForGood: null,
  captureRefused: null,
  refundsRefused: null,
  refundRefusedOnce: null,
  refundsFailLater: 'pm_card_refundFail',
  slow: null,
  loses: null,
} satisfies ProviderRig['methods']
const EVENT_OF_NO_CHARGE = JSON.stringify({
  id: 'evt_1',
  type: 'account.updated',
  data: { object: { id: 'acct_1', object: 'account' } },
})

const STRIPE_KEYS = { STRIPE_SECRET_KEY: 'sk_test_of_the_stub', STRIPE_WEBHOOK_SECRETS: 'whsec_of_the_stub' }

let sandbox: SandboxProcess
let stripeStub: StripeStub
let receiver: WebhookReceiver
let providers: PaymentProviders

beforeAll(async () => {
  receiver = await new WebhookReceiver().start()
  sandbox = await startSandboxProcess({ webhookUrl: receiver.url })
  stripeStub = await startStripeStub({
    secretKey: STRIPE_KEYS.STRIPE_SECRET_KEY,
    webhookSecret: STRIPE_KEYS.STRIPE_WEBHOOK_SECRETS,
  })
  providers = createPaymentProviders(
    readSettings({
      SANDBOX_URL: sandbox.url,
      SANDBOX_WEBHOOK_SECRET: WEBHOOK_SECRET,
      STRIPE_API_URL: stripeStub.url,
      ...STRIPE_KEYS,
    }),
  )
})
afterAll(async () => {
  await providers.close()
  await sandbox.kill()
  await stripeStub.stop()
  await receiver.stop()
})

/** How each provider is made to behave. One that is in the registry and not here fails the suite. */
const RIGS: Record<string, ProviderRig> = { sandbox: sandboxRig(0), stripe: stripeRig() }

const registered = createPaymentProviders(readSettings(STRIPE_KEYS)).names
for (const name of registered) {
  const rig = RIGS[name]
  if (rig) paymentProviderContract(name, rig)
  else test(`there is a rig for ${name}`, () => expect(RIGS).toHaveProperty(name))
}

describe('where charges are found late', () => {
  const LAG_MS = 400
  beforeAll(() => setFaults({ find_lag_ms: LAG_MS }))
  afterAll(() => setFaults({}))
  paymentProviderContract('sandbox', sandboxRig(LAG_MS))
})

describe('in the test mode of Stripe itself', () => {
  const secretKey = process.env['STRIPE_TEST_SECRET_KEY']
  if (secretKey === undefined) skipped('STRIPE_TEST_SECRET_KEY is not set: the contract is not tried there')
  else paymentProviderContract('stripe', liveStripeRig(secretKey))
})

async function setFaults(faults: object): Promise<void> {
  const { status } = await new SandboxClient(sandbox.url).call('PUT', '/v1/faults', faults)
  expect(status).toBe(200)
}

function registeredProvider(name: string): PaymentProvider {
  const provider = providers.get(name)
  if (!provider) throw new Error(`${name} is not in the registry`)
  return provider
}

/** The stub of `test/support/stripe-stub.ts`, made from Stripe's documentation. */
function stripeRig(): ProviderRig {
  const secret = STRIPE_KEYS.STRIPE_WEBHOOK_SECRETS
  return {
    provider: () => registeredProvider('stripe'),
    withTimeout: (timeoutMs) =>
      new StripeProvider({
        publishableKey: null,
        secretKey: STRIPE_KEYS.STRIPE_SECRET_KEY,
        webhookSecrets: [secret],
        url: stripeStub.url,
        timeoutMs,
      }),
    methods: {
      ...STRIPE_METHODS,
      pendingForGood: 'pm_stub_processing',
      slow: 'pm_stub_slow',
      loses: 'pm_stub_lost',
    },
    async decide({ reference }, approves) {
      // What was cancelled meanwhile has no page any more.
      if (stripeStub.account.get(reference)['status'] === 'requires_action')
        stripeStub.account.decide(reference, approves)
    },
    pendingRefunds: {
      method: 'pm_card_pendingRefund',
      async settle(_charge, reference, status) {
        stripeStub.account.endRefund(reference, status === 'succeeded')
      },
    },
    disputes: {
      async open({ reference }, amount) {
        stripeStub.account.dispute(reference, amount)
      },
      async close(_charge, reference, status) {
        stripeStub.account.closeDispute(reference, status)
      },
    },
    expireKeys: async () => stripeStub.forgetKeys(),
    keepsReference: true,
    findLagMs: 0,
    fail: async (on) => stripeStub.fail(on),
    webhooks: () => stripeStub.account.events.map((event) => stripeStub.delivery(event)),
    sign: (rawBody, at) => stripeSignature(rawBody, secret, at.getTime()),
    eventOfNoCharge: EVENT_OF_NO_CHARGE,
  }
}

/** Stripe tells its events also to those who ask; they are signed here as Stripe would sign them. */
function liveStripeRig(secretKey: string): ProviderRig {
  const secret = 'whsec_of_a_test'
  const adapter = (timeoutMs: number, url = 'https://api.stripe.com') =>
    new StripeProvider({ publishableKey: null, secretKey, webhookSecrets: [secret], url, timeoutMs })
  const [live, dead] = [adapter(20_000), adapter(20_000, 'http://127.0.0.1:9')]
  const stripe = new Stripe(secretKey)
  const since = Math.floor(Date.now() / 1_000)
  const events = new Map<string, Buffer>()
  let isDead = false
  let listening: NodeJS.Timeout
  const listen = async () => {
    const { data } = await stripe.events.list({ created: { gte: since }, limit: 100 })
    for (const event of data) events.set(event.id, Buffer.from(JSON.stringify(event)))
  }
  beforeAll(() => (listening = setInterval(() => void listen().catch(() => undefined), 2_000)))
  afterAll(async () => {
    clearInterval(listening)
    await Promise.all([live.close(), dead.close()])
  })
  return {
    provider: () => (isDead ? dead : live),
    withTimeout: (timeoutMs) => adapter(timeoutMs),
    methods: { ...STRIPE_METHODS, refundsFailLater: null },
    decide: null,
    pendingRefunds: null,
    disputes: null,
    expireKeys: null,
    keepsReference: true,
    findLagMs: 0,
    fail: async (on) => void (isDead = on),
    webhooks: () =>
      [...events.values()].map((rawBody) => ({ rawBody, headers: stripeSignature(rawBody, secret, Date.now()) })),
    sign: (rawBody, at) => stripeSignature(rawBody, secret, at.getTime()),
    eventOfNoCharge: EVENT_OF_NO_CHARGE,
  }
}

function sandboxRig(findLagMs: number): ProviderRig {
  const moneyOf = (charge: Charge) => new ChargeClient(new SandboxClient(sandbox.url), charge.reference)
  return {
    provider: () => registeredProvider('sandbox'),
    withTimeout: (timeoutMs) => new SandboxProvider({ url: sandbox.url, webhookSecret: WEBHOOK_SECRET, timeoutMs }),
    methods: {
      works: 'pm_card_visa',
      declined: { method: 'pm_card_chargeDeclinedInsufficientFunds', code: 'insufficient_funds' },
      needsAction: 'pm_card_authenticationRequired',
      inParts: 'pm_card_visa',
      singleCapture: 'pm_sandbox_single_capture',
      capturedAtOnce: 'pm_sandbox_captured_at_once',
      pendingForGood: 'pm_sandbox_late',
      captureRefused: 'pm_sandbox_capture_refused',
      refundsRefused: 'pm_sandbox_refund_refused',
      refundRefusedOnce: 'pm_sandbox_refund_refused_once',
      refundsFailLater: 'pm_sandbox_refund_fails_later',
      slow: 'pm_sandbox_slow',
      loses: 'pm_sandbox_timeout_after_charge',
    },
    async decide({ actionUrl }, approves) {
      await fetch(`${actionUrl}/${approves ? 'approve' : 'refuse'}`, { method: 'POST', redirect: 'manual' })
    },
    pendingRefunds: {
      method: 'pm_sandbox_refund_pending',
      async settle(charge, reference, status) {
        expect((await moneyOf(charge).settle(reference, status)).status).toBe(200)
      },
    },
    disputes: {
      async open(charge, amount) {
        expect((await moneyOf(charge).dispute({ amount })).status).toBe(201)
      },
      async close(charge, reference, status) {
        expect((await moneyOf(charge).close(reference, status)).status).toBe(200)
      },
    },
    // It never forgets one, and can be asked by it.
    expireKeys: null,
    keepsReference: false,
    findLagMs,
    fail: (on) => setFaults({ find_lag_ms: findLagMs, error_rate: on ? 1 : 0 }),
    webhooks: () => receiver.received.map(({ body, headers }) => ({ rawBody: body, headers })),
    sign(rawBody, at) {
      const id = 'evt_of_a_test'
      return {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(WEBHOOK_SECRET).sign(id, at, rawBody.toString()),
      }
    },
    eventOfNoCharge: '{"id": "evt_1", "type": "account.updated"}',
  }
}

describe('an adapter whose provider', () => {
  let adapter: SandboxProvider
  const adapterTo = (url: string) => {
    adapter = new SandboxProvider({ url, webhookSecret: WEBHOOK_SECRET, timeoutMs: 300 })
    return adapter
  }
  afterEach(() => adapter.close())
  const asked: ChargeRequest = {
    key: 'order_1/charge/1',
    orderId: 'order_1' as ChargeRequest['orderId'],
    amount: { amount: 510, currency: 'GBP' },
    method: 'pm_card_visa',
    returnUrl: null,
    expiresAt: null,
    requestedAt: '2026-11-30T00:00:00Z',
    reference: null,
  }

  test('is not there is unavailable', async () => {
    await expect(adapterTo('http://127.0.0.1:9').find(asked)).rejects.toThrow(ProviderUnavailable)
  })

  test.each([
    ['never answers', null],
    ['hangs up', ''],
    ['answers something else', 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 7\r\n\r\n<html/>'],
    ['stops in the middle of its answer', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"data":'],
    ['wants us to slow down', 'HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}'],
  ])('%s is unavailable within the deadline', async (_, answer) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      if (answer === '') socket.destroy()
      else if (answer !== null) socket.once('data', () => socket.write(answer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const start = Date.now()
    await expect(adapterTo(`http://127.0.0.1:${port}`).find(asked)).rejects.toThrow(ProviderUnavailable)
    expect(Date.now() - start).toBeLessThan(600)
    server.close()
  })
})
