import { setTimeout as delay } from 'node:timers/promises'
import { addInteractionCounts, addSearchCounts, type InteractionCounts } from '../../db/recommendation/product-stat'
import type { ProductInteraction } from '../../domain/recommendation/interaction'
import type { ProductId } from '../../domain/ids'
import type { Pool } from '../../db/pool'
import type { Log } from '../../log'
import type { Metrics } from '../platform/metrics'

/** Different products and searches that are counted between two writes; beyond these, new ones are dropped. */
const PRODUCTS_MAX = 20_000
const SEARCHES_MAX = 2_000
const WRITE_EVERY_MS = 1_000
const ROWS_PER_WRITE = 1_000
/** A stopping process tries to write what is left for so long. */
const LAST_TRIES = 3

export type CountedInteraction =
  | { readonly type: ProductInteraction; readonly productId: ProductId }
  | { readonly type: 'search'; readonly query: string; readonly fruitless: boolean }

interface WriteDeps {
  readonly pool: Pool
  readonly metrics: Metrics
}

interface FlushDeps extends WriteDeps {
  readonly interactions: InteractionBuffer
  readonly log: Log
}

interface SearchCounts {
  readonly searches: number
  readonly fruitless: number
}

/**
 * Counts the interactions that storefronts report, between two writes. It holds counts, not the interactions themselves, so
 * that many shoppers cost as much as few.
 */
export class InteractionBuffer {
  private products = new Map<ProductId, InteractionCounts>()
  private searches = new Map<string, SearchCounts>()
  private total = 0

  /** False: it is full, and the interaction is dropped. */
  add(interaction: CountedInteraction): boolean {
    if (interaction.type === 'search') {
      if (!this.searches.has(interaction.query) && this.searches.size >= SEARCHES_MAX) return false
      this.addSearch(interaction.query, { searches: 1, fruitless: interaction.fruitless ? 1 : 0 })
    } else {
      if (!this.products.has(interaction.productId) && this.products.size >= PRODUCTS_MAX) return false
      this.addProduct(interaction.productId, { ...NONE, [interaction.type]: 1 })
    }
    this.total++
    return true
  }

  /** Writes what has gathered, a bounded statement at a time. What cannot be written stays, and is written later. */
  async write({ pool, metrics }: WriteDeps): Promise<void> {
    const { products, searches, total } = this
    this.products = new Map()
    this.searches = new Map()
    this.total = 0
    try {
      for (const some of inChunks(products)) {
        await addInteractionCounts(pool, some)
        for (const id of some.keys()) products.delete(id)
      }
      for (const some of inChunks(searches)) {
        await addSearchCounts(pool, some)
        for (const query of some.keys()) searches.delete(query)
      }
      metrics.interactions.inc({ outcome: 'written' }, total)
    } catch (error) {
      this.takeBack(products, searches, total)
      throw error
    }
  }

  private takeBack(
    products: ReadonlyMap<ProductId, InteractionCounts>,
    searches: ReadonlyMap<string, SearchCounts>,
    total: number,
  ): void {
    for (const [id, counts] of products) this.addProduct(id, counts)
    for (const [query, counts] of searches) this.addSearch(query, counts)
    this.total += total
  }

  private addProduct(id: ProductId, { view, click, add }: InteractionCounts): void {
    const before = this.products.get(id) ?? NONE
    this.products.set(id, { view: before.view + view, click: before.click + click, add: before.add + add })
  }

  private addSearch(query: string, { searches, fruitless }: SearchCounts): void {
    const before = this.searches.get(query) ?? { searches: 0, fruitless: 0 }
    this.searches.set(query, { searches: before.searches + searches, fruitless: before.fruitless + fruitless })
  }
}

const NONE: InteractionCounts = { view: 0, click: 0, add: 0 }

/** Writes the buffer every second until `signal` is aborted, and once more then. */
export async function writeInteractions(deps: FlushDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await delay(WRITE_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined)
    await tryToWrite(deps)
  }
  for (let tries = 1; tries < LAST_TRIES && !(await tryToWrite(deps)); tries++);
}

async function tryToWrite({ interactions, ...deps }: FlushDeps): Promise<boolean> {
  try {
    await interactions.write(deps)
    return true
  } catch (error) {
    deps.metrics.interactions.inc({ outcome: 'failed' })
    deps.log.warn({ err: error }, 'what storefronts reported could not be written; it is kept')
    return false
  }
}

function* inChunks<K, V>(counts: ReadonlyMap<K, V>): Generator<Map<K, V>> {
  const rows = [...counts]
  for (let at = 0; at < rows.length; at += ROWS_PER_WRITE) yield new Map(rows.slice(at, at + ROWS_PER_WRITE))
}
