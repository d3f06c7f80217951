import type { CountedSet, Tally } from '../../../db/search/postgres/count'
import {
  type FacetCount,
  type Facets,
  limitFacets,
  PRICE_LADDER,
  priceRange,
  RATING_STEPS,
  type SearchFilters,
} from '../../../domain/search'

interface Facet {
  readonly kind: string
  readonly value: string
}

/**
 * What results can be narrowed by. A kind that is narrowed already is counted in the set without that filter, so that one
 * sees what else could be chosen; all others in the matches, which come first.
 */
export function facetsOf(
  counted: readonly (CountedSet & { readonly tally: Tally })[],
  facets: ReadonlyMap<number, Facet>,
  filters: SearchFilters,
): Facets {
  const [hits] = counted
  const tallyOf = (kind: string): Tally | undefined => (counted.find((set) => set.kind === kind) ?? hits)?.tally
  const own = new Set(counted.map(({ kind }) => kind))
  const kinds: Record<string, FacetCount[]> = {}
  for (const { kind: of, tally } of counted) {
    for (const [id, count] of tally.facets) {
      const facet = facets.get(id)
      const isCountedHere = of === null ? facet && !own.has(facet.kind) : facet?.kind === of
      if (facet && isCountedHere) (kinds[facet.kind] ??= []).push({ value: facet.value, count })
    }
  }
  for (const values of Object.values(kinds)) values.sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
  const ratings = named(RATING_STEPS, tallyOf('rating')?.ratings)
  const stock = tallyOf('in_stock')
  const inStock = named([true, false], stock && [stock.inStock, stock.notInStock]).sort((a, b) => b.count - a.count)
  return {
    values: {
      ...limitFacets(kinds, filters),
      ...(ratings.length > 0 && { rating: ratings }),
      ...(inStock.length > 0 && { in_stock: inStock }),
    },
    price: PRICE_LADDER.map((_, step) => priceRange(step, tallyOf('price')?.prices[step] ?? 0)).filter(
      ({ count }) => count > 0,
    ),
  }
}

function named(values: readonly (number | boolean)[], counts: readonly number[] = []): FacetCount[] {
  return values
    .map((value, index) => ({ value: String(value), count: counts[index] ?? 0 }))
    .filter(({ count }) => count > 0)
}
