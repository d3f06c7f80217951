import type { Sku } from '../ids'
import { sum } from '../money'
import type { Units } from './shipment'

/** How many of a SKU there are among these. */
export function countOf(units: readonly Units[], sku: Sku): number {
  return sum(units.filter((each) => each.sku === sku).map(({ quantity }) => quantity))
}

export function without(units: readonly Units[], taken: readonly Units[]): readonly Units[] {
  return units
    .map(({ sku, quantity }) => ({ sku, quantity: quantity - countOf(taken, sku) }))
    .filter(({ quantity }) => quantity > 0)
}

/** Each SKU once. */
export function joined(units: readonly Units[]): readonly Units[] {
  return [...new Set(units.map(({ sku }) => sku))].map((sku) => ({ sku, quantity: countOf(units, sku) }))
}
