import { type CancelledUnits, cancelUnits as cancelUnitsOf } from '../../domain/fulfillment/cancelling'
import type { OrderId } from '../../domain/ids'
import { type CancelReason, decideUnits, type WantedUnits } from '../../domain/order'
import type { Tx } from '../pool'
import { inGoods } from './goods'

export interface CancelUnits {
  readonly orderId: OrderId
  /** Null: all that have not left. */
  readonly wanted: WantedUnits
  readonly reason: CancelReason
  /** Of whoever wants it, for the event. */
  readonly reasonCode: string
  /** The id of the admin key of whoever wants it; null: the customer. */
  readonly actor: string | null
  /** The payment provider takes multiples of so many minor units. */
  readonly step: number
}

/**
 * Cancels units of a confirmed order, in the transaction `tx`: their stock goes back, a label is voided, and the books let go
 * of, or give back, what they cost. The last unit ends the order, unless something has left. Nothing changes when more is wanted
 * than is left. Units of a parcel that may be leaving wait.
 */
export function cancelUnits(
  tx: Tx,
  { orderId, wanted, reason, reasonCode, actor, step }: CancelUnits,
): Promise<CancelledUnits> {
  return inGoods(tx, orderId, { stepOf: () => step }, (goods, books) => {
    // An order that was never confirmed is its checkout's; of one that is over nothing is left.
    if (books.order.stage !== 'won') {
      const decision = decideUnits(goods.lines, wanted)
      return decision.outcome === 'refused' ? decision : { outcome: 'nothing_left' as const }
    }
    return cancelUnitsOf(goods, wanted, { reason, reason_code: reasonCode, step, actor }, books)
  })
}
