import { withTransaction } from '../../db/pool'
import { replaceCurations, replaceSynonyms } from '../../db/search/rule'
import { PostgresSearch } from '../../providers/search/postgres'
import { testDatabase } from '../support/database'
import { searchEngineContract, type SearchRig } from './search-contract'

async function postgresRig(): Promise<SearchRig> {
  const database = await testDatabase()
  return {
    engine: new PostgresSearch(database.pool),
    setRules: ({ synonyms = [], curations = [] }) =>
      withTransaction(database.pool, async (tx) => {
        await replaceSynonyms(tx, synonyms)
        await replaceCurations(tx, curations)
      }),
    close: () => database.drop(),
  }
}

searchEngineContract('postgres', postgresRig)
