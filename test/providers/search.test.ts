import { readSettings } from '../../config'
import { newId } from '../../db/id'
import { type Pool, withTransaction } from '../../db/pool'
import { replaceCurations, replaceSynonyms } from '../../db/search/rule'
import { createSearch } from '../../providers/search'
import { IndexBuildLost } from '../../providers/search/port'
import { PostgresSearch } from '../../providers/search/postgres/engine'
import { TypesenseSearch } from '../../providers/search/typesense/engine'
import { testDatabase, type TestDatabase } from '../support/database'
import { startTypesenseStub } from '../support/typesense-stub'
import { documentOf, query, searchEngineContract, type SearchRig } from './search-contract'

async function postgresRig(): Promise<SearchRig> {
  const database = await testDatabase()
  // Categories are suggested as Postgres has them, if something in them is on sale.
  await database.pool.query(
    `with made as (insert into category (id, slug, title) values ($1, 'kitchen', 'Kitchen') returning number)
     insert into listing (list, currency, product_id, price) select number, 'GBP', $2, 100 from made`,
    [newId('category'), newId('product')],
  )
  return {
    engine: new PostgresSearch(database.pool),
    setRules: ({ synonyms = [], curations = [] }) =>
      withTransaction(database.pool, async (tx) => {
        await replaceSynonyms(tx, synonyms, () => true)
        await replaceCurations(tx, curations, () => true)
      }),
    close: () => database.drop(),
  }
}

async function typesenseRig(): Promise<SearchRig> {
  const stub = await startTypesenseStub({ apiKey: 'secret' })
  const engine = new TypesenseSearch({ url: stub.url, apiKey: 'secret', timeoutMs: 2_000 })
  let version = 0
  return {
    engine,
    setRules: ({ synonyms = [], curations = [] }) => engine.applyRules({ version: ++version, synonyms, curations }),
    close: async () => {
      await engine.close()
      await stub.stop()
    },
  }
}

/** How each engine is opened. One that is in the registry and not here fails the suite. */
const RIGS: Record<string, () => Promise<SearchRig>> = { typesense: typesenseRig, postgres: postgresRig }

const settings = readSettings({ TYPESENSE_URL: 'http://127.0.0.1:1' })
const registered = createSearch(settings, {} as Pool).engines.map(({ name }) => name)
for (const name of registered) searchEngineContract(name, RIGS[name] ?? missingRig(name))

describe('the search engine postgres alone', () => {
  let database: TestDatabase
  let engine: PostgresSearch
  beforeAll(async () => {
    database = await testDatabase()
    engine = new PostgresSearch(database.pool)
  })
  afterAll(() => database.drop())

  it('reads no document for a currency that nothing has a price in, until something has', async () => {
    await engine.fill('', [documentOf({ sku: 'CUP', title: 'Tea Cup' })])
    const asked = jest.spyOn(database.pool, 'query')
    expect(await engine.search(query('cup', { currency: 'JPY' }))).toMatchObject({ hits: [], total: 0 })
    expect(await engine.suggest({ text: 'cup', currency: 'JPY', limit: 5 })).toEqual([])
    const texts = asked.mock.calls.map(([statement]) => JSON.stringify(statement))
    asked.mockRestore()
    expect(texts.filter((text) => text.includes('search_document'))).toEqual([])
    await engine.fill('', [documentOf({ sku: 'POT', title: 'Tea Pot', prices: { JPY: 900 } })])
    expect(await engine.search(query('', { currency: 'JPY' }))).toMatchObject({ total: 1 })
  })

  it('completes a beginning as soon as a word begins so', async () => {
    expect(await engine.search(query('zeb'))).toMatchObject({ total: 0 })
    await engine.fill('', [documentOf({ sku: 'ZEBRA', title: 'Zebra Mask' })])
    expect(await engine.search(query('zeb'))).toMatchObject({ total: 1 })
  })
})

describe('the search engine typesense alone', () => {
  it('says so when it has lost what a rebuild fills, and takes live changes meanwhile', async () => {
    const stub = await startTypesenseStub({ apiKey: 'secret' })
    const engine = new TypesenseSearch({ url: stub.url, apiKey: 'secret', timeoutMs: 2_000 })
    const documents = [documentOf({ sku: 'CUP', title: 'Tea Cup' })]
    await engine.beginRebuild('first')
    await engine.fill('first', documents)
    await engine.swap('first')
    await engine.beginRebuild('lost')
    await engine.abandon('lost')
    await expect(engine.fill('lost', documents)).rejects.toThrow(IndexBuildLost)
    await expect(engine.swap('lost')).rejects.toThrow(IndexBuildLost)
    const changes = { documents: [documentOf({ sku: 'POT', title: 'Tea Pot' })], removals: [] }
    expect(await engine.index(changes, 'lost')).toEqual([])
    expect(await engine.search(query('tea'))).toMatchObject({ total: 2 })
    await engine.close()
    await stub.stop()
  })
})

function missingRig(name: string): () => Promise<SearchRig> {
  return () => Promise.reject(new Error(`The contract cannot be tested: there is no rig for ${name}`))
}
