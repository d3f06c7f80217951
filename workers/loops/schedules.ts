import { setTimeout as delay } from 'node:timers/promises'
import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client'
import { RECOMMENDATIONS_ID } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { recommendationsStart } from '../../workflows/contract'

const AGAIN_MS = 10_000
/** UTC: when most shops sleep. Operators move it in the Web UI; what they set stays. */
const NIGHT = { hour: 3, minute: 17 } as const

/** Registers what runs by the clock, once; tries again until Temporal took it. */
export async function registerSchedules(
  { temporal, log }: { temporal: Client; log: Log },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await ensureRecommendations(temporal)
      return
    } catch (error) {
      log.warn({ err: error }, 'could not register the schedules')
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** A night that was missed is made up for within a day; a run that still goes on is not joined by another. */
async function ensureRecommendations(temporal: Client): Promise<void> {
  try {
    await temporal.schedule.create({
      scheduleId: RECOMMENDATIONS_ID,
      spec: { calendars: [NIGHT] },
      action: recommendationsStart(),
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 day' },
      state: { note: 'Counts sales and computes recommendations. `npm run recommendations` runs it now.' },
    })
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
  }
}
