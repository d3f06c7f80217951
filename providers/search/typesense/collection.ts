import type { CollectionCreateSchema } from 'typesense/lib/Typesense/Collections'
import type { SearchDocument } from '../../../domain/search'

/** What is searched: an alias of the collection that the last rebuild filled. */
export const ALIAS = 'holdfast_products'
export const SYNONYMS = 'holdfast_synonyms'
export const CURATIONS = 'holdfast_curations'
/** Only searches that say this tag see pins. */
export const PINS = 'pins'
/** Anything that is no letter, digit or apostrophe ends a word, as in `wordsOf`. */
const SEPARATORS = Array.from('-/.,:;()&+_!?*#@%|[]{}<>=~^$"`\\')

export interface Stored {
  readonly id: string
  readonly slug: string
  readonly title: string
  readonly skus: readonly string[]
  /** Names of brand, categories and attributes, to be found by. */
  readonly labels: readonly string[]
  readonly description: string
  readonly brand?: string
  readonly category: readonly string[]
  readonly category_names: readonly string[]
  /** `<name>=<value>` */
  readonly attributes: readonly string[]
  readonly rating: number
  readonly in_stock: boolean
  readonly popularity: number
  readonly created_at: number
  readonly [price: `price_${string}`]: number
}

export function collectionOf(build: string): string {
  return `${ALIAS}_${build}`
}

export function schemaOf(name: string): CollectionCreateSchema {
  return {
    name,
    token_separators: SEPARATORS,
    default_sorting_field: 'popularity',
    synonym_sets: [SYNONYMS],
    curation_sets: [CURATIONS],
    fields: [
      { name: 'title', type: 'string', stem: true },
      { name: 'skus', type: 'string[]' },
      { name: 'labels', type: 'string[]', stem: true },
      { name: 'description', type: 'string', stem: true },
      { name: 'slug', type: 'string', index: false, optional: true },
      { name: 'category_names', type: 'string[]', index: false, optional: true },
      { name: 'brand', type: 'string', facet: true, optional: true },
      { name: 'category', type: 'string[]', facet: true },
      { name: 'attributes', type: 'string[]', facet: true },
      { name: 'rating', type: 'float', facet: true },
      { name: 'in_stock', type: 'bool', facet: true },
      { name: 'popularity', type: 'float' },
      { name: 'created_at', type: 'int64' },
      { name: 'price_.*', type: 'int64', facet: true, optional: true },
    ],
  } as CollectionCreateSchema
}

export function toStored(document: SearchDocument): Stored {
  const { brand, categories, attributes, details } = document
  return {
    id: document.id,
    slug: document.slug,
    title: document.title,
    skus: document.skus,
    labels: [...[...(brand ? [brand] : []), ...categories, ...attributes].map(({ label }) => label), ...details],
    description: document.description,
    ...(brand && { brand: brand.value }),
    category: categories.map(({ value }) => value),
    category_names: categories.map(({ label }) => label),
    attributes: attributes.map(({ name, value }) => `${name}=${value}`),
    rating: document.rating ?? 0,
    in_stock: document.inStock,
    popularity: document.popularity,
    created_at: document.createdAt,
    ...Object.fromEntries(Object.entries(document.prices).map(([currency, amount]) => [`price_${currency}`, amount])),
  }
}
