import type { OrderId } from '../ids'

/**
 * One try to take the money. `requested`: a buyer asked for it; `sent`: the provider may know of it;
 * `requires_action`, `pending`: it does, and has not decided. The others are final.
 */
export const ATTEMPT_STATUSES = [
  'requested',
  'sent',
  'requires_action',
  'pending',
  'authorized',
  'captured',
  'voided',
  'refunded',
  'declined',
  'failed',
] as const
export type AttemptStatus = (typeof ATTEMPT_STATUSES)[number]

/** How an order stands with its money. The first that fits; `Books.paymentStatus` decides once it was confirmed. */
export const PAYMENT_STATUSES = [
  'none',
  'pending',
  'requires_action',
  'authorized',
  'partially_captured',
  'captured',
  'partially_refunded',
  'refunded',
  'voided',
  'failed',
  'disputed',
] as const
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number]

/** Statuses in which the provider may still hold or take the money: at most one such attempt per order. */
export const UNRESOLVED_STATUSES = ['sent', 'requires_action', 'pending'] as const satisfies readonly AttemptStatus[]

/** Statuses in which the provider holds money of the customer. */
const HOLDING_STATUSES = ['authorized', 'captured'] as const satisfies readonly AttemptStatus[]

/** What an attempt came to, decided once: the answer to every key that names it. */
export type AttemptOutcome = 'completed' | 'declined' | 'superseded' | 'refused' | 'cancelled' | 'expired'

export function isUnresolved(status: AttemptStatus): boolean {
  return (UNRESOLVED_STATUSES as readonly AttemptStatus[]).includes(status)
}

/** So many attempts of one cart may be sent to a provider, those of its cancelled orders included: a shop is no card tester. */
export const ATTEMPTS_PER_CART_MAX = 10

/** True while the provider holds money of the customer for this attempt. */
export function holdsMoney(status: AttemptStatus): boolean {
  return (HOLDING_STATUSES as readonly AttemptStatus[]).includes(status)
}

/** `<orderId>/charge/<n>`: the same try has the same key however often it is sent. */
export function chargeKey(orderId: OrderId, attempt: number): string {
  return `${orderId}/charge/${attempt}`
}
