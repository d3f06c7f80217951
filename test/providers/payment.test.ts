import { createServer, type AddressInfo } from 'node:net'
import { readSettings } from '../../config'
import { createPaymentProviders, type PaymentProviders } from '../../providers/payment'
import { ProviderUnavailable } from '../../providers/payment/provider'
import { SandboxProvider } from '../../providers/payment/sandbox'
import { SandboxClient } from '../sandbox/client'
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
const RIGS: Record<string, () => ProviderRig> = { sandbox: sandboxRig }

const registered = createPaymentProviders(readSettings({})).names
for (const name of registered) paymentProviderContract(name, RIGS[name] ?? missingRig(name))

function sandboxRig(): ProviderRig {
  const provider = providers.get('sandbox')
  if (!provider) throw new Error('The sandbox is not in the registry')
  return {
    provider,
    withTimeout: (timeoutMs) => new SandboxProvider({ url: sandbox.url, webhookSecret: WEBHOOK_SECRET, timeoutMs }),
    methods: {
      works: 'pm_card_visa',
      declined: { method: 'pm_card_chargeDeclinedInsufficientFunds', code: 'insufficient_funds' },
      needsAction: 'pm_card_authenticationRequired',
      pendingForGood: 'pm_sandbox_late',
      refundsFail: 'pm_sandbox_refund_refused',
      slow: 'pm_sandbox_slow',
      loses: 'pm_sandbox_timeout_after_charge',
    },
    webhooks: () => receiver.received.map(({ body, headers }) => ({ rawBody: body, headers })),
    async fail(on) {
      await new SandboxClient(sandbox.url).call('PUT', '/v1/faults', on ? { error_rate: 1 } : {})
    },
  }
}

function missingRig(name: string): () => ProviderRig {
  return () => {
    throw new Error(`The contract cannot be tested: there is no rig for ${name}`)
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

  test('is not there is unavailable', async () => {
    await expect(adapterTo('http://127.0.0.1:9').find('a')).rejects.toThrow(ProviderUnavailable)
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
    await expect(adapterTo(`http://127.0.0.1:${port}`).find('a')).rejects.toThrow(ProviderUnavailable)
    expect(Date.now() - start).toBeLessThan(600)
    server.close()
  })
})
