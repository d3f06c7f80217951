import type { CommandId, ShipmentId, Sku } from '../ids'
import { sum } from '../money'
import { decideUnits, type UnitsDecision, type WantedUnits } from '../order'
import type { Books } from '../payment/books'
import { addCommand, answer, settle } from './commands'
import type { Goods, StepOutcome } from './goods'
import { voidLabels } from './labels'
import { moveOn, nextLook } from './order-progress'
import { isClaimed, isLocked } from './parcel-money'
import { unreplaced } from './replacement'
import type { CancelDetail, CommandBook, GoodsLine, ShipmentBook } from './rows'
import { isInside, type ShipmentStatus, type Units } from './shipment'
import { countOf, without } from './units'

/** Units, or whole parcels, that are not sent: their stock is given back, and what they cost is not owed any more. */

/**
 * `waiting`: some of them are in a parcel that may be leaving, and the command says in the end what became of them.
 * `nothing_left`: all was cancelled before, or it is over.
 */
export type CancelledUnits =
  | { readonly outcome: 'cancelled' | 'nothing_left' }
  | { readonly outcome: 'waiting'; readonly commandId: CommandId }
  | Extract<UnitsDecision, { outcome: 'refused' }>

type Why = Omit<CancelDetail, 'units' | 'isRest'>

/**
 * Cancels units of a confirmed order; null: all that have not left. Units of a parcel whose capture was claimed wait for what
 * becomes of it: then that is a command, which ends by itself. The last unit ends the order, unless something has left.
 */
export function cancelUnits(
  goods: Goods,
  wanted: WantedUnits,
  { actor, ...why }: Why & { actor: string | null },
  books: Books,
): CancelledUnits {
  const decision = decideUnits(goods.lines, wanted)
  if (decision.outcome === 'refused') return decision
  if (!goods.isAlive || decision.units.length === 0) return { outcome: 'nothing_left' }
  const done = cancelFree(goods, decision.units, why, books)
  const waiting = without(decision.units, done)
  if (waiting.length === 0) return { outcome: 'cancelled' }
  const detail = { units: waiting, isRest: done.length > 0, ...why }
  const { id } = addCommand(goods, 'cancel', { shipmentId: null, detail, actor })
  return { outcome: 'waiting', commandId: id }
}

/**
 * A cancellation that met parcels on their way out goes through once those that hold its units are decided: as far as they
 * stay. What its command says when only some of the units that were wanted are sent all the same: `partly_shipped`. True when
 * units were cancelled.
 */
export function cancelLater(
  goods: Goods,
  command: CommandBook,
  { units, isRest, ...why }: CancelDetail,
  books: Books,
): boolean {
  const wanted = goods.lines
    .map(({ sku, quantity, cancelled, shipped }) => ({
      sku,
      quantity: Math.min(countOf(units, sku), quantity - cancelled - shipped),
    }))
    .filter(({ quantity }) => quantity > 0)
  // Whoever wanted its money has it: the parcel is sent.
  const isPaid = (shipment: ShipmentBook): boolean =>
    isInside(shipment.status) && isClaimed(shipment, books, 'succeeded')
  const free = freeOf(goods, wanted, books, isPaid)
  if (goods.isAlive && without(wanted, free).some(({ sku }) => isHeldBack(goods, sku, books))) return false
  const done = goods.isAlive ? cancelFree(goods, free, why, books) : []
  // What others have cancelled meanwhile is cancelled as well.
  const isGone = (sku: Sku): boolean => goods.line(sku).cancelled === goods.line(sku).quantity
  const isAll = goods.order.status === 'cancelled' || without(units, done).every(({ sku }) => isGone(sku))
  settle(command, isAll ? null : isRest || done.length > 0 ? 'partly_shipped' : 'already_shipped')
  return done.length > 0
}

/** A parcel that may still stay has units of it. */
function isHeldBack({ originals }: Goods, sku: Sku, books: Books): boolean {
  return originals.some((shipment) => isLocked(shipment, books) && countOf(shipment.lines, sku) > 0)
}

/** Undoes a shipment that has not left: its units give their stock back, and wait for another one. */
export function cancelShipment(goods: Goods, id: ShipmentId, books: Books): StepOutcome {
  const shipment = goods.shipment(id)
  if (shipment.status === 'cancelled') return 'unchanged'
  if (!isInside(shipment.status) || isLocked(shipment, books)) return { refused: 'already_shipped' }
  goods.moveStock('give', shipment, shipment.lines)
  if (shipment.replaces === null) goods.backOrder(shipment.lines)
  endShipment(goods, shipment, 'cancelled')
  return 'done'
}

/** Undoes a shipment, and cancels its units. */
export function cancelParcel(goods: Goods, id: ShipmentId, books: Books): void {
  const { lines, replaces } = goods.shipment(id)
  if (cancelShipment(goods, id, books) !== 'done' || replaces !== null) return
  const why = { reason: 'merchant', reason_code: 'parcel_cancelled', step: goods.context.step } as const
  cancelFree(goods, lines, why, books)
}

/** Cancels those that nothing keeps, and answers them. */
export function cancelFree(
  goods: Goods,
  wanted: readonly Units[],
  { reason, reason_code, step }: Why,
  books: Books,
): readonly Units[] {
  const { order, lines } = goods
  const free = freeOf(goods, wanted, books)
  const decision = decideUnits(lines, free)
  if (decision.outcome === 'refused' || free.length === 0) return []
  const { amount, isAll, units } = decision
  for (const each of free) takeOut(goods, each, books)
  if (isAll) {
    order.cancelReason = reason
    order.heldFor = []
    order.heldFrom = null
    goods.become('cancelled', 'order.cancelled', { reason, reason_code })
  } else goods.tell('order.units_cancelled', { units, amount, reason_code })
  books.cancel({ amount, isAll, step })
  moveOn(goods)
  return free
}

/** What of these can be cancelled now. `isKept`: nor are units of these parcels. */
function freeOf(
  goods: Goods,
  wanted: readonly Units[],
  books: Books,
  isKept: (shipment: ShipmentBook) => boolean = () => false,
): readonly Units[] {
  const kept = goods.originals.filter((shipment) => isLocked(shipment, books) || isKept(shipment))
  return goods.lines
    .map((line) => ({ sku: line.sku, quantity: Math.min(countOf(wanted, line.sku), cancellable(line, kept)) }))
    .filter(({ quantity }) => quantity > 0)
}

/** How many units of a line can be cancelled: they have not left, and are in none of these parcels. */
function cancellable({ sku, quantity, cancelled, shipped }: GoodsLine, kept: readonly ShipmentBook[]): number {
  return quantity - cancelled - shipped - sum(kept.map(({ lines }) => countOf(lines, sku)))
}

/**
 * Takes units that will not be sent out of what waits for stock and out of shipments, those first that are least far. No
 * more than {@link freeOf} answers of each. A parcel that loses units is packed, and labelled, anew.
 */
function takeOut(goods: Goods, { sku, quantity }: Units, books: Books): void {
  goods.line(sku).cancelled += quantity
  let left = quantity - goods.takeFromBackOrder(sku, quantity)
  const open = goods.originals
    .filter((shipment) => isInside(shipment.status) && !isLocked(shipment, books))
    .sort((a, b) => progressOf(a) - progressOf(b) || b.number - a.number)
  for (const shipment of open) {
    const taken = Math.min(left, countOf(shipment.lines, sku))
    if (taken === 0) continue
    left -= taken
    const units = [{ sku, quantity: taken }]
    goods.moveStock('give', shipment, units)
    shipment.lines = without(shipment.lines, units)
    if (shipment.lines.length === 0) endShipment(goods, shipment, 'cancelled')
    else {
      if (shipment.status === 'packed' || shipment.status === 'labelled') openAgain(goods, shipment)
      if (goods.messages.revisionOf(shipment.id) > 0) goods.messages.pack(shipment)
    }
  }
}

const PROGRESS: readonly ShipmentStatus[] = ['allocated', 'picking', 'packed', 'labelled']

function progressOf({ status }: ShipmentBook): number {
  return PROGRESS.indexOf(status)
}

/** What was in it has changed. */
export function openAgain(goods: Goods, shipment: ShipmentBook): void {
  shipment.isLeaving = false
  shipment.boxes = null
  voidLabels(goods, shipment)
  goods.move(shipment, 'picking', 'shipment.reopened')
  for (const kind of ['label', 'ship'] as const) answer(goods, kind, shipment.id, 'shipment_changed')
}

/** Nothing of it is sent. */
export function endShipment(goods: Goods, shipment: ShipmentBook, why: 'cancelled' | 'short'): void {
  shipment.isLeaving = false
  shipment.dueAt = null
  shipment.needsDecision = false
  shipment.trouble = null
  goods.messages.cancel(shipment)
  voidLabels(goods, shipment)
  goods.move(shipment, 'cancelled', 'shipment.cancelled', { reason: why })
  for (const kind of ['label', 'ship'] as const) answer(goods, kind, shipment.id, 'shipment_cancelled')
  if (shipment.replaces !== null) giveUp(goods, shipment)
}

/** Somebody has to decide anew about the lost parcel in whose place it was to be sent; unless that has turned up. */
function giveUp(goods: Goods, replacement: ShipmentBook): void {
  const lost = unreplaced(goods, replacement)
  if (lost !== null) lost.needsDecision = true
  moveOn(goods)
  goods.order.lookAt = nextLook(goods)
}
