import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import { ROOT } from '../../config'

/**
 * Brings the database to the newest migration and answers the names of those that ran now. One process works under a
 * lock of the database, others wait for it and then find nothing left to do. All of them succeed or none.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  let current = ''
  let complaint = ''
  try {
    const done = await runner({
      databaseUrl,
      dir: join(ROOT, 'db', 'migrations'),
      direction: 'up',
      migrationsTable: 'migration',
      advisoryLockMode: 'wait',
      logger: {
        info: (text) => (current = /### MIGRATION (\S+)/.exec(text)?.[1] ?? current),
        warn: () => undefined,
        error: (text) => (complaint ||= text),
      },
    })
    return done.map((migration) => migration.name)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const where = current === '' ? '' : ` in ${current}`
    throw new Error(`The database could not be migrated${where}: ${reason}\n${failingLine(complaint)}`, {
      cause: error,
    })
  }
}

/** The runner logs the whole file with a line of carets below what Postgres could not read. */
function failingLine(complaint: string): string {
  const lines = complaint.split('\n')
  const caret = lines.findIndex((line) => /^\s*\^+\s*$/.test(line))
  return caret < 0 ? '' : lines.slice(Math.max(0, caret - 3), caret + 1).join('\n')
}
