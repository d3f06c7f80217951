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

/** The order that the row `i` of the inbox is about has a case: known by the attempt that asked for the charge, or by its own name. */
export const INBOX_HAS_CASE = `
  exists (
    select from attention a
    where a.closed_at is null and a.order_id in (
      select order_id from payment where key = i.payment_key
      union
      select order_id from payment where provider = i.provider and reference = i.charge_reference
      union
      select i.payload ->> 'order_id'))`

/** Of a payment `p`: a provider holds money for it, or did once. What was authorized is in the ledger then. */
export const HELD = `(p.status in ('authorized', 'captured', 'refunded') or p.status = 'voided' and p.released > 0)`

/**
 * What the rows ask to be done with money, one row each. `stands`: it is `to_do` at the provider; the provider has `accepted` it
 * and may take days; or a person has `to_decide`. Partial indexes hold these rows and no others.
 */
export const MONEY_WORK = `
  select p.order_id, p.id as payment_id, p.id as object, 'release' as kind, 'to_do' as stands, p.updated_at as moved_at
  from payment p
  where p.releasing
  union all
  select p.order_id, p.id, p.id, 'news', 'to_do', p.news_at
  from payment p
  where p.news_at is not null
  union all
  select order_id, payment_id, id, 'capture', case when status = 'pending' then 'to_do' else 'to_decide' end, updated_at
  from capture
  where at_work
  union all
  select order_id, payment_id, id, 'refund',
         case when status <> 'pending' then 'to_decide' when reference is null then 'to_do' else 'accepted' end, updated_at
  from refund
  where at_work
  union all
  select order_id, payment_id, reference, 'dispute', 'to_decide', updated_at
  from dispute
  where at_work`

/** How long a workflow may take to ask a person, once the provider has refused something. */
export const ASKED_WITHIN_SECONDS = 30

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
