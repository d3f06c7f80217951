import type { AttentionCase } from '../../domain/support'
import type { OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'
import { statement } from '../sql'

/** Cases that wait for a person, and the repairs that were asked for. */

export interface OpenCase {
  readonly orderId: OrderId
  readonly number: string
  readonly orderStatus: OrderStatus
  readonly code: AttentionCase
  readonly step: string | null
  readonly paymentId: PaymentId | null
  readonly workflowId: string
  readonly since: Date
  /** Minor units: what the attempt asks for, else the order's total. */
  readonly atStake: number
  readonly currency: string
}

/** Opens a case. One of its kind per order: repeated, it stays as it was first seen, and goes to the workflow that asks now. */
export async function openCase(
  db: Db,
  input: {
    orderId: OrderId
    code: AttentionCase
    step: string | null
    paymentId: PaymentId | null
    workflowId: string
  },
): Promise<void> {
  await db.query({
    name: 'attention.open',
    text: `
      insert into attention (order_id, code, step, payment_id, workflow_id)
      values ($1, $2, $3, $4, $5)
      on conflict (order_id, code) where closed_at is null
      do update set step = excluded.step, payment_id = excluded.payment_id, workflow_id = excluded.workflow_id`,
    values: [input.orderId, input.code, input.step, input.paymentId, input.workflowId],
  })
}

/** Closes the open case of this kind, if there is one. */
export async function closeCase(
  db: Db,
  { orderId, code }: { orderId: OrderId; code: AttentionCase },
): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'attention.close',
    text: `update attention set closed_at = now() where order_id = $1 and code = $2 and closed_at is null`,
    values: [orderId, code],
  })
  return rowCount === 1
}

/**
 * Closes cases, of one shard (`shards` a power of two), of orders for which nothing is left to do: whoever opened one may
 * have been ended before it could close it.
 */
export async function closeSettledCases(db: Db, { shard, shards }: { shard: number; shards: number }): Promise<number> {
  const { rowCount } = await db.query({
    name: 'attention.closeSettled',
    text: `
      update attention a
      set closed_at = now(), closed_by = 'sweep'
      from orders o
      where a.closed_at is null
        and hashtext(a.order_id) & ($2 - 1) = $1
        and o.id = a.order_id
        and o.status not in ('pending', 'inventory_reserved', 'payment_pending')
        and not exists (
          select from payment p
          where p.order_id = o.id
            and (p.status in ('requested', 'sent', 'requires_action', 'pending')
                 or p.status in ('authorized', 'captured') and o.status = 'cancelled'
                 or p.pending_sync is not null))`,
    values: [shard, shards],
  })
  return rowCount ?? 0
}

const OPEN_CASES = `
  select a.order_id as "orderId", o.number, a.code, a.step, a.payment_id as "paymentId", a.workflow_id as "workflowId",
         a.since, coalesce(p.amount, o.total) as "atStake", o.currency, o.status as "orderStatus"
  from attention a
  join orders o on o.id = a.order_id
  left join payment p on p.id = a.payment_id
  where a.closed_at is null`

/** Open cases, oldest first, at most `limit`, after the case that `after` names. */
export async function listOpenCases(
  db: Db,
  { limit, after }: { limit: number; after: { since: Date; orderId: string } | null },
): Promise<OpenCase[]> {
  const { rows } = await db.query<OpenCase>({
    name: 'attention.list',
    text: `${OPEN_CASES} and ($2::timestamptz is null or (a.since, a.order_id) > ($2, $3))
      order by a.since, a.order_id
      limit $1`,
    values: [limit, after?.since ?? null, after?.orderId ?? null],
  })
  return rows
}

export async function readOpenCases(db: Db, orderId: OrderId): Promise<OpenCase[]> {
  const { rows } = await db.query<OpenCase>({
    name: 'attention.ofOrder',
    text: `${OPEN_CASES} and a.order_id = $1 order by a.since`,
    values: [orderId],
  })
  return rows
}

export interface RepairRequest {
  /** The id of the update that carries it: repeated, it is the same repair. */
  readonly id: string
  readonly orderId: OrderId
  readonly action: string
  readonly step: string | null
  readonly outcome: string | null
  readonly reasonCode: string
  readonly note: string | null
  readonly actor: string
  readonly accepted: boolean
}

/** Writes down who wants what repaired, and later that it was accepted. */
export async function recordRepair(db: Db, repair: RepairRequest): Promise<void> {
  await db.query(RECORD_REPAIR({ ...repair }))
}

const RECORD_REPAIR = statement(
  'repair.record',
  `
    insert into repair (id, order_id, action, step, outcome, reason_code, note, actor, accepted_at)
    values (:id, :orderId, :action, :step, :outcome, :reasonCode, :note, :actor, case when :accepted then now() end)
    on conflict (order_id, id) do update set accepted_at = coalesce(repair.accepted_at, excluded.accepted_at)`,
)

/** Of an order's cases, newest first, those that were there when this repair was accepted; none while it was not. */
export async function readCasesOfRepair(db: Db, orderId: OrderId, id: string): Promise<AttentionCase[]> {
  const { rows } = await db.query<{ code: AttentionCase }>({
    name: 'repair.cases',
    text: `
      select a.code
      from repair r
      join attention a on a.order_id = r.order_id and a.since <= r.accepted_at
      where r.order_id = $1 and r.id = $2
      order by a.since desc
      limit 20`,
    values: [orderId, id],
  })
  return rows.map((row) => row.code)
}

export interface RecordedRepair {
  readonly id: string
  readonly action: string
  readonly step: string | null
  readonly outcome: string | null
  readonly reasonCode: string
  readonly note: string | null
  readonly actor: string
  readonly acceptedAt: Date | null
  readonly createdAt: Date
}

export async function readRepairs(db: Db, orderId: OrderId): Promise<RecordedRepair[]> {
  const { rows } = await db.query<RecordedRepair>({
    name: 'repair.ofOrder',
    text: `
      select id, action, step, outcome, reason_code as "reasonCode", note, actor, accepted_at as "acceptedAt",
             created_at as "createdAt"
      from repair
      where order_id = $1
      order by created_at
      limit 200`,
    values: [orderId],
  })
  return rows
}
