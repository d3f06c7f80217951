import { LRUCache } from 'lru-cache'
import { type CountedSet, countedSets, countSets, sampleSets, type Tally } from '../../../db/search/postgres/count'
import { estimateDocuments } from '../../../db/search/document'
import { type Found, type Match, matchesEverything } from '../../../db/search/postgres/match'
import { findResults, type ResultsRequest } from '../../../db/search/postgres/results'
import type { Pool } from '../../../db/pool'
import { COUNTED_MAX, NO_FILTERS } from '../../../domain/search'

/** What is asked of the whole shop is the same for everybody, and looked at once in so long. */
const SHOP_FRESH_MS = 1_000
const CURRENCIES_MAX = 50
/** From so many documents on the sample is asked first: below, it would cost more than it saves. */
const LARGE = 100_000
const SIZE_FRESH_MS = 60_000

export interface Counted {
  /** The matches first. */
  readonly sets: readonly (CountedSet & { readonly tally: Tally })[]
  readonly page: readonly Found[]
}

/** Counts matches, and what they could be narrowed by, with no more work than a shop of that size needs. */
export class Counter {
  private readonly pool: Pool
  private readonly shop: LRUCache<string, Promise<Tally>>
  private size: { readonly read: Promise<number>; readonly until: number } | undefined

  constructor(pool: Pool) {
    this.pool = pool
    this.shop = new LRUCache({ max: CURRENCIES_MAX, ttl: SHOP_FRESH_MS })
  }

  async count(request: ResultsRequest): Promise<Counted> {
    const { match } = request
    const sets = countedSets(match.filters)
    const known = await this.knownTallies(match, sets)
    const rest = sets.filter((set) => !known.has(set))
    const [hits] = sets
    const areHitsKnown = hits !== undefined && known.has(hits)
    const hasPins = match.pins.length > 0 && request.sort === 'relevance'
    const counted =
      rest.length === 0
        ? { tallies: [], results: null }
        : await countSets(this.pool, match, rest, areHitsKnown || hasPins ? null : request)
    rest.forEach((set, index) => known.set(set, counted.tallies[index] as Tally))
    const total = hits ? (known.get(hits)?.total ?? 0) : 0
    return {
      sets: sets.map((set) => ({ ...set, tally: known.get(set) as Tally })),
      page: total === 0 ? [] : (counted.results ?? (await findResults(this.pool, request, total > COUNTED_MAX))),
    }
  }

  /** Of nothing at all: what there would be without one of the filters. */
  async countAlternatives(match: Match): Promise<Counted['sets']> {
    const sets = countedSets(match.filters)
    const { tallies } = await countSets(this.pool, match, sets, null, { evenIfNone: true })
    return sets.map((set, index) => ({ ...set, tally: tallies[index] as Tally }))
  }

  private async knownTallies(match: Match, sets: readonly CountedSet[]): Promise<Map<CountedSet, Tally>> {
    const known = new Map<CountedSet, Tally>()
    for (const set of sets) {
      // The matches themselves are counted anew: who has just put a product on sale looks for it.
      if (set.kind !== null && matchesEverything(match, set.filters)) known.set(set, await this.everything(match))
    }
    if (!(await this.isLarge())) return known
    const rest = sets.filter((set) => !known.has(set))
    const sampled = await sampleSets(this.pool, match, rest)
    rest.forEach((set, index) => {
      const tally = sampled[index]
      if (tally) known.set(set, tally)
    })
    return known
  }

  private everything(match: Match): Promise<Tally> {
    const cached = this.shop.get(match.currency)
    if (cached) return cached
    const set: CountedSet = { kind: null, filters: NO_FILTERS }
    const counting = this.countEverything(match, set)
    this.shop.set(match.currency, counting)
    counting.catch(() => this.shop.delete(match.currency))
    return counting
  }

  private async countEverything(match: Match, set: CountedSet): Promise<Tally> {
    const [sampled] = (await this.isLarge()) ? await sampleSets(this.pool, match, [set]) : []
    if (sampled) return sampled
    const { tallies } = await countSets(this.pool, match, [set], null)
    return tallies[0] as Tally
  }

  private async isLarge(): Promise<boolean> {
    if (!this.size || this.size.until < Date.now()) {
      const read = estimateDocuments(this.pool)
      this.size = { read, until: Date.now() + SIZE_FRESH_MS }
      read.catch(() => (this.size = undefined))
    }
    return (await this.size.read) >= LARGE
  }
}
