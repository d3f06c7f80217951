import type { ShipmentId } from '../ids'
import type { Books } from '../payment/books'
import type { Goods } from './goods'
import { letLeave, ship } from './leaving'
import { moveOn, nextLook } from './order-progress'
import { hoursAfter } from './patience'
import type { ShipmentBook } from './rows'
import { isInside, SHIPMENT_TRANSITIONS, type TrackingType } from './shipment'
import { countOf } from './units'

/** What carriers tell of parcels. */

/** Its carrier has it. One that was released has left, although its warehouse has not said so yet. */
export function noticeLeft(goods: Goods, id: ShipmentId, books: Books): void {
  const shipment = goods.shipment(id)
  if (isInside(shipment.status) && shipment.releasedAt !== null && goods.isAlive) ship(goods, shipment, books)
}

/** What its carrier tells of a parcel, whatever the order in which it does. False: it has not left yet, as far as we know. */
export function observe(
  goods: Goods,
  id: ShipmentId,
  events: readonly { type: TrackingType; happenedAt: string; expectedAt: string | null }[],
): boolean {
  const shipment = goods.shipment(id)
  if (isInside(shipment.status)) {
    // It has left without being asked for: its money is taken at once.
    if (shipment.status === 'labelled' && goods.isAlive && !shipment.isLeaving) {
      goods.tell('shipment.left_unasked', { shipment_id: id })
      letLeave(shipment)
    }
    return false
  }
  for (const { type, happenedAt, expectedAt } of [...events].sort((a, b) => compare(a.happenedAt, b.happenedAt))) {
    shipment.expectedAt = expectedAt ?? shipment.expectedAt
    if (type === 'delivered' || type === 'lost' || type === 'returned') arrive(goods, shipment, type, happenedAt)
  }
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
  return true
}

const ARRIVED = { delivered: 'shipment.delivered', lost: 'shipment.lost', returned: 'shipment.returned' } as const

/** Its carrier is asked so long afterwards whether a lost parcel has turned up. */
const LOST_ASK_HOURS = 7 * 24

function arrive(goods: Goods, shipment: ShipmentBook, to: keyof typeof ARRIVED, at: string): void {
  if (!SHIPMENT_TRANSITIONS[shipment.status].includes(to)) return
  shipment.endedAt = at
  shipment.askAt = to === 'lost' ? hoursAfter(goods.context.now, LOST_ASK_HOURS) : null
  shipment.dueAt = null
  if (to !== 'delivered') shipment.trouble = null
  shipment.needsDecision = to !== 'delivered' || shipment.trouble !== null
  goods.move(shipment, to, ARRIVED[to])
  if (to === 'delivered') countDelivered(goods, shipment)
}

/** Units that were sent twice, because a parcel was lost, are delivered once. */
function countDelivered({ shipments, lines }: Goods, shipment: ShipmentBook): void {
  const of = shipment.replaces ?? shipment.id
  const isCounted = shipments.some(
    (each) => each.status === 'delivered' && each.id !== shipment.id && (each.replaces ?? each.id) === of,
  )
  if (!isCounted) for (const line of lines) line.delivered += countOf(shipment.lines, line.sku)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
