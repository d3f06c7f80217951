import { multiply, sum } from '../../domain/money'
import { shippingPrice } from '../../domain/pricing/shipping'
import { type CancelledSale, type Matched, matchCancellations } from './cancellations'
import { chanceOf } from './chance'
import type { WarehouseFaults } from './fault'
import type { InFile, Sale, SalesFile } from './sales'

/** The replay's articles stand beside the shop's own: the codes of the file, in SKUs of their own. */
const SKU_PREFIX = 'REPLAY-'
export const CURRENCY = 'GBP'
export const SHIPPING_METHOD = 'standard'

/** Of the SKUs that are to run out, every so many-th is not there at all. */
const NONE_AT_ALL_EVERY = 5

/** What is in stock for the replay. */
export interface Article {
  readonly sku: string
  readonly title: string
  /** Pence. */
  readonly price: number
  /** Units that are to be sold. */
  readonly onHand: number
  /** Units besides, for those that will not be found on their shelves. */
  readonly spare: number
  /** It lies in the warehouse that people run, and nowhere else. */
  readonly isSouthOnly: boolean
}

/** One customer's cart, before anything is refused. */
export interface Basket {
  readonly invoice: string
  /** 2010-12-01 */
  readonly day: string
  /** '' for who has no account. */
  readonly customer: string
  readonly email: string
  /** Units by SKU. */
  readonly lines: ReadonlyMap<string, number>
  readonly inFile: InFile
}

/** Money in pence, shipping included. Baskets of which nothing could be had have no order. */
export interface Sums {
  readonly orders: number
  readonly lines: number
  readonly units: number
  readonly money: number
  readonly refusedLines: number
  readonly withoutOrder: number
}

/** What happens, at a time of the file in milliseconds since 1970. `invoice` is that of the sale. */
export type Step =
  | { readonly kind: 'buy'; readonly at: number; readonly invoice: string; readonly basket: Basket }
  | {
      readonly kind: 'cancel'
      readonly at: number
      readonly invoice: string
      /** C536391 */
      readonly cancellation: string
      /** Units by SKU. */
      readonly units: ReadonlyMap<string, number>
    }
  | { readonly kind: 'send'; readonly at: number; readonly invoice: string }

export interface Plan {
  readonly baskets: readonly Basket[]
  /** In order of time. Of an invoice it is bought, cancelled, sent. */
  readonly steps: readonly Step[]
  readonly articles: ReadonlyMap<string, Article>
  readonly expected: Sums
  /** How many lines of a SKU will be refused, whoever comes first. */
  readonly refusals: ReadonlyMap<string, number>
  /** What is to be cancelled: units by SKU, by the invoice of the sale. */
  readonly cancelled: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** What became of each line of the file that cancels goods. */
  readonly cancellations: Matched['lines']
  /** A unit of this SKU will not be found when the invoice is picked, if it is picked by people. */
  readonly short: ReadonlyMap<string, string>
}

export interface HowToPlan {
  /** Only so many sales are played. */
  readonly limit: number
  readonly seed: number
  readonly warehouse: WarehouseFaults
}

const HOUR_MS = 3_600_000
/** So long a warehouse takes until a parcel leaves; one that is late takes so much more. */
const LEAVES_AFTER_HOURS = [2, 96] as const
const LATE_HOURS = 7 * 24

/**
 * What the first `limit` sales of a file will come to, computed before anything is bought.
 *
 * Stock is exactly what is asked for, except where it is to run out in a way that does not depend on who comes first:
 * of a SKU that is asked for n times, always in the same quantity q, there are q × ⌊n/2⌋ units, or none at all. All who
 * ask for the former also have a line that never runs out, so that each of them has an order all the same. What is to be
 * cancelled never runs out.
 *
 * The goods of each sale leave some time after it, which the seed says; what the file cancels before that is cancelled. Until
 * then these articles have to be there: they lie in the warehouse that people run, as do some others.
 */
export function planReplay({ sales, articles, cancellations }: SalesFile, how: HowToPlan): Plan {
  const played = sales.slice(0, how.limit)
  const leaves = new Map(played.map((sale) => [sale.invoice, leavesAt(sale, how)]))
  const matched = matchCancellations(sales, cancellations, ({ invoice }) => leaves.get(invoice) ?? null)
  const cancels = matched.cancelled.map((one) => ({ ...one, units: inSkus(one.units) }))
  const cancelledSkus = new Set(cancels.flatMap(({ units }) => [...units.keys()]))
  const baskets = played.map(basketOf)
  const demands = demandsOf(baskets)
  const sold = linesSold(demands, cancelledSkus)
  const short = shortPicks(baskets, how, (sku) => !sold.has(sku) && !cancelledSkus.has(sku))
  const spare = countsOf(short.values())
  const stocked = [...demands].map(([sku, { quantities }]): Article => {
    const { title, price } = articles.get(sku.slice(SKU_PREFIX.length)) as { title: string; price: number }
    const lines = sold.get(sku)
    const onHand = lines === undefined ? sum(quantities) : multiply(quantities[0] ?? 0, lines)
    const isSouthOnly = cancelledSkus.has(sku) || chanceOf(how.seed, 'place', sku).next() < SOUTH_ONLY
    return { sku, title, price, onHand, spare: spare.get(sku) ?? 0, isSouthOnly }
  })
  const refusals = new Map([...sold].map(([sku, lines]) => [sku, (demands.get(sku)?.quantities.length ?? 0) - lines]))
  return {
    baskets,
    steps: stepsOf(baskets, cancels, leaves, new Map(played.map(({ invoice, time }) => [invoice, time]))),
    articles: new Map(stocked.map((article) => [article.sku, article])),
    expected: sumsOf(baskets, stocked, refusals),
    refusals,
    cancelled: cancelledBySale(cancels),
    cancellations: matched.lines,
    short,
  }
}

/** Of articles that nobody cancels, the share that lies in the warehouse that people run, and nowhere else. */
const SOUTH_ONLY = 0.25

/** When the goods of a sale leave, in milliseconds since 1970: the seed says how busy its warehouse is. */
export function leavesAt({ invoice, time }: Pick<Sale, 'invoice' | 'time'>, { seed, warehouse }: HowToPlan): number {
  const random = chanceOf(seed, 'leaves', invoice)
  const hours = random.whole(...LEAVES_AFTER_HOURS)
  return time + (hours + (random.next() < warehouse.late_rate ? LATE_HOURS : 0)) * HOUR_MS
}

function stepsOf(
  baskets: readonly Basket[],
  cancels: readonly CancelledSale[],
  leaves: ReadonlyMap<string, number>,
  times: ReadonlyMap<string, number>,
): Step[] {
  const bought = baskets.map((basket): Step => {
    const { invoice } = basket
    return { kind: 'buy', at: times.get(invoice) ?? 0, invoice, basket }
  })
  const cancelled = cancels.map(
    ({ invoice: cancellation, sale: invoice, time: at, units }): Step => ({
      kind: 'cancel',
      at,
      invoice,
      cancellation,
      units,
    }),
  )
  const sent = [...leaves].map(([invoice, at]): Step => ({ kind: 'send', at, invoice }))
  // Of one time: first what is bought, for the order is stable.
  return [...bought, ...cancelled, ...sent].sort((a, b) => a.at - b.at)
}

/** A SKU of some baskets, by the seed: one that `isPlenty`. */
function shortPicks(
  baskets: readonly Basket[],
  { seed, warehouse }: HowToPlan,
  isPlenty: (sku: string) => boolean,
): Map<string, string> {
  const short = new Map<string, string>()
  for (const { invoice, lines } of baskets) {
    const random = chanceOf(seed, 'short', invoice)
    if (random.next() >= warehouse.short_rate) continue
    const plenty = [...lines.keys()].filter(isPlenty)
    if (plenty.length > 0) short.set(invoice, random.pick(plenty))
  }
  return short
}

function cancelledBySale(cancels: readonly CancelledSale[]): Map<string, Map<string, number>> {
  const cancelled = new Map<string, Map<string, number>>()
  for (const { sale, units } of cancels) {
    const sums = cancelled.get(sale) ?? new Map<string, number>()
    cancelled.set(sale, sums)
    for (const [sku, quantity] of units) sums.set(sku, (sums.get(sku) ?? 0) + quantity)
  }
  return cancelled
}

function countsOf(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

function inSkus(units: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...units].map(([code, quantity]) => [SKU_PREFIX + code, quantity]))
}

interface Demand {
  readonly quantities: number[]
  readonly baskets: Basket[]
}

function basketOf({ invoice, day, customer, units, inFile }: Sale): Basket {
  const account = customer.replace(/\.0$/, '').replace(/[^A-Za-z0-9]/g, '')
  return {
    invoice,
    day,
    customer: account,
    email: account === '' ? `guest-${invoice}@example.com` : `customer-${account}@example.com`,
    lines: inSkus(units),
    inFile,
  }
}

function demandsOf(baskets: readonly Basket[]): Map<string, Demand> {
  const demands = new Map<string, Demand>()
  for (const basket of baskets) {
    for (const [sku, quantity] of basket.lines) {
      const demand = demands.get(sku) ?? { quantities: [], baskets: [] }
      demands.set(sku, demand)
      demand.quantities.push(quantity)
      demand.baskets.push(basket)
    }
  }
  return demands
}

/** How many lines can be had of the SKUs that run out: none of `kept` does. */
function linesSold(demands: ReadonlyMap<string, Demand>, kept: ReadonlySet<string>): Map<string, number> {
  const alike = [...demands]
    .filter(([, { quantities }]) => quantities.length > 1 && quantities.every((quantity) => quantity === quantities[0]))
    .filter(([sku]) => !kept.has(sku))
    .map(([sku]) => sku)
    .sort()
  const candidates = new Set(alike)
  const neverShort = ({ lines }: Basket): boolean => [...lines.keys()].some((sku) => !candidates.has(sku))
  const sold = new Map<string, number>()
  for (const [index, sku] of alike.entries()) {
    const { quantities, baskets } = demands.get(sku) as Demand
    if (index % NONE_AT_ALL_EVERY === NONE_AT_ALL_EVERY - 1) sold.set(sku, 0)
    else if (baskets.every(neverShort)) sold.set(sku, Math.floor(quantities.length / 2))
  }
  return sold
}

/** What is in stock is sold, to the last unit. */
function sumsOf(baskets: readonly Basket[], stocked: readonly Article[], refusals: ReadonlyMap<string, number>): Sums {
  const missing = new Set(stocked.filter(({ onHand }) => onHand === 0).map(({ sku }) => sku))
  const withoutOrder = baskets.filter(({ lines }) => [...lines.keys()].every((sku) => missing.has(sku))).length
  const orders = baskets.length - withoutOrder
  const refusedLines = sum(refusals.values())
  const goods = sum(stocked.map(({ price, onHand }) => multiply(price, onHand)))
  return {
    orders,
    lines: sum(baskets.map(({ lines }) => lines.size)) - refusedLines,
    units: sum(stocked.map(({ onHand }) => onHand)),
    money: goods + orders * shippingPrice(SHIPPING_METHOD, CURRENCY),
    refusedLines,
    withoutOrder,
  }
}
