import { sum } from '../money'
import type { Goods } from './goods'
import { hoursAfter } from './patience'
import { isAnswered, isGone } from './replacement'
import type { ShipmentBook } from './rows'
import { type FulfillmentStatus, hasLeft, isInside } from './shipment'

/** How far the order is, by its units, and when it is to be looked at again. */

/** The order follows its units, one event a step. */
export function moveOn(goods: Goods): void {
  const { order, lines } = goods
  const shipped = sum(lines.map((line) => line.shipped))
  const left = sum(lines.map((line) => line.quantity - line.cancelled - line.shipped))
  order.fulfillmentStatus = fulfillmentStatus(goods, shipped, left)
  if (shipped === 0 || left > 0) return
  if (order.status === 'on_hold') {
    const [cause] = order.heldFor
    const from = order.heldFrom ?? 'processing'
    order.heldFor = []
    order.heldFrom = null
    goods.become(from, 'order.resumed', { cause, reason_code: 'all_shipped' })
  }
  if (order.status === 'confirmed') goods.become('processing', 'order.processing')
  if (order.status === 'processing') goods.become('shipped', 'order.shipped')
  if (order.status === 'shipped' && isAllThere(goods)) {
    arrivedAt(goods, lastArrival(goods) ?? goods.context.now.toISOString())
    goods.become('delivered', 'order.delivered')
  }
  if (order.status !== 'delivered') return
  // One that was settled has turned up: its return window begins then.
  const last = lastArrival(goods)
  if (last !== null && (order.deliveredAt === null || last > order.deliveredAt)) arrivedAt(goods, last)
  if (goods.isDue(order.completesAt) && isAllThere(goods)) {
    for (const shipment of goods.shipments) shipment.askAt = null
    goods.become('completed', 'order.completed')
  }
}

function arrivedAt({ order, context }: Goods, at: string): void {
  order.deliveredAt = at
  order.completesAt = hoursAfter(new Date(at), context.returnWindowDays * 24)
}

/** When the last of its parcels was delivered, as its carrier says; null: none was. */
function lastArrival({ shipments }: Goods): string | null {
  const times = shipments.flatMap(({ status, endedAt }) => (status === 'delivered' && endedAt !== null ? endedAt : []))
  return times.sort().at(-1) ?? null
}

function fulfillmentStatus({ lines, shipments }: Goods, shipped: number, left: number): FulfillmentStatus {
  const delivered = sum(lines.map((line) => line.delivered))
  const sent = shipments.filter(({ status }) => hasLeft(status))
  if (shipped === 0) return 'unfulfilled'
  if (delivered === shipped) return left === 0 ? 'delivered' : 'partially_delivered'
  if (delivered > 0) return 'partially_delivered'
  if (sent.length > 0 && sent.every(({ status }) => status === 'returned')) return 'returned'
  return left === 0 ? 'fulfilled' : 'partially_fulfilled'
}

/** Nothing is on its way, and the units of what is lost or came back were sent once more and arrived, or are settled. */
function isAllThere(goods: Goods): boolean {
  return goods.shipments.every(
    (each) =>
      each.status === 'delivered' || each.status === 'cancelled' || (isGone(each.status) && isAnswered(goods, each)),
  )
}

/** When the next thing is due that nobody tells of. */
export function nextLook(goods: Goods): string | null {
  if (!goods.isAlive) return null
  const times = goods.shipments
    .filter((shipment) => !shipment.needsDecision && !(goods.isHeld && isStopped(shipment)))
    .map(({ dueAt }) => dueAt)
    .concat(goods.order.status === 'delivered' && isAllThere(goods) ? [goods.order.completesAt] : [])
    .concat(goods.isDue(goods.order.shortAskAt) ? [] : [goods.order.shortAskAt])
  return times.reduce((first, at) => (first === null || (at !== null && at < first) ? at : first), null)
}

/** By a hold: a warehouse that works by itself packs all the same, so that people and it do the same. */
function isStopped({ status, operation }: ShipmentBook): boolean {
  return isInside(status) && !(operation === 'automatic' && status === 'allocated')
}
