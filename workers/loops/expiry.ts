import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import type { Pool } from '../../db/pool'
import { closeCase, openCase } from '../../db/support/attention'
import { expiryWorkflowId } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { EXPIRY_SHARDS, TASK_QUEUES, WORKFLOWS } from '../../workflows/contract'

const AGAIN_MS = 10_000
/** So many tries of one task are no worker's death any more. */
const FAILED_TRIES = 5

interface ExpiryDeps {
  readonly temporal: Client
  readonly pool: Pool
  readonly log: Log
}

/**
 * Sees to it that every expiry workflow is running: started once, and again when somebody ended it. It watches all others;
 * that its own code fails is a case which only somebody beside it can open.
 */
export async function runExpiry({ temporal, pool, log }: ExpiryDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (let shard = 0; shard < EXPIRY_SHARDS; shard++) {
      try {
        await ensure(temporal, shard)
        await watch({ temporal, pool }, expiryWorkflowId(shard))
      } catch (error) {
        log.warn({ err: error, shard }, 'could not see to the expiry workflow')
      }
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}

async function ensure(temporal: Client, shard: number): Promise<void> {
  try {
    await temporal.workflow.start(WORKFLOWS.expiry, {
      workflowId: expiryWorkflowId(shard),
      taskQueue: TASK_QUEUES.platform,
      args: [{ shard }],
      workflowTaskTimeout: '5s',
      staticSummary: `Releases due holds and restarts orphaned checkouts (shard ${shard})`,
    })
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
  }
}

async function watch({ temporal, pool }: Pick<ExpiryDeps, 'temporal' | 'pool'>, workflowId: string): Promise<void> {
  const { raw } = await temporal.workflow.getHandle(workflowId).describe()
  const key = { workflowId, step: 'run', object: null }
  if ((raw.pendingWorkflowTask?.attempt ?? 1) < FAILED_TRIES) await closeCase(pool, key)
  else await openCase(pool, { ...key, orderId: null, code: 'sweep_failing', detail: 'The code of its workflow fails.' })
}
