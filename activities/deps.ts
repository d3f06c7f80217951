import type { Client } from '@temporalio/client'
import type { Settings } from '../config'
import type { Pool } from '../db/pool'
import type { Redis } from '../db/redis'
import type { PaymentProviders } from '../providers/payment'
import type { TaxProvider } from '../providers/tax'

/** What the activities of one worker process share. Made once, in `workers/main.ts`. */
export interface ActivityDeps {
  readonly settings: Settings
  readonly pool: Pool
  readonly redis: Redis
  readonly providers: PaymentProviders
  readonly tax: TaxProvider
  readonly temporal: Client
}
