import type { ShipmentId } from '../ids'
import { type Goods, nextNumber } from './goods'
import { letLeave } from './leaving'
import { moveOn, nextLook } from './order-progress'
import { postpone, warehouseDue } from './patience'
import type { ShipmentBook } from './rows'
import { isInside } from './shipment'

/** What a person decides about a parcel that is lost, came back or does not move. */

/** It is settled, or waited for again. */
export function decideShipment(goods: Goods, id: ShipmentId): void {
  const shipment = goods.shipment(id)
  if (isInside(shipment.status) && goods.isAlive) askAgain(goods, shipment)
  shipment.needsDecision = false
  shipment.trouble = null
  postpone(shipment, goods.context.now)
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
}

/** A warehouse's own system that is silent, or has refused, hears once more what it is to do. */
function askAgain({ messages }: Goods, shipment: ShipmentBook): void {
  if (shipment.leftAt !== null) letLeave(shipment)
  else if (shipment.releasedAt !== null) messages.release(shipment)
  else if (messages.revisionOf(shipment.id) > 0 && shipment.status !== 'labelled') messages.pack(shipment)
}

/** A lost or returned parcel that nobody has sent once more. */
export function mayReplace(goods: Goods, id: ShipmentId): boolean {
  const { status, needsDecision } = goods.shipment(id)
  return goods.isAlive && needsDecision && (status === 'lost' || status === 'returned')
}

/** Sends the units of a lost or returned parcel once more, from stock that was committed to the order for it. */
export function replace(
  goods: Goods,
  id: ShipmentId,
  { warehouseId, operation }: Pick<ShipmentBook, 'warehouseId' | 'operation'>,
): void {
  const { now, newIds } = goods.context
  const lost = goods.shipment(id)
  lost.needsDecision = false
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
  }
  goods.shipments.push(replacement)
  const data = { warehouse_id: warehouseId, lines: lost.lines, replaces: id }
  goods.move(replacement, 'allocated', 'shipment.allocated', data)
  goods.order.lookAt = nextLook(goods)
}
