import CircuitBreaker from 'opossum'
import type { Settings } from '../../config'
import type { Pool } from '../../db/pool'
import { guarded } from '../../transaction-guard'
import { type Affinity, AFFINITY_MAX, type SearchQuery, type SearchResult, type Suggestion } from '../../domain/search'
import type { SearchEngine, SuggestRequest } from './port'
import { PostgresSearch } from './postgres/engine'
import { TypesenseSearch } from './typesense/engine'

type SearchSettings = Pick<Settings, 'TYPESENSE_URL' | 'TYPESENSE_API_KEY' | 'SEARCH_TIMEOUT_MS'>
type EngineFactory = (settings: SearchSettings, pool: Pool) => SearchEngine | null

/** Best first; the first that is there answers. A new engine is a file or a folder, and a line here. The last one is always there. */
const ENGINES: readonly EngineFactory[] = [
  ({ TYPESENSE_URL: url, TYPESENSE_API_KEY: apiKey, SEARCH_TIMEOUT_MS: timeoutMs }) =>
    url === '' ? null : new TypesenseSearch({ url, apiKey, timeoutMs }),
  (_settings, pool) => new PostgresSearch(pool),
]

/** How often an engine must fail of the last calls before it is left alone, and for how long. */
const BREAKER = {
  errorThresholdPercentage: 50,
  volumeThreshold: 5,
  rollingCountTimeout: 10_000,
  rollingCountBuckets: 10,
  resetTimeout: 5_000,
}

export interface AnsweredBy {
  /** The engine that answered. */
  readonly engine: string
}

/** The engines of one process, and searches that go on when the best of them is away. */
export interface Search {
  readonly engines: readonly SearchEngine[]
  search(query: SearchQuery): Promise<SearchResult & AnsweredBy>
  suggest(request: SuggestRequest): Promise<{ readonly data: readonly Suggestion[] } & AnsweredBy>
  /** Throws unless the best engine can be asked and has an index. */
  check(): Promise<void>
  close(): Promise<void>
}

export function createSearch(settings: SearchSettings, pool: Pool): Search {
  const engines = ENGINES.map((make) => make(settings, pool))
    .filter((engine) => engine !== null)
    .map((engine) => guarded(engine, `the search engine ${engine.name}`))
  const asked = engines.map((engine, index) => ({
    engine,
    breaker: index < engines.length - 1 ? breakerOf(settings.SEARCH_TIMEOUT_MS) : null,
  }))

  /** The last engine's word is final: its fault is the caller's to see. */
  async function ask<T>(call: (engine: SearchEngine) => Promise<T>): Promise<{ engine: string; answer: T }> {
    for (const { engine, breaker } of asked) {
      if (breaker === null) return { engine: engine.name, answer: await call(engine) }
      try {
        return { engine: engine.name, answer: (await breaker.fire(() => call(engine))) as T }
      } catch {
        // Away, slow or left alone: the next one answers. The breaker counts it.
      }
    }
    throw new Error('there is no search engine')
  }

  return {
    engines,
    async search(query) {
      const bounded = { ...query, affinity: latest(query.affinity) }
      const { engine, answer } = await ask((one) => one.search(bounded))
      return { ...answer, engine }
    },
    async suggest(request) {
      const { engine, answer } = await ask((one) => one.suggest(request))
      return { data: answer, engine }
    },
    async check() {
      const [best] = asked
      if (!best || best.breaker?.opened) throw new Error('the search engine is left alone')
      if (!(await best.engine.check())) throw new Error('the search engine has no index yet')
    },
    async close() {
      for (const { breaker } of asked) breaker?.shutdown()
      await Promise.all(engines.map((engine) => engine.close()))
    },
  }
}

/** Only the newest items are sent. */
function latest({ products, categories }: Affinity): Affinity {
  return { products: products.slice(0, AFFINITY_MAX), categories: categories.slice(0, AFFINITY_MAX) }
}

function breakerOf(timeoutMs: number): CircuitBreaker<[() => Promise<unknown>], unknown> {
  return new CircuitBreaker((call: () => Promise<unknown>) => call(), { ...BREAKER, timeout: timeoutMs })
}
