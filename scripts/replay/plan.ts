import { multiply, sum } from '../../domain/money'
import { shippingPrice } from '../../domain/pricing/shipping'
import type { Sale, SalesFile } from './sales'

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
  readonly onHand: number
}

/** One customer's cart, before anything is refused. */
export interface Basket {
  readonly invoice: string
  /** 2010-12-01 */
  readonly day: string
  readonly email: string
  /** Units by SKU. */
  readonly lines: ReadonlyMap<string, number>
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

export interface Plan {
  /** In order of time. */
  readonly baskets: readonly Basket[]
  readonly articles: ReadonlyMap<string, Article>
  readonly expected: Sums
  /** How many lines of a SKU will be refused, whoever comes first. */
  readonly refusals: ReadonlyMap<string, number>
}

/**
 * What the first `limit` sales of a file will come to, computed before anything is bought.
 *
 * Stock is exactly what is asked for, except where it is to run out in a way that does not depend on who comes first:
 * of a SKU that is asked for n times, always in the same quantity q, there are q × ⌊n/2⌋ units, or none at all. All who
 * ask for the former also have a line that never runs out, so that each of them has an order all the same.
 */
export function planReplay({ sales, articles }: SalesFile, limit: number): Plan {
  const baskets = sales.slice(0, limit).map(basketOf)
  const demands = demandsOf(baskets)
  const sold = linesSold(demands)
  const stocked = [...demands].map(([sku, { quantities }]): Article => {
    const { title, price } = articles.get(sku.slice(SKU_PREFIX.length)) as { title: string; price: number }
    const lines = sold.get(sku)
    return { sku, title, price, onHand: lines === undefined ? sum(quantities) : multiply(quantities[0] ?? 0, lines) }
  })
  const refusals = new Map([...sold].map(([sku, lines]) => [sku, (demands.get(sku)?.quantities.length ?? 0) - lines]))
  return {
    baskets,
    articles: new Map(stocked.map((article) => [article.sku, article])),
    expected: sumsOf(baskets, stocked, refusals),
    refusals,
  }
}

interface Demand {
  readonly quantities: number[]
  readonly baskets: Basket[]
}

function basketOf({ invoice, day, customer, units }: Sale): Basket {
  const account = customer.replace(/\.0$/, '').replace(/[^A-Za-z0-9]/g, '')
  return {
    invoice,
    day,
    email: account === '' ? `guest-${invoice}@example.com` : `customer-${account}@example.com`,
    lines: new Map([...units].map(([code, quantity]) => [SKU_PREFIX + code, quantity])),
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

/** How many lines can be had of the SKUs that run out. */
function linesSold(demands: ReadonlyMap<string, Demand>): Map<string, number> {
  const alike = [...demands]
    .filter(([, { quantities }]) => quantities.length > 1 && quantities.every((quantity) => quantity === quantities[0]))
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
