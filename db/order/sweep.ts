import type { OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'
import { statement } from '../sql'

/** An order whose workflow ought to be open. */
export interface OrderAtWork {
  readonly orderId: OrderId
  readonly status: OrderStatus
  readonly number: string
  readonly restarts: number
  /** Accepted so long ago that its stock was never reserved in time. */
  readonly stale: boolean
  /**
   * An attempt of an order that is over: it is not final, or its money has not gone back, or the provider must still hear what
   * a person decided of it.
   */
  readonly paymentId: PaymentId | null
  /** An attempt that was accepted and has not been taken up: its workflow may not know of it. Null too when it was just told. */
  readonly attempt: number | null
  /** The buyer wants it cancelled, and its workflow may not know. */
  readonly cancelWanted: boolean
}

/** Orders younger than this since their last change are left to the process that is at work on them. */
const QUIET_SECONDS = 5
/** A workflow that has been told and does nothing is told again after so long. */
const REMIND_AGAIN_SECONDS = 60

/**
 * Orders that are open, or over with something left to settle, of one shard, after `after` by id.
 * `holdSeconds`: a `pending` order older than that is stale.
 */
export async function listOrdersAtWork(
  db: Db,
  {
    shard,
    shards,
    limit,
    after,
    holdSeconds,
  }: { shard: number; shards: number; limit: number; after: string; holdSeconds: number },
): Promise<OrderAtWork[]> {
  const { rows } = await db.query<OrderAtWork>(
    AT_WORK({
      shard,
      shards,
      limit,
      holdSeconds,
      after,
      quietSeconds: QUIET_SECONDS,
      remindAgainSeconds: REMIND_AGAIN_SECONDS,
    }),
  )
  return rows
}

const AT_WORK = statement(
  'order.atWork',
  `
    select o.id as "orderId", o.status, o.number, o.restarts, null as "paymentId",
           o.status = 'pending' and o.created_at < now() - make_interval(secs => :holdSeconds) as stale,
           case when due.is_due then (
             select p.attempt
             from payment p
             where p.order_id = o.id and p.status = 'requested' and p.attempt > 1
               and p.created_at < now() - make_interval(secs => :quietSeconds)
           ) end as attempt,
           due.is_due and o.cancel_wanted_at is not null as "cancelWanted"
    from orders o
    cross join lateral (
      select o.reminded_at is null or o.reminded_at < now() - make_interval(secs => :remindAgainSeconds) as is_due
    ) as due
    where o.status in ('pending', 'inventory_reserved', 'payment_pending')
      and o.updated_at < now() - make_interval(secs => :quietSeconds)
      and hashtext(o.id) & (:shards - 1) = :shard and o.id > :after
    union all
    select o.id, o.status, o.number, o.restarts, p.id, false, null, false
    from payment p
    join orders o on o.id = p.order_id
    where (p.pending_sync is not null
           or o.status = 'cancelled' and p.status in ('sent', 'requires_action', 'pending', 'authorized', 'captured'))
      and p.updated_at < now() - make_interval(secs => :quietSeconds)
      and hashtext(o.id) & (:shards - 1) = :shard and o.id > :after
    order by 1
    limit :limit`,
)

/** Keeps a cancellation that the order's workflow could not be told of. False when the order is not open any more. */
export async function requestCancel(db: Db, orderId: OrderId): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'order.requestCancel',
    text: `
      update orders
      set cancel_wanted_at = coalesce(cancel_wanted_at, now())
      where id = $1 and status in ('pending', 'inventory_reserved', 'payment_pending')`,
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
