import { setWorkflowOptions } from '@temporalio/workflow'
import { checkout } from './checkout'

/** Everything that a worker can run, by the name under which it is registered (`WORKFLOWS` in contract.ts). */
export { audit } from './audit'
export { checkout }
export { expiry } from './expiry'
export { fulfillment } from './fulfillment'
export { importCatalog } from './import'
export { reconciliation } from './reconciliation'
export { reindex } from './reindex'
export { recommendations } from './recommendations'
export { settlement } from './settlement'

/**
 * A checkout takes minutes: it ends on the build that began it. All others may last for weeks or for ever, and go on with the
 * build that is current, which is what a worker says of all that say nothing.
 */
setWorkflowOptions({ versioningBehavior: 'PINNED' }, checkout)
