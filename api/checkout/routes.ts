import { z } from 'zod'
import { dropCart } from '../../db/cart/cache'
import { type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { isCompleted, isOpen } from '../../domain/order'
import { asItStands, type CheckoutAnswer, checkoutBody, presentCheckout, REPLAYED, accepted } from './answer'
import { awaitAttempt, cancelCheckout } from './attempt'
import { beginCheckout, beginPayment, type Begun, requireOwn } from './begin'
import { labelOf } from './label'
import { checkoutRequest, paymentRequest } from './request'
import { orderBody } from '../order/answer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { EXAMPLE_ADDRESS, pathId } from '../http/schemas'

const REFUSALS = ['out_of_stock', 'price_changed', 'cart_changed', 'cart_empty'] as const

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
    409: [...REFUSALS, 'cart_closed', 'checkout_in_progress', 'checkout_expired', 'payment_in_progress'],
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
  const patientUntil = Date.now() + wait / 2
  const call = { cartId: params.id, body, caller, idempotency: required(idempotency), patientUntil }
  const begun = await beginCheckout(call, deps)
  if ('problem' in begun) return begun
  log.info({ order_id: begun.orderId, attempt: begun.attempt, fresh: begun.fresh }, 'checkout')
  const answer = await answerTo(begun, deadline, deps)
  if (answerEndsIt(answer)) await dropCart(deps.redis, params.id)
  return answer
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
    409: ['payment_in_progress', 'checkout_expired', 'out_of_stock', 'price_changed'],
    422: ['idempotency_key_reused'],
  },
  example: { answer: 201, body: { method: 'pm_card_mastercard' } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  const call = { orderId: params.id, payment: body, caller, idempotency: required(idempotency) }
  const begun = await beginPayment(call, deps)
  return 'problem' in begun ? begun : answerTo(begun, deadline, deps)
})

/** What the attempt came to by `deadline`. */
async function answerTo(begun: Begun, deadline: number, deps: ApiDeps): Promise<CheckoutAnswer> {
  try {
    const answer = await awaitAttempt({ ...begun, deadline }, deps)
    return counted(begun.replayed ? replayed(answer) : answer, deps)
  } finally {
    begun.leave?.()
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
  const order = await requireOwn(params.id, caller, deps)
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
  const order = await requireOwn(params.id, caller, deps)
  const now = isOpen(order.status) ? await cancelCheckout({ orderId: order.id, label: labelOf(order) }, deps) : order
  if (!now) return accepted(order.id, deps)
  if (isCompleted(now.status))
    throw new DomainError('order_completed', 'The order is paid already.', { checkout: presentCheckout(now, deps) })
  if (now.status !== 'cancelled') return asItStands(now, deps)
  await dropCart(deps.redis, now.cartId)
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

function answerEndsIt(answer: CheckoutAnswer): boolean {
  return 'problem' in answer || answer.status === 201
}

function counted(answer: CheckoutAnswer, { metrics }: ApiDeps): CheckoutAnswer {
  metrics.checkoutOutcomes.inc({
    outcome: 'problem' in answer ? answer.problem.code : answer.status === 201 ? 'completed' : 'accepted',
  })
  return answer
}

export const checkoutRoutes: Route[] = [postCheckout, postPayment, getCheckout, postCancel]
