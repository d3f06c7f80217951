import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { AUTOMATIC_SECONDS } from '../../db/fulfillment/plan'
import type { ShipmentStatus } from '../../domain/fulfillment/shipment'
import type { Answer, Client } from './client'
import type { GoodsScript, Step } from './matrix'
import type { Random } from './random'

/** A confirmed order, and the people of the warehouses that send it. */
export interface OrderToSend {
  readonly id: string
  readonly lines: readonly Units[]
  readonly random: Random
  /** Of the staff; what it was told the oracle reads. */
  readonly staff: Client
  readonly adminKey: string
  /** Where people work. Of all others the shipments move on by themselves. */
  readonly places: { readonly main: string; readonly spare: string }
  cancelAsCustomer(): Promise<unknown>
  /** To another house in the same street. */
  moveAsCustomer(): Promise<unknown>
  /** Tells that the order now comes to these steps. */
  reached(...steps: Step[]): Promise<void>
}

interface Units {
  readonly sku: string
  readonly quantity: number
}

interface Shipment {
  readonly id: string
  readonly warehouse_id: string
  readonly status: ShipmentStatus
  readonly lines: readonly Units[]
}

interface OrderStands {
  readonly status: string
  readonly updated_at: string
  readonly held_for: readonly string[]
  readonly lines: readonly (Units & { readonly cancelled: number; readonly shipped: number })[]
  readonly shipments: readonly Shipment[]
}

type WarehouseStep = 'pick' | 'pack' | 'label' | 'ship'
/** What is to be done next with a shipment that stands so. */
const NEXT: Partial<Record<ShipmentStatus, WarehouseStep>> = {
  allocated: 'pick',
  picking: 'pack',
  packed: 'label',
  labelled: 'ship',
}
/** To which steps of the matrix that comes. */
const COMES_TO: Readonly<Record<WarehouseStep, readonly Step[]>> = {
  pick: ['pick'],
  pack: ['pack'],
  label: ['label'],
  ship: ['parcel_capture', 'ship', 'track'],
}
const INSIDE = Object.keys(NEXT) as ShipmentStatus[]
const OVER = new Set(['delivered', 'completed', 'cancelled'])

const POLL_MS = 250
/** Also when everything was killed on a busy machine. */
const PATIENCE_MS = 150_000
/** What is refused so often is given up: the rest of the order is cancelled. */
const REFUSALS_MAX = 4
/** Units that lie in no shipment so long wait for stock. */
const MISSING_MS = 3_000
const JUST_BEFORE_MS = 150

/** What happens to the goods of an order before its people just send it. Nobody expects to be let. */
export const GOODS_SCRIPTS: Readonly<Record<GoodsScript, (order: OrderToSend) => Promise<void>>> = {
  async send(order) {
    if (order.random.next() < 0.25) await order.moveAsCustomer()
    await awaitAutomatic(order)
  },

  async send_short(order) {
    const shipments = await ownShipments(order)
    await order.reached('pick')
    for (const { id, lines } of shipments) {
      const found = lines.map(({ sku, quantity }) => ({ sku, quantity: order.random.whole(0, quantity) }))
      await step(order, id, 'pick', { lines: found })
    }
  },

  async send_anew(order) {
    const shipments = await driven(order, order.random.pick(INSIDE))
    await order.reached('route')
    for (const { id } of shipments) await step(order, id, 'cancel')
  },

  async send_held(order) {
    await driven(order, order.random.pick(INSIDE))
    await command(order, 'hold', { reason_code: 'chaos' })
    const [held] = await ownShipments(order)
    const next = held && NEXT[held.status]
    // Nothing is labelled or captured meanwhile; the rest goes on.
    if (next) await step(order, held.id, next)
    await command(order, 'resume', { reason_code: 'chaos' })
  },

  async cancel_sending(order) {
    await driven(order, order.random.pick(INSIDE))
    await cancelSome(order)
    await cancelSome(order)
  },

  async cancel_labelled(order) {
    const shipments = await driven(order, 'labelled')
    await order.reached('cancel_parcel')
    // Now the parcel stands still, and now it is on its way out.
    const leaving = order.random.next() < 0.5 ? shipments : []
    await Promise.all([...leaving.map(({ id }) => step(order, id, 'ship')), cancelSome(order)])
  },

  async race_sending(order) {
    const { random } = order
    const shipments = await driven(order, random.pick(INSIDE))
    const twice = randomUUID()
    const acts: (() => Promise<unknown>)[] = shipments.flatMap(({ id }) => [
      ...(['pick', 'pack', 'label', 'label', 'ship', 'ship'] as const).map((what) => () => step(order, id, what)),
      () => step(order, id, 'ship', {}, twice),
      () => step(order, id, 'ship', {}, twice),
      () => command(order, 'captures', { shipment_id: id }),
      ...(random.next() < 0.5 ? [() => step(order, id, 'cancel')] : []),
    ])
    if (random.next() < 0.5) acts.push(() => cancelSome(order))
    await order.reached('label', 'parcel_capture', 'ship')
    await Promise.all(shuffled(acts, random).map((act) => act()))
  },
}

/**
 * People pick, pack, label and ship whatever of the order lies in their warehouses, until all of it has arrived or was cancelled.
 * Throws when that takes too long.
 */
export async function sendAll(order: OrderToSend): Promise<void> {
  const refusals = new Map<string, number>()
  let missingSince: number | null = null
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(POLL_MS)) {
    const now = await read(order)
    if (OVER.has(now.status)) return
    if (Date.now() > deadline) throw new Error(`${order.id} is still ${inWords(now)}`)
    if (now.held_for.includes('staff')) await command(order, 'resume', { reason_code: 'chaos' })
    for (const { id, status } of now.shipments.filter((each) => isOwn(order, each))) {
      const next = NEXT[status]
      if (!next) continue
      const { body } = await step(order, id, next)
      if (body['code'] !== 'capture_failed' && body['code'] !== 'label_refused') continue
      const count = (refusals.get(id) ?? 0) + 1
      refusals.set(id, count)
      if (count === REFUSALS_MAX) await command(order, 'cancel', { reason_code: 'chaos' })
    }
    const missing = missingIn(now)
    if (missing.length === 0) missingSince = null
    else if (missingSince === null) missingSince = Date.now()
    else if (Date.now() - missingSince > MISSING_MS) {
      await receive(order, missing)
      missingSince = null
    }
  }
}

/** What no warehouse had: it is delivered to the first one. */
async function receive({ staff, adminKey, places }: OrderToSend, lines: readonly Units[]): Promise<void> {
  await staff.send({
    method: 'POST',
    path: '/v1/admin/inventory/receipts',
    adminKey,
    body: { warehouse_id: places.main, reference: randomUUID(), lines },
  })
}

/** Units that are still to be sent and lie in no shipment. */
function missingIn({ lines, shipments }: OrderStands): Units[] {
  const inside = shipments.filter(({ status }) => INSIDE.includes(status)).flatMap((shipment) => shipment.lines)
  return lines
    .map(({ sku, quantity, cancelled, shipped }) => {
      const here = inside.filter((units) => units.sku === sku).reduce((sum, units) => sum + units.quantity, 0)
      return { sku, quantity: quantity - cancelled - shipped - here }
    })
    .filter(({ quantity }) => quantity > 0)
}

/** Moves all shipments of people on until they stand so, or are gone. Answers those that do. */
async function driven(order: OrderToSend, to: ShipmentStatus): Promise<readonly Shipment[]> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await delay(POLL_MS)) {
    const shipments = await ownShipments(order)
    const behind = shipments.filter(({ status }) => INSIDE.indexOf(status) < INSIDE.indexOf(to))
    if (behind.length === 0) return shipments
    for (const { id, status } of behind) {
      const next = NEXT[status]
      const { body } = next ? await step(order, id, next) : { body: {} as Answer['body'] }
      // No label is to be had: it stays where it is.
      if (body['code'] === 'label_refused') return shipments
    }
  }
  return []
}

/** Those that people send, and that have not left; as soon as there are any. None when the order is over before. */
async function ownShipments(order: OrderToSend): Promise<readonly Shipment[]> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await delay(POLL_MS)) {
    const now = await read(order)
    const own = now.shipments.filter((each) => isOwn(order, each))
    const inside = own.filter(({ status }) => INSIDE.includes(status))
    if (inside.length > 0 || own.length > 0 || OVER.has(now.status)) return inside
  }
  return []
}

/** An automatic warehouse begins by itself: its steps are reached then. */
async function awaitAutomatic(order: OrderToSend): Promise<void> {
  const { updated_at, shipments } = await planned(order)
  if (shipments.length === 0 || shipments.some((each) => isOwn(order, each))) return
  await delay(Math.max(0, Date.parse(updated_at) + AUTOMATIC_SECONDS * 1_000 - JUST_BEFORE_MS - Date.now()))
  await order.reached(...Object.values(COMES_TO).flat())
}

async function planned(order: OrderToSend): Promise<OrderStands> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(POLL_MS)) {
    const now = await read(order)
    if (now.shipments.length > 0 || OVER.has(now.status) || Date.now() > deadline) return now
  }
}

/** The whole order, by its buyer or by staff, or some units of a line. */
async function cancelSome(order: OrderToSend): Promise<unknown> {
  const { random, lines } = order
  const chance = random.next()
  if (chance < 0.25) return order.cancelAsCustomer()
  if (chance < 0.5) return command(order, 'cancel', { reason_code: 'chaos' })
  const { sku, quantity } = random.pick(lines)
  return command(order, 'cancel', {
    reason_code: 'chaos',
    lines: [{ sku, quantity: random.whole(1, quantity) }],
  })
}

async function step(
  order: OrderToSend,
  shipmentId: string,
  what: WarehouseStep | 'cancel',
  body: object = {},
  key = randomUUID(),
): Promise<Answer> {
  if (what !== 'cancel') await order.reached(...COMES_TO[what])
  const path = `/v1/admin/shipments/${shipmentId}/${what}`
  return order.staff.send({ method: 'POST', path, adminKey: order.adminKey, key, body })
}

function command({ id, staff, adminKey }: OrderToSend, what: string, body: object): Promise<Answer> {
  return staff.send({ method: 'POST', path: `/v1/admin/orders/${id}/${what}`, adminKey, key: randomUUID(), body })
}

async function read({ id, staff, adminKey }: OrderToSend): Promise<OrderStands> {
  const { body } = await staff.send({ method: 'GET', path: `/v1/admin/orders/${id}`, adminKey })
  return body as unknown as OrderStands
}

function isOwn({ places }: OrderToSend, { warehouse_id }: Shipment): boolean {
  return warehouse_id === places.main || warehouse_id === places.spare
}

function inWords({ status, held_for, shipments }: OrderStands): string {
  const parcels = shipments.map(({ id, status: stands }) => `${id} ${stands}`)
  return [status, ...held_for, ...parcels].join(', ')
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map((value) => ({ value, turn: random.next() }))
    .sort((a, b) => a.turn - b.turn)
    .map(({ value }) => value)
}
