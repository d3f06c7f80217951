import { readSettings } from '../../config'
import { issueStackKey } from '../../db/platform/api-key'
import { createPool } from '../../db/pool'
import { computeFirstRecommendations } from './first-recommendations'
import { sampleSku, seedDemoShop } from './seed'
import { stackTable } from '../stack/table'

/**
 * Fills an empty Holdfast that runs elsewhere (the composed one) with the demo shop, and prints where it is, a new
 * admin key, and one line that buys something. Takes the API's address as this program reaches it.
 */
async function main(): Promise<void> {
  const [api] = process.argv.slice(2)
  if (api === undefined) throw new Error('Usage: welcome <address of the API>')
  const settings = readSettings()
  const pool = createPool(settings, { name: 'holdfast-welcome' })
  const adminKey = await issueStackKey(pool)
  await pool.end()
  await seedDemoShop({ api, adminKey, onProgress: console.log })
  const shown = settings.PUBLIC_URL || api
  const stack = {
    api: shown,
    apis: [shown],
    admin_key: adminKey,
    temporal: settings.TEMPORAL_ADDRESS,
    temporal_ui: settings.TEMPORAL_UI_URL,
    postgres: settings.DATABASE_URL,
    redis: settings.REDIS_URL,
    sandbox: settings.SANDBOX_URL,
    carrier: settings.CARRIER_SANDBOX_URL,
    processes: [],
  }
  console.log(`\n${stackTable(stack, sampleSku)}\n`)
  await computeFirstRecommendations({ address: settings.TEMPORAL_ADDRESS, namespace: settings.TEMPORAL_NAMESPACE })
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
