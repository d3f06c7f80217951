import { withTransaction } from '../db/pool'
import { listProductIds } from '../db/catalog/product'
import { countSalesOf, listUncountedDays, pruneStats, updateVelocity } from '../db/recommendation/product-stat'
import {
  addFeatures,
  analyzeGathered,
  clearGathered,
  countProducts,
  findBasketNeighbours,
  findSimilarCandidates,
  gatherBaskets,
  listProductTexts,
  rankNextCategory,
  readFeatures,
  replaceRecommendations,
} from '../db/recommendation/lists'
import type { CategoryId, OrderId, ProductId } from '../domain/ids'
import {
  type BasketKind,
  featuresOf,
  rankByBaskets,
  rankBySimilarity,
  type Recommended,
} from '../domain/recommendation/similarity'
import { markForSearch } from '../db/search/pending'
import { withHeartbeat } from './heartbeat'
import type { ActivityDeps } from './deps'

/** How long one call works before it lets the workflow show how far it is: what a kill costs at most. */
const SLICE_MS = 10_000
const VELOCITIES_PER_STATEMENT = 2_000
const ORDERS_PER_STATEMENT = 300
const FEATURES_PER_STATEMENT = 500
const PRODUCTS_PER_STATEMENT = 50
const BASKET_KINDS: readonly BasketKind[] = ['bought_together', 'also_bought']

/** Where a slice ended: the next one goes on after it. Null: there is no more. */
export interface Slice<Id extends string> {
  readonly after: Id | null
  readonly done: number
}

export type RecommendationActivities = ReturnType<typeof createRecommendationActivities>

/** The steps of the nightly run. Each goes on after the id it is given, and may be repeated from there. */
export function createRecommendationActivities({ pool, search }: Pick<ActivityDeps, 'pool' | 'search'>) {
  const engines = search.engines.map(({ name }) => name)

  /** Counts the sales of the days not counted yet, and deletes what is too old. */
  async function countSales(): Promise<{ days: number }> {
    return withHeartbeat(async () => {
      const days = await listUncountedDays(pool)
      for (const day of days) await countSalesOf(pool, day)
      while (await pruneStats(pool));
      return { days: days.length }
    })
  }

  async function rankVelocity({ after }: { after: ProductId | null }): Promise<Slice<ProductId>> {
    return slice(after, async (from) => {
      // Both or nothing: repeated after a kill, it would not find what has changed any more.
      const last = await withTransaction(pool, async (tx) => {
        const updated = await updateVelocity(tx, { after: from ?? '', limit: VELOCITIES_PER_STATEMENT })
        await markForSearch(tx, engines, updated.changed)
        return updated.last
      })
      return { last, done: VELOCITIES_PER_STATEMENT }
    })
  }

  /** The first slice forgets what an earlier run may have left. */
  async function gatherOrders({ after }: { after: OrderId | null }): Promise<Slice<OrderId>> {
    if (after === null) await clearGathered(pool)
    const gathered = await slice(after, async (before) => {
      const last = await gatherBaskets(pool, { before, limit: ORDERS_PER_STATEMENT, now: new Date() })
      return { last, done: ORDERS_PER_STATEMENT }
    })
    if (gathered.after === null) await analyzeGathered(pool)
    return gathered
  }

  async function gatherFeatures({ after }: { after: ProductId | null }): Promise<Slice<ProductId>> {
    const gathered = await slice(after, async (from: ProductId | null) => {
      const products = await listProductTexts(pool, { after: from ?? '', limit: FEATURES_PER_STATEMENT })
      await addFeatures(
        pool,
        products.flatMap((product) => featuresOf(product).map((feature) => ({ productId: product.id, feature }))),
      )
      return { last: products.at(-1)?.id ?? null, done: products.length }
    })
    if (gathered.after === null) await analyzeGathered(pool)
    return gathered
  }

  async function recommendProducts({ after }: { after: ProductId | null }): Promise<Slice<ProductId>> {
    const catalogSize = await countProducts(pool)
    return slice(after, async (from: ProductId | null) => {
      // Whatever their status: those off sale lose their lists.
      const ids = await listProductIds(pool, from ?? '', PRODUCTS_PER_STATEMENT)
      await Promise.all([
        ...BASKET_KINDS.map(async (kind) => replaceRecommendations(pool, kind, await boughtWith(kind, ids))),
        similarTo(ids, catalogSize).then((lists) => replaceRecommendations(pool, 'similar', lists)),
      ])
      return { last: ids.at(-1) ?? null, done: ids.length }
    })
  }

  async function boughtWith(kind: BasketKind, ids: readonly ProductId[]): Promise<Map<ProductId, Recommended[]>> {
    const lists = new Map<ProductId, Recommended[]>(ids.map((id) => [id, []]))
    for (const { productId, ones, candidates } of await findBasketNeighbours(pool, kind, ids)) {
      lists.set(productId, rankByBaskets(ones, candidates))
    }
    return lists
  }

  async function similarTo(ids: readonly ProductId[], catalogSize: number): Promise<Map<ProductId, Recommended[]>> {
    const likely = await findSimilarCandidates(pool, ids)
    const features = await readFeatures(pool, [...new Set([...ids, ...[...likely.values()].flat()])])
    return new Map(
      ids.map((id) => {
        const others = (likely.get(id) ?? []).map((otherId) => ({ otherId, features: features.get(otherId) ?? [] }))
        return [id, rankBySimilarity(features.get(id) ?? [], others, catalogSize)]
      }),
    )
  }

  async function rankCategories({ after }: { after: CategoryId | null }): Promise<Slice<CategoryId>> {
    return slice(after, async (from) => ({ last: await rankNextCategory(pool, from ?? ''), done: 1 }))
  }

  async function forgetGathered(): Promise<void> {
    await clearGathered(pool)
  }

  return { countSales, rankVelocity, gatherOrders, gatherFeatures, recommendProducts, rankCategories, forgetGathered }
}

/** Repeats `step` from `after` on for some seconds, or until it says that nothing came after. */
async function slice<Id extends string>(
  after: Id | null,
  step: (after: Id | null) => Promise<{ last: Id | null; done: number }>,
): Promise<Slice<Id>> {
  return withHeartbeat(async (signal) => {
    const until = Date.now() + SLICE_MS
    let at = after
    let done = 0
    do {
      const { last, done: more } = await step(at)
      if (last === null) return { after: null, done }
      at = last
      done += more
    } while (Date.now() < until && !signal.aborted)
    return { after: at, done }
  })
}
