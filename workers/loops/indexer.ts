import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from '../../db/pool'
import { projectDocuments } from '../../db/search/document'
import { endPending, type Pending, putOffPending, takePending } from '../../db/search/pending'
import { findRebuild } from '../../db/search/rebuild'
import type { ProductId } from '../../domain/ids'
import type { Log } from '../../log'
import type { SearchEngine } from '../../providers/search/port'

const BATCH = 200
const IDLE_MS = 50
const AFTER_FAILURE_MS = 500

interface IndexerDeps {
  readonly pool: Pool
  readonly engine: SearchEngine
  readonly log: Log
  /** Told which products can be found as they are now. */
  readonly indexed?: (products: readonly ProductId[]) => Promise<void>
}

/** Brings one engine's documents up to date until `signal` is aborted. Processes may share it: rows are taken, not read. */
export async function runIndexer(deps: IndexerDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      if ((await indexPending(deps)) < BATCH) await pause(IDLE_MS, signal)
    } catch (error) {
      deps.log.warn(
        { err: error, engine: deps.engine.name },
        'a search engine does not take its documents; they are kept',
      )
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/**
 * One batch; returns how many it took. What a rebuild fills is looked up after the documents were read: a rebuild that
 * began in between reads them itself, and later.
 */
export async function indexPending({ pool, engine, log, indexed }: IndexerDeps): Promise<number> {
  const taken = await takePending(pool, engine.name, BATCH)
  if (taken.length === 0) return 0
  try {
    const changes = await projectDocuments(
      pool,
      taken.map(({ productId }) => productId),
    )
    const rebuild = await findRebuild(pool, engine.name)
    const refused = await engine.index(changes, rebuild?.state === 'running' ? rebuild.build : null)
    for (const { id, reason } of refused)
      log.error({ engine: engine.name, product_id: id, reason }, 'a document was refused')
    await settle(pool, engine, taken, new Set(refused.map(({ id }) => id)))
  } catch (error) {
    await putOffPending(pool, engine.name, taken).catch(() => undefined)
    throw error
  }
  await indexed?.(taken.map(({ productId }) => productId))
  return taken.length
}

async function settle(
  pool: Pool,
  { name }: SearchEngine,
  taken: readonly Pending[],
  refused: ReadonlySet<ProductId>,
): Promise<void> {
  await putOffPending(
    pool,
    name,
    taken.filter(({ productId }) => refused.has(productId)),
  )
  await endPending(
    pool,
    name,
    taken.filter(({ productId }) => !refused.has(productId)),
  )
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
