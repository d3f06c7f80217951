import { type Affinity, type Sort, WEIGHTS } from '../../../domain/search'
import type { Currency } from '../../../domain/money'
import type { Db } from '../../pool'
import { Values } from '../../sql'
import { amountOf, ask, conditions, type Found, type Match } from './match'

/** Of a search that matches more than are counted, so many of the most popular are ranked by text too; else so many. */
const RANKED_OF_MANY = 60
const RANKED_OF_FEW = 600
/** Where the most popular of many matches are looked for first: one in a hundred is enough of them. */
const MANY_WINDOW = 30_000
/** Autocompletion looks at so many of the most popular products first. */
const POPULAR_WINDOW = 3_000

/** Which results of a search are wanted, and in which order. */
export interface ResultsRequest {
  readonly match: Match
  readonly sort: Sort
  readonly affinity: Affinity
  readonly offset: number
  readonly limit: number
}

/**
 * The wanted results, in order. Pins come first where results are sorted by relevance. When more match than are counted (`isBroad`),
 * the order's own index is followed instead of sorting all of them.
 */
export async function findResults(db: Db, request: ResultsRequest, isBroad: boolean): Promise<Found[]> {
  const pinned = request.sort === 'relevance' ? await findPinned(db, request.match) : []
  const shown = pinned.slice(request.offset, request.offset + request.limit)
  const limit = request.limit - shown.length
  if (limit <= 0) return shown
  const offset = Math.max(0, request.offset - pinned.length)
  const hides = [...request.match.hides, ...pinned.map(({ id }) => id)]
  const rest = { ...request, match: { ...request.match, pins: [], hides }, offset, limit }
  return [...shown, ...(await (isBroad ? followOrder(db, rest) : sortMatches(db, rest, RANKED_OF_FEW)))]
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

async function sortMatches(db: Db, request: ResultsRequest, ranked: number): Promise<Found[]> {
  const values = new Values()
  const { match } = request
  const { rows } = await ask<Found>(
    db,
    `with hit as materialized (
       select ${FOR_RESULTS}, ${amountOf(match, values)} as amount
       from search_document d
       where ${conditions(match, values).join(' and ')}
     )
     ${resultsOf('hit', request, values, ranked)}`,
    values,
  )
  return rows
}

/** What {@link resultsOf} needs to know of a match, besides its `amount`. */
export const FOR_RESULTS = 'd.ctid as tuple, d.product_id, d.popularity, d.rating'

/** The wanted results of a set that was found in the same statement, in order: by relevance the most popular `ranked` by text. */
export function resultsOf(set: string, request: ResultsRequest, values: Values, ranked = RANKED_OF_FEW): string {
  const { sort, offset, limit } = request
  const wanted = `offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`
  if (sort === 'relevance') {
    // By an array: a join would read every document of a small shop.
    const placed = `
      select d.*, row_number() over (order by d.popularity desc, d.product_id) as place
      from search_document d
      where d.ctid = any (array(
        select tuple
        from ${set}
        order by popularity desc, product_id
        limit ${values.add(Math.max(ranked, offset + limit), 'int')}
      ))`
    return `select d.product_id as id, d.title from (${placed}) as d order by ${byRelevance(request, ranked, values)} ${wanted}`
  }
  const order = {
    price_asc: 'amount, product_id',
    price_desc: 'amount desc, product_id desc',
    newest: 'product_id desc',
    rating: 'rating desc nulls last, product_id desc',
  }[sort]
  return `
    select d.product_id as id, d.title
    from (
      select tuple, row_number() over (order by ${order}) as place
      from (select * from ${set} order by ${order} ${wanted}) as shown
    ) as m
    join search_document d on d.ctid = m.tuple
    order by m.place`
}

/** Of matches with their `place` by popularity the first ones by score, the others as they are: ranking costs more than finding. */
function byRelevance({ match, affinity }: ResultsRequest, ranked: number, values: Values): string {
  return `d.place > ${ranked}, case when d.place <= ${ranked} then ${score(match, affinity, values)} end desc, d.place`
}

/**
 * Reads documents in the wanted order until there are enough: of a search that matches one in a hundred that is soon.
 * By relevance the most popular {@link RANKED_OF_MANY} are ranked by text among each other, those after them are not.
 */
async function followOrder(db: Db, request: ResultsRequest): Promise<Found[]> {
  const { match, sort, offset, limit } = request
  if (sort === 'relevance') return mostPopular(db, request)
  const values = new Values()
  const where = unindexed(match, values)
  const wanted = `offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`
  if (sort === 'price_asc' || sort === 'price_desc') {
    const direction = sort === 'price_asc' ? '' : 'desc'
    const { rows } = await ask<Found>(
      db,
      `select d.product_id as id, d.title
       from search_price p
       join search_document d on d.product_id = p.product_id
       where p.currency = ${values.add(match.currency, 'text')} and ${where}
       order by p.amount ${direction}, p.product_id ${direction}
       ${wanted}`,
      values,
    )
    return rows
  }
  const order = { newest: 'd.product_id desc', rating: 'd.rating desc nulls last, d.product_id desc' }[sort]
  const { rows } = await ask<Found>(
    db,
    `select d.product_id as id, d.title from search_document d where ${where} order by ${order} ${wanted}`,
    values,
  )
  return rows
}

/**
 * Looked for among the most popular documents of all; should too few of them match, the matches are sorted after all. As
 * many are ranked then, and never fewer: the order is the same wherever the wanted results begin.
 */
async function mostPopular(db: Db, request: ResultsRequest): Promise<Found[]> {
  const { match, offset, limit } = request
  const needed = Math.max(RANKED_OF_MANY, offset + limit)
  const values = new Values()
  const { rows } = await ask<Found & { matches: number }>(
    db,
    `select d.product_id as id, d.title, (count(*) over ())::int as matches
     from (
       select d.*, row_number() over (order by d.popularity desc, d.product_id) as place
       from (select * from search_document order by popularity desc, product_id limit ${MANY_WINDOW}) as d
       where ${unindexed(match, values)}
       limit ${values.add(needed, 'int')}
     ) as d
     order by ${byRelevance(request, RANKED_OF_MANY, values)}
     offset ${values.add(offset, 'int')} limit ${values.add(limit, 'int')}`,
    values,
  )
  if ((rows[0]?.matches ?? 0) < needed) return sortMatches(db, request, RANKED_OF_MANY)
  return rows.map(({ id, title }) => ({ id, title }))
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

/**
 * Categories with products on sale in the currency, one of whose words begins like this. One after the other is asked for
 * one product, in the order of an index, until there are enough: a join would read the listings of all.
 */
export async function findCategories(
  db: Db,
  { prefix, currency, limit }: { prefix: string; currency: Currency; limit: number },
): Promise<{ readonly slug: string; readonly title: string }[]> {
  const { rows } = await db.query<{ slug: string; title: string }>({
    name: 'search.categories',
    text: `
      with named as materialized (
        select number, slug, title, length(title) as letters
        from category
        where strpos('-' || slug, '-' || $1) > 0 or strpos(' ' || lower(title), ' ' || $1) > 0
        order by letters, slug
      )
      select slug, title
      from named
      cross join lateral (
        select from listing l where l.list = named.number and l.currency = $2 order by l.product_id limit 1
      ) as sold
      order by letters, slug
      limit $3`,
    values: [prefix, currency, limit],
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
