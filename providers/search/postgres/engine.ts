import { deleteDocuments, tidyIndexes, writeDocuments } from '../../../db/search/document'
import { isPostgresUnavailable, type Pool } from '../../../db/pool'
import type { Match } from '../../../db/search/postgres/match'
import { findCategories, findPopular } from '../../../db/search/postgres/results'
import { readSearchRules } from '../../../db/search/rule'
import {
  matcherOf,
  type Slot,
  slotsOf,
  type Spelling,
  type Synonyms,
  tsqueryOf,
} from '../../../db/search/postgres/tsquery'
import { countWords, findByTrigrams, type LookedUp } from '../../../db/search/postgres/word'
import {
  COUNTED_MAX,
  type CurationRule,
  DEPTH_MAX,
  type IndexChanges,
  NO_FILTERS,
  QUERY_WORDS_MAX,
  correctedQuery,
  type SearchDocument,
  type SearchFilters,
  type SearchQuery,
  type SearchResult,
  type SearchRules,
  type Suggestion,
} from '../../../domain/search'
import { markWords, wordsOf } from '../../../domain/words'
import { type Counted, Counter } from './counter'
import { facetsOf } from './facets'
import type { Refused, SearchEngine, SuggestRequest } from '../port'
import { suggestionsOf } from '../suggest'
import { Vocabulary } from './vocabulary'

/** A change of the rules is seen within this. */
const RULES_FRESH_MS = 500
/** Of so many popular products the words that a search box suggests are taken. */
const SUGGESTED_FROM = 30
const CATEGORIES_MAX = 2
/** Of so many documents at once more are to be expected: the indexes are tidied after the last of them. */
const BULK = 150

interface Rules {
  readonly synonyms: Synonyms
  readonly curations: ReadonlyMap<string, CurationRule>
}

/** A query as far as it is understood: the slots that must match, and how many of them. */
interface Attempt {
  readonly slots: readonly Slot[]
  readonly needed: number
}

/**
 * Full text search in Postgres itself. Typos, beginnings and synonyms become words that documents have before the index is
 * asked. All words must be found; when nothing has them all, words may be misspelt, then some may be missing.
 */
export class PostgresSearch implements SearchEngine {
  readonly name = 'postgres'
  private readonly pool: Pool
  private readonly vocabulary: Vocabulary
  private readonly counter: Counter
  private rules: { readonly read: Promise<Rules>; readonly until: number } | undefined

  constructor(pool: Pool) {
    this.pool = pool
    this.vocabulary = new Vocabulary(pool)
    this.counter = new Counter(pool)
  }

  async search(query: SearchQuery): Promise<SearchResult> {
    const words = wordsOf(query.text).slice(0, QUERY_WORDS_MAX)
    const rules = await this.currentRules()
    const curation = rules.curations.get(words.join(' '))
    const prefix = /[\p{L}\p{N}]$/u.test(query.text) ? (words.at(-1) ?? null) : null
    const looked = await this.vocabulary.lookUp({
      words,
      prefix,
      facets: facetNames(query.filters),
      currency: query.currency,
    })
    // Else every document would be read to find that none has such a price.
    if (!looked.isPriced) return { hits: [], ...(await this.present([], query.filters)), didYouMean: null }
    const limit = Math.min(query.limit, DEPTH_MAX - query.offset)
    const { sort, affinity, offset } = query
    let nothing: Match | undefined
    for await (const attempt of this.attempts(words, prefix, looked, rules)) {
      const match = matchOf(query, { words, looked, curation, attempt })
      const { sets, page } = await this.counter.count({ match, sort, affinity, offset, limit })
      if (totalOf(sets) > 0) {
        const isMatch = matcherOf(attempt.slots)
        const respelt = offset === 0 && words.some((word) => !looked.known.has(word)) ? page[0] : undefined
        return {
          hits: page.map(({ id, title }) => ({
            id,
            highlight: words.length === 0 ? null : { title: markWords(title, isMatch) },
          })),
          ...(await this.present(sets, query.filters)),
          didYouMean: respelt ? correctedQuery(words, respelt.title) : null,
        }
      }
      nothing ??= match
    }
    const sets = nothing ? await this.counter.countAlternatives(nothing) : []
    return { hits: [], ...(await this.present(sets, query.filters)), didYouMean: null }
  }

  private async present(
    sets: Counted['sets'],
    filters: SearchFilters,
  ): Promise<Pick<SearchResult, 'total' | 'totalIsExact' | 'facets'>> {
    const ids = new Set(sets.flatMap(({ tally }) => tally.facets.map(([facet]) => facet)))
    const total = totalOf(sets)
    return {
      total: Math.min(total, COUNTED_MAX),
      totalIsExact: total <= COUNTED_MAX,
      facets: facetsOf(sets, await this.vocabulary.namesOf([...ids]), filters),
    }
  }

  async suggest({ text, currency, limit }: SuggestRequest): Promise<readonly Suggestion[]> {
    const words = wordsOf(text).slice(0, QUERY_WORDS_MAX)
    const last = words.at(-1)
    if (last === undefined) return []
    const looked = await this.vocabulary.lookUp({ words, prefix: last, facets: [], currency })
    if (!looked.isPriced) return []
    const { synonyms } = await this.currentRules()
    const products = await this.findSuggested({ words, looked, synonyms, currency })
    const categories = await findCategories(this.pool, { prefix: last, currency, limit: CATEGORIES_MAX })
    return suggestionsOf(words, { categories, products, limit })
  }

  async index({ documents, removals }: IndexChanges): Promise<readonly Refused[]> {
    await deleteDocuments(this.pool, removals)
    const refused = await this.write(documents)
    if (documents.length < BULK) await tidyIndexes(this.pool)
    return refused
  }

  /** What is searched is filled in place: each document is replaced in one moment, and none is missing meanwhile. */
  async beginRebuild(): Promise<void> {
    return Promise.resolve()
  }

  fill(_build: string, documents: readonly SearchDocument[]): Promise<readonly Refused[]> {
    return this.write(documents)
  }

  async swap(): Promise<void> {
    await countWords(this.pool)
    await tidyIndexes(this.pool)
  }

  async abandon(): Promise<void> {
    return Promise.resolve()
  }

  /** It reads them by itself. */
  async applyRules(): Promise<void> {
    return Promise.resolve()
  }

  async check(): Promise<boolean> {
    await this.pool.query('select 1')
    return true
  }

  /** The pool is its owner's. */
  async close(): Promise<void> {
    return Promise.resolve()
  }

  /** All at once; should one of them be impossible, one by one. */
  private async write(documents: readonly SearchDocument[]): Promise<readonly Refused[]> {
    try {
      await writeDocuments(this.pool, documents)
      return []
    } catch (error) {
      if (isPostgresUnavailable(error)) throw error
      const [only] = documents
      if (only && documents.length === 1) return [{ id: only.id, reason: String(error) }]
      const refused: Refused[] = []
      for (const document of documents) refused.push(...(await this.write([document])))
      return refused
    }
  }

  /** Ever more generous readings of the query. */
  private async *attempts(
    words: readonly string[],
    prefix: string | null,
    looked: LookedUp,
    { synonyms }: Rules,
  ): AsyncGenerator<Attempt> {
    const near = await this.nearUnknown(words, prefix, looked)
    const spelling: Spelling = { near, prefix, completions: looked.completions }
    const slots = slotsOf(words, spelling, synonyms)
    yield { slots, needed: slots.length }
    if (words.length === 0) return
    const others = words.filter((word) => !near.has(word))
    const generous = { ...spelling, near: new Map([...near, ...(await this.vocabulary.nearKnown(others))]) }
    const generousSlots = slotsOf(words, generous, synonyms)
    yield { slots: generousSlots, needed: generousSlots.length }
    const count = generousSlots.length
    for (const needed of new Set([count - 1, count - 2, 1])) {
      if (needed >= 1 && needed < count) yield { slots: generousSlots, needed }
    }
  }

  private async findSuggested({
    words,
    looked,
    synonyms,
    currency,
  }: {
    words: readonly string[]
    looked: LookedUp
    synonyms: Synonyms
    currency: string
  }): Promise<Awaited<ReturnType<typeof findPopular>>> {
    const prefix = words.at(-1) ?? null
    const near = await this.nearUnknown(words, prefix, looked)
    const slots = slotsOf(words, { near, prefix, completions: looked.completions }, synonyms)
    const query = { currency, filters: NO_FILTERS }
    const match = matchOf(query, { words, looked, curation: undefined, attempt: { slots, needed: slots.length } })
    return findPopular(this.pool, match, SUGGESTED_FROM)
  }

  private async nearUnknown(
    words: readonly string[],
    prefix: string | null,
    looked: LookedUp,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const unknown = words.filter((word) => !isKnown(word, prefix, looked))
    const near = new Map([...looked.near].filter(([word]) => unknown.includes(word)))
    const far = unknown.filter((word) => !near.has(word))
    return far.length === 0 ? near : new Map([...near, ...(await findByTrigrams(this.pool, far))])
  }

  private currentRules(): Promise<Rules> {
    if (!this.rules || this.rules.until < Date.now()) {
      const read = readSearchRules(this.pool).then(toRules)
      this.rules = { read, until: Date.now() + RULES_FRESH_MS }
      // What could not be read is not kept; whoever awaits it hears why.
      read.catch(() => (this.rules = undefined))
    }
    return this.rules.read
  }
}

function totalOf([hits]: Counted['sets']): number {
  return hits?.tally.total ?? 0
}

function matchOf(
  { currency, filters }: Pick<SearchQuery, 'currency' | 'filters'>,
  {
    words,
    looked,
    curation,
    attempt: { slots, needed },
  }: {
    words: readonly string[]
    looked: LookedUp
    curation: CurationRule | undefined
    attempt: Attempt
  },
): Match {
  return {
    words: words.length === 0 ? null : tsqueryOf(slots, needed),
    titleWords: words.length === 0 ? null : tsqueryOf(slots, needed, 'A'),
    wordCount: words.length,
    currency,
    filters,
    facets: looked.facets,
    pins: curation?.pins ?? [],
    hides: curation?.hides ?? [],
  }
}

/** Numbers are as they are: one digit off is another article. */
function isKnown(word: string, prefix: string | null, { known, completions }: LookedUp): boolean {
  return known.has(word) || /\p{N}/u.test(word) || (word === prefix && completions.length > 0)
}

function facetNames({ category, brand, attributes }: SearchFilters): [string, string][] {
  return [
    ...(category === null ? [] : [['category', category] as [string, string]]),
    ...(brand === null ? [] : [['brand', brand] as [string, string]]),
    ...Object.entries(attributes).map(([name, value]): [string, string] => [`attr.${name}`, value]),
  ]
}

function toRules({ synonyms, curations }: SearchRules): Rules {
  const byWords = new Map<string, string[][]>()
  for (const { root, terms } of synonyms) {
    const written = terms.map(wordsOf).filter((words) => words.length > 0)
    const sources = root === null ? written : [wordsOf(root)]
    for (const source of sources) {
      const others = written.filter((words) => words !== source)
      byWords.set(source.join(' '), [...(byWords.get(source.join(' ')) ?? []), ...others])
    }
  }
  return { synonyms: byWords, curations: new Map(curations.map((rule) => [rule.query, rule])) }
}
