import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client'
import type { OrderWorkflow, OrderWorkflows } from '../activities/deps'
import type { OrderId, PaymentId } from '../domain/ids'
import { checkoutWorkflowId, expiryWorkflowId, orderIdOf } from '../domain/workflow-id'
import {
  attemptSignal,
  cancelSignal,
  checkoutStart,
  EXPIRY_SHARDS,
  fulfillmentReuse,
  fulfillmentStart,
  paymentWorkSignal,
  providerNewsSignal,
  type SettlementInput,
  settlementStart,
  WORKFLOWS,
} from '../workflows/contract'

const RUNNING = `ExecutionStatus = 'Running'`
const RUNNING_CHECKOUTS = `WorkflowType = '${WORKFLOWS.checkout}' AND ${RUNNING}`
/** The server sets the attribute on a workflow whose tasks failed five times on end. */
const FAILING = `WorkflowType IN ('${WORKFLOWS.checkout}', '${WORKFLOWS.settlement}', '${WORKFLOWS.fulfillment}') AND ${RUNNING} AND TemporalReportedProblems IS NOT NULL`

/** Stays with a fulfillment for its whole life; until its first run support sees nothing else. */
const FIRST_RUN = `While *Current Details* are empty, this workflow has not run yet: it waits for a warehouse to begin with the goods.

It runs as soon as somebody asks for something, or when the warehouse is late. \`GET /v1/admin/orders/{id}/timeline\` lists the shipments.`

export function createOrderWorkflows(temporal: Client): OrderWorkflows {
  async function list(query: string, isOver: () => boolean = () => false): Promise<OrderWorkflow[]> {
    const found: OrderWorkflow[] = []
    for await (const { workflowId, memo } of temporal.workflow.list({ query, pageSize: 1_000 })) {
      const { orderId = orderIdOf(workflowId), paymentId = null } = (memo ?? {}) as Partial<SettlementInput>
      if (orderId) found.push({ workflowId, orderId, paymentId })
      if (isOver()) break
    }
    return found
  }

  async function openSince(workflowId: string): Promise<Date | null> {
    try {
      const { status, startTime } = await temporal.workflow.getHandle(workflowId).describe()
      return status.name === 'RUNNING' ? startTime : null
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null
      throw error
    }
  }

  async function isOpen(workflowId: string): Promise<boolean> {
    return (await openSince(workflowId)) !== null
  }

  /** Throws when the order is over and its fulfillment has ended: what comes afterwards is for settlements. */
  function signalFulfillment({ orderId, isOver }: { orderId: OrderId; isOver: boolean }, news: PaymentId | null) {
    const start = { ...fulfillmentStart(orderId), workflowIdReusePolicy: fulfillmentReuse(isOver) }
    return news === null
      ? temporal.workflow.signalWithStart(WORKFLOWS.fulfillment, {
          ...start,
          signal: paymentWorkSignal,
          signalArgs: [],
        })
      : temporal.workflow.signalWithStart(WORKFLOWS.fulfillment, {
          ...start,
          signal: providerNewsSignal,
          signalArgs: [{ paymentId: news }],
        })
  }

  async function signalSettlement(payment: SettlementInput): Promise<void> {
    await temporal.workflow.signalWithStart(WORKFLOWS.settlement, {
      ...settlementStart(payment),
      signal: providerNewsSignal,
      signalArgs: [payment],
    })
  }

  return {
    listRunning: async (isOver) => new Set((await list(RUNNING_CHECKOUTS, isOver)).map(({ orderId }) => orderId)),
    listFailing: (isOver) => list(FAILING, isOver),
    async listStoppedExpiry() {
      const ids = Array.from({ length: EXPIRY_SHARDS }, (_, shard) => expiryWorkflowId(shard))
      const open = await Promise.all(ids.map(isOpen))
      return ids.filter((_, shard) => !open[shard])
    },
    isOpen,
    openSince,
    isCheckoutOpen: (orderId) => isOpen(checkoutWorkflowId(orderId)),
    startCheckout: ({ orderId, number }) =>
      unlessRunning(() =>
        temporal.workflow.start(WORKFLOWS.checkout, checkoutStart(orderId, { summary: `${number}, taken up again` })),
      ),
    remindOfAttempt: ({ orderId, attempt }) =>
      unlessGone(() => temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(attemptSignal, { attempt })),
    remindOfCancel: (orderId) =>
      unlessGone(() => temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(cancelSignal)),
    startFulfillment: (order) => unlessRunning(() => signalFulfillment(order, null)),
    tellCheckout: ({ orderId, paymentId }) =>
      isThere(() => temporal.workflow.getHandle(checkoutWorkflowId(orderId)).signal(providerNewsSignal, { paymentId })),
    async awaitFulfillment(orderId, delayMs) {
      await unlessRunning(() =>
        temporal.workflow.start(WORKFLOWS.fulfillment, {
          ...fulfillmentStart(orderId),
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          startDelay: delayMs,
          staticDetails: FIRST_RUN,
        }),
      )
    },
    async tellNews({ orderId, isOver, paymentId, pays }) {
      if (pays && (await unlessRunning(() => signalFulfillment({ orderId, isOver }, paymentId)))) return
      await signalSettlement({ orderId, paymentId })
    },
    tellSettlement: signalSettlement,
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
  await isThere(tell)
}

/** False when there is no such workflow, or it has ended. */
async function isThere(tell: () => Promise<void>): Promise<boolean> {
  try {
    await tell()
    return true
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false
    throw error
  }
}
