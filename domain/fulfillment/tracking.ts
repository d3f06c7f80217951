import type { LabelId } from '../ids'
import type { Books } from '../payment/books'
import { type Goods, trouble } from './goods'
import { leaveUnasked, ship } from './leaving'
import { moveOn, nextLook } from './order-progress'
import { hoursAfter } from './patience'
import { closeOthers, isMadeGood } from './replacement'
import type { LabelBook, ShipmentBook } from './rows'
import { isArrival, isInside, SHIPMENT_TRANSITIONS, type TrackingType } from './shipment'
import { countOf } from './units'

/** What carriers tell of parcels. */

export interface ToldOfParcel {
  readonly type: TrackingType
  /** RFC 3339. */
  readonly happenedAt: string
  readonly expectedAt: string | null
}

/**
 * What its carrier tells of the parcel that goes by a label, whatever the order in which it does. False: its shipment has not
 * left yet, as far as we know, and the events are to come again.
 */
export function observe(goods: Goods, labelId: LabelId, events: readonly ToldOfParcel[], books: Books): boolean {
  const label = goods.label(labelId)
  const shipment = goods.shipment(label.shipmentId)
  if (label.status !== 'live' || shipment.status === 'cancelled') {
    noteStray(goods, label, shipment)
    return true
  }
  if (isInside(shipment.status)) {
    // One that was released has left, although its warehouse has not said so yet.
    if (shipment.releasedAt !== null) ship(goods, shipment, books)
    else {
      leaveUnasked(goods, shipment, books)
      return false
    }
  }
  for (const { type, happenedAt, expectedAt } of [...events].sort((a, b) => compare(a.happenedAt, b.happenedAt))) {
    shipment.expectedAt = expectedAt ?? shipment.expectedAt
    if (isArrival(type)) arrive(goods, shipment, type, happenedAt)
  }
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
  return true
}

/** Nothing was to go by this label: what has left, for whom, and where it ends, a person has to find out. Once for each label. */
function noteStray(goods: Goods, label: LabelBook, shipment: ShipmentBook): void {
  if (label.leftAt !== null) return
  label.leftAt = goods.context.now.toISOString()
  trouble(shipment, 'left')
  goods.tell('shipment.left_unasked', { shipment_id: shipment.id })
}

const ARRIVED = { delivered: 'shipment.delivered', lost: 'shipment.lost', returned: 'shipment.returned' } as const

/** Its carrier is asked so long afterwards whether a lost parcel has turned up. */
const LOST_ASK_HOURS = 7 * 24

function arrive(goods: Goods, shipment: ShipmentBook, to: keyof typeof ARRIVED, at: string): void {
  if (!SHIPMENT_TRANSITIONS[shipment.status].includes(to)) return
  const now = goods.context.now.toISOString()
  // A clock that is ahead must not keep the order open.
  shipment.endedAt = at < now ? at : now
  shipment.settledAt = null
  shipment.askAt = to === 'lost' ? hoursAfter(goods.context.now, LOST_ASK_HOURS) : null
  shipment.dueAt = null
  if (to !== 'delivered') shipment.trouble = null
  goods.move(shipment, to, ARRIVED[to])
  shipment.needsDecision = to === 'delivered' ? shipment.trouble !== null : !isMadeGood(goods, shipment)
  if (to !== 'delivered') return
  countDelivered(goods, shipment)
  closeOthers(goods, shipment)
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
