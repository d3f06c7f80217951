import type { ShipmentId } from '../ids'
import type { CancelReason } from '../order'
import type { Books } from '../payment/books'
import { cancelFree, endShipment } from './cancelling'
import type { Goods, StepOutcome } from './goods'
import { stockDue } from './patience'
import type { ShipmentBook } from './rows'
import type { Box, Units } from './shipment'
import { without } from './units'

/** Units are taken from their shelves and put into boxes; and what becomes of those that are not there. */

/**
 * Units were taken from their shelves; fewer than asked: the rest is not there, and leaves the books of the warehouse. Until
 * they are packed they may be counted again. Answers what is short: it is found elsewhere, waits, or is cancelled. What is sent
 * in the place of a lost parcel is sent whole or not at all, and nothing of the order is short then.
 * @param picked null: all of it. No more than the shipment has of a SKU.
 */
export function pick(
  goods: Goods,
  id: ShipmentId,
  picked: readonly Units[] | null,
): { outcome: StepOutcome; short: readonly Units[] } {
  const shipment = goods.shipment(id)
  const { status } = shipment
  if (status === 'cancelled' || !goods.isAlive) return { outcome: { refused: 'invalid_state' }, short: [] }
  const short = shortOf(shipment, picked)
  if (status !== 'allocated' && short.length === 0) return { outcome: 'unchanged', short: [] }
  if (status !== 'allocated' && status !== 'picking') return { outcome: { refused: 'invalid_state' }, short: [] }
  goods.moveStock('short', shipment, short)
  const left = without(shipment.lines, short)
  goods.begin()
  if (short.length > 0 && shipment.replaces !== null) {
    goods.moveStock('give', shipment, left)
    endShipment(goods, shipment, 'short')
    return { outcome: 'done', short: [] }
  }
  shipment.lines = left
  if (shipment.lines.length === 0) endShipment(goods, shipment, 'short')
  else goods.move(shipment, 'picking', 'shipment.picked', short.length > 0 ? { short } : {})
  return { outcome: 'done', short }
}

/** What of the shipment was not found; null: all of it was. */
export function shortOf({ lines }: ShipmentBook, found: readonly Units[] | null): readonly Units[] {
  return found === null ? [] : without(lines, found)
}

/** What no warehouse has goes on waiting, and a person hears of it; or is cancelled, as the shop wants it. */
export function settleShort(goods: Goods, books: Books): void {
  const { backOrders, context, order } = goods
  if (backOrders.length === 0) return
  if (context.shortPick === 'back_order') {
    order.shortAskAt = context.now.toISOString()
    return goods.tell('order.back_ordered', { units: backOrders })
  }
  cancelWaiting(goods, OUT_OF_STOCK, books)
}

const OUT_OF_STOCK = { reason: 'out_of_stock', reason_code: 'out_of_stock' } as const

/** The units that wait for stock are not sent. */
function cancelWaiting(
  goods: Goods,
  why: { readonly reason: CancelReason; readonly reason_code: string },
  books: Books,
): void {
  cancelFree(goods, goods.backOrders, { ...why, step: goods.context.step }, books)
}

/** A person has decided about units that wait for stock: they are waited for, until somebody asks again or for ever, or are not sent. */
export function decideShort(goods: Goods, decision: 'wait' | 'settled' | 'cancel', books: Books): void {
  goods.order.shortAskAt = decision === 'wait' ? stockDue(goods.context.now) : null
  if (decision === 'cancel') cancelWaiting(goods, { reason: 'out_of_stock', reason_code: 'short_cancelled' }, books)
}

/** What was picked was put into boxes; null: nobody says which. */
export function pack(goods: Goods, id: ShipmentId, boxes: readonly Box[] | null): StepOutcome {
  const shipment = goods.shipment(id)
  if (shipment.status === 'allocated' || shipment.status === 'cancelled' || !goods.isAlive)
    return { refused: 'invalid_state' }
  if (shipment.status !== 'picking') return 'unchanged'
  shipment.boxes = boxes
  goods.move(shipment, 'packed', 'shipment.packed')
  return 'done'
}
