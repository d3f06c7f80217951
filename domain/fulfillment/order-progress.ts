import type { ShipmentId } from '../ids'
import { sum } from '../money'
import type { Goods } from './goods'
import { hoursAfter } from './patience'
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
    order.heldFor = []
    order.heldFrom = null
    goods.become('processing', 'order.resumed', { cause, reason_code: 'all_shipped' })
  }
  if (order.status === 'confirmed') goods.become('processing', 'order.processing')
  if (order.status === 'processing') goods.become('shipped', 'order.shipped')
  if (order.status === 'shipped' && isAllThere(goods)) {
    const { now, returnWindowDays } = goods.context
    order.deliveredAt = now.toISOString()
    order.completesAt = hoursAfter(now, returnWindowDays * 24)
    goods.become('delivered', 'order.delivered')
  }
  if (order.status === 'delivered' && goods.isDue(order.completesAt) && isAllThere(goods))
    goods.become('completed', 'order.completed')
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

/** Nothing is on its way, and nobody has to decide about what is lost or came back. */
function isAllThere({ shipments }: Goods): boolean {
  const isReplaced = (id: ShipmentId): boolean =>
    shipments.some(({ replaces, status }) => replaces === id && status !== 'cancelled')
  return shipments.every(({ id, status, needsDecision }) => {
    if (status === 'delivered' || status === 'cancelled') return true
    return (status === 'lost' || status === 'returned') && (isReplaced(id) || !needsDecision)
  })
}

/** When the next thing is due that nobody tells of. */
export function nextLook(goods: Goods): string | null {
  if (!goods.isAlive) return null
  const times = goods.shipments
    .filter(({ needsDecision, status }) => !needsDecision && !(isInside(status) && goods.isHeld))
    .map(({ dueAt }) => dueAt)
    .concat(goods.order.status === 'delivered' && isAllThere(goods) ? [goods.order.completesAt] : [])
  return times.reduce((first, at) => (first === null || (at !== null && at < first) ? at : first), null)
}
