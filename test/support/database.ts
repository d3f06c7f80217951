import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { createPool, type Pool } from '../../db/pool'
import { testServices } from './services'

export interface TestDatabase {
  readonly url: string
  readonly pool: Pool
  /** Ends the pool and removes the database, whoever is still connected. */
  drop(): Promise<void>
}

/** A migrated, empty database of the caller's own, in some 50 ms. Drop it in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const { template } = testServices()
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asOwner(`create database "${name}" template "${template}"`)
  const url = urlOf(name)
  const pool = createPool({ DATABASE_URL: url, DATABASE_POOL_MAX: 10 }, { name: 'holdfast-test' })
  return {
    url,
    pool,
    drop: async () => {
      await pool.end()
      await dropForGood(name)
    },
  }
}

const DROP_TRIES = 50
const INSUFFICIENT_PRIVILEGE = '42501'

/** Autovacuum may be at work in it for a moment, and only a superuser could end that. */
async function dropForGood(name: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await asOwner(`drop database if exists "${name}" with (force)`)
    } catch (error) {
      if ((error as { code?: unknown }).code !== INSUFFICIENT_PRIVILEGE || tries === DROP_TRIES) throw error
      await pause(200)
    }
  }
}

function urlOf(database: string): string {
  const url = new URL(testServices().postgres)
  url.pathname = `/${database}`
  return url.href
}

/** Connects to the maintenance database: a template cannot be copied while somebody is connected to it. */
async function asOwner(statement: string): Promise<void> {
  const client = new Client({ connectionString: urlOf('postgres') })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
