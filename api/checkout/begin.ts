import { createHash } from 'node:crypto'
import { storeSettings } from '../../db/platform/settings'
import { type Cart, readCart } from '../../db/cart/cart'
import { dropCart } from '../../db/cart/cache'
import { type AcceptRefusal, readCheckoutKey, refuseCheckout } from '../../db/checkout/key'
import { newId } from '../../db/id'
import type { IdempotencyScope } from '../../db/platform/idempotency'
import { acceptOrder } from '../../db/order/accept'
import { type Order, readOwnOrder } from '../../db/order/read'
import { requestAttempt } from '../../db/payment/attempt'
import { linesInOrder } from '../../domain/cart'
import { guardPrice } from '../../domain/checkout'
import { DomainError } from '../../domain/errors'
import type { CartId, OrderId } from '../../domain/ids'
import { isCompleted } from '../../domain/order'
import { chargeKey } from '../../domain/payment'
import { type Priced, priceCart } from '../../domain/pricing'
import type { CheckoutLabel } from '../../workflows/contract'
import { hashOfJson } from '../http/body'
import { type FieldError, invalid } from '../http/problem'
import type { ApiDeps } from '../deps'
import type { CartCaller } from '../http/route'
import { expired, presentCheckout, refused, REPLAYED, standingOf } from './answer'
import { joinAttempt } from './attempt'
import type { Want } from './admission'
import { labelOf } from './label'
import type { CheckoutRequest, PaymentRequest } from './request'

/** A cart or an order that moves while it is looked at is looked at again this often. */
const LOOKS = 8

export interface CheckoutCall {
  readonly cartId: CartId
  readonly body: CheckoutRequest
  readonly caller: CartCaller
  readonly idempotency: IdempotencyScope
  /** How long it waits for those before it who may take what is left (ms since the epoch). */
  readonly patientUntil: number
}

export interface PaymentCall {
  readonly orderId: OrderId
  readonly payment: PaymentRequest
  readonly caller: CartCaller
  readonly idempotency: IdempotencyScope
}

/** The attempt that a request stands for. */
export interface Begun {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  /** This request has made the attempt: nothing can be decided yet. */
  readonly fresh: boolean
  readonly replayed: boolean
  /** To be called when the attempt has its answer. */
  readonly leave?: () => void
}

export interface Refused {
  readonly problem: DomainError
  readonly headers?: Record<string, string>
}

/** Finds the attempt that a checkout stands for, or makes it. Throws 404, 409, 422 where there cannot be one. */
export async function beginCheckout(call: CheckoutCall, deps: ApiDeps): Promise<Begun | Refused> {
  for (let looks = 0; looks < LOOKS; ) {
    const begun = await lookAtCart(call, deps)
    if (typeof begun === 'object') return begun
    if (begun === 'moved') looks++
  }
  throw new DomainError('unavailable', 'The cart changes too fast. Try again.', { dependency: 'postgres' })
}

/** `moved`: something changed meanwhile. `waited`: others were before it. Look again. */
async function lookAtCart(call: CheckoutCall, deps: ApiDeps): Promise<Begun | Refused | 'moved' | 'waited'> {
  const known = await findByKey(call.idempotency, deps)
  if (known) return known
  const cart = await readCart(deps.pool, { cartId: call.cartId, tokenHash: call.caller.tokenHash })
  if (!cart) throw new DomainError('not_found', 'There is no such cart.')
  if (cart.orderId) return joinOrder(cart.orderId, call, deps)
  if (cart.state !== 'open') throw new DomainError('cart_closed', `The cart is ${cart.state}.`)
  return accept(cart, call, deps)
}

async function findByKey(idempotency: IdempotencyScope, deps: ApiDeps): Promise<Begun | Refused | null> {
  const key = await readCheckoutKey(deps.pool, idempotency)
  if (!key) return null
  if (!key.bodyHash.equals(idempotency.bodyHash)) {
    throw new DomainError('idempotency_key_reused', 'This Idempotency-Key was used with another body. Use a new key.')
  }
  if (key.kind === 'refused') return { problem: refused(key.refusal), headers: REPLAYED }
  return { orderId: key.orderId, attempt: key.attempt, label: { summary: key.orderId }, fresh: false, replayed: true }
}

/** The cart has an order: joins it while it runs, pays it again after a decline, or answers it when it is paid. */
async function joinOrder(orderId: OrderId, call: CheckoutCall, deps: ApiDeps): Promise<Begun | Refused | 'moved'> {
  const order = await readOwnOrder(deps.pool, orderId, call.caller.tokenHash)
  if (!order || order.status === 'cancelled') return 'moved'
  if (isCompleted(order.status) || standingOf(order) === 'running') {
    return { ...begunWith(order), attempt: await joinAttempt(order, call.idempotency, deps) }
  }
  if (!order.bodyHash.equals(hashWithoutPayment(call.body))) {
    const checkout = presentCheckout(order, deps)
    return {
      problem: new DomainError(
        'checkout_in_progress',
        'Another checkout of this cart waits for its payment. Cancel it first.',
        { checkout },
      ),
    }
  }
  const next = await requestNext(order, { ...call, payment: call.body.payment }, deps)
  return next ? { ...begunWith(order), attempt: next.attempt, fresh: true } : 'moved'
}

function begunWith(order: Order) {
  return { orderId: order.id, label: labelOf(order), fresh: false, replayed: false }
}

async function requestNext(
  order: Order,
  { payment, caller, idempotency }: Pick<PaymentCall, 'payment' | 'caller' | 'idempotency'>,
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

/** Accepts the cart as it was read, or refuses it. Nobody is let in for whom those before him may leave nothing. */
async function accept(cart: Cart, call: CheckoutCall, deps: ApiDeps): Promise<Begun | Refused | 'moved' | 'waited'> {
  const details = await requireDetails(cart, call.body, deps)
  const priced = await price(cart, details, deps)
  const wants = wantsOf(cart, priced)
  const refusal = refusalOf(cart, call.body, priced, wants)
  if (refusal) {
    deps.crowd.next(wants)
    return refuse(cart, refusal, priced, call, deps)
  }
  const patience = call.patientUntil - Date.now()
  const leave = patience > 0 ? deps.crowd.enter(wants) : deps.crowd.letIn(wants)
  if (!leave) {
    await deps.crowd.turn(wants, patience)
    return 'waited'
  }
  const begun = await writeOrder(cart, details, priced, call, deps).catch((error: unknown) => {
    leave()
    throw error
  })
  if (!begun) leave()
  return begun ? { ...begun, leave } : 'moved'
}

/** What the cart wants of each SKU, and what there is for it. */
function wantsOf(cart: Cart, priced: Priced): Want[] {
  return priced.lines.map(({ sku, quantity }) => ({ sku, quantity, available: availableOf(cart, priced, sku) }))
}

function availableOf(cart: Cart, priced: Priced, sku: string): number {
  const entry = cart.catalog.get(sku)
  const unavailable = priced.problems.some(
    (problem) => problem.code === 'unavailable' && problem.sku === (entry?.skuWritten ?? sku),
  )
  return entry && !unavailable ? Math.max(0, entry.available) : 0
}

/** Null: the cart is not as it was read, or another request has stored the key. */
async function writeOrder(
  cart: Cart,
  details: Details,
  priced: Priced,
  { body, caller, idempotency }: CheckoutCall,
  deps: ApiDeps,
): Promise<Begun | null> {
  const orderId = newId('order')
  const accepted = await unlessKeyIsTaken(() =>
    acceptOrder(deps.pool, {
      orderId,
      paymentId: newId('payment'),
      cartId: cart.id,
      tokenHash: caller.tokenHash,
      cartVersion: cart.version,
      ...details,
      billingAddress: body.billing_address ?? null,
      returnUrl: body.return_url ?? null,
      expectedTotal: body.expected_total?.amount ?? null,
      ...body.payment,
      paymentKey: chargeKey(orderId, 1),
      bodyHash: hashWithoutPayment(body),
      idempotency,
    }),
  )
  if (!accepted) return null
  await dropCart(deps.redis, cart.id)
  const lines = priced.lines.map((line) => ({ ...line, sku: line.skuWritten }))
  const { total } = priced.totals
  const label = labelOf({ number: accepted.number, currency: cart.currency, cartId: cart.id, total, lines })
  return { orderId, attempt: 1, label, fresh: true, replayed: false }
}

interface Details {
  readonly email: string
  readonly shippingAddress: NonNullable<Cart['shippingAddress']>
  readonly shippingMethod: string
}

/** What the body leaves out the cart must know. Names every field that neither has. */
async function requireDetails(cart: Cart, body: CheckoutRequest, deps: ApiDeps): Promise<Details> {
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

async function price(cart: Cart, { shippingAddress, shippingMethod }: Details, deps: ApiDeps): Promise<Priced> {
  const lines = linesInOrder(cart.lines)
  const { taxInclusive } = await storeSettings(deps.pool)
  const tax = await deps.tax.rates({
    country: shippingAddress.country,
    postalCode: shippingAddress.postal_code,
    skus: lines.map((line) => line.sku),
  })
  return priceCart({ currency: cart.currency, lines, catalog: cart.catalog, shippingMethod, taxInclusive, tax })
}

/** What cannot be sold even now is refused here, so that late losers start no workflow. Placing decides. */
function refusalOf(cart: Cart, body: CheckoutRequest, priced: Priced, wants: readonly Want[]): AcceptRefusal | null {
  if (body.cart_version != null && body.cart_version !== cart.version)
    return { code: 'cart_changed', version: cart.version }
  if (priced.lines.length === 0) return { code: 'cart_empty' }
  const short = wants
    .filter(({ available, quantity }) => available < quantity)
    .map(({ sku, quantity, available }) => ({
      sku: cart.catalog.get(sku)?.skuWritten ?? sku,
      requested: quantity,
      available,
    }))
  if (short.length > 0) return { code: 'out_of_stock', lines: short }
  return guardPrice({
    lines: priced.lines,
    total: priced.totals.total,
    expectedTotal: body.expected_total?.amount ?? null,
    currency: cart.currency,
  })
}

async function refuse(
  cart: Cart,
  refusal: AcceptRefusal,
  priced: Priced,
  { idempotency }: CheckoutCall,
  deps: ApiDeps,
): Promise<Refused> {
  const prices =
    refusal.code === 'price_changed' ? Object.fromEntries(priced.lines.map((line) => [line.sku, line.unitPrice])) : {}
  await refuseCheckout(deps.pool, idempotency, { cartId: cart.id, refusal, prices })
  await dropCart(deps.redis, cart.id)
  deps.metrics.checkoutOutcomes.inc({ outcome: refusal.code })
  return { problem: refused(refusal) }
}

/** Finds the attempt that another payment of an order stands for, or makes it. */
export async function beginPayment(call: PaymentCall, deps: ApiDeps): Promise<Begun | Refused> {
  for (let looks = 0; looks < LOOKS; looks++) {
    const order = await requireOwn(call.orderId, call.caller, deps)
    const known = await findByKey(call.idempotency, deps)
    if (known) return known
    if (isCompleted(order.status)) {
      return { ...begunWith(order), attempt: await joinAttempt(order, call.idempotency, deps) }
    }
    if (order.status === 'cancelled') return { problem: expired(order, deps) }
    if (isBeingSent(order)) {
      const checkout = presentCheckout(order, deps)
      return {
        problem: new DomainError('payment_in_progress', 'Another payment of this order is being made.', { checkout }),
      }
    }
    const next = await requestNext(order, call, deps)
    if (next) return { ...begunWith(order), attempt: next.attempt, fresh: true }
    if (order.holdExpiresAt && order.holdExpiresAt.getTime() <= Date.now()) return { problem: expired(order, deps) }
  }
  throw new DomainError('unavailable', 'The order changes too fast. Try again.', { dependency: 'postgres' })
}

/** The provider is being asked. What it has taken to decide on later can still be cancelled there, or refuses to be. */
function isBeingSent(order: Order): boolean {
  return order.status === 'pending' || order.attempts.some(({ status }) => status === 'requested' || status === 'sent')
}

/** The order of whoever holds its cart's token; throws 404 to everybody else. */
export async function requireOwn(orderId: OrderId, caller: CartCaller, deps: ApiDeps): Promise<Order> {
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
