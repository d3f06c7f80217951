import type { ShipmentStatus, WarehouseTrouble } from '../../domain/fulfillment/shipment'
import { ID_PREFIXES, type OrderId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import type { OrderStatus } from '../../domain/order'
import { type AttentionCase, SWEPT_CASES } from '../../domain/support'
import type { Db } from '../pool'
import { ORDERS_AT_WORK } from '../order/sweep'
import { isRenewalAtWork } from '../payment/work'
import { statement } from '../sql'

/** Cases that wait for a person, and the repairs that were asked for. */

/** What a case is: a workflow may have several open, each of another step or object. */
export interface CaseKey {
  readonly workflowId: string
  readonly step: string | null
  /** The id of the payment, capture or refund that it is about; null when it is about the whole order. */
  readonly object: string | null
}

export interface OpenCase extends CaseKey {
  /** In the order in which they were opened. */
  readonly id: number
  /** Of the order; null when it is about none of ours. */
  readonly orderId: OrderId | null
  readonly number: string | null
  readonly orderStatus: OrderStatus | null
  readonly code: AttentionCase
  /** Figures and reasons in words. */
  readonly detail: string | null
  readonly since: Date
  /** Minor units: by how much two sides differ, or what the attempt asks for, else the order's total; null when none is known. */
  readonly atStake: number | null
  readonly currency: Currency | null
  /** Where the parcel is that it is about; null: it is about none. */
  readonly parcel: {
    readonly status: ShipmentStatus
    readonly trouble: WarehouseTrouble | null
    readonly isReleased: boolean
  } | null
}

export interface NewCase extends CaseKey {
  readonly orderId: OrderId | null
  readonly code: AttentionCase
  /** Figures and reasons in words, without personal data. */
  readonly detail?: string | null
}

/** Opens a case. Repeated, it is the same one since when it was first seen, and says what is known now. */
export async function openCase(db: Db, { detail = null, ...opened }: NewCase): Promise<void> {
  await db.query(OPEN_CASE({ ...opened, detail }))
}

const OPEN_CASE = statement(
  'attention.open',
  `
    insert into attention (order_id, code, workflow_id, step, object, detail)
    values (:orderId, :code, :workflowId, :step, :object, :detail)
    on conflict (workflow_id, step, object) where closed_at is null
    do update set code = excluded.code, detail = excluded.detail
    where (attention.code, attention.detail) is distinct from (excluded.code, excluded.detail)`,
)

/** Closes those of a workflow about these steps and no object. */
export async function closeCasesOfSteps(
  db: Db,
  { workflowId, steps }: { workflowId: string; steps: readonly string[] },
): Promise<void> {
  await db.query(CLOSE_STEPS({ workflowId, steps }))
}

const CLOSE_STEPS = statement(
  'attention.closeSteps',
  `
    update attention
    set closed_at = now()
    where workflow_id = :workflowId and step = any (:steps::text[]) and object is null and closed_at is null`,
)

/** Closes the open case of this step and object, if there is one; `by` a person who knows why. False when there is none. */
export async function closeCase(
  db: Db,
  { workflowId, step, object, by = null }: CaseKey & { by?: 'person' | null },
): Promise<boolean> {
  const { rowCount } = await db.query(CLOSE_CASE({ workflowId, step, object, by }))
  return rowCount === 1
}

const CLOSE_CASE = statement(
  'attention.close',
  `
    update attention
    set closed_at = now(), closed_by = :by
    where workflow_id = :workflowId and step is not distinct from :step and object is not distinct from :object
      and closed_at is null`,
)

/** The open cases of one kind, oldest first, at most `limit`. */
export async function listCasesOf(db: Db, code: AttentionCase, limit: number): Promise<CaseKey[]> {
  const { rows } = await db.query<CaseKey>(CASES_OF({ code, limit }))
  return rows
}

const CASES_OF = statement(
  'attention.ofKind',
  `
    select workflow_id as "workflowId", step, object
    from attention
    where code = :code and closed_at is null
    order by id
    limit :limit`,
)

/**
 * Whether a person is asked about this case, or has answered it when it said the same: they know why, and nothing is new. Null:
 * neither.
 */
export async function readStanding(
  db: Db,
  asked: CaseKey & { readonly orderId: OrderId; readonly detail: string | null },
): Promise<'open' | 'answered' | null> {
  const { orderId, workflowId, step, object, detail } = asked
  const { rows } = await db.query<{ standing: 'open' | 'answered' }>(
    STANDING({ orderId, workflowId, step, object, detail }),
  )
  return rows[0]?.standing ?? null
}

const STANDING = statement(
  'attention.standing',
  `
    select case when closed_at is null then 'open' else 'answered' end as standing
    from attention
    where order_id = :orderId and workflow_id = :workflowId and step is not distinct from :step
      and object is not distinct from :object and (closed_at is null or closed_by = 'person' and detail = :detail)
    order by closed_at nulls first
    limit 1`,
)

/** What these objects were cases for is over: nobody is asked any more, and what people answered counts no more. */
export async function endCasesAbout(
  db: Db,
  { step, objects }: { step: string; objects: readonly string[] },
): Promise<void> {
  if (objects.length > 0) await db.query(END_CASES({ step, objects }))
}

const END_CASES = statement(
  'attention.endAbout',
  `
    update attention
    set closed_at = coalesce(closed_at, now()), closed_by = null
    where object = any (:objects::text[]) and step = :step and (closed_at is null or closed_by = 'person')`,
)

/** A case that may have outlived what it is about. */
export interface SettledCase {
  readonly id: number
  readonly code: AttentionCase
  readonly workflowId: string
  readonly since: Date
  /** Nothing is left to do of what it is about. Else nothing of it is late any more: what did not move has moved. */
  readonly isDone: boolean
}

/**
 * Open cases, of one shard (`shards` a power of two), for which nothing is left to do by the rows: their attempt is settled,
 * or all of their order is; or, of those that the sweep itself opens about a workflow, nothing is late. Whoever opened one may
 * have been ended before it could close it. Only kinds that say so in `ATTENTION_CASES`, and only of a payment, a capture, a
 * refund, a dispute or a whole order: nobody else knows when another thing is settled.
 */
export async function listSettledCases(
  db: Db,
  cases: { shard: number; shards: number; limit: number; overdueSeconds: number },
): Promise<SettledCase[]> {
  const { rows } = await db.query<SettledCase>(
    SETTLED_CASES({ ...cases, codes: SWEPT_CASES, paymentIds: `${ID_PREFIXES.payment}\\_%` }),
  )
  return rows
}

const SETTLED_CASES = statement(
  'attention.settled',
  `
    with work as materialized (${ORDERS_AT_WORK}),
    looked as (
      select a.id, a.code, a.workflow_id, a.since,
             case
               when a.step = 'renewPayment' then not ${isRenewalAtWork({ orderId: 'a.order_id', object: 'a.object' })}
               -- An object that is no dispute says nothing.
               when a.code = 'dispute' then coalesce(
                 (select bool_and(not at_work) from dispute where order_id = a.order_id and reference = a.object), false)
               when a.code = 'fulfillment_stalled' then exists (select from label where id = a.object and not at_work)
                 or exists (select from shipment where id = a.object and not needs_decision)
                 or exists (select from warehouse_message where id = a.object and state <> 'pending')
                 or exists (select from orders where id = a.object and (short_ask_at is null or short_ask_at > now()))
               when a.object is null then not exists (select from work where work.order_id = a.order_id)
               when a.object like :paymentIds then not exists (
                 select from work where work.order_id = a.order_id and (work.object = a.object or work.owner = 'checkout'))
               else exists (select from capture where id = a.object and not at_work)
                 or exists (select from refund where id = a.object and not at_work)
             end as is_done,
             a.code = 'workflow_failing' and (a.object is null or a.object like :paymentIds) and not exists (
               select from work
               where work.order_id = a.order_id and work.due_at < now() - make_interval(secs => :overdueSeconds)
             ) as is_moving
      from attention a
      where a.closed_at is null and a.code = any (:codes::text[])
        and hashtext(a.order_id) & (:shards - 1) = :shard
    )
    select id, code, workflow_id as "workflowId", since, is_done as "isDone"
    from looked
    where is_done or is_moving
    order by id
    limit :limit`,
)

/** Closes what {@link listSettledCases} found, if it is still open. */
export async function closeSettledCase(db: Db, id: number): Promise<void> {
  await db.query(CLOSE_SETTLED({ id }))
}

const CLOSE_SETTLED = statement(
  'attention.closeSettled',
  `update attention set closed_at = now(), closed_by = 'sweep' where id = :id and closed_at is null`,
)

const OPEN_CASES = `
  select a.id, a.order_id as "orderId", o.number, a.code, a.step, a.object, a.detail, a.workflow_id as "workflowId", a.since,
         coalesce(abs(d.ours - d.theirs), p.amount, (select amount from capture where id = a.object),
           (select amount from refund where id = a.object), o.total) as "atStake",
         coalesce(d.currency, o.currency) as currency, o.status as "orderStatus",
         case when s.id is not null then json_build_object('status', s.status, 'trouble', s.trouble,
           'isReleased', s.released_at is not null) end as parcel
  from attention a
  left join orders o on o.id = a.order_id
  left join payment p on p.id = a.object
  left join shipment s on s.id = a.object
  left join reconciliation_difference d on d.id = a.object
  where a.closed_at is null`

/** Open cases, oldest first, at most `limit`, after the case of the id `after` (0: from the first). */
export async function listOpenCases(db: Db, page: { limit: number; after: number }): Promise<OpenCase[]> {
  const { rows } = await db.query<OpenCase>(LIST_OPEN({ ...page }))
  return rows
}

const LIST_OPEN = statement(
  'attention.list',
  `${OPEN_CASES} and a.id > :after
    order by a.id
    limit :limit`,
)

export async function readOpenCases(db: Db, orderId: OrderId): Promise<OpenCase[]> {
  const { rows } = await db.query<OpenCase>(OF_ORDER({ orderId }))
  return rows
}

const OF_ORDER = statement('attention.ofOrder', `${OPEN_CASES} and a.order_id = :orderId order by a.id`)

export interface RepairRequest {
  /** The id of the update that carries it: repeated, it is the same repair. */
  readonly id: string
  readonly orderId: OrderId
  readonly action: string
  readonly step: string | null
  readonly object: string | null
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
    insert into repair (id, order_id, action, step, object, outcome, reason_code, note, actor, accepted_at)
    values (:id, :orderId, :action, :step, :object, :outcome, :reasonCode, :note, :actor,
            case when :accepted then now() end)
    on conflict (order_id, id) do update set accepted_at = coalesce(repair.accepted_at, excluded.accepted_at)`,
)

/** A case as it was when a repair came, open or closed since. */
export type RepairedCase = Pick<OpenCase, 'code' | 'step' | 'object'>

/** Of an order's cases, newest first, those that were there when this repair was accepted; none while it was not. */
export async function readCasesOfRepair(db: Db, orderId: OrderId, id: string): Promise<RepairedCase[]> {
  const { rows } = await db.query<RepairedCase>(CASES_OF_REPAIR({ orderId, id }))
  return rows
}

const CASES_OF_REPAIR = statement(
  'repair.cases',
  `
    select a.code, a.step, a.object
    from repair r
    join attention a on a.order_id = r.order_id and a.since <= r.accepted_at
    where r.order_id = :orderId and r.id = :id
    order by a.since desc
    limit 20`,
)

export interface RecordedRepair {
  readonly id: string
  readonly action: string
  readonly step: string | null
  readonly object: string | null
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
      select id, action, step, object, outcome, reason_code as "reasonCode", note, actor, accepted_at as "acceptedAt",
             created_at as "createdAt"
      from repair
      where order_id = $1
      order by created_at
      limit 200`,
    values: [orderId],
  })
  return rows
}
