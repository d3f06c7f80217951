import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { Webhook } from 'standardwebhooks'
import { request } from 'undici'
import type { Stack } from '../../scripts/stack/supervisor'
import { fillCarts, takeCart } from '../checkout/carts'
import { startControl } from '../checkout/control'
import type { Figure } from '../figure'
import { calls, interleave } from '../measure'
import { roundTripFigure, timeOfSignal, timesOf } from '../round-trip'
import { Shop } from '../shop'

const CALLERS = 8
const PAIRS = 5
const CALLS = 100
const SKUS = 8
const POLL_MS = 2
/** What follows a parcel that leaves is over by then. */
const FOLLOW_UP_MS = 2_000
const SENT_POLL_MS = 250
const GIVE_UP_MS = 300_000

/**
 * A carrier's webhook says that a parcel was delivered, until the row says so that the shipment is read from; against a signal to
 * a workflow that ends by it. One at a time. The parcels are those of orders that were bought and sent before.
 */
export async function benchTracking(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const control = await startControl(stack)
  const client = new Client({ connectionString: stack.services.DATABASE_URL })
  await client.connect()
  try {
    const stock = await shop.stockIn('automatic', `TRACK-${randomUUID().slice(0, 8)}`, SKUS)
    const pairs = await interleave(
      PAIRS,
      async () => {
        const parcels = await sendParcels(shop, client, stock)
        return timesOf(CALLS, () => timeOfWebhook(stack, client, parcels.pop() as Parcel))
      },
      async () => timesOf(CALLS, () => timeOfSignal(control)),
    )
    return [roundTripFigure("carrier's webhook in", pairs)]
  } finally {
    await client.end()
    await control.stop()
    await shop.close()
  }
}

interface Parcel {
  readonly shipmentId: string
  readonly trackingNumber: string
}

/** Buys as many orders as there are calls, and waits until their parcels have left. Nothing else is told of these. */
async function sendParcels(
  shop: Shop,
  client: Client,
  { skus, warehouseId }: { skus: string[]; warehouseId: string },
): Promise<Parcel[]> {
  const carts = await fillCarts(shop, skus, CALLS)
  await calls(CALLERS, CALLS, () => shop.buy(takeCart(carts), 'sandbox:vanished'))
  for (const giveUp = Date.now() + GIVE_UP_MS; ; ) {
    const { rows } = await client.query<Parcel>({
      name: 'sent',
      text: `
        select s.id as "shipmentId", l.tracking_number as "trackingNumber"
        from shipment s
        join label l on l.shipment_id = s.id and l.status = 'live'
        where s.warehouse_id = $1 and s.status = 'shipped'`,
      values: [warehouseId],
    })
    if (rows.length === CALLS) {
      await pause(FOLLOW_UP_MS)
      return rows
    }
    if (Date.now() > giveUp) throw new Error(`Of ${CALLS} parcels ${rows.length} have left.`)
    await pause(SENT_POLL_MS)
  }
}

/** Milliseconds from the sending of the webhook. */
async function timeOfWebhook(stack: Stack, client: Client, { shipmentId, trackingNumber }: Parcel): Promise<number> {
  const { body, headers } = delivered(trackingNumber, stack.secrets.carrierWebhook)
  const begun = performance.now()
  const answer = await request(`${stack.file.api}/webhooks/carriers/sandbox`, { method: 'POST', headers, body })
  await answer.body.dump()
  if (answer.statusCode !== 204) throw new Error(`webhook: ${answer.statusCode}`)
  while (!(await isDelivered(client, shipmentId))) await pause(POLL_MS)
  return performance.now() - begun
}

/** As the sandbox carrier tells it. */
function delivered(trackingNumber: string, secret: string): { body: string; headers: Record<string, string> } {
  const [id, at] = [`evt_${randomUUID().replaceAll('-', '')}`, new Date()]
  const event = { type: 'delivered', happened_at: at.toISOString(), detail: null, expected_at: null }
  const body = JSON.stringify({
    id,
    type: 'tracking.updated',
    tracking: { id, tracking_number: trackingNumber, ...event },
  })
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  }
  return { body, headers }
}

async function isDelivered(client: Client, shipmentId: string): Promise<boolean> {
  const { rows } = await client.query<{ status: string }>({
    name: 'status',
    text: 'select status from shipment where id = $1',
    values: [shipmentId],
  })
  return rows[0]?.status === 'delivered'
}
