import type { CartId, OrderId } from '../../../domain/ids'
import type { OrderStatus } from '../../../domain/order'
import type { AttemptStatus } from '../../../domain/payment'
import type { Pool } from '../../pool'
import { HAS_CASE } from './check'

/** What our rows say of things that others know too: providers, Redis, Temporal. */

export interface KnownAttempt {
  readonly key: string
  readonly orderId: OrderId
  readonly orderStatus: OrderStatus
  /** A person has been asked about this order. */
  readonly hasCase: boolean
  readonly status: AttemptStatus
  readonly reference: string | null
  readonly amount: number | null
  readonly currency: string
  readonly captured: number
  readonly refunded: number
}

/** The attempts under these keys. */
export async function readAttemptsByKey(pool: Pool, keys: readonly string[]): Promise<KnownAttempt[]> {
  const { rows } = await pool.query<KnownAttempt>(
    `select p.key, o.id as "orderId", o.status as "orderStatus", ${HAS_CASE} as "hasCase", p.status, p.reference, p.amount,
            p.currency, p.captured, p.refunded
     from payment p
     join orders o on o.id = p.order_id
     where p.key = any ($1::text[])`,
    [keys],
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
  /** Open, or over with an attempt that is not final or money that has not gone back. */
  readonly atWork: boolean
  /** Since its row last changed. */
  readonly quietSeconds: number
}

const AT_WORK = `
  (o.status in ('pending', 'inventory_reserved', 'payment_pending')
   or exists (
     select from payment p
     where p.order_id = o.id
       and (p.status in ('sent', 'requires_action', 'pending') or p.status in ('authorized', 'captured') and o.status = 'cancelled')))`

/** How these orders stand. */
export async function readOrdersWithWorkflow(pool: Pool, orderIds: readonly string[]): Promise<OrderWithWorkflow[]> {
  const { rows } = await pool.query<OrderWithWorkflow>(
    `select o.id as "orderId", ${HAS_CASE} as "hasCase", ${AT_WORK} as "atWork",
            extract(epoch from now() - o.updated_at)::float8 as "quietSeconds"
     from orders o
     where o.id = any ($1::text[])`,
    [orderIds],
  )
  return rows
}

/** Open orders of which nobody has been told, oldest first. */
export async function listOpenOrders(pool: Pool, limit: number): Promise<OrderWithWorkflow[]> {
  const { rows } = await pool.query<OrderWithWorkflow>(
    `select o.id as "orderId", ${HAS_CASE} as "hasCase", true as "atWork",
            extract(epoch from now() - o.updated_at)::float8 as "quietSeconds"
     from orders o
     where o.status in ('pending', 'inventory_reserved', 'payment_pending')
       and not exists (
         select from attention a where a.order_id = o.id and a.closed_at is null and a.code = 'workflow_failing')
     order by o.id
     limit $1`,
    [limit],
  )
  return rows
}
