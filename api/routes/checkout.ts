import { createHash } from 'node:crypto'
import { z } from 'zod'
import { storeSettings } from '../../db/settings'
import { type Cart, readCart } from '../../db/cart'
import { dropCart } from '../../db/cart-cache'
import { type AcceptRefusal, readCheckoutKey, refuseCheckout } from '../../db/checkout-key'
import { newId } from '../../db/id'
import type { IdempotencyScope } from '../../db/idempotency'
import { acceptOrder } from '../../db/order/accept'
import { type Order, readOwnOrder } from '../../db/order/read'
import { requestAttempt } from '../../db/payment'
import { linesInOrder } from '../../domain/cart'
import { guardPrice } from '../../domain/checkout'
import { DomainError } from '../../domain/errors'
import type { CartId, OrderId } from '../../domain/ids'
import { isCompleted, isOpen } from '../../domain/order'
import { chargeKey } from '../../domain/payment'
import { type Priced, priceCart } from '../../domain/pricing'
import { SHIPPING_METHODS } from '../../domain/shipping'
import type { CheckoutLabel } from '../../workflows/contract'
import { hashOfJson } from '../body'
import {
  asItStands,
  awaitAttempt,
  cancelCheckout,
  type CheckoutAnswer,
  checkoutBody,
  expired,
  joinAttempt,
  presentCheckout,
  refused,
  standingOf,
  labelOf,
} from '../checkout'
import { orderBody } from '../order'
import { type FieldError, invalid } from '../problem'
import { type ApiDeps, type CartCaller, defineRoute, type Route } from '../route'
import { address, email, money, pathId } from '../schemas'

const provider = z.string().min(1).max(50).default('sandbox')
const method = z
  .string()
  .min(1)
  .max(200)
  .meta({ description: "the provider's token of a payment method", example: 'pm_card_visa' })
const returnUrl = z.url({ protocol: /^https?$/ }).max(2_000)

const checkoutRequest = z.strictObject({
  email: email.nullish(),
  shipping_address: address.nullish(),
  billing_address: address.nullish(),
  shipping_method: z.enum(SHIPPING_METHODS).nullish(),
  cart_version: z.int().min(1).nullish(),
  return_url: returnUrl.nullish(),
  payment: z.strictObject({ provider, method }),
  expected_total: money.nullish(),
})
type CheckoutRequest = z.output<typeof checkoutRequest>

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
}).handle(async ({ params, body, caller, idempotency, log }, deps) => {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  const request = { cartId: params.id, body, caller, idempotency: required(idempotency) }
  for (let tries = 0; tries < BEGIN_TRIES; tries++) {
    const begun = await begin(request, deps)
    if (!begun) continue
    if ('problem' in begun) return begun
    log.info({ order_id: begun.orderId, attempt: begun.attempt, fresh: begun.fresh }, 'checkout')
    const answer = await awaitAttempt({ ...begun, deadline }, deps)
    if (answerEndsIt(answer)) await dropCart(deps.redis, params.id)
    return counted(begun.replayed ? replayed(answer) : answer, deps)
  }
  throw new DomainError('unavailable', 'The cart changes too fast. Try again.', { dependency: 'postgres' })
})

/** A cart that changes while it is being accepted is looked at again this often. */
const BEGIN_TRIES = 8

interface Request {
  readonly cartId: CartId
  readonly body: CheckoutRequest
  readonly caller: CartCaller
  readonly idempotency: IdempotencyScope
}

interface Begun {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  /** This request has made the attempt: nothing can be decided yet. */
  readonly fresh: boolean
  readonly replayed: boolean
}

/** Finds the attempt that this request stands for, or makes it. Null: something moved, look again. */
async function begin(request: Request, deps: ApiDeps): Promise<Begun | { problem: DomainError } | null> {
  const known = await findByKey(request.idempotency, deps)
  if (known) return known
  const cart = await readCart(deps.pool, { cartId: request.cartId, tokenHash: request.caller.tokenHash })
  if (!cart) throw new DomainError('not_found', 'There is no such cart.')
  if (cart.orderId) return joinOrder(cart.orderId, request, deps)
  if (cart.state !== 'open') throw new DomainError('cart_closed', `The cart is ${cart.state}.`)
  return accept(cart, request, deps)
}

async function findByKey(
  idempotency: IdempotencyScope,
  deps: ApiDeps,
): Promise<Begun | { problem: DomainError; headers: Record<string, string> } | null> {
  const key = await readCheckoutKey(deps.pool, idempotency)
  if (!key) return null
  if (!key.bodyHash.equals(idempotency.bodyHash)) {
    throw new DomainError('idempotency_key_reused', 'This Idempotency-Key was used with another body. Use a new key.')
  }
  if (key.kind === 'refused') return { problem: refused(key.refusal), headers: REPLAYED }
  return { orderId: key.orderId, attempt: key.attempt, label: { summary: key.orderId }, fresh: false, replayed: true }
}

/** The cart has an order: joins it while it runs, pays it again after a decline, or answers it when it is paid. */
async function joinOrder(
  orderId: OrderId,
  request: Request,
  deps: ApiDeps,
): Promise<Begun | { problem: DomainError } | null> {
  const order = await readOwnOrder(deps.pool, orderId, request.caller.tokenHash)
  if (!order || order.status === 'cancelled') return null
  if (isCompleted(order.status) || standingOf(order) === 'running') {
    return { ...begunWith(order), attempt: await joinAttempt(order, request.idempotency, deps) }
  }
  if (!order.bodyHash.equals(hashWithoutPayment(request.body))) {
    const checkout = presentCheckout(order, deps)
    return {
      problem: new DomainError(
        'checkout_in_progress',
        'Another checkout of this cart waits for its payment. Cancel it first.',
        { checkout },
      ),
    }
  }
  const next = await requestNext(order, request.body.payment, request, deps)
  return next && { ...begunWith(order), attempt: next.attempt, fresh: true }
}

function begunWith(order: Order) {
  return { orderId: order.id, label: labelOf(order), fresh: false, replayed: false }
}

async function requestNext(
  order: Order,
  payment: CheckoutRequest['payment'],
  { caller, idempotency }: Pick<Request, 'caller' | 'idempotency'>,
  deps: ApiDeps,
) {
  requireProvider(payment.provider, '/payment/provider', deps)
  return unlessKeyIsTaken(() =>
    requestAttempt(deps.pool, {
      orderId: order.id,
      tokenHash: caller.tokenHash,
      paymentId: newId('payment'),
      ...payment,
      idempotency,
    }),
  )
}

async function accept(cart: Cart, request: Request, deps: ApiDeps): Promise<Begun | { problem: DomainError } | null> {
  const details = await requireDetails(cart, request.body, deps)
  const priced = await price(cart, details, deps)
  const refusal = refusalOf(cart, request.body, priced)
  if (refusal) return refuse(cart, refusal, priced, request, deps)
  const orderId = newId('order')
  const accepted = await unlessKeyIsTaken(() =>
    acceptOrder(deps.pool, {
      orderId,
      paymentId: newId('payment'),
      cartId: cart.id,
      tokenHash: request.caller.tokenHash,
      cartVersion: cart.version,
      email: details.email,
      shippingAddress: details.shippingAddress,
      billingAddress: request.body.billing_address ?? null,
      shippingMethod: details.shippingMethod,
      returnUrl: request.body.return_url ?? null,
      expectedTotal: request.body.expected_total?.amount ?? null,
      ...request.body.payment,
      paymentKey: chargeKey(orderId, 1),
      bodyHash: hashWithoutPayment(request.body),
      idempotency: request.idempotency,
    }),
  )
  if (!accepted) return null
  await dropCart(deps.redis, cart.id)
  const lines = priced.lines.map((line) => ({ ...line, sku: line.skuWritten }))
  const { total } = priced.totals
  const label = labelOf({ number: accepted.number, currency: cart.currency, cartId: cart.id, total, lines })
  return { orderId, attempt: 1, label, fresh: true, replayed: false }
}

/** What the body leaves out the cart must know. Names every field that neither has. */
async function requireDetails(cart: Cart, body: CheckoutRequest, deps: ApiDeps) {
  const email = body.email ?? cart.email
  const shippingAddress = body.shipping_address ?? cart.shippingAddress
  const shippingMethod = body.shipping_method ?? cart.shippingMethod
  requireProvider(body.payment.provider, '/payment/provider', deps)
  const errors: FieldError[] = []
  if (!email) errors.push(missing('/email'))
  if (!shippingAddress) errors.push(missing('/shipping_address'))
  if (!shippingMethod) errors.push(missing('/shipping_method'))
  if (body.expected_total && body.expected_total.currency !== cart.currency) {
    errors.push({
      in: 'body',
      pointer: '/expected_total/currency',
      code: 'wrong_currency',
      message: `The cart is in ${cart.currency}.`,
    })
  }
  const { countries } = await storeSettings(deps.pool)
  if (shippingAddress && !countries.includes(shippingAddress.country)) {
    errors.push({
      in: 'body',
      pointer: '/shipping_address/country',
      code: 'not_served',
      message: `We send to ${countries.join(', ')}.`,
    })
  }
  if (errors.length > 0 || !email || !shippingAddress || !shippingMethod) throw invalid(errors)
  return { email, shippingAddress, shippingMethod }
}

function missing(pointer: string): FieldError {
  return { in: 'body', pointer, code: 'required', message: 'Neither the body nor the cart has it.' }
}

function requireProvider(name: string, pointer: string, deps: ApiDeps): void {
  if (deps.providers.get(name)) return
  throw invalid([
    { in: 'body', pointer, code: 'unknown', message: `We take payments by ${deps.providers.names.join(', ')}.` },
  ])
}

async function price(
  cart: Cart,
  details: { shippingAddress: { country: string; postal_code: string }; shippingMethod: string },
  deps: ApiDeps,
): Promise<Priced> {
  const lines = linesInOrder(cart.lines)
  const { taxInclusive } = await storeSettings(deps.pool)
  const tax = await deps.tax.rates({
    country: details.shippingAddress.country,
    postalCode: details.shippingAddress.postal_code,
    skus: lines.map((line) => line.sku),
  })
  return priceCart({
    currency: cart.currency,
    lines,
    catalog: cart.catalog,
    shippingMethod: details.shippingMethod,
    taxInclusive,
    tax,
  })
}

/** What cannot be sold even now is refused here, so that late losers start no workflow. Placing decides. */
function refusalOf(cart: Cart, body: CheckoutRequest, priced: Priced): AcceptRefusal | null {
  if (body.cart_version != null && body.cart_version !== cart.version)
    return { code: 'cart_changed', version: cart.version }
  if (priced.lines.length === 0) return { code: 'cart_empty' }
  const short = priced.lines
    .map((line) => ({ line, available: availableOf(cart, priced, line.sku) }))
    .filter(({ line, available }) => available < line.quantity)
    .map(({ line, available }) => ({ sku: line.skuWritten, requested: line.quantity, available }))
  if (short.length > 0) return { code: 'out_of_stock', lines: short }
  return guardPrice({
    lines: priced.lines,
    total: priced.totals.total,
    expectedTotal: body.expected_total?.amount ?? null,
    currency: cart.currency,
  })
}

function availableOf(cart: Cart, priced: Priced, sku: string): number {
  const entry = cart.catalog.get(sku)
  const unavailable = priced.problems.some(
    (problem) => problem.code === 'unavailable' && problem.sku === (entry?.skuWritten ?? sku),
  )
  return entry && !unavailable ? Math.max(0, entry.available) : 0
}

async function refuse(
  cart: Cart,
  refusal: AcceptRefusal,
  priced: Priced,
  { idempotency }: Request,
  deps: ApiDeps,
): Promise<{ problem: DomainError }> {
  const prices =
    refusal.code === 'price_changed' ? Object.fromEntries(priced.lines.map((line) => [line.sku, line.unitPrice])) : {}
  await refuseCheckout(deps.pool, idempotency, { cartId: cart.id, refusal, prices })
  await dropCart(deps.redis, cart.id)
  deps.metrics.checkoutOutcomes.inc({ outcome: refusal.code })
  return { problem: refused(refusal) }
}

const postPayment = defineRoute({
  method: 'post',
  path: '/v1/store/checkouts/{id}/payments',
  tag: 'Checkout',
  summary: 'Try another card on the same order',
  caller: 'cart',
  idempotency: 'required',
  params: pathId('order'),
  body: z.strictObject({ provider, method }),
  answers: {
    201: orderBody,
    202: checkoutBody,
    402: ['payment_declined'],
    409: ['payment_in_progress', 'checkout_expired', 'out_of_stock', 'price_changed'],
    422: ['idempotency_key_reused'],
  },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  const begun = await beginPayment(params.id, body, caller, required(idempotency), deps)
  if ('problem' in begun) return begun
  const answer = await awaitAttempt({ ...begun, deadline }, deps)
  return counted(begun.replayed ? replayed(answer) : answer, deps)
})

async function beginPayment(
  orderId: OrderId,
  payment: CheckoutRequest['payment'],
  caller: CartCaller,
  idempotency: IdempotencyScope,
  deps: ApiDeps,
): Promise<Begun | { problem: DomainError; headers?: Record<string, string> }> {
  for (let tries = 0; tries < BEGIN_TRIES; tries++) {
    const order = await requireOwn(orderId, caller, deps)
    const known = await findByKey(idempotency, deps)
    if (known) return known
    if (isCompleted(order.status)) return { ...begunWith(order), attempt: await joinAttempt(order, idempotency, deps) }
    if (order.status === 'cancelled') return { problem: expired(order, deps) }
    if (isBeingSent(order)) {
      const checkout = presentCheckout(order, deps)
      return {
        problem: new DomainError('payment_in_progress', 'Another payment of this order is being made.', { checkout }),
      }
    }
    const next = await requestNext(order, payment, { caller, idempotency }, deps)
    if (next) return { ...begunWith(order), attempt: next.attempt, fresh: true }
    if (order.holdExpiresAt && order.holdExpiresAt.getTime() <= Date.now()) return { problem: expired(order, deps) }
  }
  throw new DomainError('unavailable', 'The order changes too fast. Try again.', { dependency: 'postgres' })
}

/** The provider is being asked. What it has taken to decide on later can still be cancelled there, or refuses to be. */
function isBeingSent(order: Order): boolean {
  return order.status === 'pending' || order.attempts.some(({ status }) => status === 'requested' || status === 'sent')
}

const getCheckout = defineRoute({
  method: 'get',
  path: '/v1/store/checkouts/{id}',
  tag: 'Checkout',
  summary: 'Read how a checkout stands',
  caller: 'cart',
  params: pathId('order'),
  answers: { 200: checkoutBody },
}).handle(async ({ params, caller }, deps) => {
  const order = await requireOwn(params.id, caller, deps)
  return { status: 200, body: presentCheckout(order, deps) }
})

const postCancel = defineRoute({
  method: 'post',
  path: '/v1/store/checkouts/{id}/cancel',
  tag: 'Checkout',
  summary: 'Give the stock back and void what was authorized',
  description: '202 while a charge has to be settled first. Repeated, it answers how the checkout stands.',
  caller: 'cart',
  idempotency: 'required',
  params: pathId('order'),
  body: z.strictObject({}),
  answers: { 200: checkoutBody, 202: checkoutBody, 409: ['order_completed'] },
}).handle(async ({ params, caller }, deps) => {
  const order = await requireOwn(params.id, caller, deps)
  if (isOpen(order.status)) await cancelCheckout({ orderId: order.id, label: labelOf(order) }, deps)
  const now = await requireOwn(params.id, caller, deps)
  if (isCompleted(now.status))
    throw new DomainError('order_completed', 'The order is paid already.', { checkout: presentCheckout(now, deps) })
  if (now.status !== 'cancelled') return asItStands(now, deps)
  await dropCart(deps.redis, now.cartId)
  return { status: 200, body: presentCheckout(now, deps) }
})

async function requireOwn(orderId: OrderId, caller: CartCaller, deps: ApiDeps): Promise<Order> {
  const order = await readOwnOrder(deps.pool, orderId, caller.tokenHash)
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  return order
}

/** A key that another process stored in the meantime: look again, and find what it names. */
async function unlessKeyIsTaken<T>(statement: () => Promise<T | null>): Promise<T | null> {
  try {
    return await statement()
  } catch (error) {
    if ((error as { constraint?: unknown }).constraint === 'idempotency_pkey') return null
    throw error
  }
}

function hashWithoutPayment(body: CheckoutRequest): Buffer {
  const { payment: _payment, ...rest } = body
  return createHash('sha256').update(hashOfJson(rest)).digest()
}

function required(idempotency: IdempotencyScope | null): IdempotencyScope {
  if (!idempotency) throw new DomainError('idempotency_key_required', 'Send an Idempotency-Key header.')
  return idempotency
}

const REPLAYED = { 'Idempotent-Replayed': 'true' }

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
