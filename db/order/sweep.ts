import type { OrderId, PaymentId } from '../../domain/ids'
import type { CancelReason, OrderStatus } from '../../domain/order'
import { decideBy, LATE_RENEWALS } from '../payment/work'
import type { Db } from '../pool'
import { OPEN, statement, UNRESOLVED } from '../sql'

/** Fulfillment owns the money of the payment that its order was confirmed by, settlement that of every other. */
const OWNER_OF_MONEY = `case when p.outcome = 'completed' then 'fulfillment' else 'settlement' end` as const

/**
 * Work on an order's money beside its checkout: the workflow that ought to be open for it, and of which object. Each kind is
 * found by a partial index of its own, named here, which holds nothing but such work: orders that are over, or confirmed and
 * waiting, are never read. `about`: what a case about it would name. `to_do`: nobody else, no person and no provider, has to
 * decide first. `moved_at`: when the row last changed. `due_at`: when it should be done at the latest.
 */
const WORK = {
  /** `one_unresolved_attempt`: the provider may still take the money of an order that is over. */
  unresolved: `
    select case when p.renews is null then 'settlement' else 'fulfillment' end as owner, p.order_id, p.id::text as object,
           p.id::text as about, true as to_do, p.updated_at as moved_at, p.updated_at as due_at
    from payment p
    where p.status in ${UNRESOLVED} and p.order_id not in (select id from orders where status in ${OPEN})
      and (p.renews is not null or (select status from orders where id = p.order_id) = 'cancelled')`,
  /**
   * `payment_pending_sync`: the provider has yet to hear what a person decided, or to show it. What it shows of an open order
   * can only be learnt once that is confirmed.
   */
  unsynced: `
    select 'settlement', p.order_id, p.id, p.id, true, p.updated_at, p.updated_at
    from payment p
    where p.pending_sync = 'cancel'
      or p.pending_sync = 'reference' and p.order_id not in (select id from orders where status in ${OPEN})`,
  /** `payment_releasing`: what is authorized and not needed has to be let go. */
  releasing: `
    select ${OWNER_OF_MONEY}, p.order_id, p.id, p.id, true, p.updated_at, p.updated_at
    from payment p
    where p.releasing`,
  /** `payment_news`: its provider has news, and nobody has looked it up. */
  news: `
    select case when p.renews is not null and p.outcome is null then 'fulfillment' else ${OWNER_OF_MONEY} end, p.order_id, p.id,
           p.id, true, p.news_at, p.news_at
    from payment p
    where p.news_at is not null`,
  /** `capture_at_work` */
  capture: `
    select ${OWNER_OF_MONEY}, m.order_id, p.id, m.id, m.status = 'pending', m.updated_at, m.updated_at
    from capture m
    join payment p on p.id = m.payment_id
    where m.at_work`,
  /** `refund_at_work`: a refund that the provider has taken, and not decided, is not late for days. */
  refund: `
    select ${OWNER_OF_MONEY}, m.order_id, p.id, m.id, m.status = 'pending' and m.reference is null, m.updated_at,
           coalesce(${decideBy('m')}, m.updated_at)
    from refund m
    join payment p on p.id = m.payment_id
    where m.at_work`,
  /** `payment_expiring`: an authorization that is needed, and that fulfillment ought to have renewed. */
  expiring: `
    select 'fulfillment', late.order_id, late.payment_id, late.payment_id, false, late.renew_at, late.due_at
    from (${LATE_RENEWALS}) as late`,
  /** `dispute_at_work` */
  dispute: `
    select ${OWNER_OF_MONEY}, m.order_id, p.id, m.reference, false, m.updated_at, m.updated_at + interval '90 days'
    from dispute m
    join payment p on p.id = m.payment_id
    where m.at_work`,
} as const
/** A person is asked about this thing. By an index of what is open, or was answered by a person. */
function isAsked(object: string): string {
  return `exists (select from attention a where a.object = ${object} and a.closed_at is null)`
}

/** Work on an order's goods, likewise: all of it is its fulfillment's. */
export const WORK_ON_GOODS = `
  -- \`orders_unplanned\`
  select 'fulfillment' as owner, o.id as order_id, null::text as object, null::text as about, true as to_do,
         o.updated_at as moved_at, o.updated_at as due_at
  from orders o
  where o.status in ('confirmed', 'processing') and o.planned_at is null
  union
  -- \`orders_look_at\`: something is due, and its workflow ought to have looked by itself.
  select 'fulfillment', o.id, null, null, true, o.look_at, o.look_at
  from orders o
  where o.look_at < now()
  union
  -- \`label_at_work\`: a label that a carrier is to sell or to take back; of a refused one a person decides, and one that its carrier
  -- thinks about is not late before it is asked again.
  select 'fulfillment', l.order_id, null, l.id, l.failure_code is null and (l.check_at is null or l.check_at <= now()),
         coalesce(l.check_at, l.updated_at), coalesce(l.check_at, l.updated_at)
  from label l
  where l.at_work
  union
  -- \`shipment_leaving\`: its money, and then the parcel; while its order is on hold both wait. A case names the capture.
  select 'fulfillment', s.order_id, null, coalesce((
           select c.id::text from capture c
           where c.order_id = s.order_id and c.at_work
           order by c.shipment_id is not distinct from s.id desc, c.number desc
           limit 1
         ), s.id), true, s.updated_at, s.updated_at
  from shipment s
  where s.is_leaving and s.released_at is null and (select status from orders where id = s.order_id) <> 'on_hold'
  union
  -- \`shipment_undecided\`: its workflow is to ask a person, who then decides.
  select 'fulfillment', s.order_id, null, s.id, not ${isAsked('s.id')}, s.updated_at, s.updated_at
  from shipment s
  where s.needs_decision
  union
  -- \`orders_short\`, likewise.
  select 'fulfillment', o.id, null, o.id, not ${isAsked('o.id')}, o.short_ask_at, o.short_ask_at
  from orders o
  where o.short_ask_at <= now() and o.status in ('confirmed', 'processing', 'on_hold')
  union
  -- \`warehouse_message_pending\`: a warehouse's own system has yet to hear it.
  select 'fulfillment', m.order_id, null, m.id, true, m.updated_at, m.updated_at
  from warehouse_message m
  where m.state = 'pending'
  union
  -- \`order_command_pending\`, but those that wait for a warehouse's own system to say that a released parcel has left.
  select 'fulfillment', c.order_id, null, null, true, c.created_at, c.created_at
  from order_command c
  where c.state = 'pending' and (select status from orders where id = c.order_id) <> 'on_hold'
    and not exists (
      select from shipment s
      where s.order_id = c.order_id and s.status in ('allocated', 'picking', 'packed', 'labelled')
        and (s.released_at is not null or s.left_at is not null) and (c.shipment_id is null or c.shipment_id = s.id))` as const
const WORK_AFTER_CHECKOUT = [...Object.values(WORK), WORK_ON_GOODS].join(' union ')

/** What workflows ought to be at work on: orders and objects by owner, and when it should be done. A checkout's are found by `orders_open`. */
export const ORDERS_AT_WORK = `
  select 'checkout' as owner, id as order_id, null::text as object, coalesce(hold_expires_at, created_at) as due_at
  from orders
  where status in ${OPEN}
  union all
  select owner, order_id, object, due_at
  from (${WORK_AFTER_CHECKOUT}) as money`

/** Something that a workflow ought to be at work on. */
export interface OrderAtWork {
  readonly orderId: OrderId
  readonly status: OrderStatus
  readonly number: string
  readonly owner: 'checkout' | 'settlement' | 'fulfillment'
  /** The payment; null where it is about the whole order. */
  readonly object: PaymentId | null
  /** Accepted so long ago that its stock was never reserved in time. */
  readonly stale: boolean
  /** An attempt that was accepted and has not been taken up: its workflow may not know of it. Null too when it was just told. */
  readonly attempt: number | null
  /** Buyer or staff want it cancelled, and its workflow may not know. */
  readonly cancelWanted: boolean
  /** Its workflow has something to do, and was not told of it lately. */
  readonly mustRemind: boolean
  /** It is long past its time, and no person has been asked. */
  readonly overdue: boolean
  /** For how long the sweep has seen it overdue and unchanged; null: not yet. */
  readonly unmovedSeconds: number | null
}

/** Orders younger than this since their last change are left to the process that is at work on them. */
const QUIET_SECONDS = 5
/** A workflow that has been told and does nothing is told again after so long. */
const REMIND_AGAIN_SECONDS = 60
/**
 * Afterwards it has heard: what it still has to do then, the provider does not let it do. What was asked for while Temporal was
 * away for longer than this is told once all the same.
 */
const REMIND_FOR_SECONDS = 3_600

export interface WorkToList {
  readonly shard: number
  /** How many there are: a power of two. */
  readonly shards: number
  /** How many rows, and the rest of the order that the last of them is of: no order is divided. */
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
  const constants = {
    quietSeconds: QUIET_SECONDS,
    remindAgainSeconds: REMIND_AGAIN_SECONDS,
    remindForSeconds: REMIND_FOR_SECONDS,
  }
  const { rows } = await db.query<OrderAtWork>(AT_WORK({ ...work, ...constants }))
  return rows
}

/** What is needed of an order: an open one is at hand in the row by which it was found, and looked up no second time. */
const ORDER = 'o.id, o.status, o.number, o.created_at, o.cancel_wanted_at, o.reminded_at, o.unmoved_since' as const

const AT_WORK = statement(
  'order.atWork',
  `
    with requested as materialized (
      select order_id, attempt
      from payment
      where status = 'requested' and attempt > 1 and created_at < now() - make_interval(secs => :quietSeconds)
    ),
    asked as materialized (
      select order_id, object from attention where closed_at is null and order_id is not null
    ),
    work as materialized (
      select ${ORDER}, 'checkout' as owner, null::text as object, null::text as about, true as to_do, o.updated_at as moved_at,
             coalesce(o.hold_expires_at, o.created_at + make_interval(secs => :holdSeconds)) as due_at
      from orders o
      where o.status in ${OPEN} and o.updated_at < now() - make_interval(secs => :quietSeconds)
        and hashtext(o.id) & (:shards - 1) = :shard and o.id > :after
      union all
      select ${ORDER}, money.owner, money.object, money.about, money.to_do, money.moved_at, money.due_at
      from (${WORK_AFTER_CHECKOUT}) as money
      -- One look-up by its key per row, whatever the planner believes of the table.
      cross join lateral (select * from orders where id = money.order_id limit 1) as o
      where money.moved_at < now() - make_interval(secs => :quietSeconds)
        and hashtext(money.order_id) & (:shards - 1) = :shard and money.order_id > :after
      order by id
      fetch first :limit rows with ties
    )
    select work.id as "orderId", status, number, owner, object,
           status = 'pending' and created_at < now() - make_interval(secs => :holdSeconds) as stale,
           case when told.long_ago then requested.attempt end as attempt,
           told.long_ago and owner = 'checkout' and cancel_wanted_at is not null as "cancelWanted",
           told.long_ago and to_do and (moved_at > now() - make_interval(secs => :remindForSeconds)
             or reminded_at is null or reminded_at < moved_at) as "mustRemind",
           due_at < now() - make_interval(secs => :overdueSeconds) and not exists (
             select from asked
             where asked.order_id = work.id and (about is null or asked.object is null or asked.object = about)) as overdue,
           case when unmoved_since >= moved_at then extract(epoch from now() - unmoved_since)::float8 end as "unmovedSeconds"
    from work
    left join requested on requested.order_id = work.id and work.owner = 'checkout'
    cross join lateral (
      select reminded_at is null or reminded_at < now() - make_interval(secs => :remindAgainSeconds) as long_ago
    ) as told
    order by work.id, object`,
)

/** Keeps since when the sweep has seen an overdue order not change. */
export async function noteUnmoved(db: Db, orderId: OrderId): Promise<void> {
  await db.query(NOTE_UNMOVED({ orderId }))
}

const NOTE_UNMOVED = statement('order.noteUnmoved', 'update orders set unmoved_since = now() where id = :orderId')

/** Why an open order is to be cancelled; `reasonCode` is that of whoever wants it. */
export interface CancelRequest {
  readonly reason: CancelReason
  readonly reasonCode: string
}

/**
 * Keeps a cancellation that the order's workflow could not be told of; the first one stays. False when the order is not open
 * any more.
 */
export async function requestCancel(db: Db, orderId: OrderId, { reason, reasonCode }: CancelRequest): Promise<boolean> {
  const wanted = JSON.stringify({ reason, reason_code: reasonCode })
  const { rowCount } = await db.query(REQUEST_CANCEL({ orderId, wanted }))
  return rowCount === 1
}

const REQUEST_CANCEL = statement(
  'order.requestCancel',
  `
    update orders
    set cancel_wanted_at = coalesce(cancel_wanted_at, now()), cancel_wanted = coalesce(cancel_wanted, :wanted::jsonb)
    where id = :orderId and status in ${OPEN}`,
)

export async function noteReminder(db: Db, orderId: OrderId): Promise<void> {
  await db.query({
    name: 'order.noteReminder',
    text: 'update orders set reminded_at = now() where id = $1',
    values: [orderId],
  })
}

/** How often the workflow of an order is taken up again before a person is asked. */
export const RESTARTS_MAX = 3

/** False when it had all of them already. A process that dies now has used up one. */
async function countRestart(db: Db, orderId: OrderId): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'order.countRestart',
    text: `update orders set restarts = restarts + 1 where id = $1 and restarts < $2`,
    values: [orderId, RESTARTS_MAX],
  })
  return rowCount === 1
}

/**
 * Starts this order's workflow anew, and counts that. One that `start` found running, or could not start, was no restart.
 * Null when it had {@link RESTARTS_MAX} already.
 */
export async function restart(db: Db, orderId: OrderId, start: () => Promise<boolean>): Promise<boolean | null> {
  if (!(await countRestart(db, orderId))) return null
  let isStarted = false
  try {
    isStarted = await start()
    return isStarted
  } finally {
    if (!isStarted) await db.query(UNCOUNT_RESTART({ orderId }))
  }
}

const UNCOUNT_RESTART = statement(
  'order.uncountRestart',
  'update orders set restarts = restarts - 1 where id = :orderId and restarts > 0',
)

/** Lets the sweep begin anew: `resume` of an order whose workflow kept failing. */
export async function resetRestarts(db: Db, orderId: OrderId): Promise<void> {
  await db.query({
    name: 'order.resetRestarts',
    text: `update orders set restarts = 0 where id = $1`,
    values: [orderId],
  })
}
