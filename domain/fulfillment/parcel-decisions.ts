import type { ShipmentId } from '../ids'
import { sum } from '../money'
import type { Books } from '../payment/books'
import { type Goods, nextNumber } from './goods'
import { letLeave } from './leaving'
import { moveOn, nextLook } from './order-progress'
import { postpone, warehouseDue } from './patience'
import { closeDecision, isGone, isMadeGood } from './replacement'
import type { ShipmentBook } from './rows'
import { isInside, type Units } from './shipment'
import { countOf } from './units'

/** What a person decides about a parcel that is lost, came back or does not move. */

/** It is waited for again, and asked about again when it does not come; or settled: the order goes on without it. */
export function decideShipment(goods: Goods, id: ShipmentId, decision: 'wait' | 'settled'): void {
  const shipment = goods.shipment(id)
  // Of one that has left and ought not to have, the warehouse was asked: it is on its way all the same.
  const isSettled = decision === 'settled' && shipment.trouble === null
  if (isInside(shipment.status) && goods.isAlive) askAgain(goods, shipment)
  // What is known of one that is lost or came back is still to be decided then.
  const isOpen = isGone(shipment.status) && shipment.settledAt === null && !isMadeGood(goods, shipment)
  shipment.needsDecision = isOpen && shipment.trouble !== null
  shipment.trouble = null
  if (isSettled && (isGone(shipment.status) || shipment.status === 'shipped')) settleParcel(goods, shipment)
  else if (!isGone(shipment.status) || isOpen) postpone(shipment, goods.context.now)
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
}

/** A warehouse's own system that is silent, or has refused, hears once more what it is to do. */
function askAgain({ messages }: Goods, shipment: ShipmentBook): void {
  if (shipment.leftAt !== null) letLeave(shipment)
  else if (shipment.releasedAt !== null) messages.release(shipment)
  else if (messages.revisionOf(shipment.id) > 0 && shipment.status !== 'labelled') messages.pack(shipment)
}

/** The customer does not wait for it any more. One of which nobody hears is lost; it may turn up all the same. */
function settleParcel(goods: Goods, shipment: ShipmentBook): void {
  if (shipment.settledAt !== null) return
  const now = goods.context.now.toISOString()
  if (shipment.status === 'shipped') {
    shipment.endedAt = now
    goods.move(shipment, 'lost', 'shipment.lost')
  }
  shipment.settledAt = now
  shipment.askAt = null
  closeDecision(shipment)
  goods.tell('shipment.settled', { shipment_id: shipment.id })
}

/**
 * A refund of these units settles the lost and returned parcels whose units they must be: those that hold no SKU of which another
 * unit was sent and is not in it.
 */
export function settleRefunded(goods: Goods, refunded: readonly Units[]): void {
  const isRefunded = ({ lines }: ShipmentBook): boolean =>
    lines.every(({ sku }) => countOf(refunded, sku) >= goods.line(sku).shipped)
  if (!settleAll(goods, isRefunded)) return
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
}

/** All that was taken has gone back, or is on its way: so lost and returned parcels are settled. */
export function settlePaidBack(goods: Goods, { payments }: Books): void {
  const captured = sum(payments.map((payment) => payment.captured))
  const returned = sum(payments.map(({ refunded, refunding }) => refunded + refunding))
  if (captured > 0 && returned >= captured) settleAll(goods, () => true)
}

/** False: there are none. */
function settleAll(goods: Goods, isRefunded: (parcel: ShipmentBook) => boolean): boolean {
  const open = goods.shipments.filter(
    (each) => isGone(each.status) && each.settledAt === null && !isMadeGood(goods, each) && isRefunded(each),
  )
  for (const parcel of open) settleParcel(goods, parcel)
  return open.length > 0
}

/** A lost or returned parcel that nobody has sent once more. */
export function mayReplace(goods: Goods, id: ShipmentId): boolean {
  const { status, needsDecision } = goods.shipment(id)
  return goods.isAlive && needsDecision && isGone(status)
}

/** Sends the units of a lost or returned parcel once more, from stock that was committed to the order for it. */
export function replace(
  goods: Goods,
  id: ShipmentId,
  { warehouseId, operation }: Pick<ShipmentBook, 'warehouseId' | 'operation'>,
): void {
  const { now, newIds } = goods.context
  const lost = goods.shipment(id)
  closeDecision(lost)
  const replacement: ShipmentBook = {
    id: newIds.shipment(),
    number: nextNumber(goods.shipments),
    warehouseId,
    operation,
    status: 'allocated',
    lines: lost.lines,
    replaces: lost.replaces ?? id,
    boxes: null,
    isLeaving: false,
    captureId: null,
    dueAt: operation === 'manual' ? warehouseDue(now) : now.toISOString(),
    askAt: null,
    needsDecision: false,
    releasedAt: null,
    leftAt: null,
    trouble: null,
    expectedAt: null,
    shippedAt: null,
    endedAt: null,
    settledAt: null,
  }
  goods.shipments.push(replacement)
  const data = { warehouse_id: warehouseId, lines: lost.lines, replaces: id }
  goods.move(replacement, 'allocated', 'shipment.allocated', data)
  goods.order.lookAt = nextLook(goods)
}
