import { ApplicationFailure } from '@temporalio/activity'
import { listProductIds } from '../db/catalog/product'
import { projectDocuments } from '../db/search/document'
import { advanceRebuild, beginRebuild, dropRequest, endRebuild, findRebuild, type Rebuild } from '../db/search/rebuild'
import { readSearchRules } from '../db/search/rule'
import type { ProductId } from '../domain/ids'
import { IndexBuildLost, type SearchEngine } from '../providers/search/port'
import { withHeartbeat } from './heartbeat'
import type { ActivityDeps } from './deps'

/** Products per batch: a kill costs the work on so many. */
const BATCH = 500
/** How long one call works before it lets the workflow show how far it is. */
const SLICE_MS = 5_000

export interface RebuildProgress {
  readonly done: number
  readonly total: number
  readonly refused: number
  readonly isFilled: boolean
}

export interface RebuildInput {
  readonly engine: string
  /** Names the rebuild: the same in every repetition. */
  readonly build: string
}

export type SearchActivities = ReturnType<typeof createSearchActivities>

/** Keyed by the rebuild. Each may be repeated: how far it is stands in its row. */
export function createSearchActivities({ pool, search }: Pick<ActivityDeps, 'pool' | 'search'>) {
  function engineOf(name: string): SearchEngine {
    const engine = search.engines.find((one) => one.name === name)
    if (!engine) throw ApplicationFailure.nonRetryable(`There is no search engine ${name} here.`, 'unknown_engine')
    return engine
  }

  /** The new index exists before the row names it, so live changes reach it from here on. */
  async function prepareIndex({ engine, build }: RebuildInput): Promise<void> {
    await withHeartbeat(async () => {
      const left = await findRebuild(pool, engine)
      if (left?.state === 'running' && left.build !== build) {
        // Its workflow was terminated: otherwise this one could not have been started.
        await abandon(left, { state: 'cancelled', failure: 'Its workflow was ended.' })
      }
      await engineOf(engine).applyRules(await readSearchRules(pool))
      await engineOf(engine).beginRebuild(build)
      await beginRebuild(pool, engine, build)
    })
  }

  /** Fills for a while, from wherever the last batch ended. */
  async function fillIndex({ engine }: RebuildInput): Promise<RebuildProgress> {
    return withHeartbeat(async (signal) => {
      const until = Date.now() + SLICE_MS
      let refused = 0
      for (;;) {
        const rebuild = await requireRebuild(engine)
        const ids = rebuild.state === 'running' ? await listProductIds(pool, rebuild.afterId, BATCH) : []
        if (ids.length > 0) refused += await fillBatch(engineOf(engine), rebuild, ids)
        const done = rebuild.done + ids.length
        const isFilled = ids.length < BATCH
        if (isFilled || Date.now() > until || signal.aborted) return { done, total: rebuild.total, refused, isFilled }
      }
    })
  }

  async function fillBatch(engine: SearchEngine, rebuild: Rebuild, ids: readonly ProductId[]): Promise<number> {
    const { documents, removals } = await projectDocuments(pool, ids)
    const refused = await unlessLost(engine.fill(rebuild.build, documents))
    // A product that was taken off sale between the two must not come back with what was read before.
    const again = await projectDocuments(pool, ids)
    const gone = new Map([...removals, ...again.removals].map((removal) => [removal.id, removal]))
    if (gone.size > 0) await engine.index({ documents: [], removals: [...gone.values()] }, rebuild.build)
    await advanceRebuild(pool, rebuild, { afterId: ids.at(-1) as string, products: ids.length })
    return refused.length
  }

  /** What was filled is searched from now on. */
  async function swapIndex({ engine }: RebuildInput): Promise<void> {
    await withHeartbeat(async () => {
      const rebuild = await requireRebuild(engine)
      if (rebuild.state !== 'running') return
      await unlessLost(engineOf(engine).swap(rebuild.build))
      await endRebuild(pool, rebuild, 'completed')
    })
  }

  async function abandonIndex({ engine, build, state, failure }: RebuildInput & AbandonInput): Promise<void> {
    await withHeartbeat(async () => {
      await dropRequest(pool, { engine, build })
      const rebuild = await findRebuild(pool, engine)
      if (rebuild?.state === 'running') await abandon(rebuild, { state, failure })
    })
  }

  /** First the row: nothing more is written into what is about to go. */
  async function abandon(rebuild: Rebuild, { state, failure }: AbandonInput): Promise<void> {
    await endRebuild(pool, rebuild, state, failure)
    await engineOf(rebuild.engine).abandon(rebuild.build)
  }

  async function requireRebuild(engine: string): Promise<Rebuild> {
    const rebuild = await findRebuild(pool, engine)
    if (!rebuild) throw ApplicationFailure.nonRetryable(`No rebuild of ${engine} was begun.`, 'no_rebuild')
    return rebuild
  }

  return { prepareIndex, fillIndex, swapIndex, abandonIndex }
}

/** What is lost stays lost: this rebuild fails, and the next one begins anew. */
async function unlessLost<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof IndexBuildLost) throw ApplicationFailure.nonRetryable(error.message, 'build_lost')
    throw error
  }
}

export interface AbandonInput {
  readonly state: 'failed' | 'cancelled'
  readonly failure: string
}
