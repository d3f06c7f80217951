import { type Pool, type Tx, withSnapshot } from '../../pool'

/** What must be true of the data: at every instant, or once nothing is in flight any more. */
export type Holds = 'always' | 'at_rest'

/** A statement that finds what should not be there: one text column named `what`, a row per violation, ids only. */
export interface Invariant {
  readonly name: string
  readonly holds: Holds
  readonly text: string
  readonly values?: readonly unknown[]
}

export interface Check {
  readonly name: string
  readonly holds: Holds
  readonly ok: boolean
  readonly violations: number
  /** The first of them, in words and ids. */
  readonly sample: readonly string[]
}

/** A person has been asked about the order `o`: what is wrong with it is known. */
export const HAS_CASE = 'exists (select from attention a where a.order_id = o.id and a.closed_at is null)'

export const SAMPLE_MAX = 5
/** On millions of rows a check reads whole tables. */
const CHECK_TIMEOUT_MS = 120_000

/** Runs all checks on one snapshot, with the time that they may take. */
export async function onSnapshot<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return withSnapshot(pool, async (tx) => {
    await tx.query(`set local statement_timeout = ${CHECK_TIMEOUT_MS}`)
    return work(tx)
  })
}

export async function check(tx: Tx, { name, holds, text, values = [] }: Invariant): Promise<Check> {
  const statement = {
    text: `
      with violation as materialized (${text})
      select (select count(*)::int from violation) as violations,
             (select coalesce(json_agg(what), '[]') from (select what from violation limit ${SAMPLE_MAX}) as few) as sample`,
    values: [...values],
    query_timeout: CHECK_TIMEOUT_MS,
  }
  const { rows } = await tx.query<{ violations: number; sample: string[] }>(statement)
  const { violations = 0, sample = [] } = rows[0] ?? {}
  return { name, holds, ok: violations === 0, violations, sample }
}

/** The same answer for what was looked up elsewhere. */
export function checkOf(name: string, holds: Holds, violations: readonly string[]): Check {
  return {
    name,
    holds,
    ok: violations.length === 0,
    violations: violations.length,
    sample: violations.slice(0, SAMPLE_MAX),
  }
}
