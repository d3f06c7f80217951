import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client'
import { openCase } from '../db/attention'
import { expireDueHolds } from '../db/inventory'
import { cancelOrder } from '../db/order/cancel'
import { countRestart, listOrdersAtWork, type OrderAtWork } from '../db/order/sweep'
import { holdSeconds } from '../db/settings'
import type { OrderId } from '../domain/ids'
import {
  checkoutStart,
  checkoutWorkflowId,
  EXPIRY_SHARDS,
  settlementStart,
  settlementWorkflowId,
  WORKFLOWS,
} from '../workflows/contract'
import type { ActivityDeps } from './deps'

export type ExpiryActivities = ReturnType<typeof createExpiryActivities>

const HOLDS_PER_BATCH = 500
const ORDERS_PER_PAGE = 500
const PAGES_MAX = 20
const RESTARTS_MAX = 3
/** Where Temporal shows it: workflow tasks of this workflow keep failing. */
const FAILING = `TemporalReportedProblems IS NOT NULL AND ExecutionStatus = 'Running'`

/** Brings back what is past its time, and what nobody works on. */
export function createExpiryActivities({ pool, settings, temporal }: ActivityDeps) {
  /** One round of one shard. Returns in how many milliseconds the next hold is due (null: none is held). */
  async function sweep({
    shard,
  }: {
    shard: number
  }): Promise<{ expired: number; restarted: number; nextDueMs: number | null }> {
    const holds = await expireHolds(shard)
    const restarted = await restartOrphans(shard)
    if (shard === 0) await reportFailing()
    return { ...holds, restarted }
  }

  async function expireHolds(shard: number): Promise<{ expired: number; nextDueMs: number | null }> {
    let expired = 0
    for (;;) {
      const batch = await expireDueHolds(pool, { shard, shards: EXPIRY_SHARDS, limit: HOLDS_PER_BATCH })
      expired += batch.expired
      if (batch.expired < HOLDS_PER_BATCH) return { expired, nextDueMs: batch.nextDueMs }
    }
  }

  /** Restarts every order at work without an open workflow. The list of running ones only spares most of the looking up. */
  async function restartOrphans(shard: number): Promise<number> {
    const { checkout } = await holdSeconds(pool, settings)
    let running: Set<string> | null = null
    let restarted = 0
    let after = ''
    for (let page = 0; page < PAGES_MAX; page++) {
      const orders = await listOrdersAtWork(pool, {
        shard,
        shards: EXPIRY_SHARDS,
        limit: ORDERS_PER_PAGE,
        after,
        holdSeconds: checkout,
      })
      if (orders.length > 0) running ??= await listRunning(temporal)
      for (const order of orders) {
        const open =
          running?.has(checkoutWorkflowId(order.orderId)) || (await isOpen(checkoutWorkflowId(order.orderId)))
        if (!open && (await restart(order))) restarted++
      }
      if (orders.length < ORDERS_PER_PAGE) break
      after = orders.at(-1)?.orderId ?? after
    }
    return restarted
  }

  async function restart(order: OrderAtWork): Promise<boolean> {
    if (order.stale) return cancelOrder(pool, { orderId: order.orderId, reason: 'expired' })
    if (order.paymentId !== null && (await isOpen(settlementWorkflowId(order.paymentId)))) return false
    if (!(await countRestart(pool, order.orderId, RESTARTS_MAX))) {
      await askForHelp(order.orderId)
      return false
    }
    try {
      if (order.paymentId === null)
        await temporal.workflow.start(WORKFLOWS.checkout, checkoutStart(order.orderId, `Order ${order.number}`))
      else
        await temporal.workflow.start(
          WORKFLOWS.settlement,
          settlementStart({ orderId: order.orderId, paymentId: order.paymentId }),
        )
      return true
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false
      throw error
    }
  }

  async function isOpen(workflowId: string): Promise<boolean> {
    try {
      const { status } = await temporal.workflow.getHandle(workflowId).describe()
      return status.name === 'RUNNING'
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      throw error
    }
  }

  async function reportFailing(): Promise<void> {
    for await (const { workflowId } of temporal.workflow.list({
      query: `WorkflowType = '${WORKFLOWS.checkout}' AND ${FAILING}`,
      pageSize: 100,
    })) {
      await askForHelp(workflowId.replace(/^checkout-/, '') as OrderId)
    }
  }

  async function askForHelp(orderId: OrderId): Promise<void> {
    await openCase(pool, {
      orderId,
      code: 'workflow_failing',
      step: null,
      paymentId: null,
      workflowId: checkoutWorkflowId(orderId),
    })
  }

  return { sweep }
}

/** Ids of the checkouts that Temporal's index says are running: seconds old, so only good for skipping. */
async function listRunning(temporal: Client): Promise<Set<string>> {
  const running = new Set<string>()
  const query = `WorkflowType = '${WORKFLOWS.checkout}' AND ExecutionStatus = 'Running'`
  for await (const { workflowId } of temporal.workflow.list({ query, pageSize: 1000 })) running.add(workflowId)
  return running
}
