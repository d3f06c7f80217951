import type { ShipmentId, Sku } from '../ids'
import type { Books } from '../payment/books'
import { cancelFree, endShipment } from './cancelling'
import type { Goods, StepOutcome } from './goods'
import type { Box, Units } from './shipment'
import { countOf, without } from './units'

/** Units are taken from their shelves and put into boxes; and what becomes of those that are not there. */

/**
 * Units were taken from their shelves; fewer than asked: the rest is not there, and leaves the books of the warehouse.
 * Answers what is short: it is found elsewhere, waits, or is cancelled.
 * @param picked null: all of it. No more than the shipment has of a SKU.
 */
export function pick(
  goods: Goods,
  id: ShipmentId,
  picked: readonly Units[] | null,
): { outcome: StepOutcome; short: readonly Units[] } {
  const shipment = goods.shipment(id)
  if (shipment.status === 'cancelled' || !goods.isAlive) return { outcome: { refused: 'invalid_state' }, short: [] }
  if (shipment.status !== 'allocated') return { outcome: 'unchanged', short: [] }
  const found = (sku: Sku, wanted: number): number => (picked === null ? wanted : countOf(picked, sku))
  const short = shipment.lines
    .map(({ sku, quantity }) => ({ sku, quantity: quantity - found(sku, quantity) }))
    .filter(({ quantity }) => quantity > 0)
  goods.moveStock('short', shipment, short)
  shipment.lines = without(shipment.lines, short)
  goods.begin()
  if (shipment.lines.length === 0) endShipment(goods, shipment, 'short')
  else goods.move(shipment, 'picking', 'shipment.picked', short.length > 0 ? { short } : {})
  return { outcome: 'done', short }
}

/** What no warehouse has goes on waiting, or is cancelled, as the shop wants it. */
export function settleShort(goods: Goods, books: Books): void {
  const { backOrders, context } = goods
  if (backOrders.length === 0) return
  if (context.shortPick === 'back_order') return goods.tell('order.back_ordered', { units: backOrders })
  const why = { reason: 'out_of_stock', reason_code: 'out_of_stock', step: context.step } as const
  cancelFree(goods, backOrders, why, books)
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
