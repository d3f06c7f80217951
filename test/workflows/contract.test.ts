import { createActivities } from '../../activities'
import type { ActivityDeps } from '../../activities/deps'
import * as contract from '../../workflows/contract'
import { PATCHES } from '../../workflows/patches'

/**
 * Names that stand in histories and rows. Whoever changes one here has to say, after the first release, how the orders
 * that are under way go on: `workflows/patches.ts`.
 */
describe('names that running workflows depend on', () => {
  it('are these activities, and no others', () => {
    const deps = { settings: { ATTENTION_AFTER_SECONDS: 1 }, search: { engines: [] } } as unknown as ActivityDeps
    const platform = [
      'abandonIndex',
      'audit',
      'beginReconciling',
      'compareCharges',
      'compareLedger',
      'compareMovements',
      'compareMoves',
      'countSales',
      'endImportJob',
      'endReconciling',
      'fillIndex',
      'forgetGathered',
      'gatherFeatures',
      'gatherOrders',
      'importLines',
      'prepareIndex',
      'rankCategories',
      'rankVelocity',
      'recheckDifferences',
      'recommendProducts',
      'swapIndex',
      'sweep',
    ]
    expect(Object.keys(createActivities(deps)).sort()).toEqual([...contract.ORDER_ACTIVITIES, ...platform].sort())
  })

  it('are these workflow types and task queues', () => {
    expect(contract.WORKFLOWS).toEqual({
      checkout: 'checkout',
      settlement: 'settlement',
      fulfillment: 'fulfillment',
      expiry: 'expiry',
      import: 'importCatalog',
      reindex: 'reindex',
      audit: 'audit',
      recommendations: 'recommendations',
      reconciliation: 'reconciliation',
    })
    expect(contract.TASK_QUEUES).toEqual({ checkout: 'checkout', fulfillment: 'fulfillment', platform: 'platform' })
  })

  it('are these signals, updates and search attributes', () => {
    const messages = Object.values<unknown>(contract).filter(
      (value): value is { type: 'signal' | 'update'; name: string } =>
        typeof value === 'object' && value !== null && 'type' in value,
    )
    expect(messages.map(({ type, name }) => `${type} ${name}`).sort()).toEqual([
      'signal attemptRequested',
      'signal cancel',
      'signal paymentWork',
      'signal providerNews',
      'update attempt',
      'update cancelShipment',
      'update forceCancel',
      'update reroute',
      'update resolveStep',
      'update retryPayment',
      'update retryStep',
    ])
    expect(Object.values(contract.SEARCH_ATTRIBUTES).map(({ name }) => name)).toEqual([
      'NeedsAttention',
      'AttentionReason',
      'CustomerRef',
      'SaleId',
    ])
  })
})

it('dates every patch', () => {
  for (const [id, { since, change }] of Object.entries<{ since: string; change: string }>(PATCHES)) {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)+$/)
    expect(since).toMatch(/^\d{4}-\d\d-\d\d$/)
    expect(change).not.toBe('')
  }
})
