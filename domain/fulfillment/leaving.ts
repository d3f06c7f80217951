import type { ShipmentId } from '../ids'
import type { Books } from '../payment/books'
import { answer } from './commands'
import { type Goods, type StepOutcome, trouble } from './goods'
import { moveOn } from './order-progress'
import { captureOf, claimCapture, isCovered, recognize } from './parcel-money'
import { parcelDue, warehouseDue } from './patience'
import type { ShipmentBook } from './rows'
import { hasLeft, isInside } from './shipment'

/** How a parcel leaves: what it costs is captured, its warehouse may let it go, it has left. */

/** Staff hand the parcel over. Of one that its warehouse was told to let leave they say so that it has left. */
export function handOver(goods: Goods, id: ShipmentId, books: Books): StepOutcome {
  const shipment = goods.shipment(id)
  const isReleased = isInside(shipment.status) && shipment.releasedAt !== null && goods.isAlive
  if (!isReleased) return wantToShip(goods, id)
  ship(goods, shipment, books)
  return 'done'
}

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

/**
 * It has left, and nobody had sent for it: that is recorded once, and its money is taken at once. A system of the warehouse's own
 * was to wait for its release: a person has to ask why it did not.
 */
export function leaveUnasked(goods: Goods, shipment: ShipmentBook, books: Books): void {
  if (shipment.leftAt !== null) return
  if (shipment.operation === 'external') {
    trouble(shipment, 'left')
    goods.messages.end(shipment.id)
  } else if (shipment.isLeaving) return
  shipment.leftAt = goods.context.now.toISOString()
  goods.tell('shipment.left_unasked', { shipment_id: shipment.id })
  if (shipment.status !== 'labelled' || shipment.isLeaving) return
  // Of money that was refused before a person decides: it is not asked for anew by itself.
  if (captureOf(shipment, books)?.status === 'failed') trouble(shipment, 'left')
  else letLeave(shipment)
}

/** Of one that has left: it is sent in the books, too, once its money is there, however that came. */
export function followLeft(goods: Goods, shipment: ShipmentBook, books: Books): void {
  if (shipment.leftAt === null || shipment.status !== 'labelled' || shipment.isLeaving) return
  if (shipment.replaces !== null || isCovered(goods, shipment, books)) letLeave(shipment)
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
  if (claimed?.status === 'failed') return void stay(goods, shipment)
  if (claimed?.status === 'pending') return
  const claim = claimCapture(goods, shipment, books)
  if (claim === 'held' || claim === 'waiting') return
  if (claim !== 'nothing_authorized') shipment.captureId = claim.id
  // Where nobody hears it as an answer, a person is asked: of a capture that is refused the money's own case asks.
  else if (!stay(goods, shipment)) shipment.needsDecision = true
}

/** The money is not to be had: the parcel stays. True when somebody waited for an answer. */
function stay(goods: Goods, shipment: ShipmentBook): boolean {
  shipment.isLeaving = false
  const isAnswered = answer(goods, 'ship', shipment.id, 'capture_failed')
  // Somebody looks at it now. What only comes again by itself puts nothing off.
  if (isAnswered || shipment.captureId !== null) shipment.dueAt = warehouseDue(goods.context.now)
  // It is gone, and not paid for.
  if (shipment.leftAt !== null) trouble(shipment, 'left')
  goods.tell('shipment.kept', { shipment_id: shipment.id })
  return isAnswered
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
