import { COUNTED_MAX, PRICE_LADDER, RATING_STEPS, type SearchFilters } from '../../../domain/search'
import type { Db } from '../../pool'
import { Values } from '../../sql'
import { amountOf, ask, conditions, type Found, type Match } from './match'
import { FOR_RESULTS, resultsOf, type ResultsRequest } from './results'

/** Of more matches than are counted the facets of so many are counted. */
const FACET_SAMPLE = 2_500
/** One document in so many is in the sample, see db/migrations/0008_search.sql. */
const SAMPLED_ONE_IN = 16
/** So many are read of the sample: facets of more would look the same. */
const SAMPLE_MAX = 1_000
/** Who has so many matches in the sample has more than are counted, but for one time in a thousand. */
const SAMPLE_OF_MANY = Math.ceil((COUNTED_MAX / SAMPLED_ONE_IN) * 1.12)

/** What is counted: the matches, or what they would be without the filter of one kind. */
export interface CountedSet {
  /** Null: the matches themselves. */
  readonly kind: string | null
  readonly filters: SearchFilters
}

/** What was found in a set. Of more than {@link COUNTED_MAX} all numbers are reckoned from some of them, as parts of it. */
export interface Tally {
  /** {@link COUNTED_MAX} + 1: more than are counted. */
  readonly total: number
  /** By step of the ladder. */
  readonly prices: readonly number[]
  /** By step: rated so or better. */
  readonly ratings: readonly number[]
  readonly inStock: number
  readonly notInStock: number
  /** By number of the facet. */
  readonly facets: readonly (readonly [facet: number, count: number])[]
}

/** The matches, and one more set for each filter: what else could be chosen instead of it. */
export function countedSets(filters: SearchFilters): CountedSet[] {
  const { category, brand, attributes, priceMin, priceMax, ratingMin, inStock } = filters
  const without = (kind: string, change: Partial<SearchFilters>): CountedSet => ({
    kind,
    filters: { ...filters, ...change },
  })
  return [
    { kind: null, filters },
    ...(category === null ? [] : [without('category', { category: null })]),
    ...(brand === null ? [] : [without('brand', { brand: null })]),
    ...Object.keys(attributes).map((name) =>
      without(`attr.${name}`, {
        attributes: Object.fromEntries(Object.entries(attributes).filter(([other]) => other !== name)),
      }),
    ),
    ...(priceMin === null && priceMax === null ? [] : [without('price', { priceMin: null, priceMax: null })]),
    ...(ratingMin === null ? [] : [without('rating', { ratingMin: null })]),
    ...(inStock === null ? [] : [without('in_stock', { inStock: null })]),
  ]
}

/**
 * Counts sets, and reads the results that are asked for, in one statement. With results the first set is the matches
 * themselves; the results are null when more match than are counted. When the first set is empty, the others are not counted, unless
 * `evenIfNone`.
 */
export async function countSets(
  db: Db,
  match: Match,
  sets: readonly CountedSet[],
  wanted: ResultsRequest | null,
  { evenIfNone = false }: { evenIfNone?: boolean } = {},
): Promise<{ readonly tallies: readonly Tally[]; readonly results: readonly Found[] | null }> {
  const values = new Values()
  const named = sets.map((set, index) => ({ ...set, name: `set_${index}` }))
  const { rows } = await ask<Record<string, unknown> & { results: readonly Found[] | null }>(
    db,
    `with ${named.map((set, index) => setOf(set, match, values, index === 0 || evenIfNone ? {} : { only: '(select rows > 0 from size_of_set_0) and' })).join(', ')}
     select ${named.map(({ name }) => `(${tallyOf(name)}) as ${name}`).join(', ')},
            ${wanted ? resultsOfFew(wanted, values) : 'null'} as results`,
    values,
  )
  const [row] = rows
  return { tallies: named.map(({ name }) => toTally(row?.[name] as Counts)), results: row?.results ?? null }
}

/** What the sample says of sets: null where it has too few to be sure that more match than are counted. */
export async function sampleSets(
  db: Db,
  match: Match,
  sets: readonly CountedSet[],
): Promise<readonly (Tally | null)[]> {
  const values = new Values()
  const named = sets.map((set, index) => ({ ...set, name: `set_${index}` }))
  const { rows } = await ask<Record<string, unknown>>(
    db,
    `with ${named.map((set) => setOf(set, match, values, { only: 'd.is_sampled and', limit: SAMPLE_MAX })).join(', ')}
     select ${named.map(({ name }) => `case when (select rows >= ${SAMPLE_OF_MANY} from size_of_${name}) then (${tallyOf(name)}) end as ${name}`).join(', ')}`,
    values,
  )
  return named.map(({ name }) => {
    const counts = rows[0]?.[name] as Counts | null | undefined
    return counts ? toTally(counts, COUNTED_MAX + 1) : null
  })
}

/** Two tables: what is in the set, and how many are. */
function setOf(
  { name, kind, filters }: NamedSet,
  match: Match,
  values: Values,
  { only = '', limit = COUNTED_MAX + 1 }: { only?: string; limit?: number } = {},
): string {
  const wants = (...kinds: string[]): boolean => kind === null || kinds.some((one) => kind.startsWith(one))
  return `
    ${name} as materialized (
      select ${kind === null ? FOR_RESULTS : 'd.rating'}, d.in_stock,
             ${wants('category', 'brand', 'attr.') ? 'd.facets' : 'null::int[] as facets'},
             ${wants('price') ? amountOf(match, values) : 'null::bigint'} as amount
      from search_document d
      where ${only} ${conditions({ ...match, filters }, values).join(' and ')}
      limit ${limit}
    ),
    size_of_${name} as materialized (select count(*) as rows from ${name})`
}

interface NamedSet extends CountedSet {
  readonly name: string
}

/** How many are of one price range, rating and stock; and how many have which facet. */
type Counts = readonly [
  groups: readonly (readonly [step: number | null, rating: number | null, inStock: boolean, rows: number])[] | null,
  facets: readonly (readonly [facet: number, rows: number])[] | null,
]

function tallyOf(set: string): string {
  return `
    select json_build_array(
      (
        select json_agg(json_build_array(step, rating, in_stock, rows))
        from (
          select width_bucket(amount, '{${PRICE_LADDER.join(',')}}'::bigint[]) - 1 as step, floor(rating)::int as rating, in_stock,
                 count(*) as rows
          from ${set}
          group by 1, 2, 3
        ) as g
      ),
      (
        select json_agg(json_build_array(facet, rows))
        from (
          select unnest(facets) as facet, count(*) as rows
          from (
            select facets from ${set} limit (select case when rows > ${COUNTED_MAX} then ${FACET_SAMPLE} end from size_of_${set})
          ) as counted
          group by 1
        ) as c
      )
    )`
}

/** Of few enough matches all are put in order; of more nothing is, and this costs nothing. */
function resultsOfFew(request: ResultsRequest, values: Values): string {
  return `case when (select rows between 1 and ${COUNTED_MAX} from size_of_set_0) then (
    select coalesce(json_agg(json_build_object('id', r.id, 'title', r.title)), '[]')
    from (${resultsOf('set_0', request, values)}) as r
  ) end`
}

function toTally([groups, facets]: Counts, atLeast = 0): Tally {
  const sum = (wanted: (group: NonNullable<Counts[0]>[number]) => boolean): number =>
    (groups ?? []).filter(wanted).reduce((rows, group) => rows + group[3], 0)
  const rows = sum(() => true)
  const total = Math.max(rows, atLeast)
  const scaled = (count: number, of: number): number =>
    total > COUNTED_MAX ? Math.round((count * COUNTED_MAX) / of) : count
  const counted = (wanted: Parameters<typeof sum>[0]): number => scaled(sum(wanted), rows)
  return {
    total,
    prices: PRICE_LADDER.map((_, step) => counted(([at]) => at === step)),
    ratings: RATING_STEPS.map((least) => counted(([, rating]) => rating !== null && rating >= least)),
    inStock: counted(([, , inStock]) => inStock),
    notInStock: counted(([, , inStock]) => !inStock),
    facets: (facets ?? []).map(([facet, count]) => [facet, scaled(count, Math.min(rows, FACET_SAMPLE))] as const),
  }
}
