import { isNativeError } from 'node:util/types'
import { Pool, type PoolClient, types } from 'pg'
import type { Settings } from '../config'
import { guarded, insideTransaction } from '../transaction-guard'

/** A pool, or one of its clients inside a transaction: what every statement is run on. */
export type Db = Pool | PoolClient
export type Tx = PoolClient
export type { Pool }

const STATEMENT_TIMEOUT_MS = 10_000
/** Half-open connections answer nothing: the client gives up a little after the server would have. */
const QUERY_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 2_000
/** Of a connection attempt and, since pg has one setting for both, of a place in the queue for one: a burst waits there. */
const CONNECT_TIMEOUT_MS = 8_000
const CONFLICT_TRIES_MAX = 4

const INT8 = 20

/**
 * The pool of one process. `bigint` columns come as numbers, checked to be exact.
 *
 * @param name shown in `pg_stat_activity`
 */
export function createPool(
  settings: Pick<Settings, 'DATABASE_URL' | 'DATABASE_POOL_MAX'>,
  options: { name: string },
): Pool {
  const pool = new Pool({
    connectionString: settings.DATABASE_URL,
    application_name: options.name,
    max: settings.DATABASE_POOL_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 60_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf as typeof types.getTypeParser },
  })
  // A connection that breaks while nobody waits on it must not end the process (node-postgres#3083).
  pool.on('error', ignoreBrokenConnection)
  pool.on('connect', (client) => client.on('error', ignoreBrokenConnection))
  return guarded(pool, 'a second connection to Postgres')
}

/** The pool for the replica, if there is one. */
export function createReplicaPool(settings: Pick<Settings, 'DATABASE_REPLICA_URL' | 'DATABASE_POOL_MAX'>): Pool | null {
  if (settings.DATABASE_REPLICA_URL === '') return null
  return createPool({ ...settings, DATABASE_URL: settings.DATABASE_REPLICA_URL }, { name: 'holdfast-api-reads' })
}

/**
 * Runs `work` in one transaction. A deadlock or a serialization failure runs it again from its start, so `work` must do
 * nothing but statements, on `tx`. Throws what `work` throws, after the rollback.
 */
export async function withTransaction<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(pool, 'begin', work)
    } catch (error) {
      if (attempt === CONFLICT_TRIES_MAX || !isConflict(error)) throw error
    }
  }
}

/** Runs `work`, which only reads, on one snapshot of the database: nothing changes for it meanwhile. */
export function withSnapshot<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return once(pool, 'begin isolation level repeatable read read only', work)
}

/** True when the error says that Postgres could not be reached, is starting or stopping, or has no connection left. */
export function isPostgresUnavailable(error: unknown): boolean {
  if (!isNativeError(error)) return false
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') return UNAVAILABLE_CODES.has(code) || /^(?:08|57P0|53)/.test(code)
  return UNAVAILABLE_MESSAGE.test(error.message)
}

async function once<T>(pool: Pool, begin: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  let broken: Error | undefined
  try {
    await tx.query(begin)
    const result = await insideTransaction(() => work(tx))
    await tx.query('commit')
    return result
  } catch (error) {
    await tx.query('rollback').catch((failure: Error) => {
      broken = failure
    })
    throw error
  } finally {
    tx.release(broken)
  }
}

function isConflict(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === '40001' || code === '40P01'
}

const UNAVAILABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EPIPE',
  'ENOENT',
  'EHOSTUNREACH',
  // query_canceled: the statement timeout; lock_not_available.
  '57014',
  '55P03',
])
const UNAVAILABLE_MESSAGE =
  /^(?:Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Cannot use a pool after calling end)/

function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  return oid === INT8 ? exactInteger : types.getTypeParser(oid, format as 'text')
}

function exactInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit an exact number`)
  return value
}

function ignoreBrokenConnection(): void {
  // The pool drops the client; the statement that was using it, if any, is rejected by itself.
}
