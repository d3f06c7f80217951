import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from '../../db/pool'
import { type CommandState, hasLeft, isInside, type ShipmentStatus } from '../../domain/fulfillment/shipment'
import type { History } from './buyer'
import { type JournalLabel, readLabels } from './carrier'
import type { ReceivedAnswer } from './client'
import type { OrderRow } from './money-oracle'

/** Somebody may be in the middle of it: a label is voided after its order was cancelled. */
const PATIENCE_MS = 30_000
const POLL_MS = 500
/** No carrier takes such a label back: our rows give it up. */
const KEEPS = 'sandbox:keeps'
const OVER = new Set(['delivered', 'completed', 'cancelled'])

interface ShipmentRow {
  readonly id: string
  readonly status: ShipmentStatus
  readonly shippedAt: Date | null
  readonly replaces: string | null
}

interface LabelRow {
  readonly key: string
  readonly shipmentId: string
  readonly status: string
  readonly atWork: boolean
}

interface GoodsRows {
  readonly shipments: readonly ShipmentRow[]
  readonly labels: readonly LabelRow[]
  /** Commands that were never answered. */
  readonly pending: readonly string[]
  /** Who cancelled all of it was told that some of it was leaving. */
  readonly isPartlyShipped: boolean
}

/** Compares what people of warehouses, staff and the buyer were told of the goods of an order with what became of them. */
export async function judgeGoods(
  history: History,
  order: OrderRow,
  { pool, carrier }: { pool: Pool; carrier: string },
): Promise<string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(POLL_MS)) {
    const rows = await readGoods(order.id, pool)
    const sold = (await readLabels(carrier)).filter(({ key }) => key.startsWith(`${order.id}/`))
    const faults = [
      ...judgeUnits(history, order, rows),
      ...judgeLabels(history, rows, sold),
      ...judgeAnswers(history, order, rows),
      ...rows.pending.map((command) => `${command} was never answered`),
    ]
    if (faults.length === 0 || Date.now() > deadline) return faults.map((fault) => `${order.id}: ${fault}`)
  }
}

/** What the carrier has sold and not taken back is a label of ours that is live: of all orders together. */
export async function judgeCarrier({ pool, carrier }: { pool: Pool; carrier: string }): Promise<string[]> {
  const live = (await readLabels(carrier)).filter(({ status }) => status === 'live')
  const { rows } = await pool.query<{ key: string }>('select key from label where key = any ($1::text[])', [
    live.map(({ key }) => key),
  ])
  const known = new Set(rows.map(({ key }) => key))
  return live.filter(({ key }) => !known.has(key)).map(({ key }) => `the carrier sold ${key}, which nobody asked for`)
}

/** All of it was sent or cancelled, and what was sent has arrived or was decided about. */
function judgeUnits({ isSent }: History, order: OrderRow, { shipments }: GoodsRows): string[] {
  if (!isSent) return []
  const { status, units, cancelledUnits, shippedUnits } = order
  const inside = shipments.filter((shipment) => isInside(shipment.status))
  return [
    ...(OVER.has(status) ? [] : [`it is ${status}`]),
    ...(cancelledUnits + shippedUnits === units
      ? []
      : [`${cancelledUnits} units were cancelled and ${shippedUnits} sent of ${units}`]),
    ...(status === 'cancelled' && shippedUnits > 0 ? [`it is cancelled, ${shippedUnits} units have left`] : []),
    ...inside.map((shipment) => `it is ${status}, ${shipment.id} is ${shipment.status}`),
  ]
}

/** A parcel that has left has one label, which is used; any other has none. */
function judgeLabels({ plan }: History, { shipments, labels }: GoodsRows, sold: readonly JournalLabel[]): string[] {
  const isLive = (label: LabelRow): boolean => sold.some(({ key, status }) => key === label.key && status === 'live')
  const isUsed = (label: LabelRow): boolean =>
    sold.some(({ key, handed_over_at }) => key === label.key && handed_over_at)
  return [
    ...shipments.flatMap(({ id, status }) => {
      const own = labels.filter(({ shipmentId }) => shipmentId === id)
      const live = own.filter(isLive)
      const ours = own.filter((label) => label.status === 'live')
      if (!hasLeft(status)) {
        const kept = plan.words.includes(KEEPS) ? ours : live
        return isInside(status) || kept.length === 0 ? [] : [`${id} is ${status}, the carrier keeps ${namesOf(kept)}`]
      }
      if (ours.length !== 1) return [`${id} is ${status} with ${ours.length} live labels`]
      const isOne = plan.words.includes(KEEPS) ? isLive(ours[0] as LabelRow) : live.length === 1
      if (!isOne) return [`${id} is ${status}, of its labels the carrier has ${live.length} that are live`]
      return ours.every(isUsed) ? [] : [`${id} is ${status}, the carrier was not given ${namesOf(ours)}`]
    }),
    ...labels.filter(({ atWork }) => atWork).map(({ key, status }) => `label ${key} is still ${status}`),
  ]
}

function namesOf(labels: readonly LabelRow[]): string {
  return labels.map(({ key }) => key).join(', ')
}

function judgeAnswers(
  { staff, client }: History,
  order: OrderRow,
  { shipments, isPartlyShipped }: GoodsRows,
): string[] {
  const told = staff.received.filter(({ request }) => request.path.startsWith('/v1/admin/shipments/'))
  const cancels = [...staff.received, ...client.received].filter(
    ({ request, status }) => request.path.endsWith(`/orders/${order.id}/cancel`) && status === 200,
  )
  const whole = cancels.filter(({ request }) => !(request.body as { lines?: unknown }).lines)
  const since = Math.min(...whole.map(({ at }) => at))
  const late = shipments.filter(
    ({ shippedAt, replaces }) =>
      !isPartlyShipped && replaces === null && shippedAt !== null && shippedAt.getTime() > since,
  )
  return [
    ...told
      .filter(({ request }) => shipments.some(({ id }) => request.path.includes(id)))
      .flatMap((one) => judgeStep(one, shipments)),
    ...late.map(({ id }) => `${id} left after all of it was told to be cancelled`),
  ]
}

/** What was told to have left, or to be undone, is. */
function judgeStep({ request, status, body }: ReceivedAnswer, shipments: readonly ShipmentRow[]): string[] {
  const shipment = shipments.find(({ id }) => request.path.includes(id))
  if (status === 500) return [`POST ${request.path} → 500`]
  if (status !== 200 || !shipment) return []
  const isGone = hasLeft(body['status'] as ShipmentStatus) && !hasLeft(shipment.status)
  const isBack = body['status'] === 'cancelled' && shipment.status !== 'cancelled'
  return isGone || isBack ? [`${shipment.id} was told to be ${String(body['status'])} and is ${shipment.status}`] : []
}

async function readGoods(orderId: string, pool: Pool): Promise<GoodsRows> {
  const shipments = await pool.query<ShipmentRow>(
    'select id, status, shipped_at as "shippedAt", replaces from shipment where order_id = $1',
    [orderId],
  )
  const labels = await pool.query<LabelRow>(
    'select key, shipment_id as "shipmentId", status, at_work as "atWork" from label where order_id = $1',
    [orderId],
  )
  const commands = await pool.query<{ what: string; state: CommandState; code: string | null }>(
    `select concat_ws(' ', kind, id, shipment_id) as what, state, code from order_command where order_id = $1`,
    [orderId],
  )
  return {
    shipments: shipments.rows,
    labels: labels.rows,
    pending: commands.rows.filter(({ state }) => state === 'pending').map(({ what }) => what),
    isPartlyShipped: commands.rows.some(({ code }) => code === 'partly_shipped'),
  }
}
