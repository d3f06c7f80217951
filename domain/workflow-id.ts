import { ID_PREFIXES, type ImportId, type OrderId, type PaymentId } from './ids'

/**
 * The ids of workflows, each built here and nowhere else. Temporal keeps one open workflow per id, so an id says what there
 * may be only one of. Open workflows and the rows of `attention` carry these ids: a new form would not find them.
 */

const CHECKOUT = 'checkout-'
const FULFILLMENT = 'fulfillment-'

export function checkoutWorkflowId(orderId: OrderId): string {
  return `${CHECKOUT}${orderId}`
}

/** The order of the id of a checkout or a fulfillment; null for any other id. */
export function orderIdOf(workflowId: string): OrderId | null {
  const prefix = [CHECKOUT, FULFILLMENT].find((each) => workflowId.startsWith(`${each}${ID_PREFIXES.order}_`))
  return prefix === undefined ? null : (workflowId.slice(prefix.length) as OrderId)
}

export function settlementWorkflowId(paymentId: PaymentId): string {
  return `settlement-${paymentId}`
}

export function fulfillmentWorkflowId(orderId: OrderId): string {
  return `${FULFILLMENT}${orderId}`
}

export function expiryWorkflowId(shard: number): string {
  return `expiry-${shard}`
}

export function reindexWorkflowId(engine: string): string {
  return `reindex-${engine}`
}

export function importWorkflowId(importId: ImportId): string {
  return `import-${importId}`
}

/** @param id names the question: each audit has a workflow of its own */
export function auditWorkflowId(id: string): string {
  return `audit-${id}`
}

/** Of the workflow, and of the schedule that starts it. */
export const RECOMMENDATIONS_ID = 'recommendations'

/** Of the schedule that starts it, and of the cases that it opens. */
export const RECONCILIATION_ID = 'reconciliation'
