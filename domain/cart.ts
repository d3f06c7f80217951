import type { Sku } from './ids'
import type { LineToPrice } from './pricing/price'

export const CART_LINES_MAX = 1_000
export const QUANTITY_MAX = 100_000
/** From the last change. */
export const CART_LIFE_DAYS = 7

export type CartState = 'open' | 'bought' | 'merged' | 'expired'

/** As stored in the cart's row, and in an order's snapshot of it. */
export interface StoredLine {
  readonly quantity: number
  /** Minor units: the unit price when the line was first added, or when a checkout last told the buyer another. */
  readonly price_at_add: number
  /** Orders the lines; gaps are normal. */
  readonly position: number
}
export type StoredLines = Readonly<Record<Sku, StoredLine>>

export interface LineChange {
  readonly sku: Sku
  /** As the caller wrote the SKU, to be told so should there be none. */
  readonly written?: string | undefined
  readonly quantity: number
}

/** One line per SKU, its quantities added up, in order of first mention. */
export function sumLines(lines: readonly LineChange[]): LineChange[] {
  const sums = new Map<Sku, LineChange>()
  for (const line of lines) {
    const { quantity = 0, written = line.written } = sums.get(line.sku) ?? {}
    sums.set(line.sku, { sku: line.sku, written, quantity: quantity + line.quantity })
  }
  return [...sums.values()]
}

/** The stored lines in the order in which they were added. */
export function linesInOrder(stored: StoredLines): LineToPrice[] {
  return Object.entries(stored)
    .sort(([, a], [, b]) => a.position - b.position)
    .map(([sku, line]) => ({ sku, quantity: line.quantity, priceAtAdd: line.price_at_add }))
}
