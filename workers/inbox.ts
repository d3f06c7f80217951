import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client'
import { type DueEvent, takeDueEvents } from '../db/inbox'
import type { Pool } from '../db/pool'
import { isOpen } from '../domain/order'
import type { Log } from '../log'
import {
  checkoutStart,
  checkoutWorkflowId,
  providerNewsSignal,
  settlementStart,
  WORKFLOWS,
} from '../workflows/contract'

const BATCH = 100
const IDLE_MS = 200
const AFTER_FAILURE_MS = 1_000

interface InboxDeps {
  readonly pool: Pool
  readonly temporal: Client
  readonly log: Log
}

/** Tells workflows of what providers told us, until `signal` is aborted. Processes may share it: rows are taken, not read. */
export async function runInbox({ pool, temporal, log }: InboxDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const due = await takeDueEvents(pool, BATCH)
      for (const event of due) await actOn(temporal, event)
      if (due.length < BATCH) await pause(IDLE_MS, signal)
    } catch (error) {
      log.warn({ err: error }, 'provider events wait: they will be taken again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/** The order's own workflow hears of it; without one, an open order's is started anew, and one that is over is settled. */
async function actOn(temporal: Client, { orderId, orderStatus, paymentId, number }: DueEvent): Promise<void> {
  try {
    await temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(providerNewsSignal, { paymentId })
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    await startWorkflow(temporal, { orderId, orderStatus, paymentId, number })
  }
}

async function startWorkflow(
  temporal: Client,
  { orderId, orderStatus, paymentId, number }: Omit<DueEvent, 'provider' | 'eventId'>,
): Promise<void> {
  try {
    if (isOpen(orderStatus))
      await temporal.workflow.start(WORKFLOWS.checkout, checkoutStart(orderId, `Order ${number}`))
    else await temporal.workflow.start(WORKFLOWS.settlement, settlementStart({ orderId, paymentId }))
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
