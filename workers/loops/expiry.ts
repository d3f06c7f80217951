import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import { expiryWorkflowId } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { EXPIRY_SHARDS, TASK_QUEUES, WORKFLOWS } from '../../workflows/contract'

const AGAIN_MS = 10_000

/** Sees to it that every expiry workflow is running: started once, and again when somebody ended it. */
export async function runExpiry({ temporal, log }: { temporal: Client; log: Log }, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for (let shard = 0; shard < EXPIRY_SHARDS; shard++) await ensure(temporal, shard)
    } catch (error) {
      log.warn({ err: error }, 'could not see to the expiry workflows')
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
