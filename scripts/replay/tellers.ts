import { inParallel } from './parallel'
import type { Client } from './client'
import type { BoughtOrder } from './money'
import type { ShownShipment } from './warehouse'

/** What became of orders, as those tell it who know of it: the orders themselves, the ledger, the provider, the carrier, the stock. */

/** Money in pence. */
export interface Moved {
  readonly captured: number
  readonly refunded: number
}

export interface ToldOrder {
  readonly status: string
  readonly total: number
  readonly cancelled: number
  readonly order: Moved
  readonly ledger: Moved
  readonly provider: Moved
  readonly lines: readonly ToldLine[]
  readonly shipments: readonly ShownShipment[]
}

interface ToldLine {
  readonly sku: string
  readonly quantity: number
  readonly cancelled: number
  readonly shipped: number
  readonly delivered: number
}

/** A parcel, as its carrier tells: by the number on it. */
export interface ToldParcel {
  readonly orderId: string
  readonly status: 'live' | 'voided'
  readonly wasHandedOver: boolean
  /** The last that happened to it; null: nothing. */
  readonly last: string | null
}

/** Units by SKU that came and went, by cause, of what one replay has caused. */
export type ToldStock = Readonly<Record<'shipment' | 'short_pick' | 'receipt', ReadonlyMap<string, number>>>

const READERS = 8
const NOTHING: Moved = { captured: 0, refunded: 0 }

/** Reads it all from the shop and from the provider, once nothing is in flight. By the id of the order. */
export async function readOrders(
  orders: readonly BoughtOrder[],
  { client, sandbox }: { client: Client; sandbox: string },
): Promise<Map<string, ToldOrder>> {
  const told = new Map<string, ToldOrder>()
  const movements = await readMovements(sandbox)
  await inParallel(orders, READERS, async ({ id }) => {
    const order = await client.json<ShownOrder>('GET', `/v1/admin/orders/${id}`, { expected: [200] })
    const { captured, refunded, total, cancelled } = order.totals
    told.set(id, {
      status: order.status,
      total: total.amount,
      cancelled: cancelled.amount,
      order: { captured: captured.amount, refunded: refunded.amount },
      ledger: ledgerOf(order),
      provider: movements.get(id) ?? NOTHING,
      lines: order.lines,
      shipments: order.shipments,
    })
  })
  return told
}

interface Money {
  readonly amount: number
}

interface ShownOrder {
  readonly status: string
  readonly totals: Readonly<Record<'total' | 'captured' | 'refunded' | 'cancelled', Money>>
  readonly lines: readonly ToldLine[]
  readonly shipments: readonly ShownShipment[]
  readonly ledger: readonly { readonly operation: string; readonly account: string; readonly amount: Money }[]
}

/** What went to the provider's account, and what left it. */
function ledgerOf({ ledger }: ShownOrder): Moved {
  const cleared = ledger.filter(({ account }) => account === 'psp_clearing')
  const of = (isCapture: boolean): number =>
    cleared
      .filter(({ operation }) => (operation === 'capture') === isCapture)
      .reduce((sum, { amount }) => sum + amount.amount, 0)
  return { captured: of(true), refunded: 0 - of(false) }
}

interface Movement {
  readonly reference: string
  readonly type: string
  readonly amount: number
}

async function readMovements(sandbox: string): Promise<Map<string, Moved>> {
  const moved = new Map<string, Moved>()
  for (let after: string | null = '0'; after !== null; ) {
    const page: Page<Movement> = await read(`${sandbox}/v1/movements?limit=1000&after=${after}`)
    for (const { reference, type, amount } of page.data) {
      const { captured, refunded } = moved.get(reference) ?? NOTHING
      const isCapture = type === 'capture'
      moved.set(reference, {
        captured: captured + (isCapture ? amount : 0),
        refunded: refunded - (isCapture ? 0 : amount),
      })
    }
    after = page.next_cursor
  }
  return moved
}

/** All parcels of these orders that the carrier knows of, by their numbers. */
export async function readParcels(
  carrier: string,
  orders: ReadonlyMap<string, ToldOrder>,
): Promise<Map<string, ToldParcel>> {
  const parcels = new Map<string, ToldParcel>()
  const labels: Label[] = []
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const page: Page<Label> = await read(`${carrier}/v1/labels?limit=1000&cursor=${cursor}`)
    labels.push(...page.data.filter(({ key }) => orders.has(orderOf(key))))
    cursor = page.next_cursor
  }
  await inParallel(labels, READERS, async ({ key, status, handed_over_at: handedOverAt, tracking_number: number }) => {
    const told = handedOverAt === null ? null : await read<Tracking>(`${carrier}/v1/tracking/${number}`)
    parcels.set(number, {
      orderId: orderOf(key),
      status,
      wasHandedOver: handedOverAt !== null,
      last: told?.events.at(-1)?.type ?? null,
    })
  })
  return parcels
}

interface Label {
  readonly key: string
  readonly status: 'live' | 'voided'
  readonly tracking_number: string
  readonly handed_over_at: string | null
}

interface Tracking {
  readonly events: readonly { readonly type: string }[]
}

/** A label's key is `<orderId>/label/<n>`. */
function orderOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

/** What moved the stock of these SKUs that was caused by these shipments, or by receipts of this replay. */
export async function readStock(
  client: Client,
  { skus, shipments, run }: { skus: readonly string[]; shipments: ReadonlySet<string>; run: string },
): Promise<ToldStock> {
  const told = { shipment: new Map<string, number>(), short_pick: new Map(), receipt: new Map() }
  await inParallel(skus, READERS, async (sku) => {
    const path = `/v1/admin/inventory/${encodeURIComponent(sku)}/movements?limit=100`
    for (let next = path; next !== ''; ) {
      const page = await client.json<Page<StockMovement>>('GET', next, { expected: [200] })
      for (const { cause, reference, delta } of page.data) {
        const isOurs = cause === 'receipt' ? reference?.startsWith(run) : shipments.has(reference ?? '')
        if (isOurs && cause in told) {
          const units = told[cause as keyof ToldStock]
          units.set(sku, (units.get(sku) ?? 0) + delta)
        }
      }
      next = page.next_cursor === null ? '' : `${path}&cursor=${page.next_cursor}`
    }
  })
  return told
}

interface StockMovement {
  readonly cause: string
  readonly reference: string | null
  readonly delta: number
}

interface Page<T> {
  readonly data: readonly T[]
  readonly next_cursor: string | null
}

async function read<T>(url: string): Promise<T> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${(await answer.text()).slice(0, 500)}`)
  return (await answer.json()) as T
}
