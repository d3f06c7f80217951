import { Webhook } from 'standardwebhooks'
import { ChargeClient, newKey, SandboxClient, until } from './client'
import { startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from './process'
import { WebhookReceiver, type ReceivedWebhook } from './receiver'

let receiver: WebhookReceiver
let sandbox: SandboxProcess
let client: SandboxClient

beforeAll(async () => {
  receiver = await new WebhookReceiver().start()
  sandbox = await startSandboxProcess({ webhookUrl: receiver.url })
  client = new SandboxClient(sandbox.url)
})
afterAll(async () => {
  await sandbox.kill()
  await receiver.stop()
})

const told = (key: string, count: number) =>
  until(`${count} webhooks`, () => receiver.about(key).length >= count && receiver.about(key))
const states = (webhooks: ReceivedWebhook[]) => webhooks.map(({ event }) => event.charge.status)

test('is signed, and shows the charge as its API does', async () => {
  const charge = await client.made(newKey())
  const [webhook] = await told(charge.key, 1)
  expect(webhook?.event).toEqual({ id: expect.stringMatching(/^evt_/), type: 'charge.updated', charge })
  expect(webhook?.headers['webhook-id']).toBe(webhook?.event.id)
  expect(webhook?.headers['content-type']).toBe('application/json')
  const headers = webhook?.headers as Record<string, string>
  expect(new Webhook(WEBHOOK_SECRET).verify(webhook?.body as Buffer, headers)).toEqual(webhook?.event)
  expect(() => new Webhook(WEBHOOK_SECRET).verify(`${webhook?.body} `, headers)).toThrow('No matching signature')
})

test('tells of every change, each with an id of its own', async () => {
  const { id, key } = await client.made(newKey())
  const charge = new ChargeClient(client, id)
  await charge.capture({ amount: 255 })
  await charge.refund({ amount: 200 })
  const { body } = await charge.dispute()
  await charge.close(body.disputes[0]?.id ?? '', 'won')
  await charge.void()
  await charge.refund()
  const webhooks = await told(key, 7)
  expect(states(webhooks).sort()).toEqual([...Array(5).fill('authorized'), 'captured', 'refunded'])
  expect(new Set(webhooks.map(({ event }) => event.id)).size).toBe(7)
  expect(webhooks.map(({ event }) => event.charge)).toContainEqual(await charge.now())

  const declined = await client.made(newKey(), { method: 'pm_card_chargeDeclined' })
  expect(states(await told(declined.key, 1))).toEqual(['declined'])
  const refused = await client.made(newKey(), { method: 'pm_sandbox_refund_refused', capture: true })
  await new ChargeClient(client, refused.id).refund()
  const [, failed] = await told(refused.key, 2)
  expect(failed?.event.charge.refunds).toMatchObject([{ status: 'failed' }])
  const asynchronous = await client.made(newKey(), { method: 'pm_sandbox_async' })
  expect(states(await told(asynchronous.key, 2))).toEqual(['pending', 'authorized'])
})

test('is sent until it is answered with 2xx', async () => {
  receiver.status = 500
  const { key } = await client.made(newKey())
  const failed = (await told(key, 3)).slice()
  receiver.status = 204
  const all = await told(key, failed.length + 1)
  expect(new Set(all.map(({ event }) => event.id)).size).toBe(1)
})

test('waits for a receiver that is down, then tells everything', async () => {
  await receiver.stop()
  const charges = await Promise.all(Array.from({ length: 50 }, () => client.made(newKey())))
  await receiver.start()
  for (const { key } of charges) await told(key, 1)
})

test('duplicate webhooks: each three times, out of order, a stale one last', async () => {
  const { id, key } = await client.made(newKey(), { method: 'pm_sandbox_duplicate_webhooks' })
  const webhooks = (await told(key, 6)).slice()
  expect(states(webhooks)).toEqual(['authorized', 'pending', 'authorized', 'pending', 'authorized', 'pending'])
  expect(new Set(webhooks.map(({ event }) => event.id)).size).toBe(2)
  await client.call('POST', `/v1/charges/${id}/void`)
  expect(states(await told(key, 9)).slice(6)).toEqual(['voided', 'voided', 'voided'])
})
