import { z } from 'zod'
import type { Order, OrderAttempt } from '../../db/order/read'
import { type AcceptRefusal, CHECKOUT_STATES, checkoutState, type OrderDecision } from '../../domain/checkout'
import { DomainError } from '../../domain/errors'
import type { OrderId } from '../../domain/ids'
import { isCompleted } from '../../domain/order'
import { type OrderBody, orderBody, presentOrder } from '../order/answer'
import type { ApiDeps } from '../deps'
import { idOf, orNull, timestamp } from '../http/schemas'
import { streamToken } from '../http/stream-token'

/** A checkout as it is answered. It is a view of its order's rows: Temporal says when to answer, never what. */

export const checkoutBody = z
  .strictObject({
    order_id: idOf('order'),
    state: z.enum(CHECKOUT_STATES),
    reason: z.string().nullable(),
    hold_expires_at: timestamp.nullable(),
    action: z.strictObject({ type: z.literal('redirect'), url: z.string() }).nullable(),
    problems: z.array(z.unknown()),
    events_url: z.string(),
    order: orNull(orderBody),
  })
  .meta({ id: 'Checkout' })
export type CheckoutBody = z.input<typeof checkoutBody>

export function presentCheckout(order: Order, { settings }: Pick<ApiDeps, 'settings'>): CheckoutBody {
  const state = checkoutState(order)
  const waiting = order.attempts.find((attempt) => attempt.status === 'requires_action')
  return {
    order_id: order.id,
    state,
    reason: order.cancelReason,
    hold_expires_at: order.holdExpiresAt?.toISOString() ?? null,
    action: state === 'requires_action' && waiting?.actionUrl ? { type: 'redirect', url: waiting.actionUrl } : null,
    problems: [],
    events_url: eventsUrl(order.id, settings),
    order: isCompleted(order.status) ? presentOrder(order) : null,
  }
}

function eventsUrl(orderId: OrderId, { PUBLIC_URL, TOKEN_SECRET }: ApiDeps['settings']): string {
  return `${PUBLIC_URL}/v1/store/checkouts/${orderId}/events?stream=${streamToken(TOKEN_SECRET, orderId)}`
}

export type CheckoutAnswer =
  | { readonly status: 201; readonly body: OrderBody; readonly headers?: Record<string, string> }
  | { readonly status: 202; readonly body: CheckoutBody; readonly headers: Record<string, string> }
  | { readonly problem: DomainError; readonly headers?: Record<string, string> }

/** What this attempt came to, from the rows; null while nothing is decided. */
export function decidedAnswer(order: Order, attempt: number, deps: ApiDeps): CheckoutAnswer | null {
  const row = order.attempts.find((candidate) => candidate.attempt === attempt)
  if (row?.outcome === 'declined') return { problem: declined(order, row, deps) }
  if (isCompleted(order.status)) return { status: 201, body: presentOrder(order) }
  if (order.refusal && attempt === 1) return { problem: refused(order.refusal) }
  if (row?.outcome === 'refused') return { problem: notSuperseded(order, deps) }
  if (row?.outcome === 'expired') return { problem: refusedByOrder('checkout_expired', order, deps) }
  if (row?.status === 'requires_action' || row?.outcome || order.status === 'cancelled') return asItStands(order, deps)
  return null
}

export function asItStands(order: Order, deps: Pick<ApiDeps, 'settings'>): Extract<CheckoutAnswer, { status: 202 }> {
  return { status: 202, body: presentCheckout(order, deps), headers: { Location: `/v1/store/checkouts/${order.id}` } }
}

function declined(order: Order, attempt: OrderAttempt, deps: ApiDeps): DomainError {
  return new DomainError('payment_declined', 'The payment was declined. Nothing was charged; try another card.', {
    decline_code: attempt.declineCode,
    checkout: presentCheckout(order, deps),
  })
}

/** The problem document of a checkout that was refused before any money moved. */
export function refused({ code, ...details }: AcceptRefusal): DomainError {
  return new DomainError(code, REFUSALS[code], details)
}

/** Why a checkout may be refused before any money moves, and how that is told. */
export const REFUSALS = {
  out_of_stock: 'Not everything in the cart can be had. Nothing was charged.',
  price_changed: 'The price has changed. Nothing was charged.',
  cart_changed: 'The cart has changed since it was read. Nothing was charged.',
  cart_empty: 'The cart has no lines.',
} as const satisfies Record<AcceptRefusal['code'], string>

function notSuperseded(order: Order, deps: ApiDeps): DomainError {
  const message = 'Another payment of this order is not settled yet and cannot be cancelled.'
  return new DomainError('payment_in_progress', message, { checkout: presentCheckout(order, deps) })
}

/** The problem document of a request for an order that takes no payment now. */
export function refusedByOrder(
  code: Exclude<OrderDecision, 'join' | 'pay' | 'read_again'>,
  order: Order,
  deps: Pick<ApiDeps, 'settings'>,
): DomainError {
  return new DomainError(code, REFUSED_BY_ORDER[code], { checkout: presentCheckout(order, deps) })
}

const REFUSED_BY_ORDER = {
  checkout_in_progress: 'Another checkout of this cart waits for its payment. Cancel it first.',
  payment_in_progress: 'Another payment of this order is being made.',
  checkout_expired: 'This checkout is over. Start again from the cart.',
} as const

/** The problem document of one attempt too many, with the order that waits for it if there is one. */
export function triedTooOften(order: Order | null, deps: Pick<ApiDeps, 'settings'>): DomainError {
  const message = 'No further payment can be tried for this cart. Put what is in it into a new cart to buy it.'
  return new DomainError('too_many_attempts', message, order ? { checkout: presentCheckout(order, deps) } : {})
}

/** All that is certain of an accepted order whose row cannot be read. */
export function accepted(orderId: OrderId, deps: ApiDeps): Extract<CheckoutAnswer, { status: 202 }> {
  const body: CheckoutBody = {
    order_id: orderId,
    state: 'in_progress',
    reason: null,
    hold_expires_at: null,
    action: null,
    problems: [],
    events_url: eventsUrl(orderId, deps.settings),
    order: null,
  }
  return { status: 202, body, headers: { Location: `/v1/store/checkouts/${orderId}` } }
}

/** What an answer carries that the key has had before. */
export const REPLAYED = { 'Idempotent-Replayed': 'true' }
