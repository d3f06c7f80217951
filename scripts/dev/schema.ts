import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { ROOT } from '../../config'
import { migrate } from '../../db/platform/migrate'
import { dumpSchema } from '../stack/schema-dump'
import { UNUSED_SERVICES } from '../stack/services'
import { STACK_FOLDER } from '../stack/state'
import { startStack } from '../stack/supervisor'

const FILE = join(ROOT, 'db', 'schema.sql')

/** Writes what all migrations together make to db/schema.sql; with `--check` says whether the file says the same. */
async function main(): Promise<void> {
  const schema = await schemaOfMigrations()
  if (!process.argv.includes('--check')) {
    writeFileSync(FILE, schema)
    console.log(`Wrote ${FILE}.`)
    return
  }
  if (readFileSync(FILE, 'utf8') !== schema)
    throw new Error('db/schema.sql is not what the migrations make. `npm run schema` writes it.')
  console.log('db/schema.sql is what the migrations make.')
}

/** On an empty database of a Postgres of its own. */
async function schemaOfMigrations(): Promise<string> {
  const folder = join(STACK_FOLDER, 'schema')
  const stack = await startStack({ folder, apis: 0, durable: false, given: UNUSED_SERVICES, portOffset: 24_000 })
  try {
    const url = new URL(stack.services.DATABASE_URL)
    await inDatabase(url.href, async (client) => {
      await client.query('drop database if exists dump')
      await client.query('create database dump')
    })
    url.pathname = '/dump'
    await migrate(url.href)
    return await inDatabase(url.href, dumpSchema)
  } finally {
    await stack.stop()
  }
}

async function inDatabase<T>(connectionString: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
