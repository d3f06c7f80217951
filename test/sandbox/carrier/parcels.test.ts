import { appendFile } from 'node:fs/promises'
import { Webhook } from 'standardwebhooks'
import type { PublicLabel, PublicTracking } from '../../../sandbox/carrier/label'
import { until } from '../client'
import { failToStart, startSandboxProcess, WEBHOOK_SECRET, type SandboxProcess } from '../process'
import { WebhookReceiver } from '../receiver'
import { CarrierClient, newLabelKey } from './client'

const running: SandboxProcess[] = []
let receiver: WebhookReceiver

beforeEach(async () => {
  receiver = await new WebhookReceiver().start()
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((carrier) => carrier.kill()))
  await receiver.stop()
})

async function start(journal?: string): Promise<{ carrier: SandboxProcess; client: CarrierClient }> {
  const carrier = await startSandboxProcess({
    program: 'carrier/main.ts',
    webhookUrl: receiver.url,
    ...(journal ? { journal } : {}),
  })
  running.push(carrier)
  return { carrier, client: new CarrierClient(carrier.url) }
}

/** What the shop was told of a parcel, in order of arrival. */
function told({ tracking_number }: PublicLabel): PublicTracking[] {
  return receiver.received
    .map(({ event }) => (event as unknown as { tracking: PublicTracking }).tracking)
    .filter((tracking) => tracking.tracking_number === tracking_number)
}
const typesOf = (events: readonly PublicTracking[]) => events.map(({ type }) => type)

/** A parcel that is on its way. */
async function sent(client: CarrierClient, line2?: string, key = newLabelKey()): Promise<PublicLabel> {
  const label = await client.bought(key, { service: 'express', ...(line2 === undefined ? {} : { line2 }) })
  expect((await client.handOver(label)).status).toBe(200)
  return label
}

test('a parcel travels once it was handed over, and not before', async () => {
  const { client } = await start()
  const waiting = await client.bought(newLabelKey(), { service: 'express' })
  const label = await sent(client)
  await until('it is delivered', async () => (await client.events(label)).at(-1)?.type === 'delivered')
  const events = await client.events(label)
  expect(typesOf(events)).toEqual(['accepted', 'in_transit', 'out_for_delivery', 'delivered'])
  expect(events.map(({ happened_at }) => happened_at)).toEqual(events.map(({ happened_at }) => happened_at).toSorted())
  expect(Date.parse(String(events.at(-1)?.happened_at))).toBeLessThan(Date.parse(String(events[0]?.expected_at)))
  expect(await client.events(waiting)).toEqual([])
  expect(await client.handOver(label)).toMatchObject({ status: 200, body: { id: label.id } })
  const shown = await fetch(label.tracking_url)
  expect(await shown.text()).toContain('Delivered')
})

test('each step is told by a signed webhook, with the same id as by asking', async () => {
  const { client } = await start()
  const label = await sent(client)
  await until('all is told', () => new Set(told(label).map(({ id }) => id)).size === 4)
  const events = await client.events(label)
  for (const event of told(label)) expect(events).toContainEqual(event)
  const { body, headers } = receiver.received[0] as (typeof receiver.received)[number]
  expect(new Webhook(WEBHOOK_SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
    type: 'tracking.updated',
  })
  expect(body.toString()).not.toMatch(/Sample Buyer|High St|Leeds/)
})

test.each([
  ['sandbox:late', ['accepted', 'in_transit', 'exception', 'out_for_delivery', 'delivered']],
  ['sandbox:held', ['accepted', 'in_transit', 'exception', 'in_transit', 'out_for_delivery', 'delivered']],
  ['sandbox:lost', ['accepted', 'in_transit', 'lost']],
  ['sandbox:found', ['accepted', 'in_transit', 'lost', 'delivered']],
  ['sandbox:returned', ['accepted', 'in_transit', 'exception', 'returned']],
])('%s: %p', async (word, types) => {
  const { client } = await start()
  await client.faults({ speed: 10 })
  const label = await sent(client, word)
  await until('it is over', async () => (await client.events(label)).length === types.length)
  const events = await client.events(label)
  expect(typesOf(events)).toEqual(types)
  const [first, last] = [events[0], events.at(-1)]
  if (word === 'sandbox:late')
    expect(Date.parse(String(last?.happened_at))).toBeGreaterThan(Date.parse(String(first?.expected_at)))
})

test('one vanishes, and of one nothing is told but when asked', async () => {
  const { client } = await start()
  await client.faults({ speed: 20 })
  const [vanished, silent] = [await sent(client, 'sandbox:vanished'), await sent(client, 'sandbox:silent')]
  await until('the other is delivered', async () => (await client.events(silent)).at(-1)?.type === 'delivered')
  expect(await client.events(vanished)).toEqual([])
  const seen = await sent(client)
  await until('a third is told of', () => told(seen).length > 0)
  expect([...told(silent), ...told(vanished)]).toEqual([])
})

test('shuffled: each event three times, out of order, a stale one last', async () => {
  const { client } = await start()
  const label = await sent(client, 'sandbox:shuffled')
  const copies = await until('all copies came', () => told(label).length === 12 && told(label))
  expect(new Set(copies.map(({ id }) => id)).size).toBe(4)
  const times = copies.map(({ happened_at }) => happened_at)
  expect(times).not.toEqual(times.toSorted())
})

test('rates of lost, returned and late parcels go by the seed and the key, not by the order', async () => {
  const { client } = await start()
  const keys = Array.from({ length: 40 }, (_, index) => `order_${index}/label/1`)
  const ends = async (seed: number, prefix: string, order: readonly string[]) => {
    await client.faults({ seed, lost_rate: 0.2, return_rate: 0.2, late_rate: 0.2, speed: 1_000 })
    const labels = new Map<string, PublicLabel>()
    for (const key of order) labels.set(key, await sent(client, undefined, `${key}${prefix}`))
    const found: string[] = []
    for (const key of keys) {
      const label = labels.get(key) as PublicLabel
      const events = await until('it is over', async () => {
        const seen = await client.events(label)
        return ['delivered', 'lost', 'returned'].includes(seen.at(-1)?.type ?? '') && seen
      })
      found.push(`${events.length} ${events.at(-1)?.type}`)
    }
    return found
  }
  const first = await ends(3, '', keys)
  expect(new Set(first)).toEqual(new Set(['4 delivered', '3 lost', '4 returned', '5 delivered']))
  const { client: other } = await start()
  await other.faults({ seed: 3, lost_rate: 0.2, return_rate: 0.2, late_rate: 0.2, speed: 1_000 })
  const again: string[] = []
  for (const key of keys.toReversed()) {
    const label = await sent(other, undefined, key)
    const events = await until('it is over', async () => {
      const seen = await other.events(label)
      return ['delivered', 'lost', 'returned'].includes(seen.at(-1)?.type ?? '') && seen
    })
    again.push(`${events.length} ${events.at(-1)?.type}`)
  }
  expect(again.toReversed()).toEqual(first)
})

describe('a SIGKILL', () => {
  test('forgets no label, and a parcel goes on from where it was', async () => {
    const { carrier, client } = await start()
    const sold = await Promise.all(Array.from({ length: 20 }, () => client.bought(newLabelKey())))
    const voided = newLabelKey()
    await client.voidKey(voided)
    const label = await sent(client)
    await carrier.kill()
    const { client: again } = await start(carrier.journal)
    const left = (await again.all(7)).map(({ id, key, price }) => ({ id, key, price }))
    expect(left).toEqual(expect.arrayContaining(sold.map(({ id, key, price }) => ({ id, key, price }))))
    expect(await again.buy(voided)).toMatchObject({ status: 409, body: { code: 'key_refused' } })
    await until('it is delivered', async () => (await again.events(label)).at(-1)?.type === 'delivered')
    expect((await again.events(label)).map(({ type }) => type)).toEqual([
      'accepted',
      'in_transit',
      'out_for_delivery',
      'delivered',
    ])
    await until('all is told', () => new Set(told(label).map(({ id }) => id)).size === 4)
  })

  test('loses no webhook that nobody has taken', async () => {
    const { carrier, client } = await start()
    await receiver.stop()
    await client.faults({ speed: 50 })
    const label = await sent(client)
    await until('it is delivered', async () => (await client.events(label)).at(-1)?.type === 'delivered')
    await carrier.kill()
    await receiver.start()
    await start(carrier.journal)
    await until('all is told', () => new Set(told(label).map(({ id }) => id)).size === 4)
  })

  test('in the middle of a line costs that line alone; a journal of the payment provider is refused', async () => {
    const { carrier, client } = await start()
    const label = await client.bought(newLabelKey())
    await carrier.kill()
    await appendFile(carrier.journal, '{"label":{"id":"lb_torn"')
    const { client: again } = await start(carrier.journal)
    expect((await again.all()).map(({ id }) => id)).toEqual([label.id])
    const { code, output } = await failToStart([
      ...['--port', '0', '--journal', carrier.journal],
      ...['--webhook-url', 'http://127.0.0.1:9/', '--secret', WEBHOOK_SECRET],
    ])
    expect(code).toBe(1)
    expect(output).toContain('another version of the sandbox wrote it')
  })
})
