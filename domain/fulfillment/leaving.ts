import type { ShipmentId } from '../ids'
import type { Books } from '../payment/books'
import { answer } from './commands'
import { type Goods, type StepOutcome, trouble } from './goods'
import { moveOn } from './order-progress'
import { captureOf, claimCapture, isCovered, recognize } from './parcel-money'
import { parcelDue, warehouseDue } from './patience'
import type { ShipmentBook } from './rows'
import { hasLeft } from './shipment'

/** How a parcel leaves: what it costs is captured, its warehouse may let it go, it has left. */

/** The parcel is to leave: what it costs is captured first. */
export function wantToShip(goods: Goods, id: ShipmentId): StepOutcome {
  const shipment = goods.shipment(id)
  if (hasLeft(shipment.status)) return 'unchanged'
  if (shipment.status !== 'labelled' || !goods.isAlive) return { refused: 'invalid_state' }
  if (shipment.isLeaving) return 'unchanged'
  if (goods.isHeld) return { refused: 'order_on_hold' }
  letLeave(shipment)
  return 'done'
}

export function letLeave(shipment: ShipmentBook): void {
  shipment.isLeaving = true
  shipment.captureId = null
}

/** Sends it once its money was captured; claims that first. */
export function leave(goods: Goods, shipment: ShipmentBook, books: Books): void {
  if (shipment.releasedAt !== null) return
  if (shipment.replaces === null && !isCovered(goods, shipment, books)) return claimFirst(goods, shipment, books)
  if (shipment.operation !== 'external' || shipment.leftAt !== null) ship(goods, shipment, books)
  else if (shipment.trouble === 'refused') shipment.isLeaving = false
  else release(goods, shipment)
}

function claimFirst(goods: Goods, shipment: ShipmentBook, books: Books): void {
  const claimed = captureOf(shipment, books)
  if (claimed?.status === 'failed') return stay(goods, shipment)
  if (claimed?.status === 'pending') return
  const claim = claimCapture(goods, shipment, books)
  if (claim === 'held' || claim === 'waiting') return
  if (claim === 'nothing_authorized') {
    stay(goods, shipment)
    // Nobody waits for an answer there: a person is asked.
    shipment.needsDecision ||= shipment.operation === 'automatic'
    return
  }
  shipment.captureId = claim.id
}

/** The money is not to be had: the parcel stays. */
function stay(goods: Goods, shipment: ShipmentBook): void {
  shipment.isLeaving = false
  shipment.dueAt = warehouseDue(goods.context.now)
  answer(goods, 'ship', shipment.id, 'capture_failed')
  // It is gone, and not paid for.
  if (shipment.leftAt !== null) trouble(shipment, 'left')
  goods.tell('shipment.kept', { shipment_id: shipment.id })
}

/** The warehouse's own system may let it leave, and says when it has. */
function release(goods: Goods, shipment: ShipmentBook): void {
  const { now } = goods.context
  shipment.releasedAt = now.toISOString()
  shipment.dueAt = warehouseDue(now)
  goods.messages.release(shipment)
  goods.tell('shipment.released', { shipment_id: shipment.id })
}

/** It has left its warehouse. */
export function ship(goods: Goods, shipment: ShipmentBook, books: Books): void {
  const { now } = goods.context
  goods.moveStock('ship', shipment, shipment.lines)
  if (shipment.replaces === null) recognize(goods, shipment, books)
  shipment.isLeaving = false
  shipment.needsDecision = shipment.trouble !== null
  goods.messages.end(shipment.id)
  shipment.shippedAt = now.toISOString()
  // Its carrier is asked at once whether it has it, and ever more rarely afterwards, unless it tells.
  shipment.askAt = now.toISOString()
  shipment.dueAt = parcelDue(now, shipment)
  goods.begin()
  goods.move(shipment, 'shipped', 'shipment.shipped', { lines: shipment.lines })
  answer(goods, 'ship', shipment.id, null)
  moveOn(goods)
}
