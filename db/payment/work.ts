import type { OrderId, PaymentId } from '../../domain/ids'
import type { PaymentWork } from '../../domain/payment/work'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

/** An authorization is renewed, or a person is asked, so long before it ends. */
const RENEW_HOURS_BEFORE = 48
/** So long a provider that has taken a refund may think; then a person is asked. */
const DECIDED_AFTER_DAYS = 14

/** What is to be done, read from the rows that ask for it. Null when there is no such order. `paymentId` null: of those that pay for it. */
export async function readPaymentWork(
  db: Db,
  { orderId, paymentId }: { orderId: OrderId; paymentId: PaymentId | null },
): Promise<PaymentWork | null> {
  // Before the reading: what is asked for from now on is told again.
  await clearTold(db, orderId)
  const { rows } = await db.query<PaymentWork>(READ_WORK({ orderId, paymentId }))
  return rows[0] ?? null
}

/** An owner of the order's money or goods is about to read what there is to do; or it could not be told after all. */
export async function clearTold(db: Db, orderId: OrderId): Promise<void> {
  await db.query(HEARD({ orderId }))
}

const HEARD = statement('payment.heard', 'update orders set work_told = false where id = :orderId and work_told')

/**
 * Notes that an owner of the order's money, fulfillment or a settlement, is told of something to do. False when one was told
 * already and none has read since: a crowd of commands is one signal, for Temporal takes no more than a hundred of them beside
 * one task. Of two settlements, the one that was not told the sweep tells.
 */
export async function noteTold(db: Db, orderId: OrderId): Promise<boolean> {
  const { rowCount } = await db.query(NOTE_TOLD({ orderId }))
  return rowCount === 1
}

const NOTE_TOLD = statement(
  'payment.noteTold',
  'update orders set work_told = true where id = :orderId and not work_told',
)

/** The payment `p` is the one, or without one it pays for its order: what others took is for their settlements. */
const IN_SCOPE = `case when :paymentId::text is null then p.outcome = 'completed' else p.id = :paymentId end` as const

/**
 * When the payment `p` has to be renewed. One that lasts no longer than that is renewed half way, and so is a renewal at the
 * earliest: whatever a provider says, no authorization is followed by the next one at once.
 */
const RENEW_AT = `greatest(
  p.capture_before - make_interval(hours => ${RENEW_HOURS_BEFORE}),
  case when p.renews is not null or p.capture_before <= p.sent_at + make_interval(hours => ${RENEW_HOURS_BEFORE})
       then p.sent_at + (p.capture_before - p.sent_at) / 2 end)` as const

/** The payment of the order `o` whose authorization has to last, for something is due yet. No row: none has to. */
const NEEDED_AUTHORIZATION = `
  select latest.*
  from (
    select p.id, p.attempt, p.status, p.may_lapse, ${RENEW_AT} as renew_at,
           o.total - o.cancelled - o.waived - sum(p.captured + p.capturing) over () as due
    from payment p
    where p.order_id = o.id and p.outcome = 'completed' and o.status in ('confirmed', 'processing', 'on_hold')
    order by p.attempt desc
    limit 1
  ) as latest
  where latest.due > 0 and not latest.may_lapse` as const

/** What is needed has to be authorized anew: that authorization ends soon, or has ended. */
const MUST_RENEW = `(newest.renew_at <= now() or newest.status <> 'authorized')` as const

/** Fulfillment is late with a renewal that ought to have begun so long ago. */
const RENEW_GRACE_HOURS = 1

/**
 * The authorizations that fulfillment is late to renew. None has to be renewed earlier than the first range says, which
 * `payment_expiring` has; the rule itself is asked of those few.
 */
export const LATE_RENEWALS = `
  select o.id as order_id, newest.id as payment_id, newest.renew_at,
         newest.renew_at + make_interval(hours => ${RENEW_GRACE_HOURS}) as due_at
  from payment ending
  -- One look-up by its key per row, whatever the planner believes of the table.
  cross join lateral (select * from orders where id = ending.order_id limit 1) as o
  cross join lateral (${NEEDED_AUTHORIZATION}) as newest
  where ending.status = 'authorized'
    and ending.capture_before < now() + make_interval(hours => ${RENEW_HOURS_BEFORE - RENEW_GRACE_HOURS})
    and newest.id = ending.id and newest.renew_at < now() - make_interval(hours => ${RENEW_GRACE_HOURS})` as const

/** Whether the payment `:object` of the order `:orderId` still has to be renewed, or its renewal is under way. */
export const isRenewalAtWork = ({ orderId, object }: { orderId: string; object: string }) => `(
  exists (
    select from orders o, lateral (${NEEDED_AUTHORIZATION}) as newest
    where o.id = ${orderId} and newest.id = ${object} and ${MUST_RENEW})
  or exists (select from payment where renews = ${object} and status = 'sent'))`

/** By when the provider should have decided the refund `refund`; null: it has not taken it, or has decided. */
export const decideBy = (refund: string) =>
  `case when ${refund}.status = 'pending' and ${refund}.reference is not null
     then ${refund}.updated_at + make_interval(days => ${DECIDED_AFTER_DAYS}) end`

const READ_WORK = statement(
  'payment.work',
  `
    select o.status in ('cancelled', 'completed') as "isOver", o.currency, o.total,
           case when newest.status = 'authorized' then extract(epoch from newest.renew_at - now())::float8 * 1000 end as "renewInMs",
           coalesce((
      select json_agg(item order by place, number)
      from (
        select 0 as place, p.attempt as number, json_build_object('kind', 'news', 'object', p.id, 'paymentId', p.id) as item
        from payment p
        where p.order_id = o.id and p.news_at is not null and ${IN_SCOPE}
        union all
        select 1, p.attempt, json_build_object('kind', 'release', 'object', p.id, 'paymentId', p.id,
               'amount', p.amount - p.captured - p.capturing - p.released)
        from payment p
        where p.order_id = o.id and p.releasing and ${IN_SCOPE}
        union all
        select 2, c.number, json_build_object('kind', 'capture', 'object', c.id, 'paymentId', c.payment_id,
               'shipmentId', c.shipment_id, 'amount', c.amount, 'status', c.status, 'failureCode', c.failure_code)
        from capture c
        join payment p on p.id = c.payment_id
        where c.order_id = o.id and c.at_work and ${IN_SCOPE}
        union all
        select 3, r.number, json_build_object('kind', 'refund', 'object', r.id, 'paymentId', r.payment_id,
               'amount', r.amount, 'status', r.status, 'failureCode', r.failure_code, 'isAccepted', r.reference is not null,
               'decideBy', floor(extract(epoch from ${decideBy('r')}) * 1000)::bigint)
        from refund r
        join payment p on p.id = r.payment_id
        where r.order_id = o.id and r.at_work and ${IN_SCOPE}
        union all
        select 4, newest.attempt, json_build_object('kind', 'renewal', 'object', newest.id, 'paymentId', newest.id,
               'amount', newest.due)
        where ${MUST_RENEW}
        union all
        select 4, p.attempt, json_build_object('kind', 'renewal', 'object', p.renews, 'paymentId', p.renews, 'amount', p.amount)
        from payment p
        where p.order_id = o.id and p.renews is not null and p.status = 'sent' and :paymentId::text is null
          and p.renews is distinct from case when ${MUST_RENEW} then newest.id end
        union all
        select 5, d.number, json_build_object('kind', 'dispute', 'object', d.reference, 'paymentId', d.payment_id,
               'amount', d.amount, 'status', d.status)
        from dispute d
        join payment p on p.id = d.payment_id
        where d.order_id = o.id and d.at_work and ${IN_SCOPE}
      ) as work
    ), '[]') as items
    from orders o
    left join lateral (${NEEDED_AUTHORIZATION}) as newest on :paymentId::text is null
    where o.id = :orderId`,
)

/** The provider has news of this payment: it is to be looked up, by whoever owns its money. */
export async function noteNews(db: Db, paymentId: PaymentId): Promise<void> {
  await db.query(NOTE_NEWS({ paymentId }))
}

const NOTE_NEWS = statement('payment.noteNews', 'update payment set news_at = clock_timestamp() where id = :paymentId')

/** Since when there is news of it, as Postgres writes it; null: there is none. */
export async function readNews(db: Db, paymentId: PaymentId): Promise<string | null> {
  const { rows } = await db.query<{ newsAt: string | null }>(READ_NEWS({ paymentId }))
  return rows[0]?.newsAt ?? null
}

const READ_NEWS = statement('payment.readNews', 'select news_at::text as "newsAt" from payment where id = :paymentId')

/** The news that there was at `newsAt` has been looked up; what has come since has not. */
export async function endNews(db: Db, paymentId: PaymentId, newsAt: string): Promise<void> {
  await db.query(END_NEWS({ paymentId, newsAt }))
}

const END_NEWS = statement(
  'payment.endNews',
  'update payment set news_at = null where id = :paymentId and news_at = :newsAt::timestamptz',
)

/** Whether something is to be done with the money of an order that nobody decides: not what a provider or a person thinks about. */
export async function isMoneyAtWork(db: Db, orderId: OrderId): Promise<boolean> {
  const { rows } = await db.query<{ isAtWork: boolean }>(IS_AT_WORK({ orderId }))
  return rows[0]?.isAtWork ?? false
}

const IS_AT_WORK = statement(
  'payment.isAtWork',
  `
    select exists (select from payment where order_id = :orderId and releasing)
        or exists (select from capture where order_id = :orderId and at_work and status = 'pending')
        or exists (select from refund where order_id = :orderId and at_work and status = 'pending' and reference is null)
           as "isAtWork"`,
)

/** When fulfillment of an order without a date looks at it: there is nothing to see before. */
const LATEST_FIRST_LOOK_DAYS = 30

/** When fulfillment of these orders has to look at their goods or money by itself, in milliseconds from now. */
export async function readFirstLooks(
  db: Db,
  orderIds: readonly OrderId[],
): Promise<{ orderId: OrderId; delayMs: number }[]> {
  const { rows } = await db.query<{ orderId: OrderId; delayMs: number }>(FIRST_LOOKS({ orderIds }))
  return rows
}

const FIRST_LOOKS = statement(
  'payment.firstLooks',
  `
    select o.id as "orderId", greatest(0, extract(epoch from least(
             min(${RENEW_AT}), case when o.planned_at is null then now() else o.look_at end,
             now() + make_interval(days => ${LATEST_FIRST_LOOK_DAYS})) - now()) * 1000)::bigint as "delayMs"
    from orders o
    left join payment p on p.order_id = o.id and p.status = 'authorized'
    where o.id = any (:orderIds::text[])
    group by o.id`,
)

/**
 * The attempt that takes over the authorization of `paymentId`, made on the first call: it asks for what is due now. Null when
 * nothing is. The order is locked by the books of the transaction.
 */
export async function claimRenewal(
  tx: Tx,
  { paymentId, renewalId, amount }: { paymentId: PaymentId; renewalId: PaymentId; amount: number },
): Promise<PaymentId> {
  const { rows } = await tx.query<{ id: PaymentId }>(CLAIM_RENEWAL({ paymentId, renewalId, amount }))
  return rows[0]?.id ?? renewalId
}

const CLAIM_RENEWAL = statement(
  'payment.claimRenewal',
  `
    with known as (
      select id from payment where renews = :paymentId and status = 'sent'
    ),
    made as (
      insert into payment (id, order_id, attempt, key, provider, method, amount, asked, currency, status, sent_at, renews)
      select :renewalId, p.order_id, n, p.order_id || '/charge/' || n, p.provider, p.method, :amount, :amount, p.currency, 'sent', now(), p.id
      from payment p, lateral (select max(attempt) + 1 as n from payment where order_id = p.order_id) as next
      where p.id = :paymentId and not exists (select from known)
      returning id
    )
    select id from known union all select id from made`,
)

/** The renewal of this payment that the provider may know of, and that is not decided; null when there is none. */
export async function readSentRenewal(db: Db, paymentId: PaymentId): Promise<PaymentId | null> {
  const { rows } = await db.query<{ id: PaymentId }>({
    name: 'payment.sentRenewal',
    text: `select id from payment where renews = $1 and status = 'sent'`,
    values: [paymentId],
  })
  return rows[0]?.id ?? null
}

/** Keeps the provider's id of a renewal before its money moves. False when it is over. */
export async function keepRenewalReference(db: Db, renewalId: PaymentId, reference: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'payment.keepRenewal',
    text: `update payment set reference = $2, updated_at = now() where id = $1 and status = 'sent' and renews is not null`,
    values: [renewalId, reference],
  })
  return rowCount === 1
}

/** A renewal that the provider refused: nothing was authorized by it. */
export async function failRenewal(db: Db, renewalId: PaymentId, declineCode: string): Promise<void> {
  await db.query({
    name: 'payment.failRenewal',
    text: `
      update payment
      set status = 'declined', outcome = 'declined', decline_code = $2, updated_at = now()
      where id = $1 and status = 'sent' and renews is not null`,
    values: [renewalId, declineCode],
  })
}

/** Whether somebody has decided that the authorization need not be renewed. */
export async function isLapsing(db: Db, paymentId: PaymentId): Promise<boolean> {
  const { rows } = await db.query<{ mayLapse: boolean }>({
    name: 'payment.isLapsing',
    text: 'select may_lapse as "mayLapse" from payment where id = $1',
    values: [paymentId],
  })
  return rows[0]?.mayLapse ?? false
}

/** Somebody has decided that the authorization need not be renewed. */
export async function letLapse(db: Db, paymentId: PaymentId): Promise<void> {
  await db.query({
    name: 'payment.letLapse',
    text: 'update payment set may_lapse = true, updated_at = now() where id = $1',
    values: [paymentId],
  })
}
