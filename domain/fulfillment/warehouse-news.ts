import type { ShipmentId, WarehouseMessageId } from '../ids'
import type { Books } from '../payment/books'
import { openAgain } from './cancelling'
import { answer } from './commands'
import { type Goods, trouble } from './goods'
import { keepTheirLabel } from './labels'
import { leaveUnasked, ship } from './leaving'
import { isLocked } from './parcel-money'
import { pack, pick, shortOf } from './picking'
import type { ShipmentBook } from './rows'
import { type Box, hasLeft, isInside, type Units, type WarehouseEventType } from './shipment'

/** What the systems of warehouses tell, and answer to what they are told. */

/** What a warehouse's own system tells of a shipment. */
export interface WarehouseNews {
  readonly type: WarehouseEventType
  /** Of the `pack` that it follows; null: the last one. */
  readonly revision: number | null
  /** What was found of each SKU; null: all. */
  readonly lines: readonly Units[] | null
  readonly boxes: readonly Box[] | null
  /** When its own label is on the parcel. */
  readonly carrier: string | null
  readonly trackingNumber: string | null
  readonly code: string | null
}

/**
 * What a warehouse's own system tells of a shipment, whatever the order in which it does: what comes after a step that nobody
 * told of says that this was done too. Answers what is short.
 */
export function hear(goods: Goods, id: ShipmentId, news: WarehouseNews, books: Books): readonly Units[] {
  const shipment = goods.shipment(id)
  if (news.type === 'shipment.refused') hearRefusal(goods, shipment, news.code)
  if (news.type === 'shipment.shipped') hearLeft(goods, shipment, news, books)
  const isOld = news.revision !== null && news.revision < goods.messages.revisionOf(id)
  if (isOld || (news.type !== 'shipment.picked' && news.type !== 'shipment.packed')) return []
  if (news.type === 'shipment.packed' && !recount(goods, shipment, news.lines, books)) return []
  const { short } = pick(goods, id, news.lines)
  if (news.type === 'shipment.packed') pack(goods, id, news.boxes)
  return short
}

/**
 * It has packed fewer than it told of before: the parcel is packed, and labelled, anew. False: it cannot be any more, for its money
 * is being taken, or was, so that it leaves; a person decides.
 */
function recount(goods: Goods, shipment: ShipmentBook, found: WarehouseNews['lines'], books: Books): boolean {
  const isPacked = shipment.status === 'packed' || shipment.status === 'labelled'
  if (!isPacked || !goods.isAlive || shortOf(shipment, found).length === 0) return true
  if (isLocked(shipment, books)) {
    hearRefusal(goods, shipment, 'short')
    return false
  }
  openAgain(goods, shipment)
  return true
}

/** It has left: as it should, or unasked, and then its money is taken at once. */
function hearLeft(goods: Goods, shipment: ShipmentBook, news: WarehouseNews, books: Books): void {
  if (hasLeft(shipment.status) || shipment.leftAt !== null) return
  const isExpected = shipment.releasedAt !== null && goods.isAlive
  if (isInside(shipment.status) && goods.isAlive) {
    pick(goods, shipment.id, null)
    pack(goods, shipment.id, null)
    keepTheirLabel(goods, shipment, news)
  }
  if (isExpected) return ship(goods, shipment, books)
  leaveUnasked(goods, shipment, books)
  trouble(shipment, 'left')
}

/** It will not send it: a person decides. */
function hearRefusal(goods: Goods, shipment: ShipmentBook, code: string | null): void {
  if (!isInside(shipment.status) || shipment.leftAt !== null || !goods.isAlive) return
  goods.messages.withdraw(shipment.id)
  if (shipment.releasedAt !== null) unlock(goods, shipment)
  trouble(shipment, 'refused')
  goods.tell('shipment.refused', { shipment_id: shipment.id, code: code ?? 'refused' })
}

/** It does not wait for its release any more. */
function unlock(goods: Goods, shipment: ShipmentBook): void {
  shipment.releasedAt = null
  shipment.isLeaving = false
  answer(goods, 'ship', shipment.id, 'shipment_changed')
}

/** A message that its system does not take: a person decides about the shipment. */
export function refuseMessage(goods: Goods, id: WarehouseMessageId, code: string): void {
  const message = goods.message(id)
  if (message.state !== 'pending') return
  message.state = 'refused'
  const shipment = goods.shipment(message.shipmentId)
  if (message.kind !== 'cancel') return hearRefusal(goods, shipment, code)
  // It does not keep back what nobody wants any more: it may have left.
  trouble(shipment, 'refused')
  goods.tell('shipment.refused', { shipment_id: shipment.id, code })
}

/** Its system has taken it, or (`withdrawn`) a person has decided that it need not hear it. */
export function endMessage(goods: Goods, id: WarehouseMessageId, state: 'told' | 'withdrawn'): void {
  const message = goods.message(id)
  if (message.state === 'pending') message.state = state
}
