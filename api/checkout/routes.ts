import { z } from 'zod'
import { type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { isCompleted, isOpen, orderLabel } from '../../domain/order'
import { acceptCheckout, acceptPayment, type RequestedAttempt, requireOwnOrder } from './accept'
import { accepted, asItStands, type CheckoutAnswer, checkoutBody, presentCheckout, REFUSALS, REPLAYED } from './answer'
import { awaitAttempt, cancelCheckout } from './attempt'
import { checkoutRequest, paymentRequest } from './request'
import { orderBody } from '../order/answer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { EXAMPLE_ADDRESS, pathId } from '../http/schemas'

const REFUSAL_CODES = Object.keys(REFUSALS) as (keyof typeof REFUSALS)[]

const postCheckout = defineRoute({
  method: 'post',
  path: '/v1/store/carts/{id}/checkout',
  tag: 'Checkout',
  summary: 'Buy what is in the cart',
  description: 'Waits for the outcome up to CHECKOUT_WAIT_MS; a 202 goes on without the caller.',
  caller: 'cart',
  idempotency: 'required',
  params: pathId('cart'),
  body: checkoutRequest,
  answers: {
    201: orderBody,
    202: checkoutBody,
    402: ['payment_declined'],
    409: [
      ...REFUSAL_CODES,
      'cart_closed',
      'checkout_in_progress',
      'checkout_expired',
      'payment_in_progress',
      'too_many_attempts',
    ],
    422: ['idempotency_key_reused', 'amount_out_of_range'],
  },
  example: {
    answer: 201,
    body: {
      email: 'buyer@example.com',
      shipping_address: EXAMPLE_ADDRESS,
      shipping_method: 'standard',
      payment: { provider: 'sandbox', method: 'pm_card_visa' },
    },
  },
}).handle(async ({ params, body, caller, idempotency, log }, deps) => {
  const wait = deps.settings.CHECKOUT_WAIT_MS
  const deadline = Date.now() + wait
  const waitInLineUntil = Date.now() + wait / 2
  const { tokenHash } = caller
  const call = { cartId: params.id, tokenHash, body, idempotency: required(idempotency), waitInLineUntil }
  const requested = await acceptCheckout(call, deps)
  if ('problem' in requested) return requested
  log.info({ order_id: requested.orderId, attempt: requested.attempt, fresh: requested.fresh }, 'checkout')
  return answerTo(requested, deadline, deps)
})

const postPayment = defineRoute({
  method: 'post',
  path: '/v1/store/checkouts/{id}/payments',
  tag: 'Checkout',
  summary: 'Try another card on the same order',
  caller: 'cart',
  idempotency: 'required',
  params: pathId('order'),
  body: paymentRequest,
  answers: {
    201: orderBody,
    202: checkoutBody,
    402: ['payment_declined'],
    409: ['payment_in_progress', 'checkout_expired', 'too_many_attempts', 'out_of_stock', 'price_changed'],
    422: ['idempotency_key_reused'],
  },
  example: { answer: 201, body: { method: 'pm_card_mastercard' } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  const { tokenHash } = caller
  const call = { orderId: params.id, tokenHash, payment: body, idempotency: required(idempotency) }
  const requested = await acceptPayment(call, deps)
  return 'problem' in requested ? requested : answerTo(requested, deadline, deps)
})

/** What the attempt came to by `deadline`. */
async function answerTo(requested: RequestedAttempt, deadline: number, deps: ApiDeps): Promise<CheckoutAnswer> {
  try {
    const answer = await awaitAttempt({ ...requested, deadline }, deps)
    return counted(requested.replayed ? replayed(answer) : answer, deps)
  } finally {
    requested.leave?.()
  }
}

const getCheckout = defineRoute({
  method: 'get',
  path: '/v1/store/checkouts/{id}',
  tag: 'Checkout',
  summary: 'Read how a checkout stands',
  caller: 'cart',
  params: pathId('order'),
  answers: { 200: checkoutBody },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) => {
  const order = await requireOwnOrder({ orderId: params.id, tokenHash: caller.tokenHash }, deps)
  return { status: 200, body: presentCheckout(order, deps) }
})

const postCancel = defineRoute({
  method: 'post',
  path: '/v1/store/checkouts/{id}/cancel',
  tag: 'Checkout',
  summary: 'Give the stock back and void what was authorized',
  description:
    '202 while a charge has to be settled first, or while its workflow cannot be told: then it is told later. Repeated, it answers how the checkout stands.',
  caller: 'cart',
  idempotency: 'required',
  params: pathId('order'),
  body: z.strictObject({}),
  answers: { 200: checkoutBody, 202: checkoutBody, 409: ['order_completed', 'request_in_progress'] },
  example: { answer: 200, body: {} },
}).handle(async ({ params, caller, idempotency }, deps) => {
  const order = await requireOwnOrder({ orderId: params.id, tokenHash: caller.tokenHash }, deps)
  const why = { reason: 'customer', reasonCode: 'customer' } as const
  const now = isOpen(order.status)
    ? await cancelCheckout({ orderId: order.id, label: orderLabel(order), why }, deps)
    : order
  if (!now) return accepted(order.id, deps)
  if (isCompleted(now.status))
    throw new DomainError('order_completed', 'The order is paid already.', { checkout: presentCheckout(now, deps) })
  if (now.status !== 'cancelled') return asItStands(now, deps)
  return withIdempotency(
    deps.pool,
    idempotency,
    async () => ({ status: 200, resource: now.id }),
    async () => presentCheckout(now, deps),
  )
})

function required(idempotency: IdempotencyScope | null): IdempotencyScope {
  if (!idempotency) throw new DomainError('idempotency_key_required', 'Send an Idempotency-Key header.')
  return idempotency
}

/** A 202 is not stored: it says what is true now. */
function replayed(answer: CheckoutAnswer): CheckoutAnswer {
  if ('status' in answer && answer.status === 202) return answer
  return { ...answer, headers: { ...answer.headers, ...REPLAYED } }
}

function counted(answer: CheckoutAnswer, { metrics }: ApiDeps): CheckoutAnswer {
  metrics.checkoutOutcomes.inc({
    outcome: 'problem' in answer ? answer.problem.code : answer.status === 201 ? 'completed' : 'accepted',
  })
  return answer
}

export const checkoutRoutes: Route[] = [postCheckout, postPayment, getCheckout, postCancel]
