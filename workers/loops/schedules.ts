import { setTimeout as delay } from 'node:timers/promises'
import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client'
import { RECOMMENDATIONS_ID, RECONCILIATION_ID } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { recommendationsStart, reconciliationStart } from '../../workflows/contract'

const AGAIN_MS = 10_000
/** When most shops sleep, UTC. Operators move it in the Web UI; what they set stays. */
const NIGHTLY = [
  {
    scheduleId: RECOMMENDATIONS_ID,
    at: { hour: 3, minute: 17 },
    action: recommendationsStart(),
    note: 'Counts sales and computes recommendations. `npm run recommendations` runs it now.',
  },
  {
    scheduleId: RECONCILIATION_ID,
    at: { hour: 2, minute: 47 },
    action: reconciliationStart(),
    note: 'Compares our books with those of the payment providers. `npm run reconcile` runs it now.',
  },
] as const

/** Registers what runs by the clock, once; tries again until Temporal took it. */
export async function registerSchedules(
  { temporal, log }: { temporal: Client; log: Log },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const nightly of NIGHTLY) await ensure(temporal, nightly)
      return
    } catch (error) {
      log.warn({ err: error }, 'could not register the schedules')
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** A night that was missed is made up for, also after weeks; a run that still goes on is not joined by another. */
async function ensure(temporal: Client, { scheduleId, at, action, note }: (typeof NIGHTLY)[number]): Promise<void> {
  try {
    await temporal.schedule.create({
      scheduleId,
      spec: { calendars: [at] },
      action,
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '30 days' },
      state: { note },
    })
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
  }
}
