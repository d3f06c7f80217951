import { createServer, type AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { readSettings } from '../../config'
import { type Carriers, createCarriers } from '../../providers/carrier'
import { type CarrierProvider, CarrierUnavailable, type PostalAddress } from '../../providers/carrier/carrier'
import { EasyPostCarrier } from '../../providers/carrier/easypost/carrier'
import { signatureOf } from '../../providers/carrier/easypost/tracking'
import { SandboxCarrier } from '../../providers/carrier/sandbox'
import { addressIn, CarrierClient } from '../sandbox/carrier/client'
import { startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from '../sandbox/process'
import { WebhookReceiver } from '../sandbox/receiver'
import {
  EASYPOST_KEY,
  EASYPOST_SECRET,
  type EasyPostStub,
  NOWHERE,
  REFUSED_ZIP,
  startEasyPostStub,
} from '../support/easypost-stub'
import { carrierContract, type CarrierRig } from './carrier-contract'

const EASYPOST = { EASYPOST_API_KEY: EASYPOST_KEY, EASYPOST_WEBHOOK_SECRET: EASYPOST_SECRET }

let sandbox: SandboxProcess
let stub: EasyPostStub
let receiver: WebhookReceiver
let carriers: Carriers
let easypost: EasyPostCarrier

beforeAll(async () => {
  receiver = await new WebhookReceiver().start()
  sandbox = await startSandboxProcess({ program: 'carrier/main.ts', webhookUrl: receiver.url })
  stub = await startEasyPostStub()
  carriers = createCarriers(
    readSettings({
      CARRIER_SANDBOX_URL: sandbox.url,
      CARRIER_SANDBOX_WEBHOOK_SECRET: WEBHOOK_SECRET,
      EASYPOST_API_URL: stub.url,
      ...EASYPOST,
    }),
  )
  easypost = easyPostWithin(5_000)
})
afterAll(async () => {
  await Promise.all([carriers.close(), easypost.close()])
  await sandbox.kill()
  await stub.stop()
  await receiver.stop()
})

/** How each carrier is made to behave. One that is in the registry and not here fails the suite. */
const RIGS: Record<string, CarrierRig> = { sandbox: sandboxRig(), easypost: easyPostRig() }

const listed = createCarriers(readSettings(EASYPOST))
afterAll(() => listed.close())
for (const name of listed.names) {
  const rig = RIGS[name]
  if (rig) carrierContract(name, rig)
  else test(`there is a rig for ${name}`, () => expect(RIGS).toHaveProperty(name))
}

function sandboxRig(): CarrierRig {
  const client = () => new CarrierClient(sandbox.url)
  const words = {
    usual: null,
    refused: 'sandbox:refused',
    nowhere: 'sandbox:nowhere',
    'lost answer': 'sandbox:dropped',
    'slow answer': 'sandbox:slow',
    'late void': 'sandbox:thinks',
    'late refusal': 'sandbox:thinks sandbox:keeps',
  }
  return {
    carrier: () => registered('sandbox'),
    withTimeout: (timeoutMs) => new SandboxCarrier({ url: sandbox.url, webhookSecret: WEBHOOK_SECRET, timeoutMs }),
    service: 'standard',
    to: (how) => addressIn('US', words[how]),
    // It does so by itself, a moment later.
    decideVoid: async () => {},
    async makeUsed({ reference }) {
      await registered('sandbox').handOver?.(reference)
    },
    async deliver({ reference }) {
      await client().faults({ speed: 5 })
      await registered('sandbox').handOver?.(reference)
      await client().faults({})
    },
    live: async (key) => (await client().byKey(key)).filter(({ status }) => status === 'live').length,
    fail: async (on) => void (await client().faults(on ? { error_rate: 1 } : {})),
    webhooks: () => receiver.received,
    sign(body) {
      const [id, at] = ['evt_of_a_test', new Date()]
      return {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(WEBHOOK_SECRET).sign(id, at, body.toString()),
      }
    },
    eventOfNoParcel: '{"id": "evt_1", "type": "account.updated"}',
  }
}

/** The stub of `test/support/easypost-stub.ts`, made from EasyPost's documentation. */
function easyPostRig(): CarrierRig {
  const to: PostalAddress = { ...addressIn('US'), region: 'CA', postal_code: '94105' }
  return {
    carrier: () => easypost,
    withTimeout: easyPostWithin,
    service: 'USPS.Priority',
    to(how) {
      stub.refundStatus = how === 'late void' || how === 'late refusal' ? 'submitted' : 'refunded'
      if (how === 'refused') return { ...to, postal_code: REFUSED_ZIP }
      if (how === 'nowhere') return { ...to, country: NOWHERE }
      if (how === 'lost answer') stub.loseNext(/\/buy$/)
      if (how === 'slow answer') stub.delayNext(/\/buy$/, 1_000)
      return to
    },
    decideVoid: async ({ reference }, how) => stub.decideRefund(reference, how === 'voided' ? 'refunded' : 'rejected'),
    async makeUsed() {
      stub.refuseNext(/\/refund$/, 422, 'SHIPMENT.REFUND.UNAVAILABLE')
    },
    async deliver({ trackingNumber }) {
      stub.progress(trackingNumber, {
        status: 'in_transit',
        status_detail: 'received_at_origin_facility',
        datetime: '2026-01-01T08:00:00Z',
      })
      stub.progress(trackingNumber, { status: 'out_for_delivery', datetime: '2026-01-02T08:00:00Z' })
      stub.progress(trackingNumber, {
        status: 'delivered',
        message: 'Signed for by SAMPLE BUYER',
        datetime: '2026-01-02T10:00:00Z',
      })
    },
    live: async (key) =>
      [...stub.shipments.values()].filter(
        ({ reference, selected_rate, refund_status }) => reference === key && selected_rate && refund_status === null,
      ).length,
    fail: async (on) => void (stub.isDown = on),
    webhooks: () => stub.deliveries,
    sign: (body) => ({ 'x-hmac-signature': signatureOf(body, EASYPOST_SECRET) }),
    eventOfNoParcel: JSON.stringify({
      id: 'evt_1',
      object: 'Event',
      description: 'batch.updated',
      result: { object: 'Batch' },
    }),
  }
}

function registered(name: string): CarrierProvider {
  const carrier = carriers.get(name)
  if (!carrier) throw new Error(`${name} is not in the registry`)
  return carrier
}

/** With a purchase that can be under way for a moment only. */
function easyPostWithin(timeoutMs: number): EasyPostCarrier {
  const account = { apiKey: EASYPOST_KEY, webhookSecret: EASYPOST_SECRET, url: stub.url }
  return new EasyPostCarrier({ ...account, timeoutMs, inFlightMs: 1_500 })
}

describe('an adapter whose carrier', () => {
  const adapters = (url: string) => [
    new SandboxCarrier({ url, webhookSecret: WEBHOOK_SECRET, timeoutMs: 300 }),
    new EasyPostCarrier({ url, apiKey: EASYPOST_KEY, webhookSecret: EASYPOST_SECRET, timeoutMs: 300 }),
  ]

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
    for (const adapter of adapters(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)) {
      const start = Date.now()
      await expect(adapter.track('123456789')).rejects.toThrow(CarrierUnavailable)
      expect(Date.now() - start).toBeLessThan(800)
      await adapter.close()
    }
    server.close()
  })

  test('is not there is unavailable', async () => {
    for (const adapter of adapters('http://127.0.0.1:9')) {
      await expect(adapter.track('123456789')).rejects.toThrow(CarrierUnavailable)
      await adapter.close()
    }
  })
})
