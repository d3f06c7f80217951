import type { OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'
import { OPEN, statement, UNRESOLVED } from '../sql'

/** Fulfillment owns the money of the payment that its order was confirmed by, settlement that of every other. */
const OWNER_OF_MONEY = `case when p.outcome = 'completed' then 'fulfillment' else 'settlement' end` as const
const SETTLED_OBJECT = `case when p.outcome = 'completed' then null else p.id end` as const

/**
 * Who does a kind of work: the workflow that ought to be open for it, and of which object. Each is found by a partial index
 * of its own, named here, which holds nothing but such work: orders that are over, or confirmed and waiting, are never read.
 * `moved_at`: when the row last changed. `due_at`: when it should be done at the latest.
 */
const WORK = {
  /** `orders_open` */
  open: `
    select 'checkout' as owner, id as order_id, null::text as object, updated_at as moved_at,
           coalesce(hold_expires_at, created_at + make_interval(secs => :holdSeconds)) as due_at
    from orders
    where status in ${OPEN}`,
  /** `one_unresolved_attempt`: the provider may still take the money of an order that is over. */
  unresolved: `
    select 'settlement', p.order_id, p.id, p.updated_at, p.updated_at
    from payment p
    where p.status in ${UNRESOLVED} and (select status from orders where id = p.order_id) = 'cancelled'`,
  /** `payment_pending_sync`: the provider has yet to hear what a person decided. */
  unsynced: `
    select 'settlement', p.order_id, p.id, p.updated_at, p.updated_at
    from payment p
    where p.pending_sync is not null`,
  /** `payment_releasing`: what is authorized and not needed has to be let go. */
  releasing: `
    select ${OWNER_OF_MONEY}, p.order_id, ${SETTLED_OBJECT}, p.updated_at, p.updated_at
    from payment p
    where p.releasing`,
  /** `capture_at_work` */
  capture: `
    select ${OWNER_OF_MONEY}, m.order_id, ${SETTLED_OBJECT}, m.updated_at, m.updated_at
    from capture m
    join payment p on p.id = m.payment_id
    where m.at_work`,
  /** `refund_at_work`: a refund that the provider has taken, and not decided, is not late for days. */
  refund: `
    select ${OWNER_OF_MONEY}, m.order_id, ${SETTLED_OBJECT}, m.updated_at,
           m.updated_at + case when m.status = 'pending' and m.reference is not null then interval '14 days' else interval '0' end
    from refund m
    join payment p on p.id = m.payment_id
    where m.at_work`,
  /** `dispute_at_work` */
  dispute: `
    select ${OWNER_OF_MONEY}, m.order_id, ${SETTLED_OBJECT}, m.updated_at, m.updated_at + interval '90 days'
    from dispute m
    join payment p on p.id = m.payment_id
    where m.at_work`,
} as const

/** Something that a workflow ought to be at work on. */
export interface OrderAtWork {
  readonly orderId: OrderId
  readonly status: OrderStatus
  readonly number: string
  readonly owner: 'checkout' | 'settlement' | 'fulfillment'
  /** Of a settlement: its payment. */
  readonly object: PaymentId | null
  /** Accepted so long ago that its stock was never reserved in time. */
  readonly stale: boolean
  /** An attempt that was accepted and has not been taken up: its workflow may not know of it. Null too when it was just told. */
  readonly attempt: number | null
  /** The buyer wants it cancelled, and its workflow may not know. */
  readonly cancelWanted: boolean
  /** Its workflow was not told of it lately. */
  readonly toldLongAgo: boolean
  /** It is long past its time, and no person has been asked. */
  readonly overdue: boolean
  /** For how long the sweep has seen it overdue and unchanged; null: not yet. */
  readonly unmovedSeconds: number | null
}

/** Orders younger than this since their last change are left to the process that is at work on them. */
const QUIET_SECONDS = 5
/** A workflow that has been told and does nothing is told again after so long. */
const REMIND_AGAIN_SECONDS = 60

export interface WorkToList {
  readonly shard: number
  /** How many there are: a power of two. */
  readonly shards: number
  readonly limit: number
  /** Begins behind this order, by id. */
  readonly after: string
  /** A `pending` order older than this is stale. */
  readonly holdSeconds: number
  /** Overdue is what should have been done so long ago. */
  readonly overdueSeconds: number
}

/** Orders that are open, or over with something left to settle, of one shard, by id. */
export async function listOrdersAtWork(db: Db, work: WorkToList): Promise<OrderAtWork[]> {
  const constants = { quietSeconds: QUIET_SECONDS, remindAgainSeconds: REMIND_AGAIN_SECONDS }
  const { rows } = await db.query<OrderAtWork>(AT_WORK({ ...work, ...constants }))
  return rows
}

const AT_WORK = statement(
  'order.atWork',
  `
    with work as materialized (
      select *
      from (${Object.values(WORK).join(' union ')}) as every
      where moved_at < now() - make_interval(secs => :quietSeconds)
        and hashtext(order_id) & (:shards - 1) = :shard and order_id > :after
      order by order_id, object
      limit :limit
    )
    select o.id as "orderId", o.status, o.number, work.owner, work.object,
           o.status = 'pending' and o.created_at < now() - make_interval(secs => :holdSeconds) as stale,
           case when told.long_ago and work.owner = 'checkout' then (
             select p.attempt
             from payment p
             where p.order_id = o.id and p.status = 'requested' and p.attempt > 1
               and p.created_at < now() - make_interval(secs => :quietSeconds)
           ) end as attempt,
           told.long_ago and work.owner = 'checkout' and o.cancel_wanted_at is not null as "cancelWanted",
           told.long_ago as "toldLongAgo",
           work.due_at < now() - make_interval(secs => :overdueSeconds)
             and not exists (select from attention a where a.order_id = o.id and a.closed_at is null) as overdue,
           case when o.unmoved_since >= work.moved_at
                then extract(epoch from now() - o.unmoved_since)::float8 end as "unmovedSeconds"
    from work
    -- One look-up by its key per row, whatever the planner believes of the table.
    cross join lateral (select * from orders where id = work.order_id limit 1) as o
    cross join lateral (
      select o.reminded_at is null or o.reminded_at < now() - make_interval(secs => :remindAgainSeconds) as long_ago
    ) as told
    order by o.id, work.object`,
)

/** Keeps since when the sweep has seen an overdue order not change. */
export async function noteUnmoved(db: Db, orderId: OrderId): Promise<void> {
  await db.query(NOTE_UNMOVED({ orderId }))
}

const NOTE_UNMOVED = statement('order.noteUnmoved', 'update orders set unmoved_since = now() where id = :orderId')

/** Keeps a cancellation that the order's workflow could not be told of. False when the order is not open any more. */
export async function requestCancel(db: Db, orderId: OrderId): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'order.requestCancel',
    text: `
      update orders
      set cancel_wanted_at = coalesce(cancel_wanted_at, now())
      where id = $1 and status in ${OPEN}`,
    values: [orderId],
  })
  return rowCount === 1
}

export async function noteReminder(db: Db, orderId: OrderId): Promise<void> {
  await db.query({
    name: 'order.noteReminder',
    text: 'update orders set reminded_at = now() where id = $1',
    values: [orderId],
  })
}

/** How often the workflow of an order is taken up again before a person is asked. */
export const RESTARTS_MAX = 3

/** Counts a restart of this order's workflow. False when it had `max` already. */
export async function countRestart(db: Db, orderId: OrderId, max: number): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'order.countRestart',
    text: `update orders set restarts = restarts + 1 where id = $1 and restarts < $2`,
    values: [orderId, max],
  })
  return rowCount === 1
}

/** Lets the sweep begin anew: `resume` of an order whose workflow kept failing. */
export async function resetRestarts(db: Db, orderId: OrderId): Promise<void> {
  await db.query({
    name: 'order.resetRestarts',
    text: `update orders set restarts = 0 where id = $1`,
    values: [orderId],
  })
}
