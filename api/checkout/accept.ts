import { createHash } from 'node:crypto'
import { dropCart } from '../../db/cart/cache'
import type { Address, Cart, CartKey } from '../../db/cart/cart'
import {
  acceptCart,
  type CheckoutKey,
  joinAttempt,
  readCheckoutKey,
  readCheckoutSubject,
  refuseCheckout,
  requestNextAttempt,
} from '../../db/checkout'
import { type Order, readOwnOrder } from '../../db/order/read'
import { hasTriedTooOften } from '../../db/payment/attempt'
import type { IdempotencyScope } from '../../db/platform/idempotency'
import { storeSettings } from '../../db/platform/settings'
import { readPriceInputs } from '../../db/pricing'
import {
  type AcceptRefusal,
  type CartSale,
  decideCheckout,
  decidePayment,
  freeInCatalog,
  type Judgement,
  judgeCart,
  type OrderDecision,
} from '../../domain/checkout'
import { DomainError } from '../../domain/errors'
import type { OrderId } from '../../domain/ids'
import { orderLabel } from '../../domain/order'
import type { Priced } from '../../domain/pricing/price'
import type { CheckoutLabel } from '../../workflows/contract'
import { notServed } from '../cart/served'
import type { ApiDeps } from '../deps'
import { hashOfJson } from '../http/body'
import { type FieldError, invalid } from '../http/problem'
import { findProvider } from '../payment/choose'
import type { CheckoutDemand } from './admission'
import { REPLAYED, refused, refusedByOrder, triedTooOften } from './answer'
import type { CheckoutRequest, PaymentRequest } from './request'

/** A cart or an order that changes while it is read is read again this often. */
const READ_TRIES_MAX = 8

export interface CheckoutCall extends CartKey {
  readonly body: CheckoutRequest
  readonly idempotency: IdempotencyScope
  /** Until when it waits for those before it who may take what is left (ms since the epoch). */
  readonly waitInLineUntil: number
}

export interface PaymentCall {
  readonly orderId: OrderId
  readonly tokenHash: Buffer
  /** Null: the buyer believes that nothing is due. */
  readonly payment: PaymentRequest | null
  readonly idempotency: IdempotencyScope
}

/** The attempt that a request stands for. */
export interface RequestedAttempt {
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
export async function acceptCheckout(call: CheckoutCall, deps: ApiDeps): Promise<RequestedAttempt | Refused> {
  for (let tries = 0; tries < READ_TRIES_MAX; ) {
    const result = await tryCheckout(call, deps)
    if (typeof result === 'object') return result
    if (result === 'changed') tries++
  }
  throw new DomainError('unavailable', 'The cart changes too fast. Try again.', { dependency: 'postgres' })
}

/** Finds the attempt that another payment of an order stands for, or makes it. Throws as {@link acceptCheckout}. */
export async function acceptPayment(call: PaymentCall, deps: ApiDeps): Promise<RequestedAttempt | Refused> {
  for (let tries = 0; tries < READ_TRIES_MAX; tries++) {
    const order = await requireOwnOrder(call, deps)
    const key = await readCheckoutKey(deps.pool, call.idempotency)
    if (key) return answerOfKey(key)
    const result = await followOrder(order, decidePayment(order), call, deps)
    if (typeof result === 'object') return result
    if (order.holdExpiresAt && order.holdExpiresAt.getTime() <= Date.now()) {
      return { problem: refusedByOrder('checkout_expired', order, deps) }
    }
  }
  throw new DomainError('unavailable', 'The order changes too fast. Try again.', { dependency: 'postgres' })
}

/** The order of whoever holds its cart's token; throws 404 to everybody else. */
export async function requireOwnOrder(
  { orderId, tokenHash }: Pick<PaymentCall, 'orderId' | 'tokenHash'>,
  { pool }: ApiDeps,
): Promise<Order> {
  const order = await readOwnOrder(pool, orderId, tokenHash)
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  return order
}

/** One try. `changed`: something is not as it was read. `waited`: others were before it. Then it is read again. */
type Try = RequestedAttempt | Refused | 'changed' | 'waited'

async function tryCheckout(call: CheckoutCall, deps: ApiDeps): Promise<Try> {
  const subject = await readCheckoutSubject(deps.pool, call)
  if (subject.kind === 'key') return answerOfKey(subject.key)
  if (subject.kind === 'cart') return tryCart(subject.cart, call, deps)
  const { order } = subject
  if (!order) return 'changed'
  const decision = decideCheckout(order, order.bodyHash.equals(hashWithoutPayment(call.body)))
  return followOrder(order, decision, { ...call, payment: call.body.payment }, deps)
}

function answerOfKey(key: CheckoutKey): RequestedAttempt | Refused {
  if (key.kind === 'refused') return { problem: refused(key.refusal), headers: REPLAYED }
  const { orderId, attempt } = key
  return { orderId, attempt, label: { summary: orderId }, fresh: false, replayed: true }
}

async function followOrder(
  order: Order,
  decision: OrderDecision,
  { payment, tokenHash, idempotency }: Omit<PaymentCall, 'orderId'>,
  deps: ApiDeps,
): Promise<RequestedAttempt | Refused | 'changed'> {
  const orderId = order.id
  const known = { orderId, label: orderLabel(order), replayed: false }
  if (decision === 'read_again') return 'changed'
  if (decision === 'join') {
    return { ...known, attempt: await joinAttempt(deps.pool, order, idempotency), fresh: false }
  }
  if (decision !== 'pay') return { problem: refusedByOrder(decision, order, deps) }
  if (!payment) throw paymentRequired()
  const provider = requireProvider(payment, deps)
  const { method } = payment
  const next = await requestNextAttempt(deps.pool, { orderId, tokenHash, provider, method, idempotency })
  if (next) return { ...known, attempt: next.attempt, fresh: true }
  return (await hasTriedTooOften(deps.pool, order.cartId)) ? { problem: triedTooOften(order, deps) } : 'changed'
}

/** Accepts the cart as it was read, or refuses it; or waits in line, while those admitted may take all that is left. */
async function tryCart(cart: Cart, call: CheckoutCall, deps: ApiDeps): Promise<Try> {
  const details = await requireDetails(cart, call.body, deps)
  const sale = await readSale(cart, details, call.body, deps)
  const judgement = judgeCart(sale)
  if (judgement.outcome === 'refused') {
    deps.admissionGate.callNext(sale.lines)
    return refuse(cart, judgement, call, deps)
  }
  if (!call.body.payment && judgement.priced.totals.total > 0) throw paymentRequired()
  const leave = await passGate(sale, call, deps)
  if (!leave) return 'waited'
  const accepted = await accept(cart, details, judgement.priced, call, deps).catch((error: unknown) => {
    leave()
    throw error
  })
  if (accepted) return { ...accepted, leave }
  leave()
  return (await hasTriedTooOften(deps.pool, cart.id)) ? { problem: triedTooOften(null, deps) } : 'changed'
}

/** Who buys, and where the goods go. */
interface CheckoutDetails {
  readonly email: string
  readonly shippingAddress: Address
  readonly shippingMethod: string
}

/** What the body leaves out the cart must know. Throws 400 `validation_failed` that names every field at fault. */
async function requireDetails(cart: Cart, body: CheckoutRequest, deps: ApiDeps): Promise<CheckoutDetails> {
  const email = body.email ?? cart.email
  const shippingAddress = body.shipping_address ?? cart.shippingAddress
  const shippingMethod = body.shipping_method ?? cart.shippingMethod
  if (body.payment) requireProvider(body.payment, deps)
  const { countries } = await storeSettings(deps.pool)
  const errors: FieldError[] = [
    ...(email ? [] : [missing('/email')]),
    ...(shippingAddress ? [] : [missing('/shipping_address')]),
    ...(shippingMethod ? [] : [missing('/shipping_method')]),
    ...wrongCurrency(body.expected_total?.currency, cart.currency),
    ...notServed(shippingAddress?.country, countries),
  ]
  if (errors.length > 0 || !email || !shippingAddress || !shippingMethod) throw invalid(errors)
  return { email, shippingAddress, shippingMethod }
}

/** The name of the provider that is asked for the money. Throws 400 when none here takes it. */
function requireProvider(payment: PaymentRequest, { providers }: Pick<ApiDeps, 'providers'>): string {
  const provider = findProvider(payment, providers)
  if (provider) return provider.name
  const isNamed = payment.provider !== undefined
  const message = isNamed
    ? `We take payments by ${providers.names.join(', ')}.`
    : 'No payment provider here takes this method.'
  throw invalid([{ in: 'body', pointer: `/payment/${isNamed ? 'provider' : 'method'}`, code: 'unknown', message }])
}

function paymentRequired(): DomainError {
  return invalid([{ in: 'body', pointer: '/payment', code: 'required', message: 'There is something to pay.' }])
}

function missing(pointer: string): FieldError {
  return { in: 'body', pointer, code: 'required', message: 'Neither the body nor the cart has it.' }
}

function wrongCurrency(given: string | undefined, expected: string): FieldError[] {
  if (given === undefined || given === expected) return []
  const message = `The cart is in ${expected}.`
  return [{ in: 'body', pointer: '/expected_total/currency', code: 'wrong_currency', message }]
}

async function readSale(
  cart: Cart,
  { shippingAddress, shippingMethod }: CheckoutDetails,
  body: CheckoutRequest,
  { pool, tax }: ApiDeps,
): Promise<CartSale> {
  const inputs = await readPriceInputs(pool, cart)
  const rates = await tax.rates({
    address: { country: shippingAddress.country, postalCode: shippingAddress.postal_code },
    skus: inputs.lines.map((line) => line.sku),
  })
  return {
    ...inputs,
    shippingMethod,
    tax: rates,
    free: freeInCatalog(inputs.catalog),
    expectedTotal: body.expected_total?.amount ?? null,
    version: cart.version,
    expectedVersion: body.cart_version ?? null,
  }
}

/** How to leave the gate again; null when it has waited in line. Once its time is over it is admitted anyway. */
async function passGate(
  { lines, free }: CartSale,
  { waitInLineUntil }: CheckoutCall,
  { admissionGate }: ApiDeps,
): Promise<(() => void) | null> {
  const demand: CheckoutDemand[] = lines.map(({ sku, quantity }) => ({ sku, quantity, available: free.get(sku) ?? 0 }))
  const waitMs = waitInLineUntil - Date.now()
  if (waitMs <= 0) return admissionGate.admit(demand)
  const leave = admissionGate.tryAdmit(demand)
  if (!leave) await admissionGate.waitInLine(demand, waitMs)
  return leave
}

async function accept(
  cart: Cart,
  details: CheckoutDetails,
  priced: Priced,
  { tokenHash, body, idempotency }: CheckoutCall,
  deps: ApiDeps,
): Promise<RequestedAttempt | null> {
  const accepted = await acceptCart(deps.pool, {
    cartId: cart.id,
    tokenHash,
    cartVersion: cart.version,
    ...details,
    billingAddress: body.billing_address ?? null,
    returnUrl: body.return_url ?? null,
    // Without a payment it may cost nothing by the time it is placed either.
    expectedTotal: body.expected_total?.amount ?? (body.payment ? null : 0),
    provider: body.payment && requireProvider(body.payment, deps),
    method: body.payment?.method ?? null,
    bodyHash: hashWithoutPayment(body),
    idempotency,
  })
  if (!accepted) return null
  await dropCart(deps.redis, cart.id)
  const { orderId, number } = accepted
  const lines = priced.lines.map((line) => ({ ...line, sku: line.skuWritten }))
  const label = orderLabel({ number, currency: cart.currency, cartId: cart.id, total: priced.totals.total, lines })
  return { orderId, attempt: 1, label, fresh: true, replayed: false }
}

async function refuse(
  { id: cartId }: Cart,
  { refusal, prices }: Extract<Judgement<AcceptRefusal>, { outcome: 'refused' }>,
  { idempotency }: CheckoutCall,
  deps: ApiDeps,
): Promise<Refused> {
  await refuseCheckout(deps.pool, idempotency, { cartId, refusal, prices })
  await dropCart(deps.redis, cartId)
  deps.metrics.checkoutOutcomes.inc({ outcome: refusal.code })
  return { problem: refused(refusal) }
}

function hashWithoutPayment(body: CheckoutRequest): Buffer {
  const { payment: _payment, ...rest } = body
  return createHash('sha256').update(hashOfJson(rest)).digest()
}
