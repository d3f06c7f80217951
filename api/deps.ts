import type { Client } from '@temporalio/client'
import type { Settings } from '../config'
import type { CatalogEntryCache } from '../db/cart/recent'
import type { Pool } from '../db/pool'
import type { Redis } from '../db/redis'
import type { ReplicaRouter } from '../db/replica'
import type { Log } from '../log'
import type { ImageStore } from '../providers/image-store'
import type { Carriers } from '../providers/carrier'
import type { PaymentProviders } from '../providers/payment'
import type { Search } from '../providers/search'
import type { TaxProvider } from '../providers/tax'
import type { AdmissionGate } from './checkout/admission'
import type { LoadMeter } from './http/load-shedding'
import type { PageServer } from './page/serve'
import type { Metrics } from './platform/metrics'
import type { InteractionBuffer } from './recommendation/interaction-buffer'

/** What the handlers work with. Made once per process, in `main.ts`. */
export interface ApiDeps {
  readonly settings: Settings
  readonly pool: Pool
  readonly redis: Redis
  /** Connects by itself, whenever Temporal is there. */
  readonly temporal: Client
  readonly tax: TaxProvider
  readonly providers: PaymentProviders
  readonly carriers: Carriers
  readonly search: Search
  readonly log: Log
  readonly metrics: Metrics
  readonly admissionGate: AdmissionGate
  readonly catalogEntryCache: CatalogEntryCache
  readonly reads: ReplicaRouter
  readonly pages: PageServer
  readonly load: LoadMeter
  readonly images: ImageStore
  readonly interactions: InteractionBuffer
  /** Turns true once, when the process has been told to stop. */
  readonly lifecycle: { stopping: boolean }
}
