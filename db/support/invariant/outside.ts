import type { CartId, OrderId, PaymentId } from '../../../domain/ids'
import type { AttemptStatus } from '../../../domain/payment/attempt'
import type { Pool } from '../../pool'
import { OPEN, UNRESOLVED } from '../../sql'
import { HAS_CASE, HELD, MONEY_WORK } from './check'

/** What our rows say of things that others know too: providers, Redis, Temporal. */

/** A person has been told that the workflow of the order `o` does not run. */
const IS_STOPPED = `
  exists (select from attention a where a.order_id = o.id and a.closed_at is null and a.code = 'workflow_failing')`

export interface KnownAttempt {
  readonly key: string
  readonly orderId: OrderId
  /** A person has been asked about this order. */
  readonly hasCase: boolean
  readonly status: AttemptStatus
  readonly reference: string | null
  readonly amount: number | null
  readonly currency: string
  readonly captured: number
  readonly released: number
  /** By the provider: what a person gave back in another way is not in it. */
  readonly refunded: number
  /** In disputes that are open or lost. */
  readonly disputed: number
  /** Of `disputed`: for good. */
  readonly lost: number
  /** Its money is not wanted (any more): it pays for nothing, is let go, or another attempt has taken its place. */
  readonly isUnwanted: boolean
}

/** The attempts of a provider under these keys, and those that it knows by these references. */
export async function readKnownAttempts(
  pool: Pool,
  { provider, keys, references }: { provider: string; keys: readonly string[]; references: readonly string[] },
): Promise<KnownAttempt[]> {
  const { rows } = await pool.query<KnownAttempt>(
    `select p.key, o.id as "orderId", ${HAS_CASE} as "hasCase", p.status, p.reference, p.amount, p.currency, p.captured,
            p.released, p.disputed,
            (select coalesce(sum(d.amount), 0)::bigint from dispute d where d.payment_id = p.id and d.status = 'lost') as lost,
            p.refunded + (
              select coalesce(sum(l.amount), 0)::bigint from ledger_entry l where l.payment_id = p.id and l.account = 'settled_elsewhere'
            ) as refunded,
            ${HELD} and (p.outcome is distinct from 'completed' or p.status = 'voided' or p.releasing and p.captured = 0
                         or exists (select from payment next where next.order_id = p.order_id and next.renews = p.id
                                    and next.outcome = 'completed')) as "isUnwanted"
     from payment p
     join orders o on o.id = p.order_id
     where p.key = any ($2::text[]) or p.provider = $1 and p.reference = any ($3::text[])`,
    [provider, keys, references],
  )
  return rows
}

/** Keys of attempts that say they took money of this provider, some after `after`. */
export async function listPaidKeys(pool: Pool, provider: string, after: string, limit: number): Promise<string[]> {
  const { rows } = await pool.query<{ key: string }>(
    `select p.key
     from payment p
     join orders o on o.id = p.order_id
     where p.provider = $1 and p.status in ('authorized', 'captured', 'refunded') and p.key > $2 and not ${HAS_CASE}
     order by p.key
     limit $3`,
    [provider, after, limit],
  )
  return rows.map((row) => row.key)
}

/** What the ledger says a provider holds for us, by account and currency, without the orders that wait for a person. */
export async function sumLedger(pool: Pool, provider: string): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ account: string; currency: string; amount: number }>(
    `select l.account, l.currency, sum(l.amount)::bigint as amount
     from ledger_entry l
     join payment p on p.id = l.payment_id and p.provider = $1
     join orders o on o.id = p.order_id
     where l.account in ('authorized', 'psp_clearing') and not ${HAS_CASE}
     group by l.account, l.currency`,
    [provider],
  )
  return new Map(rows.map((row) => [`${row.account} ${row.currency}`, row.amount]))
}

export interface StoredCart {
  readonly id: CartId
  readonly version: number
  readonly lines: Readonly<Record<string, { readonly quantity: number }>>
}

export async function readCarts(pool: Pool, ids: readonly string[]): Promise<StoredCart[]> {
  const { rows } = await pool.query<StoredCart>('select id, version, lines from cart where id = any ($1::text[])', [
    ids,
  ])
  return rows
}

/** Which of these order events were never committed. */
export async function findUncommitted(
  pool: Pool,
  events: readonly { id: string; aggregate: string; seq: number }[],
): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `select d.id
     from unnest($1::text[], $2::text[], $3::int[]) as d (id, order_id, seq)
     left join order_event e on e.order_id = d.order_id and e.seq = d.seq
     where e.id is distinct from d.id`,
    [events.map((event) => event.id), events.map((event) => event.aggregate), events.map((event) => event.seq)],
  )
  return rows.map((row) => row.id)
}

export interface OrderWithWorkflow {
  readonly orderId: OrderId
  readonly hasCase: boolean
  /** Open, or over with an attempt that is not final or money that has to be moved. */
  readonly atWork: boolean
  /** It is at work, or waits for a person, or for a provider that takes its time: its workflow may stay. */
  readonly mayRun: boolean
  /** Since its row last changed. */
  readonly quietSeconds: number
}

const UNSETTLED = `
  (o.status in ${OPEN} or exists (select from payment p where p.order_id = o.id and p.status in ${UNRESOLVED}))`

/** How these orders stand. */
export async function readOrdersWithWorkflow(pool: Pool, orderIds: readonly string[]): Promise<OrderWithWorkflow[]> {
  const { rows } = await pool.query<OrderWithWorkflow>(
    `with work as materialized (select order_id, stands from (${MONEY_WORK}) as w)
     select o.id as "orderId", ${HAS_CASE} as "hasCase",
            ${UNSETTLED} or exists (select from work where order_id = o.id and stands = 'to_do') as "atWork",
            ${UNSETTLED} or exists (select from work where order_id = o.id) as "mayRun",
            extract(epoch from now() - o.updated_at)::float8 as "quietSeconds"
     from orders o
     where o.id = any ($1::text[])`,
    [orderIds],
  )
  return rows
}

/** Open orders of which nobody has been told, oldest first. */
export async function listOpenOrders(
  pool: Pool,
  limit: number,
): Promise<Pick<OrderWithWorkflow, 'orderId' | 'quietSeconds'>[]> {
  const { rows } = await pool.query<Pick<OrderWithWorkflow, 'orderId' | 'quietSeconds'>>(
    `select o.id as "orderId", extract(epoch from now() - o.updated_at)::float8 as "quietSeconds"
     from orders o
     where o.status in ${OPEN} and not ${IS_STOPPED}
     order by o.id
     limit $1`,
    [limit],
  )
  return rows
}

/** A payment with something to be done, or to be waited for, by a workflow. */
export interface PaymentAtWork {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  /** Since the last of it changed. */
  readonly quietSeconds: number
}

/** Payments at work of whose stopped workflow nobody has been told. */
export async function listPaymentsAtWork(pool: Pool, limit: number): Promise<PaymentAtWork[]> {
  const { rows } = await pool.query<PaymentAtWork>(
    `select o.id as "orderId", w.payment_id as "paymentId",
            extract(epoch from now() - max(w.moved_at))::float8 as "quietSeconds"
     from (${MONEY_WORK}) as w
     join orders o on o.id = w.order_id
     where not ${IS_STOPPED}
     group by o.id, w.payment_id
     order by o.id, w.payment_id
     limit $1`,
    [limit],
  )
  return rows
}
