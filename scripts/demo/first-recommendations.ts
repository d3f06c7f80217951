import { setTimeout as delay } from 'node:timers/promises'
import type { ScheduleClient } from '@temporalio/client'
import { RECOMMENDATIONS_ID } from '../../domain/workflow-id'
import { connectTemporal } from '../../temporal'

const POLL_MS = 500
/** The worker registers the schedule soon after it has started. */
const REGISTERED_DEADLINE_MS = 60_000

/**
 * Has the recommendations computed now where no night has done so yet: a new shop shows them after some seconds. Does
 * not wait for their end, and a shop without them is a shop: it never throws.
 */
export async function computeFirstRecommendations(temporal: { address: string; namespace: string }): Promise<void> {
  const settings = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: temporal.namespace }
  const client = await connectTemporal(settings).catch(() => null)
  if (!client) return
  await triggerOnce(client.schedule).catch(() => undefined)
  await client.connection.close()
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
