import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { migrate } from '../../db/platform/migrate'
import { claim } from '../../scripts/stack/claim'
import { removePostgresData } from '../../scripts/stack/postgres'
import { endLeftovers } from '../../scripts/stack/programs'
import { startStack } from '../../scripts/stack/supervisor'
import { makeStackFolder, readRecords } from '../../scripts/stack/state'
import { removeTemporalData } from '../../scripts/stack/temporal'
import { publishServices } from './services'

const REDIS_DATABASES = 2_000
const FIRST_PORT_OFFSET = 20_000

declare global {
  var holdfastEndTestRun: (() => Promise<void>) | undefined
}

/** One Postgres, Redis and Temporal for all test files, and a migrated database to copy. */
export default async function globalSetup(): Promise<void> {
  const slot = takeSlot()
  const folder = slotFolder(slot)
  removeTemporalData(folder)
  await removeLeftStacks(folder)
  const stack = await startStack({
    folder,
    apis: 0,
    durable: false,
    databases: REDIS_DATABASES,
    portOffset: FIRST_PORT_OFFSET + 100 * slot,
    say: (line) => /again|killed|Making|migrated|Downloading|Building|Ending/.test(line) && console.log(line),
  })
  const end = async (): Promise<void> => {
    await removeLeftStacks(folder)
    await stack.stop()
  }
  globalThis.holdfastEndTestRun = end
  // Jest ends at once on Ctrl-C, without its teardown.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void end().finally(() => process.exit(1)))
  }
  publishServices({
    folder,
    postgres: stack.services.DATABASE_URL,
    template: await prepareTemplate(stack.services.DATABASE_URL).catch((error: unknown) =>
      end().then(() => Promise.reject(error)),
    ),
    redis: stack.services.REDIS_URL.replace(/\/\d+$/, ''),
    redisDatabases: REDIS_DATABASES,
    temporal: stack.services.TEMPORAL_ADDRESS,
    temporalUi: stack.services.TEMPORAL_UI_URL,
  })
}

/** Several runs may go on at once in one clone: each has services of its own, kept for the next run. */
function takeSlot(): number {
  for (let slot = 0; ; slot++) {
    makeStackFolder(slotFolder(slot))
    if (claim(join(slotFolder(slot), 'run'), slotFolder(slot)) === undefined) return slot
  }
}

function slotFolder(slot: number): string {
  return join(ROOT, '.holdfast', slot === 0 ? 'test' : `test-${slot}`)
}

/** Stacks that tests started and did not stop, in this run or in one that was killed. */
async function removeLeftStacks(folder: string): Promise<void> {
  const stacks = join(folder, 'stacks')
  if (!existsSync(stacks)) return
  for (const name of readdirSync(stacks)) {
    await endLeftovers(readRecords(join(stacks, name)), console.log)
    removePostgresData(join(stacks, name))
  }
  rmSync(stacks, { recursive: true, force: true })
}

/** Named after the migrations' content: it is kept for as long as that stays the same. */
async function prepareTemplate(url: string): Promise<string> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const template = `template_${migrationsHash()}`
  const { rows } = await client.query<{ datname: string }>(
    "select datname from pg_database where datname ~ '^(test|template)_'",
  )
  for (const { datname } of rows) {
    if (datname !== template) await client.query(`drop database "${datname}" with (force)`)
  }
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
