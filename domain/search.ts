import type { ProductId } from './ids'
import type { Currency } from './money'
import { distance, formsOf, typosAllowed, wordsOf } from './words'

/** What engines agree on: documents, queries, answers, and how results are scored. */

/** Counting stops here; beyond it a total is said to be inexact. */
export const COUNTED_MAX = 10_000
/** How deep results can be paged: nobody looks further, and it bounds what a page may cost. */
export const DEPTH_MAX = 10_000
export const QUERY_WORDS_MAX = 12
export const QUERY_LENGTH_MAX = 200
export const FACET_VALUES_MAX = 20
export const ATTRIBUTE_FACETS_MAX = 10
/** Of one document. */
export const ATTRIBUTES_MAX = 40
export const AFFINITY_MAX = 50

/** Where price ranges begin, in minor units; each ends where the next begins. */
export const PRICE_LADDER = [0, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000] as const
/** "4 and up". */
export const RATING_STEPS = [4, 3, 2, 1] as const

export const SORTS = ['relevance', 'price_asc', 'price_desc', 'newest', 'rating'] as const
export type Sort = (typeof SORTS)[number]

/**
 * What a result's place is made of: score = text + popularity + affinity, each part at most its weight here.
 * Text: half the rank of the words found (title before brand and category before attributes before description), half how
 * much of the title the query covers. Popularity is stored in the document, see {@link popularityOf}.
 */
export const WEIGHTS = {
  textRank: 0.5,
  titleCoverage: 0.5,
  velocity: 0.15,
  rating: 0.1,
  margin: 0.03,
  inStock: 0.12,
  affinityProduct: 0.08,
  affinityCategory: 0.06,
} as const

/** So many units a day give half of the weight of velocity; the rest takes ever more. */
const VELOCITY_HALF = 5
/** Ratings count as if so many more people had rated the product as an average one is. */
const RATING_PRIOR_COUNT = 5
const RATING_PRIOR = 3.5

export interface Signals {
  readonly velocity: number
  readonly rating: number | null
  readonly ratingCount: number
  readonly margin: number | null
  readonly inStock: boolean
}

/** What speaks for a product whatever is searched: 0 to 0.4. */
export function popularityOf({ velocity, rating, ratingCount, margin, inStock }: Signals): number {
  const rated = rating === null ? 0 : ratingCount
  const believed = ((rating ?? 0) * rated + RATING_PRIOR * RATING_PRIOR_COUNT) / (rated + RATING_PRIOR_COUNT)
  return (
    (WEIGHTS.velocity * velocity) / (velocity + VELOCITY_HALF) +
    (WEIGHTS.rating * (believed - 1)) / 4 +
    WEIGHTS.margin * Math.min(1, Math.max(0, margin ?? 0)) +
    (inStock ? WEIGHTS.inStock : 0)
  )
}

export interface Labelled {
  readonly value: string
  readonly label: string
}

/** A product as engines index it. */
export interface SearchDocument {
  readonly id: ProductId
  readonly version: number
  /** When Postgres was read, as it writes it: what was committed before is in it. */
  readonly asOf: string
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly skus: readonly string[]
  readonly brand: Labelled | null
  /** Every category up to the root. */
  readonly categories: readonly Labelled[]
  readonly attributes: readonly (Labelled & { readonly name: string })[]
  /** Values of attributes that its categories do not want as filters: found by, not narrowed by. */
  readonly details: readonly string[]
  /** The lowest price by currency, minor units. */
  readonly prices: Readonly<Record<Currency, number>>
  readonly rating: number | null
  readonly inStock: boolean
  readonly popularity: number
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

/** A product that is not on sale, and when that was read. */
export interface Removal {
  readonly id: ProductId
  readonly asOf: string
}

/** What an engine is to have of some products, and what not any more. */
export interface IndexChanges {
  readonly documents: readonly SearchDocument[]
  readonly removals: readonly Removal[]
}

export interface SearchFilters {
  /** Values of facets. */
  readonly category: string | null
  readonly brand: string | null
  readonly attributes: Readonly<Record<string, string>>
  readonly priceMin: number | null
  readonly priceMax: number | null
  readonly ratingMin: number | null
  readonly inStock: boolean | null
}

/** What the caller has looked at or bought lately, newest first. */
export interface Affinity {
  readonly products: readonly ProductId[]
  /** Category slugs. */
  readonly categories: readonly string[]
}

export interface SearchQuery {
  /** As it was typed; empty: everything. */
  readonly text: string
  readonly currency: Currency
  readonly filters: SearchFilters
  readonly sort: Sort
  readonly offset: number
  readonly limit: number
  readonly affinity: Affinity
}

export interface FacetCount {
  readonly value: string
  readonly count: number
}

export interface PriceCount {
  readonly from: number
  /** Exclusive; null: no end. */
  readonly to: number | null
  readonly count: number
}

export interface Facets {
  /** By kind: `category`, `brand`, `rating`, `in_stock`, `attr.<name>`; most frequent first. */
  readonly values: Readonly<Record<string, readonly FacetCount[]>>
  readonly price: readonly PriceCount[]
}

/** HTML in which only `<mark>` is markup. */
export interface Highlight {
  readonly title: string
}

export interface SearchHit {
  readonly id: ProductId
  readonly highlight: Highlight | null
}

export interface SearchResult {
  readonly hits: readonly SearchHit[]
  readonly facets: Facets
  readonly total: number
  readonly totalIsExact: boolean
  /** The query as it would have been spelt, when results were found by another spelling. */
  readonly didYouMean: string | null
}

export type Suggestion =
  | { readonly type: 'product' | 'category'; readonly text: string; readonly slug: string }
  | { readonly type: 'query'; readonly text: string; readonly slug: null }

export interface SynonymRule {
  /** Null: each term finds all of them. */
  readonly root: string | null
  readonly terms: readonly string[]
}

export interface CurationRule {
  /** Words joined by single spaces. */
  readonly query: string
  readonly pins: readonly ProductId[]
  readonly hides: readonly ProductId[]
}

export interface SearchRules {
  readonly version: number
  readonly synonyms: readonly SynonymRule[]
  readonly curations: readonly CurationRule[]
}

export const NO_FILTERS: SearchFilters = {
  category: null,
  brand: null,
  attributes: {},
  priceMin: null,
  priceMax: null,
  ratingMin: null,
  inStock: null,
}

export const NO_AFFINITY: Affinity = { products: [], categories: [] }

/**
 * The query as it would be spelt by what was found: each word that the title lacks becomes the title's word that it is
 * a misspelling of. Null when it was spelt well, or nothing says how it should be. The last word may be a beginning.
 */
export function correctedQuery(words: readonly string[], title: string): string | null {
  const written = wordsOf(title)
  const better = words.map((word, index) => {
    const isLast = index === words.length - 1
    if (written.some((other) => formsOf(word).includes(other) || (isLast && other.startsWith(word)))) return word
    return written.find((other) => distance(word, other) <= typosAllowed(word)) ?? word
  })
  return better.some((word, index) => word !== words[index]) ? better.join(' ') : null
}

/** The range of prices that begins at this step of the ladder. */
export function priceRange(step: number, count: number): PriceCount {
  return { from: PRICE_LADDER[step] ?? 0, to: PRICE_LADDER[step + 1] ?? null, count }
}

/**
 * Only the most frequent kinds of attributes and values, so that an answer stays small whatever merchants invent; what was
 * chosen is always among them.
 */
export function limitFacets(
  counts: Readonly<Record<string, readonly FacetCount[]>>,
  filters: Pick<SearchFilters, 'category' | 'brand' | 'attributes'>,
): Facets['values'] {
  const chosen = chosenValues(filters)
  const attributes = Object.entries(counts)
    .filter(([kind]) => kind.startsWith('attr.') && !chosen.has(kind))
    .sort(([a, one], [b, other]) => total(other) - total(one) || (a < b ? -1 : 1))
  const dropped = new Set(attributes.slice(ATTRIBUTE_FACETS_MAX).map(([kind]) => kind))
  return Object.fromEntries(
    Object.entries(counts)
      .filter(([kind]) => !dropped.has(kind))
      .map(([kind, values]) => [
        kind,
        values.filter(({ value }, index) => index < FACET_VALUES_MAX || value === chosen.get(kind)),
      ]),
  )
}

/** By kind of facet. */
function chosenValues({
  category,
  brand,
  attributes,
}: Pick<SearchFilters, 'category' | 'brand' | 'attributes'>): Map<string, string> {
  const chosen = new Map(Object.entries(attributes).map(([name, value]) => [`attr.${name}`, value]))
  if (category !== null) chosen.set('category', category)
  if (brand !== null) chosen.set('brand', brand)
  return chosen
}

function total(values: readonly FacetCount[]): number {
  return values.reduce((sum, { count }) => sum + count, 0)
}
