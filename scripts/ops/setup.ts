import { migrate } from '../../db/platform/migrate'
import { readSettings } from '../../config'
import { prepareNamespace } from '../stack/namespace'

/** Prepares a database and a Temporal namespace for this version: run it before every deployment, and at will. */
async function main(): Promise<void> {
  const settings = readSettings()
  const ran = await migrate(settings.DATABASE_URL)
  console.log(ran.length === 0 ? 'The database is up to date.' : `Migrated: ${ran.join(', ')}`)
  await prepareNamespace(settings.TEMPORAL_ADDRESS, settings.TEMPORAL_NAMESPACE)
  console.log(`The search attributes are registered in the namespace ${settings.TEMPORAL_NAMESPACE}.`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
