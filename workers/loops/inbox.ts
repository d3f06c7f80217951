import { setTimeout as delay } from 'node:timers/promises'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { OrderWorkflows } from '../../activities/deps'
import { type DueEvent, takeDueEvents } from '../../db/payment/inbox'
import { countRestart, RESTARTS_MAX } from '../../db/order/sweep'
import type { Pool } from '../../db/pool'
import { isOpen } from '../../domain/order'
import { checkoutWorkflowId } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { providerNewsSignal } from '../../workflows/contract'

const BATCH = 100
const IDLE_MS = 200
const AFTER_FAILURE_MS = 1_000

interface InboxDeps {
  readonly pool: Pool
  readonly temporal: Client
  readonly orders: OrderWorkflows
  readonly log: Log
}

/** Tells workflows of what providers told us, until `signal` is aborted. Processes may share it: rows are taken, not read. */
export async function runInbox(deps: InboxDeps, signal: AbortSignal): Promise<void> {
  const { pool, log } = deps
  while (!signal.aborted) {
    try {
      const due = await takeDueEvents(pool, BATCH)
      for (const event of due) await actOn(deps, event)
      if (due.length < BATCH) await pause(IDLE_MS, signal)
    } catch (error) {
      log.warn({ err: error }, 'provider events wait: they will be taken again')
      await pause(AFTER_FAILURE_MS, signal)
    }
  }
}

/**
 * The order's own workflow hears of it; without one, an open order's is started anew, and one that is over is settled.
 * As often as the sweep would: then the sweep asks for a person.
 */
async function actOn(
  { pool, temporal, orders }: InboxDeps,
  { orderId, orderStatus, paymentId, number }: DueEvent,
): Promise<void> {
  try {
    await temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(providerNewsSignal, { paymentId })
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
    if (!(await countRestart(pool, orderId, RESTARTS_MAX))) return
    if (isOpen(orderStatus)) await orders.startCheckout({ orderId, number })
    else await orders.startSettlement({ orderId, paymentId })
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}
