import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import type { Pool } from '../../db/pool'
import {
  dropOvertakenRequest,
  findRebuild,
  newBuild,
  type RebuildRequest,
  takeRebuildRequest,
} from '../../db/search/rebuild'
import { readRulesVersion, readSearchRules } from '../../db/search/rule'
import type { Log } from '../../log'
import type { SearchEngine } from '../../providers/search/port'
import { reindexStart, WORKFLOWS } from '../../workflows/contract'

/** How often an engine is asked whether it has an index, and told of rules that changed. */
const INTERVAL_MS = 500
const AFTER_FAILURE_MS = 500

interface MaintenanceDeps {
  readonly pool: Pool
  readonly engine: SearchEngine
  readonly temporal: Client
  readonly log: Log
}

/** Makes sure that an engine has an index, the rebuilds asked for and the merchant's rules, until `signal` is aborted. */
export async function runSearchMaintenance(deps: MaintenanceDeps, signal: AbortSignal): Promise<void> {
  let applied = -1
  while (!signal.aborted) {
    try {
      applied = await applyNewRules(deps, applied)
      await startRequested(deps)
      await ensureIndex(deps)
    } catch (error) {
      // It may come back without the rules that it had.
      applied = -1
      deps.log.debug({ err: error, engine: deps.engine.name }, 'a search engine is away')
      await pause(AFTER_FAILURE_MS, signal)
    }
    await pause(INTERVAL_MS, signal)
  }
}

async function applyNewRules({ pool, engine }: MaintenanceDeps, applied: number): Promise<number> {
  if ((await readRulesVersion(pool)) === applied) return applied
  const rules = await readSearchRules(pool)
  await engine.applyRules(rules)
  return rules.version
}

/** Starts a rebuild that somebody asked for, when whoever was asked has not: it died, or Temporal was away. */
async function startRequested({ pool, engine, temporal }: MaintenanceDeps): Promise<void> {
  const request = await takeRebuildRequest(pool, engine.name)
  if (request && !(await startRebuild(temporal, request))) await dropOvertakenRequest(pool, request)
}

/**
 * Starts a rebuild of an engine that was never filled, or that has lost its index or the one being filled. A rebuild that
 * somebody cancelled is not started again.
 */
async function ensureIndex({ pool, engine, temporal, log }: MaintenanceDeps): Promise<void> {
  const rebuild = await findRebuild(pool, engine.name)
  if (rebuild?.state === 'running' || rebuild?.state === 'cancelled') return
  if (rebuild?.state === 'completed' && (await engine.check())) return
  log.info({ engine: engine.name }, 'a search engine has no index: it is rebuilt')
  await startRebuild(temporal, { engine: engine.name, build: newBuild() })
}

/** False: one runs already. */
async function startRebuild(temporal: Client, { engine, build }: RebuildRequest): Promise<boolean> {
  try {
    await temporal.workflow.start(WORKFLOWS.reindex, reindexStart(engine, build))
    return true
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    return false
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
