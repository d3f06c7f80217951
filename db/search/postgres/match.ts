import { createHash } from 'node:crypto'
import type { QueryResult, QueryResultRow } from 'pg'
import type { ProductId } from '../../../domain/ids'
import type { Currency } from '../../../domain/money'
import type { SearchFilters } from '../../../domain/search'
import type { Db } from '../../pool'
import type { Values } from '../../sql'

/** What is looked for, as the index knows it. */
export interface Match {
  /** As `tsquery` is written; null: everything. */
  readonly words: string | null
  /** The same, in titles alone. */
  readonly titleWords: string | null
  /** How many words the query has. */
  readonly wordCount: number
  readonly currency: Currency
  /** With the numbers of the facets that it names, by kind. */
  readonly filters: SearchFilters
  readonly facets: ReadonlyMap<string, number>
  readonly pins: readonly ProductId[]
  readonly hides: readonly ProductId[]
}

export interface Found {
  readonly id: ProductId
  readonly title: string
}

/** As a prepared statement: there are few forms, and planning one takes as long as running it. */
export function ask<T extends QueryResultRow>(db: Db, text: string, values: Values): Promise<QueryResult<T>> {
  return db.query<T>({ name: `search.${createHash('sha1').update(text).digest('hex')}`, text, values: values.list })
}

/** True when these filters narrow nothing, and nothing else does. */
export function matchesEverything({ words, hides }: Match, filters: SearchFilters): boolean {
  const { category, brand, attributes, ...others } = filters
  const narrowing = [category, brand, ...Object.values(attributes), ...Object.values(others)]
  return words === null && hides.length === 0 && narrowing.every((filter) => filter === null)
}

/** Never empty: a product without a price in the currency is not there. */
export function conditions(match: Match, values: Values): string[] {
  const { filters, facets, currency, words, pins, hides } = match
  const { category, brand, attributes, priceMin, priceMax, ratingMin, inStock } = filters
  const wanted = [
    ...(category === null ? [] : [`category ${category}`]),
    ...(brand === null ? [] : [`brand ${brand}`]),
    ...Object.entries(attributes).map(([name, value]) => `attr.${name} ${value}`),
  ].map((name) => facets.get(name))
  const list = [`d.prices ? ${values.add(currency, 'text')}`]
  // What no product has, none is narrowed to.
  if (wanted.includes(undefined)) list.push('false')
  else if (wanted.length > 0) list.push(`d.facets @> ${values.add(wanted, 'int[]')}`)
  if (words !== null) {
    const found = `d.words @@ ${values.add(words, 'tsquery')}`
    list.push(pins.length === 0 ? found : `(${found} or d.product_id = any (${values.add(pins, 'text[]')}))`)
  }
  if (hides.length > 0) list.push(`d.product_id <> all (${values.add(hides, 'text[]')})`)
  if (priceMin !== null) list.push(`${amountOf(match, values)} >= ${values.add(priceMin, 'bigint')}`)
  if (priceMax !== null) list.push(`${amountOf(match, values)} <= ${values.add(priceMax, 'bigint')}`)
  if (ratingMin !== null) list.push(`d.rating >= ${values.add(ratingMin, 'real')}`)
  if (inStock !== null) list.push(inStock ? 'd.in_stock' : 'not d.in_stock')
  return list
}

/** The lowest price in the currency, minor units. */
export function amountOf({ currency }: Match, values: Values): string {
  return `(d.prices ->> ${values.add(currency, 'text')})::bigint`
}
