/** Everything that a worker can run, by the name under which it is registered (`WORKFLOWS` in contract.ts). */
export { audit } from './audit'
export { checkout } from './checkout'
export { expiry } from './expiry'
export { fulfillment } from './fulfillment'
export { importCatalog } from './import'
export { reindex } from './reindex'
export { recommendations } from './recommendations'
export { settlement } from './settlement'
