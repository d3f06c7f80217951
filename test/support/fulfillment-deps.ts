import type { FulfillmentDeps } from '../../activities/fulfillment/goods'
import { readSettings } from '../../config'
import { createCarriers } from '../../providers/carrier'
import type { CarrierProvider } from '../../providers/carrier/carrier'
import { noFraudCheck } from '../../providers/fraud'
import { createPaymentProviders } from '../../providers/payment'
import { createWarehouseSystems } from '../../providers/warehouse'
import type { TestDatabase } from './database'

const unasked = (): Promise<never> => Promise.reject(new Error('The test does not say what the carrier answers.'))

const SILENT: CarrierProvider = {
  name: 'sandbox',
  rates: unasked,
  buyLabel: unasked,
  voidLabel: unasked,
  track: unasked,
  document: unasked,
  verifyWebhook: () => [],
  close: async () => undefined,
}

/** What effects on goods need. `carrier`: what the only carrier answers, as far as the test asks it. */
export function fulfillmentDeps(
  { pool, url }: TestDatabase,
  carrier: Partial<Pick<CarrierProvider, 'buyLabel' | 'voidLabel'>> = {},
): FulfillmentDeps {
  const settings = readSettings({ DATABASE_URL: url })
  return {
    pool,
    settings,
    providers: createPaymentProviders(settings),
    carriers: { ...createCarriers(settings), get: () => ({ ...SILENT, ...carrier }) },
    warehouses: createWarehouseSystems(settings),
    fraud: noFraudCheck,
  }
}
