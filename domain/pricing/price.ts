import type { ProductId, Sku } from '../ids'
import { type Currency, sum } from '../money'
import { shippingPrice } from './shipping'

/** A line's total, in minor units: a thousand lines of it still add up exactly. */
export const LINE_TOTAL_MAX = 1_000_000_000_000

/** What the catalog says of a SKU today. `price` is null where there is none in the currency. Amounts in minor units. */
export interface CatalogEntry {
  readonly sku: Sku
  /** As the merchant wrote it. */
  readonly skuWritten: string
  readonly productId: ProductId
  readonly title: string
  readonly sellerId: string
  /** False once the product is archived or a draft again. */
  readonly active: boolean
  readonly price: number | null
  /** In all warehouses, with what this cart holds itself. */
  readonly available: number
}

export interface LineToPrice {
  readonly sku: Sku
  readonly quantity: number
  readonly priceAtAdd: number
}

export interface PricedLine {
  readonly sku: Sku
  readonly skuWritten: string
  readonly productId: ProductId | null
  readonly title: string
  readonly sellerId: string
  readonly quantity: number
  readonly unitPrice: number
  readonly priceAtAdd: number
  readonly discount: number
  readonly tax: number
  readonly total: number
}

/** Minor units. `total = subtotal − discount + shipping`, and `+ tax` where prices are without it. */
export interface Totals {
  readonly subtotal: number
  readonly discount: number
  readonly shipping: number
  readonly tax: number
  readonly total: number
}

/** All that a price is made of. */
export interface CartToPrice {
  readonly currency: Currency
  readonly lines: readonly LineToPrice[]
  /** Every SKU of `lines` that exists. */
  readonly catalog: ReadonlyMap<Sku, CatalogEntry>
  readonly shippingMethod: string | null
  readonly taxInclusive: boolean
  readonly tax: TaxRates
}

export type CartProblem =
  | { readonly code: 'price_changed'; readonly sku: string; readonly oldPrice: number; readonly newPrice: number }
  | {
      readonly code: 'insufficient_stock'
      readonly sku: string
      readonly quantity: number
      readonly availableQuantity: number
    }
  | { readonly code: 'out_of_stock'; readonly sku: string }
  | { readonly code: 'unavailable'; readonly sku: string }

export interface Priced {
  readonly lines: readonly PricedLine[]
  readonly totals: Totals
  readonly problems: readonly CartProblem[]
}

/**
 * Prices a cart or the snapshot of one, from today's catalog: list price → (line promotions → order promotions, to come)
 * → shipping → tax per line. What cannot be sold today keeps its line, costs nothing and is a problem. Nothing is
 * refused here: the cart shows the problems, and checkout refuses by them.
 */
export function priceCart({ currency, lines, catalog, shippingMethod, taxInclusive, tax }: CartToPrice): Priced {
  const problems: CartProblem[] = []
  const priced = lines.map((line) => {
    const entry = catalog.get(line.sku)
    const sellable = entry !== undefined && unitPriceOf(entry, line.quantity) !== null
    problems.push(...problemsOf(line, entry, sellable))
    return priceLine(line, entry, sellable, { taxInclusive, rate: tax.lines[line.sku] ?? 0 })
  })
  const shipping = priced.length > 0 ? shippingPrice(shippingMethod, currency) : 0
  return {
    lines: priced,
    totals: totalsOf(priced, shipping, taxOn(shipping, tax.shipping, taxInclusive), taxInclusive),
    problems,
  }
}

/** Null when it cannot be sold today in this quantity: archived, without a price, or beyond any sensible sum. */
function unitPriceOf(entry: CatalogEntry, quantity: number): number | null {
  if (!entry.active || entry.price === null || entry.price * quantity > LINE_TOTAL_MAX) return null
  return entry.price
}

function priceLine(
  line: LineToPrice,
  entry: CatalogEntry | undefined,
  sellable: boolean,
  { taxInclusive, rate }: { taxInclusive: boolean; rate: number },
): PricedLine {
  const unitPrice = sellable && entry?.price != null ? entry.price : line.priceAtAdd
  const discount = 0
  const net = sellable ? unitPrice * line.quantity - discount : 0
  const tax = taxOn(net, rate, taxInclusive)
  return {
    sku: line.sku,
    skuWritten: entry?.skuWritten ?? line.sku,
    productId: entry?.productId ?? null,
    title: entry?.title ?? line.sku,
    sellerId: entry?.sellerId ?? 'house',
    quantity: line.quantity,
    unitPrice,
    priceAtAdd: line.priceAtAdd,
    discount,
    tax,
    total: taxInclusive ? net : net + tax,
  }
}

function problemsOf(line: LineToPrice, entry: CatalogEntry | undefined, sellable: boolean): CartProblem[] {
  if (!entry || !sellable || entry.price === null) return [{ code: 'unavailable', sku: entry?.skuWritten ?? line.sku }]
  const sku = entry.skuWritten
  const problems: CartProblem[] = []
  if (entry.available <= 0) problems.push({ code: 'out_of_stock', sku })
  else if (entry.available < line.quantity) {
    problems.push({ code: 'insufficient_stock', sku, quantity: line.quantity, availableQuantity: entry.available })
  }
  if (entry.price !== line.priceAtAdd) {
    problems.push({ code: 'price_changed', sku, oldPrice: line.priceAtAdd, newPrice: entry.price })
  }
  return problems
}

function totalsOf(lines: readonly PricedLine[], shipping: number, shippingTax: number, taxInclusive: boolean): Totals {
  const discount = sum(lines.map((line) => line.discount))
  const tax = sum(lines.map((line) => line.tax)) + shippingTax
  const lineTotals = sum(lines.map((line) => line.total))
  const net = taxInclusive ? lineTotals : lineTotals - (tax - shippingTax)
  return { subtotal: net + discount, discount, shipping, tax, total: net + shipping + (taxInclusive ? 0 : tax) }
}

/** Rates in basis points: 2000 is 20 %. A SKU that is not named is not taxed. */
export interface TaxRates {
  readonly lines: Readonly<Record<Sku, number>>
  readonly shipping: number
}

export const NO_TAX: TaxRates = { lines: {}, shipping: 0 }

/**
 * The tax on `amount`, rounded half up. Inclusive: the part of it that is tax; exclusive: what comes on top.
 *
 * @param amount minor units, not negative
 */
export function taxOn(amount: number, basisPoints: number, inclusive: boolean): number {
  if (basisPoints === 0) return 0
  const rate = BigInt(basisPoints)
  const numerator = BigInt(amount) * rate
  const denominator = inclusive ? 10_000n + rate : 10_000n
  return Number((numerator * 2n + denominator) / (denominator * 2n))
}
