import type { Pool, Tx } from '../../db/pool'
import { until } from './wait'

export interface HeldTable {
  /** Until so many others wait for it. */
  waitedForBy(count: number): Promise<void>
  release(): Promise<void>
}

/** Nobody else gets at the table until it is released: whoever needs it is held in the middle of a request. */
export async function holdTable(pool: Pool, table: string): Promise<HeldTable> {
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query(`lock table ${table} in access exclusive mode`)
  return {
    async waitedForBy(count) {
      await until(
        `${count} wait for ${table}`,
        async () => {
          const { rows } = await pool.query<{ n: number }>(
            `select count(*)::int as n
             from pg_locks
             where relation = $1::regclass and not granted
               and database = (select oid from pg_database where datname = current_database())`,
            [table],
          )
          return rows[0]?.n ?? 0
        },
        (waiting) => waiting >= count,
      )
    },
    async release() {
      await holder.query('rollback')
      holder.release()
    },
  }
}

/** A transaction of one rival while the test plays the other too, which `withTransaction` refuses. Commits after `work`. */
export async function besideTransaction<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  try {
    await tx.query('begin')
    const result = await work(tx)
    await tx.query('commit')
    return result
  } finally {
    // Ends a transaction that was not committed, too.
    tx.release(true)
  }
}
