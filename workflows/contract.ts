import { defineSearchAttributeKey } from '@temporalio/common'
import { defineSignal, defineUpdate } from '@temporalio/workflow'
import type { ImportId, OrderId, PaymentId } from '../domain/ids'
import {
  auditWorkflowId,
  checkoutWorkflowId,
  fulfillmentWorkflowId,
  importWorkflowId,
  RECOMMENDATIONS_ID,
  RECONCILIATION_ID,
  reindexWorkflowId,
  settlementWorkflowId,
} from '../domain/workflow-id'

/**
 * What workflows have in common with those who start them and speak to them, and with the histories of those that run.
 * Histories hold the names of task queues, workflow types ({@link WORKFLOWS}), activities ({@link ORDER_ACTIVITIES} and
 * those of `proxies.ts`), signals, updates and search attributes, and the ids of `domain/workflow-id.ts`; rows hold the
 * names of repairs and of the steps that they repair, which are activities. Until the first release such a name may change,
 * and the histories below `test/replay` are recorded anew. Afterwards a running order depends on it: see `patches.ts`.
 * `test/workflows/contract.test.ts` lists them all.
 */

/** One queue per concern, so that operators scale each alone. */
export const TASK_QUEUES = { checkout: 'checkout', fulfillment: 'fulfillment', platform: 'platform' } as const
export type TaskQueue = keyof typeof TASK_QUEUES

/** How many expiry workflows share the work: each takes the rows whose owner's id hashes to its shard. */
export const EXPIRY_SHARDS = 2

/** Registered at every start; a worker refuses to begin without them. */
export const SEARCH_ATTRIBUTES = {
  needsAttention: defineSearchAttributeKey('NeedsAttention', 'BOOL'),
  attentionReason: defineSearchAttributeKey('AttentionReason', 'KEYWORD'),
  customerRef: defineSearchAttributeKey('CustomerRef', 'KEYWORD'),
  saleId: defineSearchAttributeKey('SaleId', 'KEYWORD'),
} as const

export interface CheckoutInput {
  readonly orderId: OrderId
}

export interface SettlementInput {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
}

export interface FulfillmentInput {
  readonly orderId: OrderId
}

export interface ExpiryInput {
  readonly shard: number
}

export interface ReindexInput {
  /** A search engine's name. */
  readonly engine: string
  /** Names what is filled. */
  readonly build: string
}

export interface ImportInput {
  readonly importId: ImportId
}

/** Waits until this attempt is decided or asks the customer to act; read the rows for the answer. */
export const attemptUpdate = defineUpdate<void, [{ readonly attempt: number }]>('attempt')
export const attemptUpdateId = (attempt: number): string => `attempt-${attempt}`

/** An attempt waits to be taken up. The sweep says so, in case the API's own message was lost. */
export const attemptSignal = defineSignal<[{ readonly attempt: number }]>('attemptRequested')

/** The customer wants the checkout to end. Temporal keeps it even while no worker runs. The rows say what became of it. */
export const cancelSignal = defineSignal('cancel')

/** The provider has news of an attempt: look it up. */
export const providerNewsSignal = defineSignal<[{ readonly paymentId: PaymentId }]>('providerNews')

/** Something is to be done with the order's goods or money, or a provider has news of it: read the rows. */
export const paymentWorkSignal = defineSignal('paymentWork')

/** What a repair update takes: one JSON object, since the Web UI sends just one. */
export interface Repair {
  /** Which step that waits, and of what (the id of a payment, capture or refund); may be left out when only one fits. */
  readonly step?: string
  readonly object?: string
  /** For `resolveStep`: whether the step's effect is to count as done. */
  readonly outcome?: 'done' | 'not_done'
  readonly reason_code: string
  /** The id of the admin key of whoever does this. */
  readonly by: string
}

export const retryStepUpdate = defineUpdate<void, [Repair]>('retryStep')
export const resolveStepUpdate = defineUpdate<void, [Repair]>('resolveStep')
export const retryPaymentUpdate = defineUpdate<void, [Repair]>('retryPayment')
export const forceCancelUpdate = defineUpdate<void, [Repair]>('forceCancel')
export const rerouteUpdate = defineUpdate<void, [Repair]>('reroute')
export const cancelShipmentUpdate = defineUpdate<void, [Repair]>('cancelShipment')

export const REPAIR_UPDATES = {
  retryStep: retryStepUpdate,
  resolveStep: resolveStepUpdate,
  retryPayment: retryPaymentUpdate,
  forceCancel: forceCancelUpdate,
  reroute: rerouteUpdate,
  cancelShipment: cancelShipmentUpdate,
} as const
export type RepairAction = keyof typeof REPAIR_UPDATES

/** What support sees of a checkout before any of its code runs: one line, and Markdown. No personal data. */
export interface CheckoutLabel {
  readonly summary: string
  readonly details?: string
}

/**
 * Recovery needs these: a killed worker's task is given to another after 5 s, its sticky queue is left after 2 s.
 * The static summary is what the list of workflows shows.
 */
export function checkoutStart(orderId: OrderId, { summary, details }: CheckoutLabel) {
  return {
    workflowId: checkoutWorkflowId(orderId),
    taskQueue: TASK_QUEUES.checkout,
    args: [{ orderId }] as [CheckoutInput],
    workflowTaskTimeout: '5s',
    staticSummary: summary,
    ...(details !== undefined && { staticDetails: details }),
  } as const
}

export function settlementStart(input: SettlementInput) {
  return {
    workflowId: settlementWorkflowId(input.paymentId),
    taskQueue: TASK_QUEUES.checkout,
    args: [input] as [SettlementInput],
    // For whoever finds it in a list.
    memo: { ...input },
    workflowTaskTimeout: '5s',
    staticSummary: `Money of an order that is over: ${input.orderId}`,
  } as const
}

/**
 * One per confirmed order. Until there is something to do it costs nothing but its row in Temporal: its first task comes with
 * the first signal-with-start, or when its authorization is about to end. (A plain signal would wait for that time too.)
 */
export function fulfillmentStart(orderId: OrderId) {
  return {
    workflowId: fulfillmentWorkflowId(orderId),
    taskQueue: TASK_QUEUES.fulfillment,
    args: [{ orderId }] as [FulfillmentInput],
    workflowTaskTimeout: '5s',
    staticSummary: `Goods and money of the confirmed order ${orderId}`,
  } as const
}

/** A run that was ended by hand is followed by another one, as long as the order is not over. */
export function fulfillmentReuse(isOver: boolean): 'ALLOW_DUPLICATE' | 'REJECT_DUPLICATE' {
  return isOver ? 'REJECT_DUPLICATE' : 'ALLOW_DUPLICATE'
}

/** A second start joins the run that is open. Once a run has ended, for whatever reason, no other one begins. */
export function importStart(importId: ImportId) {
  return {
    workflowId: importWorkflowId(importId),
    taskQueue: TASK_QUEUES.platform,
    args: [{ importId }] as [ImportInput],
    workflowTaskTimeout: '5s',
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    staticSummary: 'Import of a catalog file',
  } as const
}

/** One per engine at a time: while it runs, another start is refused. Once it has ended it may be started again. */
export function reindexStart(engine: string, build: string) {
  return {
    workflowId: reindexWorkflowId(engine),
    taskQueue: TASK_QUEUES.platform,
    args: [{ engine, build }] as [ReindexInput],
    workflowTaskTimeout: '5s',
    staticSummary: `Rebuild of the search index in ${engine}`,
  } as const
}

/** One per question. It ends after 5 minutes if no worker takes it. */
export function auditStart(id: string) {
  return {
    workflowId: auditWorkflowId(id),
    taskQueue: TASK_QUEUES.platform,
    args: [] as [],
    workflowTaskTimeout: '5s',
    workflowExecutionTimeout: '5m',
    staticSummary: 'Checks every invariant',
  } as const
}

/** Every night, by a schedule of the same id. A run that is not over when the next is due is left to end. */
export function recommendationsStart() {
  return {
    type: 'startWorkflow',
    workflowType: WORKFLOWS.recommendations,
    workflowId: RECOMMENDATIONS_ID,
    taskQueue: TASK_QUEUES.platform,
    args: [] as [],
    workflowTaskTimeout: '5s',
    staticSummary: 'Counts sales and computes what goes with what',
  } as const
}

/** Every night, and whenever it is asked for, by a schedule of the same id: there is one at a time. */
export function reconciliationStart() {
  return {
    type: 'startWorkflow',
    workflowType: WORKFLOWS.reconciliation,
    workflowId: RECONCILIATION_ID,
    taskQueue: TASK_QUEUES.platform,
    args: [] as [],
    workflowTaskTimeout: '5s',
    staticSummary: 'Compares our books with those of the payment providers',
  } as const
}

/** The activities of an order's workflows. A step that waits for a person is named by its activity. */
export const ORDER_ACTIVITIES = [
  'place',
  'charge',
  'retryCharge',
  'lookUpCharge',
  'lookUpChargeAgain',
  'startNextAttempt',
  'confirm',
  'cancelCharge',
  'cancelOrder',
  'resolveCharge',
  'recordDecision',
  'syncDecision',
  'skipSync',
  'skipNews',
  'readSettlement',
  'readPaymentWork',
  'capturePayment',
  'refundPayment',
  'releasePayment',
  'refreshPayment',
  'renewPayment',
  'letLapse',
  'decideCapture',
  'decideRefund',
  'settleElsewhere',
  'closeDispute',
  'advanceGoods',
  'buyLabel',
  'voidLabel',
  'tellWarehouse',
  'decideLabel',
  'decideParcel',
  'decideShort',
  'skipMessage',
  'openCase',
  'closeCase',
  'recordRepair',
] as const
export type OrderActivity = (typeof ORDER_ACTIVITIES)[number]

/** Workflow types, by the name under which they are registered. */
export const WORKFLOWS = {
  checkout: 'checkout',
  settlement: 'settlement',
  fulfillment: 'fulfillment',
  expiry: 'expiry',
  import: 'importCatalog',
  reindex: 'reindex',
  audit: 'audit',
  recommendations: 'recommendations',
  reconciliation: 'reconciliation',
} as const
