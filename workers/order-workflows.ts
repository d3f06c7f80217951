import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client'
import type { OrderWorkflows } from '../activities/deps'
import type { OrderId } from '../domain/ids'
import {
  attemptSignal,
  cancelSignal,
  checkoutStart,
  checkoutWorkflowId,
  EXPIRY_SHARDS,
  expiryWorkflowId,
  orderIdOf,
  settlementStart,
  settlementWorkflowId,
  WORKFLOWS,
} from '../workflows/contract'

const RUNNING_CHECKOUTS = `WorkflowType = '${WORKFLOWS.checkout}' AND ExecutionStatus = 'Running'`
/** The server sets it on a workflow whose tasks failed five times on end. */
const FAILING = 'TemporalReportedProblems IS NOT NULL'

export function createOrderWorkflows(temporal: Client): OrderWorkflows {
  async function listOrders(query: string): Promise<OrderId[]> {
    const orders: OrderId[] = []
    for await (const { workflowId } of temporal.workflow.list({ query, pageSize: 1_000 })) {
      const orderId = orderIdOf(workflowId)
      if (orderId) orders.push(orderId)
    }
    return orders
  }

  async function isOpen(workflowId: string): Promise<boolean> {
    try {
      return (await temporal.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING'
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      throw error
    }
  }

  return {
    listRunning: async () => new Set(await listOrders(RUNNING_CHECKOUTS)),
    listFailing: () => listOrders(`${RUNNING_CHECKOUTS} AND ${FAILING}`),
    async listStoppedExpiry() {
      const ids = Array.from({ length: EXPIRY_SHARDS }, (_, shard) => expiryWorkflowId(shard))
      const open = await Promise.all(ids.map(isOpen))
      return ids.filter((_, shard) => !open[shard])
    },
    isCheckoutOpen: (orderId) => isOpen(checkoutWorkflowId(orderId)),
    isSettlementOpen: (paymentId) => isOpen(settlementWorkflowId(paymentId)),
    startCheckout: ({ orderId, number }) =>
      unlessRunning(() =>
        temporal.workflow.start(WORKFLOWS.checkout, checkoutStart(orderId, { summary: `${number}, taken up again` })),
      ),
    remindOfAttempt: ({ orderId, attempt }) =>
      unlessGone(() => temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(attemptSignal, { attempt })),
    remindOfCancel: (orderId) =>
      unlessGone(() => temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(cancelSignal)),
    startSettlement: (payment) =>
      unlessRunning(() => temporal.workflow.start(WORKFLOWS.settlement, settlementStart(payment))),
  }
}

async function unlessRunning(start: () => Promise<unknown>): Promise<boolean> {
  try {
    await start()
    return true
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false
    throw error
  }
}

async function unlessGone(tell: () => Promise<void>): Promise<void> {
  try {
    await tell()
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
  }
}
