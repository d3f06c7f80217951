import { countedSets, countSets, sampleSets } from '../../../../db/search/postgres/count'
import type { Match } from '../../../../db/search/postgres/match'
import { findResults } from '../../../../db/search/postgres/results'
import { COUNTED_MAX, NO_FILTERS } from '../../../../domain/search'
import { testDatabase, type TestDatabase } from '../../../support/database'

/** Besides, all with `deep`, every other one in its title; {@link POPULAR} are more popular than all others, the rest less. */
const DEEP = 12_000
const POPULAR = 40

/** All have `common`, one in two `half`, one in fifty `rare`; of three in ten the facet is 1, of the others 2. */
const DOCUMENTS = 30_000

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  await database.pool.query(
    `insert into search_document
       (product_id, version, as_of, slug, title, title_words, words, facets, prices, rating, in_stock, popularity)
     select 'prod_' || lpad(n::text, 26, '0'), 1, now(), 'p-' || n, 'Product ' || n, 2,
            (case when n % 50 = 0 then 'common half rare' when n % 2 = 0 then 'common half' else 'common' end)::tsvector,
            array[case when n % 10 < 3 then 1 else 2 end], jsonb_build_object('GBP', n % 100 * 100),
            case when n % 4 = 0 then 4.5 end, n % 5 <> 0, n::real / $1 / 10
     from generate_series(1, $1::int) as n`,
    [DOCUMENTS],
  )
  await database.pool.query(
    `insert into search_document
       (product_id, version, as_of, slug, title, title_words, words, facets, prices, rating, in_stock, popularity)
     select 'prod_' || lpad((n + 1000000)::text, 26, '0'), 1, now(), 'd-' || n, 'Deep ' || n, 2,
            (case when n % 2 = 0 then '''deep'':1A' else '''deep'':1' end)::tsvector, '{}', '{"GBP": 100}', null, true,
            case when n <= $2 then 0.2 else 0 end - n::real / $1 / 1000
     from generate_series(1, $1::int) as n`,
    [DEEP, POPULAR],
  )
  await database.pool.query('analyze search_document')
}, 60_000)
afterAll(() => database.drop())

describe('the sample of documents', () => {
  it('knows a search that matches more than are counted, and what it could be narrowed by', async () => {
    const [tally] = await sampleSets(database.pool, matching('common'), countedSets(NO_FILTERS))
    expect(tally).not.toBeNull()
    if (!tally) return
    expect(tally.total).toBe(COUNTED_MAX + 1)
    const facets = new Map(tally.facets)
    expect(near(facets.get(1), 0.3)).toBe(true)
    expect(near(facets.get(2), 0.7)).toBe(true)
    expect(near(tally.inStock, 0.8)).toBe(true)
    expect(near(tally.notInStock, 0.2)).toBe(true)
    expect(near(tally.ratings[0], 0.25)).toBe(true)
    expect(near(tally.prices[0], 0.05)).toBe(true)
    expect(tally.prices.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0.99 * COUNTED_MAX)
  })

  it('leaves it to counting when not so many match, for each set by itself', async () => {
    const match = matching('rare')
    expect(await sampleSets(database.pool, match, countedSets(NO_FILTERS))).toEqual([null])
    const filters = { ...NO_FILTERS, priceMin: 9_900 }
    const [hits, withoutPrice] = await sampleSets(database.pool, matching('half'), countedSets(filters))
    expect(hits).toBeNull()
    expect(withoutPrice).toMatchObject({ total: COUNTED_MAX + 1 })
  })
})

describe('counting', () => {
  it('is exact up to the limit', async () => {
    const match = matching('rare')
    const { tallies, results } = await countSets(database.pool, match, countedSets(NO_FILTERS), wantedOf(match))
    expect(tallies).toMatchObject([{ total: 600, inStock: 0, notInStock: 600 }])
    expect(tallies[0]?.facets).toEqual([[1, 600]])
    expect(tallies[0]?.prices).toEqual([300, 0, 0, 0, 300, 0, 0, 0])
    expect(results?.map(({ title }) => title)).toEqual(['Product 30000', 'Product 29950', 'Product 29900'])
  })

  it('stops there, and has no results then', async () => {
    const match = matching('half')
    const { tallies, results } = await countSets(database.pool, match, countedSets(NO_FILTERS), wantedOf(match))
    expect(tallies).toMatchObject([{ total: COUNTED_MAX + 1 }])
    expect(results).toBeNull()
  })

  it('goes on by popularity behind what is ranked by text', async () => {
    const match = matching('rare')
    const deep = { ...wantedOf(match), offset: 590, limit: 20 }
    const { results } = await countSets(database.pool, match, countedSets(NO_FILTERS), deep)
    expect(results?.map(({ title }) => title)).toEqual(
      [500, 450, 400, 350, 300, 250, 200, 150, 100, 50].map((number) => `Product ${number}`),
    )
  })
})

describe('a list of more matches than are counted', () => {
  it('has one order with all others, wherever its matches are found', async () => {
    const match = matching('deep')
    const titles = async (offset: number, limit: number) =>
      (await findResults(database.pool, { ...wantedOf(match), offset, limit }, true)).map(({ title }) => title)
    const all = await titles(0, 120)
    expect(all.slice(0, 3)).toEqual(['Deep 2', 'Deep 4', 'Deep 6'])
    expect(new Set(all).size).toBe(120)
    for (let offset = 0; offset < 120; offset += 20)
      expect(await titles(offset, 20)).toEqual(all.slice(offset, offset + 20))
  })
})

function matching(word: string): Match {
  return {
    words: `'${word}'`,
    titleWords: `'${word}':A`,
    wordCount: 1,
    currency: 'GBP',
    filters: NO_FILTERS,
    facets: new Map(),
    pins: [],
    hides: [],
  }
}

function wantedOf(match: Match) {
  return { match, sort: 'relevance', affinity: { products: [], categories: [] }, offset: 0, limit: 3 } as const
}

/** A sample of a thousand is off by three standard deviations at most. */
function near(count: number | undefined, share: number): boolean {
  return Math.abs((count ?? 0) / COUNTED_MAX - share) < 3.5 * Math.sqrt((share * (1 - share)) / 700)
}
