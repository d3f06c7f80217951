import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import type { Pool } from '../../db/pool'
import { projectDocuments } from '../../db/search/document'
import {
  endPending,
  markForSearch,
  markStockChanges,
  type Pending,
  putOffPending,
  takePending,
} from '../../db/search/pending'
import { findRebuild, newBuild } from '../../db/search/rebuild'
import { readRulesVersion, readSearchRules } from '../../db/search/rule'
import type { OutboxEvent } from '../../db/platform/outbox'
import { isId, type OrderId, type ProductId, type Sku } from '../../domain/ids'
import type { Log } from '../../log'
import type { SearchEngine } from '../../providers/search/port'
import { reindexStart, WORKFLOWS } from '../../workflows/contract'
import type { Sink } from './relay'

const BATCH = 200
const IDLE_MS = 50
const AFTER_FAILURE_MS = 500
/** How often an engine is asked whether it has an index, and told of rules that changed. */
const CARE_MS = 500

/**
 * Notes in Postgres whose documents have become old, and nothing else: an engine that is away holds up no other sink and
 * no other engine. {@link runIndexer} of each engine works the notes off.
 */
export function searchSink(pool: Pool, engines: readonly string[]): Sink {
  return {
    name: 'search',
    async publish(events) {
      await markForSearch(pool, engines, productsOf(events))
      await markStockChanges(pool, engines, stockOf(events))
    },
  }
}

function productsOf(events: readonly OutboxEvent[]): ProductId[] {
  return events
    .filter(({ type, aggregate }) => type.startsWith('product.') && isId('product', aggregate))
    .map(({ aggregate }) => aggregate as ProductId)
}

function stockOf(events: readonly OutboxEvent[]): { orders: OrderId[]; skus: Sku[] } {
  const skus = events.filter(({ type }) => type.startsWith('stock.')).map(({ payload }) => String(payload['sku']))
  return {
    orders: [...new Set(events.map(({ aggregate }) => aggregate).filter((id) => isId('order', id)))],
    skus: [...new Set(skus)],
  }
}

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

interface CarerDeps extends IndexerDeps {
  readonly temporal: Client
}

/** Sees to it that an engine has an index and the merchant's rules, until `signal` is aborted. */
export async function runSearchCare(deps: CarerDeps, signal: AbortSignal): Promise<void> {
  let applied = -1
  while (!signal.aborted) {
    try {
      applied = await applyNewRules(deps, applied)
      await ensureIndex(deps)
    } catch (error) {
      // It may come back without what it had.
      applied = -1
      deps.log.debug({ err: error, engine: deps.engine.name }, 'a search engine is away')
      await pause(AFTER_FAILURE_MS, signal)
    }
    await pause(CARE_MS, signal)
  }
}

async function applyNewRules({ pool, engine }: CarerDeps, applied: number): Promise<number> {
  if ((await readRulesVersion(pool)) === applied) return applied
  const rules = await readSearchRules(pool)
  await engine.applyRules(rules)
  return rules.version
}

/** One that was never filled, or has lost what it had or was being filled with, is rebuilt. What was ended by hand stays so. */
async function ensureIndex({ pool, engine, temporal, log }: CarerDeps): Promise<void> {
  const rebuild = await findRebuild(pool, engine.name)
  if (rebuild?.state === 'running' || rebuild?.state === 'cancelled') return
  if (rebuild?.state === 'completed' && (await engine.check())) return
  log.info({ engine: engine.name }, 'a search engine has no index: it is rebuilt')
  try {
    await temporal.workflow.start(WORKFLOWS.reindex, reindexStart(engine.name, newBuild()))
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
