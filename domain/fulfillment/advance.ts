import type { Books } from '../payment/books'
import { cancelLater, endShipment } from './cancelling'
import { settle } from './commands'
import type { Goods } from './goods'
import { claimLabel, labelsOf } from './labels'
import { followLeft, leave, letLeave } from './leaving'
import { moveOn, nextLook } from './order-progress'
import { settlePaidBack } from './parcel-decisions'
import { captureOf, isCovered } from './parcel-money'
import { postpone } from './patience'
import { pack, pick } from './picking'
import type { ShipmentBook } from './rows'
import { hasLeft, isInside } from './shipment'

/**
 * Does all that can be done now without asking anybody outside: the demo's warehouses work, parcels whose money was
 * captured leave, an order whose return window is over is complete.
 */
export function advance(goods: Goods, books: Books): void {
  bringOn(goods, books)
  // A parcel that has lost units is packed anew.
  if (endCommands(goods, books)) {
    bringOn(goods, books)
    endCommands(goods, books)
  }
  for (const { id, status } of goods.shipments) if (status === 'cancelled') books.dropRefused(id)
  // Nothing waits for stock any more, or nobody will send it.
  if (goods.backOrders.length === 0 || !goods.isAlive) goods.order.shortAskAt = null
  goods.order.lookAt = nextLook(goods)
}

function bringOn(goods: Goods, books: Books): void {
  const { order, shipments } = goods
  if (goods.isAlive) {
    for (const shipment of shipments) if (shipment.operation !== 'manual') work(goods, shipment, books)
    for (const shipment of shipments) followLeft(goods, shipment, books)
    for (const shipment of shipments) if (shipment.isLeaving) leave(goods, shipment, books)
    for (const shipment of shipments) noteSilence(goods, shipment)
    // It had begun while the order was on hold.
    if (shipments.some(({ status }) => status !== 'allocated' && status !== 'cancelled')) goods.begin()
    settlePaidBack(goods, books)
    moveOn(goods)
  } else if (order.status === 'cancelled')
    for (const shipment of goods.originals) if (isInside(shipment.status)) endShipment(goods, shipment, 'cancelled')
}

/**
 * The demo's warehouse picks and packs all at once, and hands the parcel over as soon as it may. A system of the warehouse's own
 * is told to pack, and tells what it did; its parcels are labelled and paid in between.
 */
function work(goods: Goods, shipment: ShipmentBook, books: Books): void {
  if (!isInside(shipment.status) || shipment.trouble !== null) return
  if (shipment.operation === 'external') {
    if (shipment.status === 'allocated' && !goods.isHeld && goods.messages.revisionOf(shipment.id) === 0) {
      goods.messages.pack(shipment)
      postpone(shipment, goods.context.now)
    }
  } else if (shipment.status === 'allocated') {
    if (!goods.isDue(shipment.dueAt)) return
    pick(goods, shipment.id, null)
  }
  if (shipment.status === 'picking' && shipment.operation === 'automatic') pack(goods, shipment.id, null)
  const wasRefused = labelsOf(goods, shipment).at(-1)?.status === 'refused'
  if (shipment.status === 'packed' && !wasRefused) claimLabel(goods, shipment.id, { carrier: null, service: null })
  // After a refused capture a person decides, and it goes on once the money is there.
  if (shipment.status !== 'labelled' || shipment.isLeaving || goods.isHeld) return
  const claimed = captureOf(shipment, books)?.status
  const isUndecided = claimed === 'pending' || claimed === 'failed' || shipment.needsDecision
  if (!isUndecided || isCovered(goods, shipment, books)) letLeave(shipment)
}

/** A warehouse or a carrier that is late becomes a case. */
function noteSilence(goods: Goods, shipment: ShipmentBook): void {
  if (shipment.dueAt === null || !goods.isDue(shipment.dueAt) || shipment.needsDecision) return
  if (shipment.operation === 'automatic' && shipment.status === 'allocated') return
  if (isInside(shipment.status) && goods.isHeld) return
  shipment.needsDecision = true
}

/** What was asked for and depends on others is answered once they are done. True when units may have been cancelled. */
function endCommands(goods: Goods, books: Books): boolean {
  let isCancelled = false
  for (const command of goods.commands) {
    if (command.state !== 'pending') continue
    if (command.detail !== null) isCancelled = cancelLater(goods, command, command.detail, books) || isCancelled
    if (command.shipmentId === null) continue
    const { status } = goods.shipment(command.shipmentId)
    if (command.kind === 'ship' && hasLeft(status)) settle(command, null)
    else if (command.kind !== 'cancel' && (status === 'cancelled' || !goods.isAlive))
      settle(command, 'shipment_cancelled')
  }
  return isCancelled
}
