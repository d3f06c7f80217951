import { readSettings } from '../../config'
import { type Pool, withTransaction } from '../../db/pool'
import { replaceCurations, replaceSynonyms } from '../../db/search/rule'
import { createSearch } from '../../providers/search'
import { PostgresSearch } from '../../providers/search/postgres'
import { TypesenseSearch } from '../../providers/search/typesense'
import { testDatabase } from '../support/database'
import { startTypesenseStub } from '../support/typesense-stub'
import { searchEngineContract, type SearchRig } from './search-contract'

async function postgresRig(): Promise<SearchRig> {
  const database = await testDatabase()
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

function missingRig(name: string): () => Promise<SearchRig> {
  return () => Promise.reject(new Error(`The contract cannot be tested: there is no rig for ${name}`))
}
