import type { Goods } from './goods'
import type { ShipmentBook } from './rows'
import { isInside } from './shipment'

/** Parcels that are sent in the place of lost or returned ones: of all that carry the same units the customer needs one. */

/** Nobody has to decide about a lost or returned parcel: another one with its units has arrived, may arrive, or was settled. */
export function isMadeGood(goods: Goods, parcel: ShipmentBook): boolean {
  return othersOf(goods, parcel).some(
    ({ status, settledAt }) => status !== 'cancelled' && (mayArrive(status) || settledAt !== null),
  )
}

/** Its units are with the customer, or settled with them. */
export function isAnswered(goods: Goods, parcel: ShipmentBook): boolean {
  return [parcel, ...othersOf(goods, parcel)].some(
    ({ status, settledAt }) => status === 'delivered' || settledAt !== null,
  )
}

/** The lost or returned one in whose place a parcel was to be sent, when that is not made good any more. */
export function unreplaced(goods: Goods, parcel: ShipmentBook): ShipmentBook | null {
  const lost = othersOf(goods, parcel).findLast(({ status }) => isGone(status))
  return lost === undefined || isMadeGood(goods, lost) ? null : lost
}

/** It has arrived: nobody has to decide about those that were lost, or came back, meanwhile. */
export function closeOthers(goods: Goods, parcel: ShipmentBook): void {
  for (const other of othersOf(goods, parcel)) if (isGone(other.status)) closeDecision(other)
}

export function closeDecision(parcel: ShipmentBook): void {
  parcel.needsDecision = false
  parcel.dueAt = null
}

/** Lost, or back: its units are not on their way to the customer. */
export function isGone(status: ShipmentBook['status']): boolean {
  return status === 'lost' || status === 'returned'
}

function mayArrive(status: ShipmentBook['status']): boolean {
  return isInside(status) || status === 'shipped' || status === 'delivered'
}

/** By their numbers. */
function othersOf({ shipments }: Goods, { id, replaces }: ShipmentBook): readonly ShipmentBook[] {
  const first = replaces ?? id
  return shipments
    .filter((each) => each.id !== id && (each.replaces ?? each.id) === first)
    .sort((a, b) => a.number - b.number)
}
