import { PRICE_AMOUNT_MAX } from '../../../domain/catalog/product'
import type { Currency } from '../../../domain/money'
import { PRICE_LADDER, RATING_STEPS, type SearchFilters, type SearchQuery, type Sort } from '../../../domain/search'
import { PINS } from './collection'

/** Attributes share one field: the most frequent values of all of them. */
const FACET_VALUES_READ = 200

/** Words alone: a sign that means something to Typesense (`-` leaves out, `"` asks for a phrase) is none. */
export function matching(
  words: readonly string[],
  { text, currency, sort }: Pick<SearchQuery, 'text' | 'currency' | 'sort'>,
  filters: SearchFilters | null,
): Record<string, unknown> {
  const mayGoOn = /[\p{L}\p{N}]$/u.test(text)
  return {
    q: words.length === 0 ? '*' : words.join(' '),
    query_by: 'title,skus,labels,description',
    query_by_weights: '8,8,4,1',
    num_typos: '2,0,1,0',
    min_len_1typo: 3,
    prefix: mayGoOn ? 'true,true,true,false' : 'false',
    enable_typos_for_numerical_tokens: false,
    filter_by: filterOf(filters, currency),
    include_fields: 'id,title',
    highlight_fields: 'title,skus,labels,description',
    max_facet_values: FACET_VALUES_READ,
    // What is hidden is so in every order, what is pinned only in the order of relevance.
    ...(sort === 'relevance' && { curation_tags: PINS }),
  }
}

function filterOf(filters: SearchFilters | null, currency: Currency): string {
  const price = `price_${currency}`
  const clauses = [`${price}:>=${filters?.priceMin ?? 0}`]
  if (!filters) return clauses[0] as string
  const { category, brand, attributes, priceMax, ratingMin, inStock } = filters
  if (category !== null) clauses.push(`category:=${literal(category)}`)
  if (brand !== null) clauses.push(`brand:=${literal(brand)}`)
  for (const [name, value] of Object.entries(attributes)) clauses.push(`attributes:=${literal(`${name}=${value}`)}`)
  if (priceMax !== null) clauses.push(`${price}:<=${priceMax}`)
  if (ratingMin !== null) clauses.push(`rating:>=${ratingMin}`)
  if (inStock !== null) clauses.push(`in_stock:=${inStock}`)
  return clauses.join(' && ')
}

/** Values of facets and ids have no backtick; should one ever come, it ends nothing. */
export function literal(value: string): string {
  return `\`${value.replaceAll('`', '')}\``
}

export function sortOf({ sort, affinity, currency }: SearchQuery, hasWords: boolean): string {
  const liked = [
    ...(affinity.products.length > 0 ? [`(id:=[${affinity.products.map(literal).join(',')}]):2`] : []),
    ...(affinity.categories.length > 0 ? [`(category:=[${affinity.categories.map(literal).join(',')}]):1`] : []),
  ]
  const orders: Record<Sort, readonly string[]> = {
    relevance: [
      ...(hasWords ? ['_text_match(buckets: 10):desc'] : []),
      ...(liked.length > 0 ? [`_eval([${liked.join(', ')}]):desc`] : []),
      'popularity:desc',
    ],
    price_asc: [`price_${currency}:asc`, 'created_at:asc'],
    price_desc: [`price_${currency}:desc`, 'created_at:desc'],
    newest: ['created_at:desc'],
    rating: ['rating:desc', 'created_at:desc'],
  }
  return orders[sort].join(',')
}

/** A filter that is set, and the others: what is counted to say what could be chosen instead. */
interface Narrowing {
  readonly field: 'category' | 'brand' | 'attributes' | 'price' | 'rating' | 'in_stock'
  /** Of `attributes`, whose values share a field. */
  readonly attribute: string | null
  readonly without: SearchFilters
}

export function narrowings(filters: SearchFilters): Narrowing[] {
  const { category, brand, attributes, priceMin, priceMax, ratingMin, inStock } = filters
  const one = (isSet: boolean, field: Narrowing['field'], without: Partial<SearchFilters>): Narrowing[] =>
    isSet ? [{ field, attribute: null, without: { ...filters, ...without } }] : []
  return [
    ...one(category !== null, 'category', { category: null }),
    ...one(brand !== null, 'brand', { brand: null }),
    ...Object.keys(attributes).map((name): Narrowing => {
      const others = Object.entries(attributes).filter(([other]) => other !== name)
      return { field: 'attributes', attribute: name, without: { ...filters, attributes: Object.fromEntries(others) } }
    }),
    ...one(priceMin !== null || priceMax !== null, 'price', { priceMin: null, priceMax: null }),
    ...one(ratingMin !== null, 'rating', { ratingMin: null }),
    ...one(inStock !== null, 'in_stock', { inStock: null }),
  ]
}

export function fieldName(field: Narrowing['field'], currency: Currency): string {
  return field === 'price' ? `price_${currency}` : field
}

/** Every facet, as `facet_by` is written. Ranges have no gaps: Typesense wants that. */
export function facetFields(currency: Currency): Record<Narrowing['field'], string> {
  const ends = [...PRICE_LADDER.slice(1), PRICE_AMOUNT_MAX + 1]
  const prices = PRICE_LADDER.map((from, index) => `${from}:[${from}, ${ends[index]}]`)
  const ratings = [...RATING_STEPS].reverse().map((step, index, all) => `${step}:[${step}, ${all[index + 1] ?? 6}]`)
  return {
    category: 'category',
    brand: 'brand',
    attributes: 'attributes',
    in_stock: 'in_stock',
    rating: `rating(${ratings.join(', ')})`,
    price: `price_${currency}(${prices.join(', ')})`,
  }
}
