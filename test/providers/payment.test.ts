import { createServer, type AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { readSettings } from '../../config'
import { createPaymentProviders, type PaymentProviders } from '../../providers/payment'
import { ProviderUnavailable, type Charge, type ChargeRequest } from '../../providers/payment/provider'
import { SandboxProvider } from '../../providers/payment/sandbox'
import { ChargeClient, SandboxClient } from '../sandbox/client'
import { startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from '../sandbox/process'
import { WebhookReceiver } from '../sandbox/receiver'
import { paymentProviderContract, type ProviderRig } from './contract'

let sandbox: SandboxProcess
let receiver: WebhookReceiver
let providers: PaymentProviders

beforeAll(async () => {
  receiver = await new WebhookReceiver().start()
  sandbox = await startSandboxProcess({ webhookUrl: receiver.url })
  providers = createPaymentProviders(readSettings({ SANDBOX_URL: sandbox.url, SANDBOX_WEBHOOK_SECRET: WEBHOOK_SECRET }))
})
afterAll(async () => {
  await providers.close()
  await sandbox.kill()
  await receiver.stop()
})

/** How each provider is made to behave. One that is in the registry and not here fails the suite. */
const RIGS: Record<string, ProviderRig> = { sandbox: sandboxRig(0) }

const registered = createPaymentProviders(readSettings({})).names
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

async function setFaults(faults: object): Promise<void> {
  const { status } = await new SandboxClient(sandbox.url).call('PUT', '/v1/faults', faults)
  expect(status).toBe(200)
}

function sandboxRig(findLagMs: number): ProviderRig {
  const moneyOf = (charge: Charge) => new ChargeClient(new SandboxClient(sandbox.url), charge.reference)
  return {
    provider() {
      const provider = providers.get('sandbox')
      if (!provider) throw new Error('The sandbox is not in the registry')
      return provider
    },
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

test('in production there is no sandbox', () => {
  const settings = readSettings({ NODE_ENV: 'production', TOKEN_SECRET: 'a secret of its own, long enough' })
  expect(createPaymentProviders(settings).names).toEqual([])
  expect(createPaymentProviders(settings).get('sandbox')).toBeUndefined()
  expect(providers.get('nobody')).toBeUndefined()
})

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
