import { readSettings } from '../../config'
import { migrate } from '../../db/platform/migrate'
import { readStack } from '../stack/state'

/** Migrates the database of DATABASE_URL, else that of the running stack. */
async function main(): Promise<void> {
  const url = process.env['DATABASE_URL'] || readStack()?.postgres || readSettings().DATABASE_URL
  const ran = await migrate(url)
  console.log(ran.length === 0 ? 'The database is up to date.' : `Migrated: ${ran.join(', ')}`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
