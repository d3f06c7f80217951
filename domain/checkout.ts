import type { Shortage } from './inventory'
import { type Currency, type Money, sum } from './money'

/** Why a checkout was refused before any money moved: an outcome, stored with the order and told to the buyer. */
export type Refusal =
  | { readonly code: 'out_of_stock'; readonly lines: readonly Shortage[] }
  | { readonly code: 'price_changed'; readonly old_total: Money; readonly new_total: Money }

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
