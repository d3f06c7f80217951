import { createHash } from 'node:crypto'
import type { QueryResult, QueryResultRow } from 'pg'
import type { ProductId } from '../../domain/ids'
import {
  type Affinity,
  COUNTED_MAX,
  FACET_VALUES_MAX,
  type FacetCount,
  type Facets,
  keepFacets,
  PRICE_LADDER,
  priceRange,
  RATING_STEPS,
  type SearchFilters,
  type Sort,
  WEIGHTS,
} from '../../domain/search'
import type { Currency } from '../../domain/money'
import type { Db } from '../pool'

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

export interface Counted {
  /** At most {@link COUNTED_MAX}; then there are more. */
  readonly total: number
  readonly totalIsExact: boolean
  readonly facets: Facets
}

export interface Found {
  readonly id: ProductId
  readonly title: string
}

/** Of a search that matches more than are counted, so many of the most popular are ranked by text too; else so many. */
const RANKED_OF_MANY = 100
const RANKED_OF_FEW = 2_000
/** Where the most popular of many matches are looked for first: one in a hundred is enough of them. */
const MANY_WINDOW = 30_000
/** Of more matches than are counted the facets of so many are counted, and reckoned up to the 10,000. */
const FACET_SAMPLE = 2_500
/** Autocompletion looks at so many of the most popular products first. */
const POPULAR_WINDOW = 3_000

/** A statement's parameters: every value from a caller goes through here. */
class Values {
  readonly list: unknown[] = []

  add(value: unknown, type: string): string {
    this.list.push(value)
    return `$${this.list.length}::${type}`
  }
}

/** As a prepared statement: there are few forms, and planning one takes as long as running it. */
function ask<T extends QueryResultRow>(db: Db, text: string, values: Values): Promise<QueryResult<T>> {
  return db.query<T>({ name: `search.${createHash('sha1').update(text).digest('hex')}`, text, values: values.list })
}

/** A facet whose own filter is left out when its values are counted: what else could be chosen instead. */
interface OwnFilter {
  readonly kind: string
  readonly without: SearchFilters
}

/**
 * How many products match, what they could be narrowed by, and the page that is asked for: in one statement, unless more
 * match than are counted or some are pinned.
 */
export async function searchMatches(
  db: Db,
  request: PageRequest,
): Promise<{ counted: Counted; page: readonly Found[] }> {
  const hasPins = request.match.pins.length > 0 && request.sort === 'relevance'
  const { page, ...counted } = await countMatches(db, request, !hasPins)
  if (counted.total === 0) return { counted, page: [] }
  return { counted, page: page ?? (await findPage(db, request, !counted.totalIsExact)) }
}

/** One set per own filter, besides the hits themselves. */
interface CountedSet {
  readonly name: string
  /** Of an own filter: its kind alone is counted. */
  readonly kind: string | null
  readonly filters: SearchFilters
  readonly limit: number
}

async function countMatches(
  db: Db,
  request: PageRequest,
  withPage: boolean,
): Promise<Counted & { readonly page: readonly Found[] | null }> {
  const { match } = request
  const values = new Values()
  const own = ownFilters(match.filters)
  const sets: CountedSet[] = [
    { name: 'hit', kind: null, filters: match.filters, limit: COUNTED_MAX + 1 },
    ...own.map(({ kind, without }, index) => ({
      name: `other_${index}`,
      kind,
      filters: without,
      limit: COUNTED_MAX + 1,
    })),
  ]
  const setOf = (kind: string): string => {
    const index = own.findIndex((filter) => filter.kind === kind)
    return index < 0 ? 'hit' : `other_${index}`
  }
  const { rows } = await ask<CountRow>(
    db,
    `with ${sets.map((set) => countedSet(set, match, values)).join(', ')},
     counted as (${facetCounts(own, setOf, values)}),
     placed as (
       select *, row_number() over (partition by kind order by count desc, value) as place from counted
     )
     select jsonb_build_object(${[...new Set(['hit', setOf('price'), setOf('rating'), setOf('in_stock')])]
       .map((set) => `'${set}', (select ${SUMMARY} from ${set})`)
       .join(', ')}) as summaries,
            (
              select jsonb_agg(jsonb_build_array(kind, value, count) order by kind, place)
              from (select * from placed where place <= ${FACET_VALUES_MAX} order by place limit ${FACET_ROWS_MAX}) as p
            ) as facets,
            ${withPage ? pageOfNarrow(request, values) : 'null'} as page`,
    values,
  )
  return toCounted(rows[0], setOf)
}

const FACET_ROWS_MAX = 500

/** How many are in a set, in each range of prices, at each rating and above, in stock and not. */
const SUMMARY = `array[
  count(*),
  ${PRICE_LADDER.map((from, step) => {
    const to = PRICE_LADDER[step + 1]
    return `count(*) filter (where amount >= ${from}${to === undefined ? '' : ` and amount < ${to}`})`
  }).join(',\n  ')},
  ${RATING_STEPS.map((step) => `count(*) filter (where rating >= ${step})`).join(',\n  ')},
  count(*) filter (where in_stock), count(*) filter (where not in_stock)
]`

function facetCounts(own: readonly OwnFilter[], setOf: (kind: string) => string, values: Values): string {
  const narrowed = own.filter(({ kind }) => kind === 'category' || kind === 'brand' || kind.startsWith('attr.'))
  const isMany = (set: string): string => `(select count(*) from ${set}) > ${COUNTED_MAX}`
  const of = (set: string): string => `
    select f.kind, f.value, c.count * case when ${isMany(set)} then ${COUNTED_MAX / FACET_SAMPLE} else 1 end as count
    from (
      select id, count(*)::int as count
      from (
        select unnest(facets) as id
        from (select facets from ${set} limit (select case when ${isMany(set)} then ${FACET_SAMPLE} end)) as sample
      ) as u
      group by id
    ) as c
    join search_facet f on f.id = c.id`
  const kinds = narrowed.map(({ kind }) => kind)
  return [
    kinds.length === 0 ? of('hit') : `${of('hit')} where f.kind <> all (${values.add(kinds, 'text[]')})`,
    ...kinds.map((kind) => `${of(setOf(kind))} where f.kind = ${values.add(kind, 'text')}`),
  ].join(' union all ')
}

/** Of few enough matches all are put in order; of more nothing is, and this costs nothing. */
function pageOfNarrow(request: PageRequest, values: Values): string {
  return `case when (select count(*) from hit) <= ${COUNTED_MAX} then (
    select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'title', p.title)), '[]') from (${sortedMatches(request, values)}) as p
  ) end`
}

interface CountRow {
  readonly summaries: Readonly<Record<string, readonly number[]>>
  readonly facets: readonly (readonly [kind: string, value: string, count: number])[] | null
  readonly page: readonly Found[] | null
}

function toCounted(
  row: CountRow | undefined,
  setOf: (kind: string) => string,
): Counted & { readonly page: readonly Found[] | null } {
  const kinds: Record<string, FacetCount[]> = {}
  for (const [kind, value, count] of row?.facets ?? []) (kinds[kind] ??= []).push({ value, count })
  const summaryOf = (kind: string): readonly number[] => row?.summaries[setOf(kind)] ?? []
  const part = (kind: string, from: number, length: number): number[] => summaryOf(kind).slice(from, from + length)
  const ratingAt = 1 + PRICE_LADDER.length
  const stockAt = ratingAt + RATING_STEPS.length
  const counts = (values: readonly (number | boolean)[], numbers: readonly number[]): FacetCount[] =>
    values
      .map((value, index) => ({ value: String(value), count: numbers[index] ?? 0 }))
      .filter(({ count }) => count > 0)
  const ratings = counts(RATING_STEPS, part('rating', ratingAt, RATING_STEPS.length))
  const stock = counts([true, false], part('in_stock', stockAt, 2)).sort((a, b) => b.count - a.count)
  const [total = 0] = summaryOf('total')
  return {
    total: Math.min(total, COUNTED_MAX),
    totalIsExact: total <= COUNTED_MAX,
    facets: {
      values: {
        ...keepFacets(kinds),
        ...(ratings.length > 0 && { rating: ratings }),
        ...(stock.length > 0 && { in_stock: stock }),
      },
      price: part('price', 1, PRICE_LADDER.length)
        .map((count, step) => priceRange(step, count))
        .filter(({ count }) => count > 0),
    },
    page: row?.page ?? null,
  }
}

function countedSet({ name, kind, filters, limit }: CountedSet, match: Match, values: Values): string {
  const wants = (...kinds: string[]): boolean => kind === null || kinds.some((one) => kind.startsWith(one))
  return `
    ${name} as materialized (
      select ${wants('category', 'brand', 'attr.') ? 'd.facets' : 'null::int[] as facets'},
             ${wants('price') ? amountOf(match, values) : 'null::bigint'} as amount, d.rating, d.in_stock
      from search_document d
      where ${conditions({ ...match, filters }, values).join(' and ')}
      limit ${limit}
    )`
}

function ownFilters(filters: SearchFilters): OwnFilter[] {
  const { category, brand, attributes, priceMin, priceMax, ratingMin, inStock } = filters
  return [
    ...(category === null ? [] : [{ kind: 'category', without: { ...filters, category: null } }]),
    ...(brand === null ? [] : [{ kind: 'brand', without: { ...filters, brand: null } }]),
    ...Object.keys(attributes).map((name) => ({
      kind: `attr.${name}`,
      without: {
        ...filters,
        attributes: Object.fromEntries(Object.entries(attributes).filter(([other]) => other !== name)),
      },
    })),
    ...(priceMin === null && priceMax === null
      ? []
      : [{ kind: 'price', without: { ...filters, priceMin: null, priceMax: null } }]),
    ...(ratingMin === null ? [] : [{ kind: 'rating', without: { ...filters, ratingMin: null } }]),
    ...(inStock === null ? [] : [{ kind: 'in_stock', without: { ...filters, inStock: null } }]),
  ]
}

export interface PageRequest {
  readonly match: Match
  readonly sort: Sort
  readonly affinity: Affinity
  readonly offset: number
  readonly limit: number
}

/**
 * One page in order. Pins come first where results are sorted by relevance. When more match than are counted (`isBroad`),
 * the order's own index is followed instead of sorting all of them.
 */
async function findPage(db: Db, request: PageRequest, isBroad: boolean): Promise<Found[]> {
  const pinned = request.sort === 'relevance' ? await findPinned(db, request.match) : []
  const shown = pinned.slice(request.offset, request.offset + request.limit)
  const limit = request.limit - shown.length
  if (limit <= 0) return shown
  const offset = Math.max(0, request.offset - pinned.length)
  const hides = [...request.match.hides, ...pinned.map(({ id }) => id)]
  const rest = { ...request, match: { ...request.match, pins: [], hides }, offset, limit }
  return [...shown, ...(await (isBroad ? followOrder(db, rest) : sortMatches(db, rest)))]
}

/** Pins that fit the filters, in their order; whether they have the words does not matter. */
async function findPinned(db: Db, match: Match): Promise<Found[]> {
  if (match.pins.length === 0) return []
  const values = new Values()
  const pins = values.add(match.pins, 'text[]')
  const { rows } = await ask<Found>(
    db,
    `select d.product_id as id, d.title
     from search_document d
     where d.product_id = any (${pins}) and ${conditions({ ...match, words: null }, values).join(' and ')}
     order by array_position(${pins}, d.product_id::text)`,
    values,
  )
  return rows
}

async function sortMatches(db: Db, request: PageRequest): Promise<Found[]> {
  const values = new Values()
  const { rows } = await ask<Found>(db, sortedMatches(request, values), values)
  return rows
}

function sortedMatches({ match, sort, affinity, offset, limit }: PageRequest, values: Values): string {
  const where = conditions(match, values).join(' and ')
  const order: Record<Sort, () => string> = {
    relevance: () => `${score(match, affinity, values)} desc, d.product_id`,
    price_asc: () => `${amountOf(match, values)}, d.product_id`,
    price_desc: () => `${amountOf(match, values)} desc, d.product_id desc`,
    newest: () => 'd.product_id desc',
    rating: () => 'd.rating desc nulls last, d.product_id desc',
  }
  // Ranking by text costs more than finding: of a few thousand the least popular are left to later pages. `offset 0` keeps
  // the planner from looking for them in the order of popularity, through everything that does not match.
  const matches =
    sort === 'relevance'
      ? `(
          select * from (select * from search_document d where ${where} offset 0) as d
          order by d.popularity desc, d.product_id limit ${RANKED_OF_FEW}
        ) as d`
      : `search_document d where ${where}`
  return `
    select d.product_id as id, d.title
    from ${matches}
    order by ${order[sort]()}
    offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`
}

/**
 * Reads documents in the wanted order until the page is full: of a search that matches one in a hundred that is soon.
 * By relevance the most popular {@link RANKED_OF_MANY} are ranked by text among each other, later pages are not.
 */
async function followOrder(db: Db, request: PageRequest): Promise<Found[]> {
  const { match, sort, offset, limit } = request
  if (sort === 'relevance') return mostPopular(db, request)
  const values = new Values()
  const where = unindexed(match, values)
  const page = `offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`
  if (sort === 'price_asc' || sort === 'price_desc') {
    const direction = sort === 'price_asc' ? '' : 'desc'
    const { rows } = await ask<Found>(
      db,
      `select d.product_id as id, d.title
       from search_price p
       join search_document d on d.product_id = p.product_id
       where p.currency = ${values.add(match.currency, 'text')} and ${where}
       order by p.amount ${direction}, p.product_id ${direction}
       ${page}`,
      values,
    )
    return rows
  }
  const order = { newest: 'd.product_id desc', rating: 'd.rating desc nulls last, d.product_id desc' }[sort]
  const { rows } = await ask<Found>(
    db,
    `select d.product_id as id, d.title from search_document d where ${where} order by ${order} ${page}`,
    values,
  )
  return rows
}

/** Looked for among the most popular documents of all; should they be too few, the matches are sorted after all. */
async function mostPopular(db: Db, request: PageRequest): Promise<Found[]> {
  const { match, affinity, offset, limit } = request
  const values = new Values()
  const { rows } = await ask<Found>(
    db,
    `select d.product_id as id, d.title
     from (
       select d.*, row_number() over (order by d.popularity desc, d.product_id) as place
       from (select * from search_document order by popularity desc, product_id limit ${MANY_WINDOW}) as d
       where ${unindexed(match, values)}
       limit ${values.add(Math.max(RANKED_OF_MANY, offset + limit), 'int')}
     ) as d
     order by d.place > ${RANKED_OF_MANY},
              case when d.place <= ${RANKED_OF_MANY} then ${score(match, affinity, values)} end desc, d.place
     offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`,
    values,
  )
  return rows.length < limit ? sortMatches(db, request) : rows
}

/** Conditions wrapped like this are no reason for the planner to use another index than the order's. */
function unindexed(match: Match, values: Values): string {
  return conditions(match, values)
    .map((condition) => `(${condition}) is true`)
    .join(' and ')
}

/** The most popular products that match, for a search box. Those that everybody buys are looked through first. */
export async function findPopular(db: Db, match: Match, limit: number): Promise<(Found & { readonly slug: string })[]> {
  const popular = await findPopularIn(
    db,
    `(select * from search_document order by popularity desc, product_id limit ${POPULAR_WINDOW})`,
    match,
    limit,
  )
  return popular.length < limit ? findPopularIn(db, '(select * from search_document)', match, limit) : popular
}

async function findPopularIn(
  db: Db,
  documents: string,
  match: Match,
  limit: number,
): Promise<(Found & { readonly slug: string })[]> {
  const values = new Values()
  const { rows } = await ask<Found & { slug: string }>(
    db,
    `select id, title, slug
     from (
       select d.product_id as id, d.title, d.slug, d.popularity
       from ${documents} as d
       where ${conditions(match, values).join(' and ')}
       limit ${POPULAR_WINDOW}
     ) as hit
     order by popularity desc, id
     limit ${values.add(limit, 'int')}`,
    values,
  )
  return rows
}

/** Categories with products, one of whose words begins like this. */
export async function findCategories(
  db: Db,
  prefix: string,
  limit: number,
): Promise<{ readonly slug: string; readonly title: string }[]> {
  const { rows } = await db.query<{ slug: string; title: string }>({
    name: 'search.categories',
    text: `
      select f.value as slug, f.label as title
      from search_facet f
      where f.kind = 'category' and exists (
        select from regexp_split_to_table(f.value, '-') as part where part ^@ $1)
      order by length(f.label), f.value
      limit $2`,
    values: [prefix, limit],
  })
  return rows
}

/** See {@link WEIGHTS}. */
function score(match: Match, affinity: Affinity, values: Values): string {
  const parts = ['d.popularity']
  if (match.words !== null) {
    const covered = `least(1, ${values.add(match.wordCount, 'float8')} / greatest(1, d.title_words))`
    parts.push(
      `${WEIGHTS.textRank} * ts_rank('{0.1, 0.2, 0.4, 1}', d.words, ${values.add(match.words, 'tsquery')}, 32)`,
      `case when d.words @@ ${values.add(match.titleWords, 'tsquery')} then ${WEIGHTS.titleCoverage} * ${covered} else 0 end`,
    )
  }
  if (affinity.products.length > 0) {
    const products = values.add(affinity.products, 'text[]')
    parts.push(`case when d.product_id = any (${products}) then ${WEIGHTS.affinityProduct} else 0 end`)
  }
  if (affinity.categories.length > 0) {
    const categories = values.add(affinity.categories, 'text[]')
    parts.push(`case when d.facets && (
      select coalesce(array_agg(id), '{}') from search_facet where kind = 'category' and value = any (${categories})
    ) then ${WEIGHTS.affinityCategory} else 0 end`)
  }
  return parts.join(' + ')
}

/** Never empty: a product without a price in the currency is not there. */
function conditions(match: Match, values: Values): string[] {
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

function amountOf({ currency }: Match, values: Values): string {
  return `(d.prices ->> ${values.add(currency, 'text')})::bigint`
}
