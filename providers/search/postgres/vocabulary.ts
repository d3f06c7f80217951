import { LRUCache } from 'lru-cache'
import type { Pool } from '../../../db/pool'
import { readFacets } from '../../../db/search/document'
import { findOneEdit, lookUp, type LookedUp } from '../../../db/search/postgres/word'

const WORDS_MAX = 50_000
const PREFIXES_MAX = 5_000
const FACETS_MAX = 20_000
const CURRENCIES_MAX = 50
/** A word that no product has any more is taken for known so long: it finds nothing, and then others are tried. */
const WORDS_FRESH_MS = 60_000
const PREFIXES_FRESH_MS = 10_000
/** So long a misspelling stands for no new word, if it stands for others. */
const NEAR_FRESH_MS = 60_000
/** So long a currency is taken for one that products have prices in. */
const CURRENCIES_FRESH_MS = 10_000

/**
 * What this process has lately learnt of the index's words: most queries are made of the same. Only that a word is known is
 * kept, and for a moment what others it may stand for, never that it is none: a new product's words are understood at
 * once. So are currencies. Numbers of facets never change.
 */
export class Vocabulary {
  private readonly pool: Pool
  private readonly known = new LRUCache<string, true>({ max: WORDS_MAX, ttl: WORDS_FRESH_MS })
  private readonly completions = new LRUCache<string, readonly string[]>({ max: PREFIXES_MAX, ttl: PREFIXES_FRESH_MS })
  private readonly currencies = new LRUCache<string, true>({ max: CURRENCIES_MAX, ttl: CURRENCIES_FRESH_MS })
  private readonly facets = new LRUCache<string, number>({ max: FACETS_MAX })
  private readonly names = new LRUCache<number, { readonly kind: string; readonly value: string }>({ max: FACETS_MAX })
  private readonly near = new LRUCache<string, readonly string[]>({ max: WORDS_MAX, ttl: NEAR_FRESH_MS })
  private readonly nearOfKnown = new LRUCache<string, readonly string[]>({ max: WORDS_MAX, ttl: NEAR_FRESH_MS })

  constructor(pool: Pool) {
    this.pool = pool
  }

  async lookUp({ words, prefix, facets, currency }: Parameters<typeof lookUp>[1]): Promise<LookedUp> {
    const wanted = {
      words: words.filter((word) => !this.known.has(word) && !this.near.has(word)),
      prefix: prefix === null || this.completions.has(prefix) ? null : prefix,
      facets: facets.filter((facet) => !this.facets.has(facet.join(' '))),
      currency,
    }
    let isPriced = this.currencies.has(currency)
    if (wanted.words.length > 0 || wanted.prefix !== null || wanted.facets.length > 0 || !isPriced) {
      const found = await lookUp(this.pool, wanted)
      for (const word of found.known) this.known.set(word, true)
      isPriced = found.isPriced
      if (isPriced) this.currencies.set(currency, true)
      if (wanted.prefix !== null && found.completions.length > 0) this.completions.set(wanted.prefix, found.completions)
      for (const [name, id] of found.facets) this.facets.set(name, id)
      for (const [word, others] of found.near) this.near.set(word, others)
    }
    return {
      known: new Set(words.filter((word) => this.known.has(word))),
      completions: prefix === null ? [] : (this.completions.get(prefix) ?? []),
      near: new Map(
        words
          .filter((word) => !this.known.has(word))
          .flatMap((word) => {
            const others = this.near.get(word)
            return others === undefined ? [] : [[word, others] as const]
          }),
      ),
      facets: new Map(
        facets
          .map((facet) => facet.join(' '))
          .flatMap((name) => {
            const id = this.facets.get(name)
            return id === undefined ? [] : [[name, id] as const]
          }),
      ),
      isPriced,
    }
  }

  /** What words that are known may be misspellings of, for queries that find nothing as they are. */
  async nearKnown(words: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const unasked = words.filter((word) => !this.nearOfKnown.has(word))
    const found = await findOneEdit(this.pool, unasked)
    for (const word of unasked) this.nearOfKnown.set(word, found.get(word) ?? [])
    return new Map(words.map((word) => [word, this.nearOfKnown.get(word) ?? []]))
  }

  /** Kind and value of facets, by their numbers. */
  async namesOf(
    facets: readonly number[],
  ): Promise<ReadonlyMap<number, { readonly kind: string; readonly value: string }>> {
    const names = new Map(facets.map((facet) => [facet, this.names.get(facet)]))
    const unknown = facets.filter((facet) => names.get(facet) === undefined)
    if (unknown.length > 0) {
      for (const { id, kind, value } of await readFacets(this.pool, unknown)) {
        this.names.set(id, { kind, value })
        names.set(id, { kind, value })
      }
    }
    return new Map([...names].flatMap(([facet, name]) => (name ? [[facet, name] as const] : [])))
  }
}
