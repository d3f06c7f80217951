import type { CaptureId, PaymentId, RefundId, ShipmentId } from '../ids'
import type { MoveStatus } from './books'

/** What is still to be done with the money of an order, or of one of its payments. */
export interface PaymentWork {
  /** The order is over: no money is owed for it. */
  readonly isOver: boolean
  readonly currency: string
  /** Minor units. */
  readonly total: number
  /** In the order in which it is to be done. */
  readonly items: readonly WorkItem[]
  /** In how many milliseconds an authorization has to be renewed; null: none has to be. */
  readonly renewInMs: number | null
}

export type WorkItem =
  /** The provider has news of a payment: it is to be looked up. */
  | { readonly kind: 'news'; readonly object: PaymentId; readonly paymentId: PaymentId }
  /** What is authorized and not captured is to be let go. */
  | { readonly kind: 'release'; readonly object: PaymentId; readonly paymentId: PaymentId; readonly amount: number }
  /** `pending`: to be sent, or asked about; `failed`: a person has to decide. */
  | (Move & {
      readonly kind: 'capture'
      readonly object: CaptureId
      /** The shipment that waits for it. */
      readonly shipmentId: ShipmentId | null
    })
  | (Move & {
      readonly kind: 'refund'
      readonly object: RefundId
      /** The provider has taken it, and has not decided. */
      readonly isAccepted: boolean
      /** By when it should have decided, in milliseconds since the epoch; null: it has not taken it. */
      readonly decideBy: number | null
    })
  /** What is due has to be authorized anew: its authorization ends soon, or has ended. */
  | { readonly kind: 'renewal'; readonly object: PaymentId; readonly paymentId: PaymentId; readonly amount: number }
  /** A customer's bank takes money back. */
  | {
      readonly kind: 'dispute'
      readonly object: string
      readonly paymentId: PaymentId
      readonly amount: number
      readonly status: 'open' | 'won' | 'lost'
    }

interface Move {
  readonly paymentId: PaymentId
  readonly amount: number
  readonly status: MoveStatus
  readonly failureCode: string | null
}
