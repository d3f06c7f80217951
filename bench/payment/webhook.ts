import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { request } from 'undici'
import type { Stack } from '../../scripts/stack/supervisor'
import { type Control, startControl } from '../checkout/control'
import type { Figure } from '../figure'
import { interleave, median, quantile, ratio } from '../measure'
import { Shop } from '../shop'

const PAIRS = 5
const CALLS = 100
const POLL_MS = 2

/**
 * A customer approves a payment, and the provider says so by webhook, until the order is confirmed; against a signal to a
 * workflow that ends by it. One at a time.
 */
export async function benchWebhook(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const control = await startControl(stack)
  const client = new Client({ connectionString: stack.services.DATABASE_URL })
  await client.connect()
  try {
    const [sku = ''] = await shop.stock(`HOOK-${randomUUID().slice(0, 8)}`, 1)
    const pairs = await interleave(
      PAIRS,
      async () => timesOf(() => timeOfWebhook(shop, sku, client)),
      async () => timesOf(() => timeOfSignal(control)),
    )
    return [webhookFigure(pairs)]
  } finally {
    await client.end()
    await control.stop()
    await shop.close()
  }
}

interface Times {
  readonly p50: number
  readonly p99: number
}

async function timesOf(measured: () => Promise<number>): Promise<Times> {
  const times: number[] = []
  while (times.length < CALLS) times.push(await measured())
  times.sort((a, b) => a - b)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

/** Milliseconds from the customer's click at the bank, which the provider tells of at once. */
async function timeOfWebhook(shop: Shop, sku: string, client: Client): Promise<number> {
  const { orderId, actionUrl } = await shop.buyUpToAction(await shop.cart([{ sku, quantity: 1 }]))
  const begun = performance.now()
  const { statusCode, body } = await request(`${actionUrl}/approve`, { method: 'POST' })
  await body.dump()
  if (statusCode >= 400) throw new Error(`approve: ${statusCode}`)
  while (!(await isConfirmed(client, orderId))) await pause(POLL_MS)
  return performance.now() - begun
}

async function isConfirmed(client: Client, orderId: string): Promise<boolean> {
  const { rows } = await client.query({
    name: 'status',
    text: 'select status from orders where id = $1',
    values: [orderId],
  })
  return rows[0]?.status === 'confirmed'
}

async function timeOfSignal(control: Control): Promise<number> {
  const waiting = await control.startWaiting()
  const begun = performance.now()
  await waiting.signal()
  await waiting.end()
  return performance.now() - begun
}

function webhookFigure(pairs: readonly { subject: Times; control: Times }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, ({ p99 }) => p99)
  const of = (figure: (pair: { subject: Times; control: Times }) => number): string =>
    median(pairs.map(figure)).toFixed(1)
  const p99 = `p99 ${of(({ subject }) => subject.p99)} ms ÷ ${of(({ control }) => control.p99)} ms`
  const p50 = `p50 ${of(({ subject }) => subject.p50)} ms ÷ ${of(({ control }) => control.p50)} ms`
  return {
    what: "webhook in → state changed, p99 ÷ a no-op signal's round trip",
    bar: '≤ 3',
    value: middle,
    good: middle <= 3,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${p99}; ${p50}`,
  }
}
