import { z } from 'zod'
import type { Pool } from '../../db/pool'
import { readFacetLabels } from '../../db/search/document'
import type { Currency } from '../../domain/money'
import { type FacetCount, type Facets, NO_AFFINITY, NO_FILTERS } from '../../domain/search'
import type { ApiDeps } from '../deps'
import { money } from '../http/schemas'

/** What a search could be narrowed by, as it is answered. */

const facetCount = z.strictObject({ value: z.string(), label: z.string(), count: z.int() })
export const facets = z
  .object({
    category: z.array(facetCount),
    brand: z.array(facetCount),
    price: z.array(
      z.strictObject({
        from: money,
        to: money.nullable().meta({ description: 'exclusive; null: no end' }),
        count: z.int(),
      }),
    ),
    rating: z.array(facetCount),
    in_stock: z.array(facetCount),
  })
  .catchall(z.array(facetCount))
  .meta({
    id: 'Facets',
    description:
      'How many results each choice would leave; those of a filter that is set are counted without it. `attr.<name>` for attributes.',
  })

/** The facets of everything in a category, for its page. */
export async function searchFacets(
  { pool, search: engines }: Pick<ApiDeps, 'pool' | 'search'>,
  { category, currency: inCurrency }: { category: string; currency: Currency },
): Promise<z.input<typeof facets>> {
  const filters = { ...NO_FILTERS, category }
  const wanted = { text: '', currency: inCurrency, sort: 'relevance', filters, offset: 0, limit: 1 } as const
  const answer = await engines.search({ ...wanted, affinity: NO_AFFINITY })
  return presentFacets(pool, answer.facets, inCurrency)
}

const LABELS: Readonly<Record<string, (value: string) => string>> = {
  rating: (value) => `${value} and up`,
  in_stock: (value) => (value === 'true' ? 'In stock' : 'Out of stock'),
}

export async function presentFacets(
  pool: Pool,
  { values, price }: Facets,
  inCurrency: Currency,
): Promise<z.input<typeof facets>> {
  const labelled = Object.entries(values)
    .filter(([kind]) => !(kind in LABELS))
    .flatMap(([kind, counts]) => counts.map(({ value }) => ({ kind, value })))
  const labels = labelled.length === 0 ? new Map<string, string>() : await readFacetLabels(pool, labelled)
  const present = (kind: string, { value, count }: FacetCount) => ({
    value,
    label: LABELS[kind]?.(value) ?? labels.get(`${kind} ${value}`) ?? value,
    count,
  })
  const shown = Object.fromEntries(
    Object.entries(values).map(([kind, counts]) => [kind, counts.map((count) => present(kind, count))]),
  )
  const inMinor = (minor: number) => ({ amount: minor, currency: inCurrency })
  // `price` is no list of values as all others are, which the type of a catchall cannot say.
  return {
    category: [],
    brand: [],
    rating: [],
    in_stock: [],
    ...shown,
    price: price.map(({ from, to, count }) => ({ from: inMinor(from), to: to === null ? null : inMinor(to), count })),
  } as unknown as z.input<typeof facets>
}
