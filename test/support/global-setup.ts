import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { migrate } from '../../db/migrate'
import { holderOf } from '../../scripts/stack/claim'
import { startStack, type Stack } from '../../scripts/stack/supervisor'
import { lockFile } from '../../scripts/stack/state'
import { removeTemporalData } from '../../scripts/stack/temporal'
import { publishServices } from './services'

const REDIS_DATABASES = 2_000
const FIRST_PORT_OFFSET = 20_000

declare global {
  var holdfastTestStack: Stack | undefined
}

/** One Postgres, Redis and Temporal for all test files, and a migrated database to copy. */
export default async function globalSetup(): Promise<void> {
  const slot = freeSlot()
  const folder = join(ROOT, '.holdfast', slot === 0 ? 'test' : `test-${slot}`)
  removeTemporalData(folder)
  const stack = await startStack({
    folder,
    apis: 0,
    durable: false,
    databases: REDIS_DATABASES,
    portOffset: FIRST_PORT_OFFSET + 100 * slot,
    say: (line) => /again|killed|Making|migrated|Downloading|Building|Ending/.test(line) && console.log(line),
  })
  globalThis.holdfastTestStack = stack
  stopOnSignal(stack)
  const template = await prepareTemplate(stack.services.DATABASE_URL).catch(async (error: unknown) => {
    await stack.stop()
    throw error
  })
  publishServices({
    postgres: stack.services.DATABASE_URL,
    template,
    redis: stack.services.REDIS_URL.replace(/\/\d+$/, ''),
    redisDatabases: REDIS_DATABASES,
    temporal: stack.services.TEMPORAL_ADDRESS,
    temporalUi: stack.services.TEMPORAL_UI_URL,
  })
}

/** Several runs may go on at once in one clone: each has services of its own. */
function freeSlot(): number {
  for (let slot = 0; ; slot++) {
    const folder = join(ROOT, '.holdfast', slot === 0 ? 'test' : `test-${slot}`)
    if (!existsSync(lockFile(folder)) || holderOf(lockFile(folder)) === undefined) return slot
  }
}

/** Jest ends at once on Ctrl-C, without its teardown. */
function stopOnSignal(stack: Stack): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stack.stop().finally(() => process.exit(1)))
  }
}

/** Named after the migrations' content: it is kept for as long as that stays the same. */
async function prepareTemplate(url: string): Promise<string> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const template = `template_${migrationsHash()}`
  const { rows } = await client.query<{ datname: string }>(
    "select datname from pg_database where datname ~ '^(test|template)_'",
  )
  for (const { datname } of rows.filter((row) => row.datname !== template))
    await client.query(`drop database "${datname}" with (force)`)
  if (!rows.some((row) => row.datname === template)) {
    // Made under another name: a migration that fails half-way must not leave a template.
    await client.query('create database test_template')
    await migrate(databaseNamed(url, 'test_template'))
    await client.query(`alter database test_template rename to "${template}"`)
  }
  await client.end()
  return template
}

function migrationsHash(): string {
  const folder = join(ROOT, 'db', 'migrations')
  const hash = createHash('sha256')
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)))
  return hash.digest('hex').slice(0, 16)
}

function databaseNamed(url: string, database: string): string {
  const named = new URL(url)
  named.pathname = `/${database}`
  return named.href
}
