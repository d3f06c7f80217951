import type { Sku } from './ids'

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
