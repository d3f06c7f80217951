import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from './client'

/** The people of the warehouse that does nothing by itself: they pick, pack, label and hand over, and book what they receive. */

export interface ShownShipment {
  readonly id: string
  readonly order_id: string
  readonly warehouse_id: string
  readonly status: string
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[]
  readonly replaces: string | null
  readonly tracking_number: string | null
}

export interface Warehouse {
  readonly client: Client
  /** Tells the keys of this replay from those of others. */
  readonly run: string
  /** Its id. */
  readonly warehouseId: string
  readonly done: WarehouseBook
}

/** What its people did to stock, in units by SKU. */
export class WarehouseBook {
  readonly received = new Map<string, number>()
  readonly missed = new Map<string, number>()
  /** Invoices of which a unit was not on its shelf. */
  readonly short = new Set<string>()
  receipts = 0

  receive(lines: readonly { sku: string; quantity: number }[]): void {
    this.receipts++
    for (const { sku, quantity } of lines) add(this.received, sku, quantity)
  }

  miss(invoice: string, sku: string): void {
    this.short.add(invoice)
    add(this.missed, sku, 1)
  }
}

interface ToSend {
  readonly id: string
  readonly invoice: string
  /** One unit of this SKU is not on its shelf when it is picked first; null: all is there. */
  readonly short: string | null
}

const POLL_MS = 300
/** Longer than the provider and the carrier are away. */
const SENT_MS = 240_000

/**
 * Sends what the warehouse has of an order. What is waited for since it was not on its shelf is received, and sent as well.
 * Throws when the shop refuses a step, or that takes too long.
 */
export async function sendGoods(warehouse: Warehouse, order: ToSend): Promise<void> {
  const { client, warehouseId } = warehouse
  const begun = Date.now()
  for (;;) {
    const shipments = await shipmentsOf(client, order.id)
    const open = shipments.filter((one) => one.warehouse_id === warehouseId && one.status in NEXT_STEPS)
    for (const shipment of open) await moveOn(warehouse, shipment, order)
    const mayWait = warehouse.done.short.has(order.invoice)
    if (open.length === 0 && !(mayWait && (await receiveMissing(warehouse, order)))) return
    if (Date.now() - begun > SENT_MS)
      throw new Error(`${order.id} is not sent: ${open.map(({ id, status }) => `${id} is ${status}`).join(', ')}`)
    if (!open.some(({ status }) => status === 'allocated' || status === 'picking')) await delay(POLL_MS)
  }
}

export async function shipmentsOf(client: Client, orderId: string): Promise<readonly ShownShipment[]> {
  const path = `/v1/admin/shipments?order_id=${orderId}&limit=100`
  return (await client.json<{ data: ShownShipment[] }>('GET', path, { expected: [200] })).data
}

/** Books a delivery of these units; `reference` is the delivery's own number. */
export async function receive(
  { client, run, warehouseId, done }: Warehouse,
  reference: string,
  lines: readonly { readonly sku: string; readonly quantity: number }[],
): Promise<void> {
  const body = { warehouse_id: warehouseId, reference: `${run}-${reference}`, lines }
  await client.json('POST', '/v1/admin/inventory/receipts', { body, expected: [201] })
  done.receive(lines)
}

const NEXT_STEPS: Readonly<Record<string, 'pick' | 'pack' | 'label' | 'ship'>> = {
  allocated: 'pick',
  picking: 'pack',
  packed: 'label',
  labelled: 'ship',
}

/** One step after another, as long as each is done at once. */
async function moveOn(warehouse: Warehouse, shipment: ShownShipment, order: ToSend): Promise<void> {
  let current = shipment
  for (;;) {
    const step = NEXT_STEPS[current.status]
    if (step === undefined) return
    const next = await take(warehouse, step, current, order)
    if (next === null || next.status === current.status) return
    current = next
  }
}

/** Null: it is not done yet. */
async function take(
  { client, run, done }: Warehouse,
  step: string,
  { id, lines, replaces }: ShownShipment,
  { invoice, short }: ToSend,
): Promise<ShownShipment | null> {
  const isFirst = step === 'pick' && replaces === null && !done.short.has(invoice)
  const missing = isFirst && lines.some(({ sku }) => sku === short) ? short : null
  const picked = lines.map(({ sku, quantity }) => ({ sku, quantity: sku === missing ? quantity - 1 : quantity }))
  const path = `/v1/admin/shipments/${id}/${step}`
  const body = missing === null ? {} : { lines: picked }
  const { status, text } = await client.call('POST', path, { body, key: `${run}-${id}-${step}` })
  if (status === 202) return null
  if (status !== 200) throw new Error(`${path} was answered ${status}: ${text.slice(0, 500)}`)
  if (missing !== null) done.miss(invoice, missing)
  return JSON.parse(text) as ShownShipment
}

interface ShownUnits {
  readonly status: string
  readonly lines: readonly {
    readonly sku: string
    readonly quantity: number
    readonly cancelled: number
    readonly shipped: number
  }[]
  readonly shipments: readonly ShownShipment[]
}

/** True while units of the order lie in no shipment: they wait for stock, and are received now. */
async function receiveMissing(warehouse: Warehouse, { id, invoice }: ToSend): Promise<boolean> {
  const order = await warehouse.client.json<ShownUnits>('GET', `/v1/admin/orders/${id}`, { expected: [200] })
  const inside = order.shipments.filter(({ status, replaces }) => status in NEXT_STEPS && replaces === null)
  const waiting = order.lines
    .map(({ sku, quantity, cancelled, shipped }) => ({
      sku,
      quantity: quantity - cancelled - shipped - unitsOf(inside, sku),
    }))
    .filter(({ quantity }) => quantity > 0)
  if (waiting.length === 0) return inside.some(({ warehouse_id: place }) => place === warehouse.warehouseId)
  await receive(warehouse, `${invoice}-missing-${warehouse.done.receipts}`, waiting)
  return true
}

function unitsOf(shipments: readonly ShownShipment[], sku: string): number {
  return shipments
    .flatMap(({ lines }) => lines)
    .reduce((units, line) => (line.sku === sku ? units + line.quantity : units), 0)
}

export function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
