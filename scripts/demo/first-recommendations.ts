import { setTimeout as delay } from 'node:timers/promises'
import type { ScheduleClient } from '@temporalio/client'
import { RECOMMENDATIONS_ID } from '../../domain/workflow-id'

const POLL_MS = 500
/** The worker registers the schedule soon after it has started. */
const REGISTERED_DEADLINE_MS = 60_000

/**
 * Has the recommendations computed now where no night has done so yet: a new shop shows them after some seconds. Does
 * not wait for their end, and a shop without them is a shop: it never throws.
 */
export async function computeFirstRecommendations(temporal: { address: string; namespace: string }): Promise<void> {
  // Loaded here, as it takes a while: a start has other things to begin before.
  const { Client, Connection } = require('@temporalio/client') as typeof import('@temporalio/client')
  const connection = await Connection.connect({ address: temporal.address }).catch(() => null)
  if (!connection) return
  const { schedule } = new Client({ connection, namespace: temporal.namespace })
  await triggerOnce(schedule).catch(() => undefined)
  await connection.close()
}

async function triggerOnce(schedules: ScheduleClient): Promise<void> {
  const schedule = schedules.getHandle(RECOMMENDATIONS_ID)
  const deadline = Date.now() + REGISTERED_DEADLINE_MS
  while (Date.now() < deadline) {
    const known = await schedule.describe().catch(() => null)
    if (known) return known.info.numActionsTaken === 0 ? schedule.trigger() : undefined
    await delay(POLL_MS)
  }
}
