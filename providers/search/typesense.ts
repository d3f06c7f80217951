import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Client } from 'typesense'
import type { CollectionCreateSchema } from 'typesense/lib/Typesense/Collections'
import type { SearchResponse } from 'typesense/lib/Typesense/Documents'
import { ObjectAlreadyExists, ObjectNotFound } from 'typesense/lib/Typesense/Errors'
import {
  DEPTH_MAX,
  type FacetCount,
  type Facets,
  type IndexChanges,
  limitFacets,
  PRICE_LADDER,
  priceRange,
  QUERY_WORDS_MAX,
  RATING_STEPS,
  correctedQuery,
  type SearchDocument,
  type SearchFilters,
  type SearchHit,
  type SearchQuery,
  type SearchResult,
  type SearchRules,
  type Sort,
  type Suggestion,
} from '../../domain/search'
import { PRICE_AMOUNT_MAX } from '../../domain/catalog/product'
import type { Currency } from '../../domain/money'
import { formsOf, markWords, wordsOf } from '../../domain/words'
import { IndexBuildLost, type Refused, type SearchEngine, type SuggestRequest } from './port'
import { suggestionsOf } from './suggest'

/** What is searched: an alias of the collection that the last rebuild filled. */
const ALIAS = 'holdfast_products'
const SYNONYMS = 'holdfast_synonyms'
const CURATIONS = 'holdfast_curations'
/** Only searches that say this tag see pins. */
const PINS = 'pins'

const WRITE_TIMEOUT_SECONDS = 5
const IMPORT_TIMEOUT_MS = 20_000
/** Attributes share one field: the most frequent values of all of them. */
const FACET_VALUES_READ = 200
const SUGGESTED_FROM = 30
/** Anything that is no letter, digit or apostrophe ends a word, as in `wordsOf`. */
const SEPARATORS = Array.from('-/.,:;()&+_!?*#@%|[]{}<>=~^$"`\\')

interface Stored {
  readonly id: string
  readonly slug: string
  readonly title: string
  readonly skus: readonly string[]
  /** Names of brand, categories and attributes, to be found by. */
  readonly labels: readonly string[]
  readonly description: string
  readonly brand?: string
  readonly category: readonly string[]
  readonly category_names: readonly string[]
  /** `<name>=<value>` */
  readonly attributes: readonly string[]
  readonly rating: number
  readonly in_stock: boolean
  readonly popularity: number
  readonly created_at: number
  readonly [price: `price_${string}`]: number
}

interface TypesenseOptions {
  readonly url: string
  readonly apiKey: string
  /** Of a search. */
  readonly timeoutMs: number
}

type Result = SearchResponse<Stored>

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

function collectionOf(build: string): string {
  return `${ALIAS}_${build}`
}

function schemaOf(name: string): CollectionCreateSchema {
  return {
    name,
    token_separators: SEPARATORS,
    default_sorting_field: 'popularity',
    synonym_sets: [SYNONYMS],
    curation_sets: [CURATIONS],
    fields: [
      { name: 'title', type: 'string', stem: true },
      { name: 'skus', type: 'string[]' },
      { name: 'labels', type: 'string[]', stem: true },
      { name: 'description', type: 'string', stem: true },
      { name: 'slug', type: 'string', index: false, optional: true },
      { name: 'category_names', type: 'string[]', index: false, optional: true },
      { name: 'brand', type: 'string', facet: true, optional: true },
      { name: 'category', type: 'string[]', facet: true },
      { name: 'attributes', type: 'string[]', facet: true },
      { name: 'rating', type: 'float', facet: true },
      { name: 'in_stock', type: 'bool', facet: true },
      { name: 'popularity', type: 'float' },
      { name: 'created_at', type: 'int64' },
      { name: 'price_.*', type: 'int64', facet: true, optional: true },
    ],
  } as CollectionCreateSchema
}

function toStored(document: SearchDocument): Stored {
  const { brand, categories, attributes, details } = document
  return {
    id: document.id,
    slug: document.slug,
    title: document.title,
    skus: document.skus,
    labels: [...[...(brand ? [brand] : []), ...categories, ...attributes].map(({ label }) => label), ...details],
    description: document.description,
    ...(brand && { brand: brand.value }),
    category: categories.map(({ value }) => value),
    category_names: categories.map(({ label }) => label),
    attributes: attributes.map(({ name, value }) => `${name}=${value}`),
    rating: document.rating ?? 0,
    in_stock: document.inStock,
    popularity: document.popularity,
    created_at: document.createdAt,
    ...Object.fromEntries(Object.entries(document.prices).map(([currency, amount]) => [`price_${currency}`, amount])),
  }
}

/** Words alone: a sign that means something to Typesense (`-` leaves out, `"` asks for a phrase) is none. */
function matching(
  words: readonly string[],
  { text, currency, sort }: Pick<SearchQuery, 'text' | 'currency' | 'sort'>,
  filters: SearchFilters | null,
): Record<string, unknown> {
  const mayGoOn = /[\p{L}\p{N}]$/u.test(text)
  return {
    q: words.length === 0 ? '*' : words.join(' '),
    query_by: 'title,skus,labels,description',
    query_by_weights: '8,8,4,1',
    num_typos: '2,0,1,0',
    min_len_1typo: 3,
    prefix: mayGoOn ? 'true,true,true,false' : 'false',
    enable_typos_for_numerical_tokens: false,
    filter_by: filterOf(filters, currency),
    include_fields: 'id,title',
    highlight_fields: 'title,skus,labels,description',
    max_facet_values: FACET_VALUES_READ,
    // What is hidden is so in every order, what is pinned only in the order of relevance.
    ...(sort === 'relevance' && { curation_tags: PINS }),
  }
}

function filterOf(filters: SearchFilters | null, currency: Currency): string {
  const price = `price_${currency}`
  const clauses = [`${price}:>=${filters?.priceMin ?? 0}`]
  if (!filters) return clauses[0] as string
  const { category, brand, attributes, priceMax, ratingMin, inStock } = filters
  if (category !== null) clauses.push(`category:=${literal(category)}`)
  if (brand !== null) clauses.push(`brand:=${literal(brand)}`)
  for (const [name, value] of Object.entries(attributes)) clauses.push(`attributes:=${literal(`${name}=${value}`)}`)
  if (priceMax !== null) clauses.push(`${price}:<=${priceMax}`)
  if (ratingMin !== null) clauses.push(`rating:>=${ratingMin}`)
  if (inStock !== null) clauses.push(`in_stock:=${inStock}`)
  return clauses.join(' && ')
}

/** Values of facets and ids have no backtick; should one ever come, it ends nothing. */
function literal(value: string): string {
  return `\`${value.replaceAll('`', '')}\``
}

function sortOf({ sort, affinity, currency }: SearchQuery, hasWords: boolean): string {
  const liked = [
    ...(affinity.products.length > 0 ? [`(id:=[${affinity.products.map(literal).join(',')}]):2`] : []),
    ...(affinity.categories.length > 0 ? [`(category:=[${affinity.categories.map(literal).join(',')}]):1`] : []),
  ]
  const orders: Record<Sort, readonly string[]> = {
    relevance: [
      ...(hasWords ? ['_text_match(buckets: 10):desc'] : []),
      ...(liked.length > 0 ? [`_eval([${liked.join(', ')}]):desc`] : []),
      'popularity:desc',
    ],
    price_asc: [`price_${currency}:asc`, 'created_at:asc'],
    price_desc: [`price_${currency}:desc`, 'created_at:desc'],
    newest: ['created_at:desc'],
    rating: ['rating:desc', 'created_at:desc'],
  }
  return orders[sort].join(',')
}

/** A filter that is set, and the others: what is counted to say what could be chosen instead. */
interface Narrowing {
  readonly field: 'category' | 'brand' | 'attributes' | 'price' | 'rating' | 'in_stock'
  /** Of `attributes`, whose values share a field. */
  readonly attribute: string | null
  readonly without: SearchFilters
}

function narrowings(filters: SearchFilters): Narrowing[] {
  const { category, brand, attributes, priceMin, priceMax, ratingMin, inStock } = filters
  const one = (isSet: boolean, field: Narrowing['field'], without: Partial<SearchFilters>): Narrowing[] =>
    isSet ? [{ field, attribute: null, without: { ...filters, ...without } }] : []
  return [
    ...one(category !== null, 'category', { category: null }),
    ...one(brand !== null, 'brand', { brand: null }),
    ...Object.keys(attributes).map((name): Narrowing => {
      const others = Object.entries(attributes).filter(([other]) => other !== name)
      return { field: 'attributes', attribute: name, without: { ...filters, attributes: Object.fromEntries(others) } }
    }),
    ...one(priceMin !== null || priceMax !== null, 'price', { priceMin: null, priceMax: null }),
    ...one(ratingMin !== null, 'rating', { ratingMin: null }),
    ...one(inStock !== null, 'in_stock', { inStock: null }),
  ]
}

function fieldName(field: Narrowing['field'], currency: Currency): string {
  return field === 'price' ? `price_${currency}` : field
}

/** Every facet, as `facet_by` is written. Ranges have no gaps: Typesense wants that. */
function facetFields(currency: Currency): Record<Narrowing['field'], string> {
  const ends = [...PRICE_LADDER.slice(1), PRICE_AMOUNT_MAX + 1]
  const prices = PRICE_LADDER.map((from, index) => `${from}:[${from}, ${ends[index]}]`)
  const ratings = [...RATING_STEPS].reverse().map((step, index, all) => `${step}:[${step}, ${all[index + 1] ?? 6}]`)
  return {
    category: 'category',
    brand: 'brand',
    attributes: 'attributes',
    in_stock: 'in_stock',
    rating: `rating(${ratings.join(', ')})`,
    price: `price_${currency}(${prices.join(', ')})`,
  }
}

/** By field, how many have each value. */
type Counts = Map<string, Map<string, number>>

function countsOf(result: Result | undefined): Counts {
  return new Map(
    (result?.facet_counts ?? []).map(({ field_name, counts }) => [
      String(field_name),
      new Map(counts.map(({ value, count }) => [value, count])),
    ]),
  )
}

function replaceCounts(counts: Counts, others: Counts, field: string, attribute: string | null): void {
  const isReplaced = (value: string): boolean => attribute === null || value.startsWith(`${attribute}=`)
  const kept = [...(counts.get(field) ?? [])].filter(([value]) => !isReplaced(value))
  const added = [...(others.get(field) ?? [])].filter(([value]) => isReplaced(value))
  counts.set(field, new Map([...kept, ...added]))
}

function toFacets(counts: Counts, { currency, filters }: SearchQuery): Facets {
  const listed = (field: string): FacetCount[] =>
    [...(counts.get(field) ?? [])]
      .filter(([, count]) => count > 0)
      .map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
  const kinds: Record<string, FacetCount[]> = {}
  for (const kind of ['category', 'brand']) if (listed(kind).length > 0) kinds[kind] = listed(kind)
  for (const { value, count } of listed('attributes')) {
    const at = value.indexOf('=')
    ;(kinds[`attr.${value.slice(0, at)}`] ??= []).push({ value: value.slice(at + 1), count })
  }
  const ratings = RATING_STEPS.map((step) => ({
    value: String(step),
    count: listed('rating').reduce((sum, { value, count }) => sum + (Number(value) >= step ? count : 0), 0),
  })).filter(({ count }) => count > 0)
  return {
    values: {
      ...limitFacets(kinds, filters),
      ...(ratings.length > 0 && { rating: ratings }),
      ...(listed('in_stock').length > 0 && { in_stock: listed('in_stock') }),
    },
    price: PRICE_LADDER.map((from, step) =>
      priceRange(step, counts.get(`price_${currency}`)?.get(String(from)) ?? 0),
    ).filter(({ count }) => count > 0),
  }
}

/** Which words matched is the engine's to say; what is markup is ours. */
function toHit(
  { document, highlights = [] as never }: NonNullable<Result['hits']>[number],
  words: readonly string[],
): SearchHit {
  if (words.length === 0) return { id: document.id as SearchHit['id'], highlight: null }
  const found = new Set(matchedWords({ highlights }))
  return {
    id: document.id as SearchHit['id'],
    // Of a beginning that matched, Typesense names the beginning.
    highlight: {
      title: markWords(document.title, (word) =>
        [...found].some((one) => word.startsWith(one) && (word === one || words.includes(one))),
      ),
    },
  }
}

function matchedWords({ highlights }: Pick<NonNullable<Result['hits']>[number], 'highlights'>): string[] {
  return (highlights ?? []).flatMap(({ matched_tokens }) => matched_tokens.flat().flatMap(wordsOf))
}

/** Null when the best hit has every word as it was typed. */
function betterSpelling({ hits }: Result, words: readonly string[]): string | null {
  const [best] = hits ?? []
  if (!best || words.length === 0) return null
  const found = matchedWords(best)
  const isFound = (word: string): boolean => found.some((one) => formsOf(word).includes(one) || one.startsWith(word))
  return words.every(isFound) ? null : correctedQuery(words, best.document.title)
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
