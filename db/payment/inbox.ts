import type { OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import type { Db } from '../pool'
import { statement } from '../sql'

/** What providers told us. A row is acted upon until what it tells of is in the rows of the order. */

/** Nobody waits for news of a charge that was answered directly: by then its order has usually taken note. */
const CALM_SECONDS = 3
const AGAIN_SECONDS = 5
/** After a minute somebody is asked; a signal every five seconds for days would fill the workflow's history. */
const EAGER_TRIES = 12
const AGAIN_SECONDS_MAX = 600

/** A hint that a charge changed, as its provider gave it. */
export interface InboxEvent {
  readonly provider: string
  readonly eventId: string
  readonly type: string
  readonly chargeReference: string
  /** Null where the provider did not say. */
  readonly chargeKey: string | null
  readonly orderId: string | null
  readonly state: string | null
  /** Minor units; undefined where the provider did not say. */
  readonly sums?: {
    readonly captured: number
    readonly released: number
    readonly refunded: number
    readonly refunding: number
    readonly disputed: number
    readonly lost: number
  }
}

/** The attempts, of the row `i` of the inbox, that asked for the charge: known by its key, or by the provider's id. */
const ASKED_FOR = `(
  select id from payment where key = i.payment_key
  union
  select id from payment where provider = i.provider and reference = i.charge_reference)`

/**
 * The row `i` tells of money of the payment `p` that our rows do not show: its sums are others, or it says none and is about
 * something else than the state.
 */
const TELLS_NEWS = `
  case when i.payload ? 'sums' then
    (i.payload -> 'sums') <> jsonb_build_object('captured', p.captured, 'released', p.released, 'refunded', p.refunded,
      'refunding', p.refunding, 'disputed', p.disputed,
      'lost', (select coalesce(sum(d.amount), 0) from dispute d where d.payment_id = p.id and d.status = 'lost'))
  else i.payload ->> 'state' is distinct from p.status end`

/** Something of the payment `p` is being done now: the provider tells of that, and its answer comes first. */
const IS_MOVING = `(p.releasing or p.capturing > 0
  or exists (select from refund r where r.payment_id = p.id and r.at_work and r.reference is null))`

/**
 * Keeps an event; due at once when its attempt waits for it, or it tells of money that nobody here has moved: then the
 * loops that listen on {@link INBOX_CHANNEL} wake up. False when it was here before.
 */
export async function receiveEvent(
  db: Db,
  { provider, eventId, type, chargeReference, chargeKey, orderId, state, sums }: InboxEvent,
): Promise<boolean> {
  const payload = JSON.stringify({ order_id: orderId, state, sums })
  const { rowCount } = await db.query(
    RECEIVE({ provider, eventId, type, chargeReference, chargeKey, payload, calmSeconds: CALM_SECONDS }),
  )
  return rowCount === 1
}

/** Who listens is told of events that are due at once. */
export const INBOX_CHANNEL = 'holdfast_inbox'

const RECEIVE = statement(
  'inbox.receive',
  `
    with event as (
      select i.*, exists (
               select from ${ASKED_FOR} as asked
               join payment p using (id)
               where p.status in ('requires_action', 'pending')
                 or p.status in ('authorized', 'captured', 'refunded') and not ${IS_MOVING} and ${TELLS_NEWS}
             ) as is_due
      from (values (:provider, :eventId, :chargeReference, :chargeKey::text, :payload::jsonb))
        as i (provider, event_id, charge_reference, payment_key, payload)
    ),
    kept as (
      insert into inbox (provider, event_id, type, charge_reference, payment_key, payload, due_at)
      select provider, event_id, :type, charge_reference, payment_key, payload,
             now() + make_interval(secs => case when is_due then 0 else :calmSeconds end)
      from event
      on conflict do nothing
      returning due_at
    )
    select case when due_at <= now() then pg_notify('${INBOX_CHANNEL}', '') end from kept`,
)

/** What {@link takeDueEvents} has taken. */
export interface DueEvent {
  readonly provider: string
  readonly eventId: string
  readonly chargeReference: string
  readonly chargeKey: string | null
  /** The attempt that asked for the charge; null: none of ours did, though it names an order of ours. */
  readonly paymentId: PaymentId | null
  /** It has an outcome, or renews another one: no checkout waits for it. */
  readonly isDecided: boolean
  /** It pays for its order, or is to do so. */
  readonly pays: boolean
  readonly orderId: OrderId
  readonly orderStatus: OrderStatus
  readonly number: string
}

/** News of this attempt may still change something: it is not final, or its money was moved, and our rows do not show that. */
const UNDECIDED = `
  (p.status in ('requested', 'sent', 'requires_action', 'pending')
   or p.status in ('authorized', 'captured', 'refunded', 'voided') and ${TELLS_NEWS})`

/**
 * Ends what needs nothing more: the row says so already, neither the charge nor its order is ours, or it told of a charge
 * that was still waiting, and its workflow has heard of that once. Then takes up to `limit` of the others
 * that are due; each is due again in five seconds, until its effect is committed.
 */
export async function takeDueEvents(db: Db, limit: number): Promise<DueEvent[]> {
  await db.query(SETTLE({}))
  const { rows } = await db.query<DueEvent>(
    TAKE({ limit, againSeconds: AGAIN_SECONDS, eagerTries: EAGER_TRIES, againSecondsMax: AGAIN_SECONDS_MAX }),
  )
  return rows
}

const SETTLE = statement(
  'inbox.settle',
  `
    update inbox i
    set done_at = now()
    where i.done_at is null
      and i.due_at <= now()
      and not exists (
        select from ${ASKED_FOR} as asked
        join payment p using (id)
        join orders o on o.id = p.order_id
        where ${UNDECIDED}
          and not (coalesce(i.payload ->> 'state', '') in ('requires_action', 'pending')
                   and (i.tries > 0 or i.payload ->> 'state' = p.status)))
      and (exists ${ASKED_FOR} or not exists (select from orders where id = i.payload ->> 'order_id'))`,
)

const TAKE = statement(
  'inbox.due',
  `
    with due as (
      select provider, event_id
      from inbox
      where done_at is null and due_at <= now()
      order by due_at
      limit :limit
      for update skip locked
    ),
    taken as (
      update inbox
      set due_at = now() + make_interval(
            secs => least(:againSecondsMax, :againSeconds * power(2, greatest(0, inbox.tries - :eagerTries)))),
          tries = inbox.tries + 1
      from due
      where inbox.provider = due.provider and inbox.event_id = due.event_id
      returning inbox.provider, inbox.event_id, inbox.charge_reference, inbox.payment_key, inbox.payload
    )
    select i.provider, i.event_id as "eventId", i.charge_reference as "chargeReference", i.payment_key as "chargeKey",
           p.id as "paymentId", p.status in ('authorized', 'captured', 'refunded', 'voided') or p.renews is not null as "isDecided",
           p.outcome is not distinct from 'completed' or p.renews is not null as pays, o.id as "orderId", o.status as "orderStatus", o.number
    from taken i
    left join lateral ${ASKED_FOR} as asked on true
    left join payment p on p.id = asked.id
    join orders o on o.id = coalesce(p.order_id, i.payload ->> 'order_id')
    where p.id is null or ${UNDECIDED}`,
)

type TakenEvent = Pick<DueEvent, 'provider' | 'eventId'>

/** Writes down under which key the provider knows the charge, which the event did not say. It is due at once. */
export async function learnChargeKey(db: Db, { provider, eventId }: TakenEvent, chargeKey: string): Promise<void> {
  await db.query({
    name: 'inbox.learnKey',
    text: `update inbox set payment_key = $3, due_at = now() where provider = $1 and event_id = $2`,
    values: [provider, eventId, chargeKey],
  })
}

/** Nothing more has to be done about the event. */
export async function endEvent(db: Db, { provider, eventId }: TakenEvent): Promise<void> {
  await db.query({
    name: 'inbox.end',
    text: `update inbox set done_at = now() where provider = $1 and event_id = $2 and done_at is null`,
    values: [provider, eventId],
  })
}
