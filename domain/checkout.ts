import type { Sku } from './ids'
import type { Shortage } from './inventory'
import { type Currency, type Money, sum } from './money'
import { isCompleted, type OrderStatus } from './order'
import { type AttemptOutcome, type AttemptStatus, isUnresolved } from './payment/attempt'
import { type CartToPrice, type CatalogEntry, type Priced, type PricedLine, priceCart } from './pricing/price'

/** Why a checkout was refused before any money moved: an outcome, stored with the order and told to the buyer. */
export type Refusal =
  | { readonly code: 'out_of_stock'; readonly lines: readonly Shortage[] }
  | { readonly code: 'price_changed'; readonly old_total: Money; readonly new_total: Money }

/** Why a cart was refused before it became an order. */
export type AcceptRefusal =
  | Refusal
  | { readonly code: 'cart_changed'; readonly version: number }
  | { readonly code: 'cart_empty' }

/** What somebody wants to buy: the lines of an open cart, or the snapshot of them that an order keeps. */
export interface Sale extends CartToPrice {
  /** How many units of each SKU this buyer could have; none of a SKU that is missing. */
  readonly free: ReadonlyMap<Sku, number>
  /** The total that the buyer saw, in minor units; null when the buyer named none. */
  readonly expectedTotal: number | null
}

export interface CartSale extends Sale {
  /** The cart's version as it was read. */
  readonly version: number
  /** The version that the buyer saw; null when the buyer named none. */
  readonly expectedVersion: number | null
}

export type Judgement<R extends AcceptRefusal> =
  | { readonly outcome: 'sellable'; readonly priced: Priced }
  | {
      readonly outcome: 'refused'
      readonly refusal: R
      /** Minor units by SKU: the prices that the buyer now knows, when it was for them. They are no surprise next time. */
      readonly prices: Readonly<Record<Sku, number>>
    }

/** Judges an open cart. What cannot be sold even now is refused here; placing the order decides. */
export function judgeCart(cart: CartSale): Judgement<AcceptRefusal> {
  const priced = priceCart(cart)
  return judgementOf(priced, refusalOfCart(cart) ?? refusalOf(cart, priced))
}

/** Judges an order that is about to be placed. */
export function judgeSale(sale: Sale): Judgement<Refusal> {
  const priced = priceCart(sale)
  return judgementOf(priced, refusalOf(sale, priced))
}

function judgementOf<R extends AcceptRefusal>(priced: Priced, refusal: R | null): Judgement<R> {
  if (!refusal) return { outcome: 'sellable', priced }
  const told = refusal.code === 'price_changed' ? priced.lines : []
  return { outcome: 'refused', refusal, prices: Object.fromEntries(told.map((line) => [line.sku, line.unitPrice])) }
}

function refusalOfCart({ version, expectedVersion, lines }: CartSale): AcceptRefusal | null {
  if (expectedVersion !== null && expectedVersion !== version) return { code: 'cart_changed', version }
  return lines.length === 0 ? { code: 'cart_empty' } : null
}

/** Stock first, then the price: a buyer who cannot have the goods need not hear what they cost. */
function refusalOf({ free, expectedTotal, currency }: Sale, priced: Priced): Refusal | null {
  const lines = shortagesOf(priced, free)
  if (lines.length > 0) return { code: 'out_of_stock', lines }
  return guardPrice({ lines: priced.lines, total: priced.totals.total, expectedTotal, currency })
}

/** The lines that ask for more than is free, as the merchant wrote their SKUs. Of what is not for sale nothing is free. */
function shortagesOf({ lines, problems }: Priced, free: ReadonlyMap<Sku, number>): Shortage[] {
  const unavailable = new Set(problems.flatMap(({ code, sku }) => (code === 'unavailable' ? [sku] : [])))
  const availableOf = ({ sku, skuWritten }: PricedLine): number =>
    unavailable.has(skuWritten) ? 0 : (free.get(sku) ?? 0)
  return lines
    .map((line) => ({ sku: line.skuWritten, requested: line.quantity, available: availableOf(line) }))
    .filter(({ requested, available }) => available < requested)
}

/** What is free as the catalog entries count it: in all warehouses, with what the cart itself holds. */
export function freeInCatalog(catalog: ReadonlyMap<Sku, CatalogEntry>): Map<Sku, number> {
  return new Map([...catalog].map(([sku, { available }]) => [sku, Math.max(0, available)]))
}

/** A line may cost this many hundredths of a per cent more than when it was added before the buyer is asked again. */
export const PRICE_DRIFT_MAX_BASIS_POINTS = 500

interface GuardedLine {
  readonly quantity: number
  readonly unitPrice: number
  readonly priceAtAdd: number
}

/**
 * The price guard. With `expectedTotal` any difference refuses; without it a line more than 5 % above the price at which
 * it was added does. Otherwise today's price is charged. All amounts in minor units.
 */
export function guardPrice({
  lines,
  total,
  expectedTotal,
  currency,
}: {
  lines: readonly GuardedLine[]
  total: number
  expectedTotal: number | null
  currency: Currency
}): Extract<Refusal, { code: 'price_changed' }> | null {
  if (expectedTotal !== null) {
    return expectedTotal === total ? null : changed(expectedTotal, total, currency)
  }
  if (!lines.some(roseTooMuch)) return null
  const before = total - sum(lines.map((line) => (line.unitPrice - line.priceAtAdd) * line.quantity))
  return changed(before, total, currency)
}

function changed(before: number, now: number, currency: Currency): Extract<Refusal, { code: 'price_changed' }> {
  return { code: 'price_changed', old_total: { amount: before, currency }, new_total: { amount: now, currency } }
}

function roseTooMuch({ unitPrice, priceAtAdd }: GuardedLine): boolean {
  return unitPrice * 10_000 > priceAtAdd * (10_000 + PRICE_DRIFT_MAX_BASIS_POINTS)
}

/** How a checkout stands, as its buyer is told. */
export const CHECKOUT_STATES = [
  'ready_for_payment',
  'requires_action',
  'in_progress',
  'completed',
  'cancelled',
  'expired',
] as const
export type CheckoutState = (typeof CHECKOUT_STATES)[number]

/** An order as far as its checkout goes. */
export interface CheckoutOrder {
  readonly status: OrderStatus
  readonly cancelReason: string | null
  /** Oldest first. */
  readonly attempts: readonly {
    readonly attempt: number
    readonly status: AttemptStatus
    readonly outcome: AttemptOutcome | null
  }[]
}

export function checkoutState(order: CheckoutOrder): CheckoutState {
  const { status, cancelReason, attempts } = order
  if (status === 'cancelled') return cancelReason === 'expired' ? 'expired' : 'cancelled'
  if (isCompleted(status)) return 'completed'
  if (attempts.length === 0 || isBeingSent(order)) return 'in_progress'
  const unresolved = attempts.find((attempt) => isUnresolved(attempt.status))
  if (!unresolved) return 'ready_for_payment'
  return unresolved.status === 'requires_action' ? 'requires_action' : 'in_progress'
}

/**
 * What a request for an order that is there comes to. `join`: it is answered with the attempt that is being made, or that
 * paid. `pay`: it is another attempt. `read_again`: the order has just given its cart free. The others refuse it.
 */
export type OrderDecision =
  | 'join'
  | 'pay'
  | 'read_again'
  | 'checkout_in_progress'
  | 'payment_in_progress'
  | 'checkout_expired'

/** Somebody checks out a cart that has this order. `sameRequest`: with the same details, whatever the payment. */
export function decideCheckout(order: CheckoutOrder, sameRequest: boolean): OrderDecision {
  switch (checkoutState(order)) {
    case 'cancelled':
    case 'expired':
      return 'read_again'
    case 'completed':
    case 'in_progress':
      return 'join'
    case 'ready_for_payment':
    case 'requires_action':
      return sameRequest ? 'pay' : 'checkout_in_progress'
  }
}

/** Somebody pays this order again. What the provider has still to decide can be cancelled there, or refuses to be. */
export function decidePayment(order: CheckoutOrder): OrderDecision {
  if (isCompleted(order.status)) return 'join'
  if (order.status === 'cancelled') return 'checkout_expired'
  return isBeingSent(order) ? 'payment_in_progress' : 'pay'
}

/** The provider is being asked. */
function isBeingSent({ status, attempts }: CheckoutOrder): boolean {
  return status === 'pending' || attempts.some((attempt) => attempt.status === 'requested' || attempt.status === 'sent')
}

/** The attempt that somebody joins: the one that paid, else the newest. */
export function attemptToJoin({ attempts }: Pick<CheckoutOrder, 'attempts'>): number {
  const paid = attempts.find((attempt) => attempt.outcome === 'completed')
  return (paid ?? attempts.at(-1))?.attempt ?? 1
}
