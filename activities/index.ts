import { createAuditActivities } from './support/audit'
import { createCheckoutActivities } from './checkout/checkout'
import type { ActivityDeps } from './deps'
import { createExpiryActivities } from './checkout/expiry'
import { createFulfillmentActivities } from './fulfillment'
import { createImportActivities } from './import'
import { createPaymentActivities } from './payment'
import { createReconciliationActivities } from './payment/reconciliation'
import { createSearchActivities } from './search'
import { createRecommendationActivities } from './recommendation'
import { createSupportActivities } from './support/attention'

/** Every activity, over what they share. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createAuditActivities(deps),
    ...createCheckoutActivities(deps),
    ...createPaymentActivities(deps),
    ...createReconciliationActivities(deps),
    ...createFulfillmentActivities(deps),
    ...createExpiryActivities(deps),
    ...createImportActivities(deps),
    ...createSearchActivities(deps),
    ...createRecommendationActivities(deps),
    ...createSupportActivities(deps),
  }
}
