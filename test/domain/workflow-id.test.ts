import {
  auditWorkflowId,
  checkoutWorkflowId,
  expiryWorkflowId,
  importWorkflowId,
  orderIdOf,
  RECOMMENDATIONS_ID,
  reindexWorkflowId,
  settlementWorkflowId,
} from '../../domain/workflow-id'

it('builds the ids that open workflows and stored cases carry', () => {
  expect(checkoutWorkflowId('order_1')).toBe('checkout-order_1')
  expect(settlementWorkflowId('pay_1')).toBe('settlement-pay_1')
  expect(expiryWorkflowId(0)).toBe('expiry-0')
  expect(importWorkflowId('imp_1')).toBe('import-imp_1')
  expect(reindexWorkflowId('typesense')).toBe('reindex-typesense')
  expect(auditWorkflowId('a')).toBe('audit-a')
  expect(RECOMMENDATIONS_ID).toBe('recommendations')
})

it('reads the order from the id of its checkout, and from no other id', () => {
  expect(orderIdOf(checkoutWorkflowId('order_1'))).toBe('order_1')
  expect(orderIdOf(settlementWorkflowId('pay_1'))).toBeNull()
  expect(orderIdOf('checkout-1')).toBeNull()
  expect(orderIdOf('order_1')).toBeNull()
})
