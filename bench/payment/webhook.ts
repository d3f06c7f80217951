import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { request } from 'undici'
import type { Stack } from '../../scripts/stack/supervisor'
import { startControl } from '../checkout/control'
import type { Figure } from '../figure'
import { interleave } from '../measure'
import { roundTripFigure, timeOfSignal, timesOf } from '../round-trip'
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
      async () => timesOf(CALLS, () => timeOfWebhook(shop, sku, client)),
      async () => timesOf(CALLS, () => timeOfSignal(control)),
    )
    return [roundTripFigure('webhook of a payment in', pairs)]
  } finally {
    await client.end()
    await control.stop()
    await shop.close()
  }
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
