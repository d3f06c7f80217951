import type { ProductId } from '../ids'
import { wordsOf } from '../words'

export const RECOMMENDATION_KINDS = ['bought_together', 'also_bought', 'similar'] as const
export type RecommendationKind = (typeof RECOMMENDATION_KINDS)[number]
/** The kinds that come from what people bought: in one order, or over all orders of one buyer. */
export type BasketKind = Exclude<RecommendationKind, 'similar'>

/** Chosen by `bench/recommendation.ts` on real orders; docs/figures.md has the numbers. */
export const CLOSENESS = {
  /** Ties that few baskets show are believed less: 5 of 5 count half. */
  shrinkage: 5,
  /** A pair that was seen once says nothing. */
  togetherMin: 2,
} as const

export const LIMITS = {
  /** Recommendations kept per product and kind. */
  perProduct: 16,
  /** Products of an order that count: the pairs of an order of a thousand lines are half a million. */
  perOrder: 50,
  /** Products of a buyer that count, the newest first. */
  perBuyer: 100,
  /** Of the baskets of a product that sells a lot a sample is looked at. */
  basketsPerProduct: 250,
  /** Candidates per product that are scored, of those bought with it and of those like it. */
  candidates: 120,
  likely: 30,
  /** Orders older than this say nothing about today. */
  windowDays: 365,
  /** The rarest features of a product, by which others are found, and how many products each brings. */
  featuresPerProduct: 4,
  productsPerFeature: 80,
} as const

export interface Candidate {
  readonly otherId: ProductId
  /** In how many baskets both are. */
  readonly together: number
  /** In how many baskets the other one is at all. */
  readonly others: number
}

export interface Recommended {
  readonly otherId: ProductId
  readonly score: number
}

/**
 * How closely two products are tied by baskets: cosine with shrinkage,
 * `c / √(a·b) · c / (c + 5)` for `c` baskets with both, `a` with the one and `b` with the other.
 */
export function closeness(together: number, ones: number, others: number): number {
  if (together < CLOSENESS.togetherMin || ones <= 0 || others <= 0) return 0
  // Both counts may come from samples: two products are never more than the same.
  const cosine = Math.min(1, together / Math.sqrt(ones * others))
  return (cosine * together) / (together + CLOSENESS.shrinkage)
}

/** The closest of the candidates, closest first; what says nothing is left out. */
export function rankByBaskets(ones: number, candidates: readonly Candidate[]): Recommended[] {
  return best(
    candidates.map(({ otherId, together, others }) => ({ otherId, score: closeness(together, ones, others) })),
  )
}

/** What a product is known by, and how many products share it: `w:heart`, `c:cat_…`, `b:acme`, `a:color=red`. */
export interface Feature {
  readonly feature: string
  readonly products: number
}

export interface DescribedProduct {
  readonly otherId: ProductId
  readonly features: readonly Feature[]
}

/** Less than this have two products in common that happen to share a word. */
const SIMILAR_MIN = 0.1

/** The products most like this one: cosine of the weights of their features; rare ones weigh more. */
export function rankBySimilarity(
  features: readonly Feature[],
  others: readonly DescribedProduct[],
  catalogSize: number,
): Recommended[] {
  const own = new Map(features.map((feature) => [feature.feature, weightOf(feature, catalogSize)]))
  const ownNorm = normOf(own.values())
  const scored = others.map(({ otherId, features: theirs }) => {
    let shared = 0
    const weights: number[] = []
    for (const feature of theirs) {
      const weight = weightOf(feature, catalogSize)
      weights.push(weight)
      shared += (own.get(feature.feature) ?? 0) * weight
    }
    const norm = ownNorm * normOf(weights)
    return { otherId, score: norm === 0 ? 0 : shared / norm }
  })
  return best(scored.filter(({ score }) => score >= SIMILAR_MIN))
}

/** What tells of a product: the words of its title, its categories, brand and attributes. At most 40. */
export function featuresOf(product: {
  readonly title: string
  readonly brand: string | null
  readonly categories: readonly string[]
  readonly attributes: Readonly<Record<string, unknown>>
}): string[] {
  const features = new Set<string>()
  for (const word of tellingWords(product.title)) features.add(`w:${word}`)
  for (const category of product.categories) features.add(`c:${category}`)
  if (product.brand !== null) features.add(`b:${product.brand.toLowerCase().slice(0, 60)}`)
  for (const [name, value] of Object.entries(product.attributes)) {
    if (typeof value !== 'object') features.add(`a:${name}=${String(value).toLowerCase()}`.slice(0, 80))
  }
  return [...features].slice(0, FEATURES_MAX)
}

const FEATURES_MAX = 40
const SMALL_WORDS = new Set(['and', 'for', 'from', 'the', 'with', 'set', 'pack', 'pcs'])

/** Words of three letters or more, without the plural's s: "Hearts" and "heart" are one. */
function tellingWords(title: string): string[] {
  return wordsOf(title)
    .filter((word) => word.length > 2 && !SMALL_WORDS.has(word))
    .map((word) => (word.length > 3 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word))
}

/** The inverse document frequency, at least a little: a feature that all share tells next to nothing. */
function weightOf({ products }: Feature, catalogSize: number): number {
  return Math.log(1 + catalogSize / Math.max(1, products))
}

function normOf(weights: Iterable<number>): number {
  let sum = 0
  for (const weight of weights) sum += weight * weight
  return Math.sqrt(sum)
}

/** Best first; of equals the newer product, so that every run says the same. */
function best(scored: readonly Recommended[]): Recommended[] {
  return scored
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score || (a.otherId < b.otherId ? 1 : -1))
    .slice(0, LIMITS.perProduct)
}
