import { setTimeout as delay } from 'node:timers/promises'
import { Client, Connection, ScheduleOverlapPolicy } from '@temporalio/client'
import { RECOMMENDATIONS_ID } from '../../domain/workflow-id'
import type { RecommendationsDone } from '../../workflows/recommendations'
import { seconds } from '../stack/say'
import { readStack } from '../stack/state'

const POLL_MS = 200
const BEGIN_DEADLINE_MS = 20_000

/**
 * Computes the recommendations of the running stack now, or joins the run that is at it, and waits for its end. A stack of
 * another namespace was started with `TEMPORAL_NAMESPACE`, and so is this.
 */
async function main(): Promise<void> {
  const stack = readStack()
  if (!stack) throw new Error('Holdfast is not running in this folder. `npm start` starts it.')
  const begun = Date.now()
  const connection = await Connection.connect({ address: stack.temporal })
  try {
    const temporal = new Client({ connection, namespace: process.env['TEMPORAL_NAMESPACE'] ?? 'default' })
    const workflowId = await runningWorkflow(temporal)
    const { days, products } = (await temporal.workflow.getHandle(workflowId).result()) as RecommendationsDone
    console.log(
      `Counted the sales of ${days} days and computed what goes with ${products} products (${seconds(begun)}).`,
    )
  } finally {
    await connection.close()
  }
}

/** Asks the schedule for a run. It names its runs itself: the id with the time. */
async function runningWorkflow(temporal: Client): Promise<string> {
  const schedule = temporal.schedule.getHandle(RECOMMENDATIONS_ID)
  const before = new Set((await schedule.describe()).info.recentActions.map(({ action }) => action.workflow.workflowId))
  await schedule.trigger(ScheduleOverlapPolicy.SKIP)
  const deadline = Date.now() + BEGIN_DEADLINE_MS
  while (Date.now() < deadline) {
    const { info } = await schedule.describe()
    const running = info.runningActions.at(-1)?.workflow.workflowId
    const fresh = info.recentActions.find(({ action }) => !before.has(action.workflow.workflowId))
    const found = running ?? fresh?.action.workflow.workflowId
    if (found !== undefined) return found
    await delay(POLL_MS)
  }
  throw new Error('Temporal did not begin the run. Is the schedule `recommendations` paused?')
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
