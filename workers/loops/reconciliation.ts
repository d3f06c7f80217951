import { setTimeout as delay } from 'node:timers/promises'
import { findLateSince } from '../../db/payment/reconciliation'
import type { Pool } from '../../db/pool'
import { openCase } from '../../db/support/attention'
import { RUN_RECONCILIATION } from '../../domain/support'
import { RECONCILIATION_ID } from '../../domain/workflow-id'
import type { Log } from '../../log'

const AGAIN_MS = 60_000
/** After a long stop the missed night is made up for first. */
const FIRST_MS = 600_000
/** Two nights, and a little. */
const LATE_HOURS = 50

/** A run that hangs keeps the next ones from beginning, and says nothing: that is seen from beside it. */
export async function watchReconciliation({ pool, log }: { pool: Pool; log: Log }, signal: AbortSignal): Promise<void> {
  for (let waitMs = FIRST_MS; !signal.aborted; waitMs = AGAIN_MS) {
    await delay(waitMs, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return
    try {
      await askIfLate(pool)
    } catch (error) {
      log.warn({ err: error }, 'could not look whether the nightly comparison was made')
    }
  }
}

/** Opens a case while no run has ended for two nights. The next run that ends well closes it. */
export async function askIfLate(pool: Pool): Promise<void> {
  const since = await findLateSince(pool, LATE_HOURS)
  if (!since) return
  const about = { workflowId: RECONCILIATION_ID, step: RUN_RECONCILIATION, object: null, orderId: null }
  await openCase(pool, { ...about, code: 'step_failing', detail: `No run has ended since ${since.toISOString()}.` })
}
