import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Client } from 'typesense'
import { ObjectAlreadyExists, ObjectNotFound } from 'typesense/lib/Typesense/Errors'
import {
  DEPTH_MAX,
  type IndexChanges,
  QUERY_WORDS_MAX,
  type SearchDocument,
  type SearchQuery,
  type SearchResult,
  type SearchRules,
  type Suggestion,
} from '../../../domain/search'
import { wordsOf } from '../../../domain/words'
import { IndexBuildLost, type Refused, type SearchEngine, type SuggestRequest } from '../port'
import { suggestionsOf } from '../suggest'
import { ALIAS, collectionOf, CURATIONS, PINS, schemaOf, SYNONYMS, toStored } from './collection'
import { facetFields, fieldName, literal, matching, narrowings, sortOf } from './query'
import { betterSpelling, countsOf, replaceCounts, type Result, toFacets, toHit } from './result'

const WRITE_TIMEOUT_SECONDS = 5
const IMPORT_TIMEOUT_MS = 20_000
const SUGGESTED_FROM = 30

interface TypesenseOptions {
  readonly url: string
  readonly apiKey: string
  /** Of a search. */
  readonly timeoutMs: number
}

/** Typesense 30 by its official client. */
export class TypesenseSearch implements SearchEngine {
  readonly name = 'typesense'
  private readonly agent: HttpAgent
  /** Gives up soon and never tries again: somebody is waiting, and another engine can answer. */
  private readonly asking: Client
  private readonly writing: Client

  constructor({ url, apiKey, timeoutMs }: TypesenseOptions) {
    const { protocol, hostname, port } = new URL(url)
    const isHttps = protocol === 'https:'
    this.agent = new (isHttps ? HttpsAgent : HttpAgent)({ keepAlive: true })
    const node = { host: hostname, port: Number(port || (isHttps ? 443 : 80)), protocol: protocol.slice(0, -1) }
    const common = {
      apiKey,
      nodes: [node],
      logLevel: 'silent' as const,
      ...(isHttps ? { httpsAgent: this.agent as HttpsAgent } : { httpAgent: this.agent }),
    }
    this.asking = new Client({ ...common, connectionTimeoutSeconds: timeoutMs / 1_000, numRetries: 0 })
    this.writing = new Client({
      ...common,
      connectionTimeoutSeconds: WRITE_TIMEOUT_SECONDS,
      numRetries: 1,
      retryIntervalSeconds: 0.2,
    })
  }

  async search(query: SearchQuery): Promise<SearchResult> {
    const words = wordsOf(query.text).slice(0, QUERY_WORDS_MAX)
    const narrowed = narrowings(query.filters)
    const [page, ...others] = await this.ask([
      {
        ...matching(words, query, query.filters),
        facet_by: Object.values(facetFields(query.currency)).join(','),
        sort_by: sortOf(query, words.length > 0),
        offset: query.offset,
        limit: Math.min(query.limit, DEPTH_MAX - query.offset),
      },
      ...narrowed.map(({ field, without }) => ({
        ...matching(words, query, without),
        facet_by: facetFields(query.currency)[field],
        per_page: 0,
      })),
    ])
    if (!page) return { hits: [], facets: { values: {}, price: [] }, total: 0, totalIsExact: true, didYouMean: null }
    const counts = countsOf(page)
    for (const [index, { field, attribute }] of narrowed.entries()) {
      replaceCounts(counts, countsOf(others[index]), fieldName(field, query.currency), attribute)
    }
    return {
      hits: (page.hits ?? []).map((hit) => toHit(hit, words)),
      facets: toFacets(counts, query),
      total: page.found,
      totalIsExact: true,
      didYouMean: query.offset === 0 ? betterSpelling(page, words) : null,
    }
  }

  async suggest({ text, currency, limit }: SuggestRequest): Promise<readonly Suggestion[]> {
    const words = wordsOf(text).slice(0, QUERY_WORDS_MAX)
    const last = words.at(-1)
    if (last === undefined) return []
    const [found] = await this.ask([
      {
        ...matching(words, { text: words.join(' '), currency, sort: 'relevance' }, null),
        include_fields: 'id,slug,title,category,category_names',
        sort_by: '_text_match(buckets: 10):desc,popularity:desc',
        limit: SUGGESTED_FROM,
      },
    ])
    const products = (found?.hits ?? []).map((hit) => hit.document)
    const categories = new Map(
      products
        .flatMap(({ category, category_names }) =>
          category.map((slug, index) => ({ slug, title: category_names[index] ?? slug })),
        )
        .filter(({ title }) => wordsOf(title).some((word) => word.startsWith(last)))
        .map((category) => [category.slug, category]),
    )
    return suggestionsOf(words, { categories: [...categories.values()], products, limit })
  }

  async index({ documents, removals }: IndexChanges, build: string | null): Promise<readonly Refused[]> {
    const refused = new Map<string, Refused>()
    for (const collection of [ALIAS, ...(build === null ? [] : [collectionOf(build)])]) {
      // Before the first rebuild there is nothing that is searched; a rebuild that lost what it fills ends by itself.
      if (removals.length > 0)
        await unlessMissing(
          this.remove(
            collection,
            removals.map(({ id }) => id),
          ),
        )
      if (documents.length > 0) {
        await unlessMissing(
          this.import(collection, documents, 'upsert').then((list) => list.forEach((one) => refused.set(one.id, one))),
        )
      }
    }
    return [...refused.values()]
  }

  async beginRebuild(build: string): Promise<void> {
    await this.ensureRules()
    await unlessThere(this.writing.collections().create(schemaOf(collectionOf(build))))
  }

  /** Only those that are not there yet: what live changes have brought is newer. */
  async fill(build: string, documents: readonly SearchDocument[]): Promise<readonly Refused[]> {
    return documents.length === 0 ? [] : this.import(collectionOf(build), documents, 'create').catch(lostIfMissing)
  }

  async swap(build: string): Promise<void> {
    // An alias may name what is not there.
    await this.writing.collections(collectionOf(build)).retrieve().catch(lostIfMissing)
    await this.writing.aliases().upsert(ALIAS, { collection_name: collectionOf(build) })
    for (const { name } of await this.writing.collections().retrieve()) {
      if (name.startsWith(`${ALIAS}_`) && name !== collectionOf(build)) await this.drop(name)
    }
  }

  async abandon(build: string): Promise<void> {
    const current = await this.writing.aliases(ALIAS).retrieve().catch(nullIfMissing)
    if (current?.collection_name !== collectionOf(build)) await this.drop(collectionOf(build))
  }

  async applyRules({ synonyms, curations }: SearchRules): Promise<void> {
    await this.writing.synonymSets(SYNONYMS).upsert({
      items: synonyms.map(({ root, terms }, index) => ({
        id: `synonym-${index}`,
        ...(root !== null && { root }),
        synonyms: [...terms],
      })),
    })
    await this.writing.curationSets(CURATIONS).upsert({
      items: curations.flatMap(({ query, pins, hides }, index) => {
        const excludes = hides.map((id) => ({ id }))
        const includes = pins.map((id, place) => ({ id, position: place + 1 }))
        const rule = { query, match: 'exact' as const }
        return [
          { id: `pins-${index}`, rule: { ...rule, tags: [PINS] }, includes, excludes, filter_curated_hits: true },
          { id: `hides-${index}`, rule, excludes },
        ]
      }),
    })
  }

  async check(): Promise<boolean> {
    const { ok } = await this.asking.health.retrieve()
    if (!ok) throw new Error('Typesense is not healthy')
    return (await this.asking.aliases(ALIAS).retrieve().catch(nullIfMissing)) !== null
  }

  async close(): Promise<void> {
    this.agent.destroy()
    return Promise.resolve()
  }

  /** Several searches in one request. Nothing is found in a currency that no product has a price in. */
  private async ask(searches: readonly Record<string, unknown>[]): Promise<Result[]> {
    // The client's types do not know version 30's parameters.
    const requests = { searches: searches.map((search) => ({ collection: ALIAS, ...search })) } as never
    const { results } = (await this.asking.multiSearch.perform(requests)) as unknown as { results: Result[] }
    const failed = results.find((result) => result.error !== undefined)
    if (!failed) return results
    if (failed.code === 404 && /named `price_[A-Z]{3}`/.test(failed.error ?? '')) return []
    throw new Error(`Typesense answered ${failed.code}: ${failed.error}`)
  }

  /** Each line's result is looked at: a request that went well may hold refused documents. */
  private async import(
    collection: string,
    documents: readonly SearchDocument[],
    action: 'create' | 'upsert',
  ): Promise<Refused[]> {
    const lines = documents.map((document) => JSON.stringify(toStored(document))).join('\n')
    const importing = this.writing.collections(collection).documents().import(lines, { action })
    const answers = (await within(importing, IMPORT_TIMEOUT_MS))
      .split('\n')
      .map((line) => JSON.parse(line) as ImportLine)
    if (answers.length !== documents.length)
      throw new Error(`Typesense answered ${answers.length} of ${documents.length} lines`)
    return documents.flatMap(({ id }, index) => {
      const { success, error = 'no reason given', code } = answers[index] as ImportLine
      return success || (action === 'create' && code === 409) ? [] : [{ id, reason: error }]
    })
  }

  private async remove(collection: string, ids: readonly string[]): Promise<void> {
    await this.writing
      .collections(collection)
      .documents()
      .delete({ filter_by: `id:=[${ids.map(literal).join(',')}]` })
  }

  private async drop(collection: string): Promise<void> {
    await unlessMissing(this.writing.collections(collection).delete())
  }

  private async ensureRules(): Promise<void> {
    const synonyms = await this.writing.synonymSets(SYNONYMS).retrieve().catch(nullIfMissing)
    if (synonyms === null) await this.writing.synonymSets(SYNONYMS).upsert({ items: [] })
    const curations = await this.writing.curationSets(CURATIONS).retrieve().catch(nullIfMissing)
    if (curations === null) await this.writing.curationSets(CURATIONS).upsert({ items: [] })
  }
}

interface ImportLine {
  readonly success: boolean
  readonly error?: string
  readonly code?: number
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Typesense did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}

function nullIfMissing(error: unknown): null {
  if (error instanceof ObjectNotFound) return null
  throw error
}

function lostIfMissing(error: unknown): never {
  throw error instanceof ObjectNotFound ? new IndexBuildLost(`Typesense has lost it: ${error.message}`) : error
}

async function unlessMissing(work: Promise<unknown>): Promise<void> {
  await work.catch(nullIfMissing)
}

async function unlessThere(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof ObjectAlreadyExists)) throw error
  })
}
