import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import { deleteLeftovers, endImport, failSilentUploads, listStalledImports } from '../../db/import/job'
import type { Pool } from '../../db/pool'
import type { ImportId } from '../../domain/ids'
import type { Log } from '../../log'
import { importStart, WORKFLOWS } from '../../workflows/contract'

const AGAIN_MS = 10_000
/** An import at work that has not moved for so long may have no workflow. */
const STALLED_SECONDS = 30

interface ImportsDeps {
  readonly pool: Pool
  readonly temporal: Client
  readonly log: Log
}

/** Looks after imports that nobody looks after, until `signal` is aborted. Processes may all do it: each step has one winner. */
export async function runImports(deps: ImportsDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await sweepImports(deps)
    } catch (error) {
      deps.log.warn({ err: error }, 'could not see to the imports')
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** Uploads that broke off are failed; complete ones whose workflow was never started are started. */
export async function sweepImports(
  { pool, temporal }: Omit<ImportsDeps, 'log'>,
  stalledSeconds: number = STALLED_SECONDS,
): Promise<void> {
  for (const id of await failSilentUploads(pool)) await deleteLeftovers(pool, id)
  for (const id of await listStalledImports(pool, stalledSeconds)) await ensure({ pool, temporal }, id)
}

/** One whose workflow was ended by hand is not begun again: somebody wanted that. */
async function ensure({ pool, temporal }: Omit<ImportsDeps, 'log'>, id: ImportId): Promise<void> {
  try {
    await temporal.workflow.start(WORKFLOWS.import, importStart(id))
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    await endImport(pool, { id, state: 'failed', failure: 'Its workflow was ended.' })
    await deleteLeftovers(pool, id)
  }
}
