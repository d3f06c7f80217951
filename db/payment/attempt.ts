import type { EventType } from '../../domain/events'
import type { CartId, OrderId, PaymentId } from '../../domain/ids'
import type { OrderStatus } from '../../domain/order'
import { ATTEMPTS_PER_CART_MAX, type AttemptOutcome, type AttemptStatus } from '../../domain/payment/attempt'
import { newId } from '../id'
import type { Db } from '../pool'
import { statement } from '../sql'

/**
 * A statement sees rows as they were when it began; only a row that it locks it sees as it is. So each of these locks the
 * order and its attempt together first, and decides by what it then finds.
 */

/** One attempt to take the money, with what the provider has to be told. Amounts in minor units. */
export interface Attempt {
  readonly id: PaymentId
  readonly orderId: OrderId
  readonly orderStatus: OrderStatus
  readonly attempt: number
  readonly key: string
  readonly provider: string
  readonly method: string
  readonly amount: number
  /** What the provider was asked for, and is asked for again: word for word. */
  readonly asked: number
  readonly currency: string
  readonly status: AttemptStatus
  readonly outcome: AttemptOutcome | null
  readonly reference: string | null
  /** What a person decided and the provider must still hear: that the attempt is dead, or it must name its charge. */
  readonly pendingSync: PendingSync | null
  /** The provider was told to cancel it, and has not answered each time. */
  readonly cancelling: boolean
  /** The provider is to let go what is authorized and not captured. */
  readonly releasing: boolean
  readonly capturesInParts: boolean
  readonly captureBefore: Date | null
  readonly returnUrl: string | null
  /** When it was made ready to be sent, and until when its stock was held then; null before. */
  readonly sentAt: Date | null
  readonly expiresAt: Date | null
  /** The order waits for it, and holds its stock: by Postgres's clock, at this moment. */
  readonly isHeld: boolean
}

/** `cancel`: the provider must hear that the attempt is dead. `reference`: it must say by what reference it knows it. */
export type PendingSync = 'cancel' | 'reference'

/** An attempt as its checkout follows it. */
export interface AttemptToCharge {
  readonly paymentId: PaymentId
  readonly attempt: number
  readonly key: string
  readonly status: AttemptStatus
}

export async function readAttempt(db: Db, paymentId: PaymentId): Promise<Attempt | null> {
  const { rows } = await db.query<Attempt>({
    name: 'payment.read',
    text: `
      select p.id, p.order_id as "orderId", o.status as "orderStatus", p.attempt, p.key, p.provider, p.method, p.amount,
             p.asked, p.currency, p.status, p.outcome, p.reference, p.pending_sync as "pendingSync",
             p.cancelling > 0 as cancelling, p.releasing, p.captures_in_parts as "capturesInParts", p.capture_before as "captureBefore",
             o.return_url as "returnUrl", p.sent_at as "sentAt", p.expires_at as "expiresAt",
             o.status = 'payment_pending' and coalesce(o.hold_expires_at > now(), false) as "isHeld"
      from payment p
      join orders o on o.id = p.order_id
      where p.id = $1`,
    values: [paymentId],
  })
  return rows[0] ?? null
}

/** The attempt that a buyer asked for and that has not begun. */
export async function readRequestedAttempt(
  db: Db,
  orderId: OrderId,
): Promise<(AttemptToCharge & { readonly cancelWanted: boolean }) | null> {
  const { rows } = await db.query<AttemptToCharge & { cancelWanted: boolean }>({
    name: 'payment.requested',
    text: `
      select p.id as "paymentId", p.attempt, p.key, p.status, o.cancel_wanted_at is not null as "cancelWanted"
      from payment p
      join orders o on o.id = p.order_id
      where p.order_id = $1 and p.status = 'requested'`,
    values: [orderId],
  })
  return rows[0] ?? null
}

/** Counts the attempts that were sent to a provider for a cart, whose id is to follow. */
export const ATTEMPTS_SENT_FOR = `
  select count(*)::int
  from orders made
  join payment tried on tried.order_id = made.id and tried.sent_at is not null
  where made.cart_id =`

/** True when no further attempt may be made for this cart. */
export async function hasTriedTooOften(db: Db, cartId: CartId): Promise<boolean> {
  const { rows } = await db.query<{ sent: number }>({
    name: 'payment.sentForCart',
    text: `select (${ATTEMPTS_SENT_FOR} $1) as sent`,
    values: [cartId],
  })
  return (rows[0]?.sent ?? 0) >= ATTEMPTS_PER_CART_MAX
}

export interface RequestAttempt {
  readonly orderId: OrderId
  readonly tokenHash: Buffer
  readonly paymentId: PaymentId
  readonly provider: string
  readonly method: string
  readonly idempotency: {
    readonly scope: string
    readonly operation: string
    readonly key: string
    readonly bodyHash: Buffer
  }
}

/**
 * Asks for another attempt: a row that the order's workflow picks up, with the idempotency key that names it. Null when
 * the order does not wait for a payment any more, its time is over, another request is waiting already, or its cart was tried
 * too often.
 */
export async function requestAttempt(
  db: Db,
  { idempotency, ...attempt }: RequestAttempt,
): Promise<{ attempt: number } | null> {
  const { rows } = await db.query<{ attempt: number }>(
    REQUEST({ ...attempt, ...idempotency, attemptsMax: ATTEMPTS_PER_CART_MAX }),
  )
  return rows[0] ?? null
}

const REQUEST = statement(
  'payment.request',
  `
    with waiting as (
      select id, cart_id, currency
      from orders
      where id = :orderId and token_hash = :tokenHash and status = 'payment_pending' and hold_expires_at > now()
      for update
    ),
    requested as (
      insert into payment (id, order_id, attempt, key, provider, method, currency)
      select :paymentId, id, n, id || '/charge/' || n, :provider, :method, currency
      from waiting, (select coalesce(max(attempt), 0) + 1 as n from payment where order_id = :orderId) as next
      where not exists (select from payment where order_id = :orderId and status = 'requested')
        and (${ATTEMPTS_SENT_FOR} waiting.cart_id) < :attemptsMax
      on conflict do nothing
      returning attempt
    ),
    named as (
      insert into idempotency (scope, operation, key, body_hash, order_id, attempt)
      select :scope, :operation, :key, :bodyHash, :orderId, attempt
      from requested
    ),
    touched as (
      update orders set updated_at = now() from requested where id = :orderId
    )
    select attempt from requested`,
)

/**
 * Makes a requested attempt ready to be sent, with the order's total. It needs more hold left than the provider may take
 * to answer, or extends the hold, once per order. Null when it may not begin (any more): a hold that is over is not extended.
 */
export async function startAttempt(
  db: Db,
  { orderId, paymentId, answerSeconds }: { orderId: OrderId; paymentId: PaymentId; answerSeconds: number },
): Promise<{ holdMs: number } | null> {
  const { rows } = await db.query<{ holdMs: number }>(
    START({ orderId, paymentId, answerSeconds, eventId: newId('event') }),
  )
  return rows[0] ?? null
}

const START = statement(
  'payment.start',
  `
    with needed as (
      select now() + make_interval(secs => :answerSeconds) as until
    ),
    open as (
      select o.id
      from orders o
      join payment p on p.order_id = o.id
      where o.id = :orderId and o.status = 'payment_pending' and o.hold_expires_at > now()
        and p.id = :paymentId and p.status = 'requested'
      for update of o, p
    ),
    ready as (
      update orders
      set payment_status = 'pending', event_seq = event_seq + 1, updated_at = now(),
          hold_extended = hold_extended or hold_expires_at < needed.until,
          hold_expires_at = greatest(hold_expires_at, needed.until)
      from needed, open
      where orders.id = open.id
        and (hold_expires_at >= needed.until or not hold_extended)
        and not exists (select from payment where order_id = :orderId and status in ('sent', 'requires_action', 'pending'))
      returning orders.id, total, hold_expires_at, event_seq
    ),
    sent as (
      update payment
      set status = 'sent', amount = ready.total, asked = ready.total, sent_at = now(), expires_at = ready.hold_expires_at, updated_at = now()
      from ready
      where payment.id = :paymentId
    ),
    held as (
      update reservation r
      set expires_at = ready.hold_expires_at, updated_at = now()
      from ready
      where r.owner_id = ready.id and r.state = 'held'
    ),
    event as (
      insert into order_event (id, order_id, seq, type, data)
      select :eventId, id, event_seq, 'payment.requested', jsonb_build_object('payment_id', :paymentId::text, 'amount', total)
      from ready
    )
    select extract(epoch from hold_expires_at - now())::float8 * 1000 as "holdMs" from ready`,
)

export type AttemptChange =
  | { readonly to: 'requires_action'; readonly reference: string; readonly actionUrl: string }
  | { readonly to: 'pending'; readonly reference: string }
  | { readonly to: 'declined'; readonly reference: string | null; readonly declineCode: string }
  | { readonly to: 'voided' | 'failed'; readonly reference: string | null; readonly outcome: AttemptOutcome }

const EVENT_OF: Readonly<Record<AttemptChange['to'], EventType>> = {
  requires_action: 'payment.requires_action',
  pending: 'payment.pending',
  declined: 'payment.declined',
  voided: 'payment.voided',
  failed: 'payment.failed',
}

/**
 * Records what the provider said of an unresolved attempt, with its event. False when the attempt was not unresolved, or
 * stands there already.
 */
export async function changeAttempt(
  db: Db,
  { orderId, paymentId, change }: { orderId: OrderId; paymentId: PaymentId; change: AttemptChange },
): Promise<boolean> {
  const outcome = change.to === 'declined' ? 'declined' : 'outcome' in change ? change.outcome : null
  const { rowCount } = await db.query(
    CHANGE({
      orderId,
      paymentId,
      status: change.to,
      reference: change.reference ?? null,
      actionUrl: change.to === 'requires_action' ? change.actionUrl : null,
      declineCode: change.to === 'declined' ? change.declineCode : null,
      outcome,
      eventId: newId('event'),
      eventType: EVENT_OF[change.to],
    }),
  )
  return rowCount === 1
}

const CHANGE = statement(
  'payment.change',
  `
    with open as (
      select o.id
      from orders o
      join payment p on p.order_id = o.id
      where o.id = :orderId and p.id = :paymentId
        and p.status in ('sent', 'requires_action', 'pending') and p.status <> :status
      for update of o, p
    ),
    known as (
      update orders
      set payment_status = case when :status = 'declined' then 'failed' else :status end, event_seq = event_seq + 1,
          updated_at = now()
      from open
      where orders.id = open.id
      returning orders.id, event_seq
    ),
    changed as (
      update payment
      set status = :status, reference = coalesce(:reference, reference), action_url = :actionUrl,
          decline_code = :declineCode, outcome = coalesce(outcome, :outcome), updated_at = now()
      from known
      where payment.id = :paymentId
      returning payment.id
    ),
    event as (
      insert into order_event (id, order_id, seq, type, data)
      select :eventId, known.id, event_seq, :eventType, jsonb_strip_nulls(
               jsonb_build_object('payment_id', :paymentId::text, 'decline_code', :declineCode::text)
             )
      from known join changed on true
    )
    select 1 from known`,
)

/**
 * Keeps the provider's id of an attempt's charge before any money moves under it. False when none may: the attempt is over
 * or being cancelled, its hold is over, or another charge stands for it.
 */
export async function keepReference(
  db: Db,
  { orderId, paymentId, reference }: { orderId: OrderId; paymentId: PaymentId; reference: string },
): Promise<boolean> {
  const { rowCount } = await db.query(KEEP_REFERENCE({ orderId, paymentId, reference }))
  return rowCount === 1
}

const KEEP_REFERENCE = statement(
  'payment.keepReference',
  `
    with open as (
      select p.id
      from orders o
      join payment p on p.order_id = o.id
      where o.id = :orderId and o.status = 'payment_pending' and o.hold_expires_at > now()
        and p.id = :paymentId and p.status in ('sent', 'requires_action', 'pending') and p.cancelling = 0
        and coalesce(p.reference, :reference) = :reference
      for update of o, p
    )
    update payment
    set reference = :reference, updated_at = now()
    from open
    where payment.id = open.id`,
)

/**
 * Written each time before the provider is told to cancel an attempt: a cancellation that was sent may arrive late, so the
 * attempt pays for nothing until the provider has answered every one. No reference is kept for it from then on: the one that
 * is answered is final. Null when the attempt is not unresolved any more.
 */
export async function beginCancel(db: Db, paymentId: PaymentId): Promise<{ reference: string | null } | null> {
  const { rows } = await db.query<{ reference: string | null }>({
    name: 'payment.beginCancel',
    text: `
      update payment set cancelling = cancelling + 1
      where id = $1 and status in ('sent', 'requires_action', 'pending')
      returning reference`,
    values: [paymentId],
  })
  return rows[0] ?? null
}

/**
 * The provider has refused one cancellation. It has refused all of them when everything was captured: nothing undoes that.
 * True while one is left that may arrive; otherwise the attempt may pay after all.
 */
export async function abandonCancel(
  db: Db,
  { paymentId, isCaptured }: { paymentId: PaymentId; isCaptured: boolean },
): Promise<boolean> {
  const { rows } = await db.query<{ isLeft: boolean }>({
    name: 'payment.abandonCancel',
    text: `
      update payment set cancelling = case when $2 then 0 else cancelling - 1 end
      where id = $1 and cancelling > 0
      returning cancelling > 0 as "isLeft"`,
    values: [paymentId, isCaptured],
  })
  return rows[0]?.isLeft ?? false
}

/** Notes what the provider must still hear, or say, of an attempt that a person decided. */
export async function requireSync(db: Db, paymentId: PaymentId, pendingSync: PendingSync): Promise<void> {
  await db.query({
    name: 'payment.requireSync',
    text: 'update payment set pending_sync = $2, updated_at = now() where id = $1',
    values: [paymentId, pendingSync],
  })
}

/** The provider has heard, or has said by what reference it knows the attempt. */
export async function completeSync(db: Db, paymentId: PaymentId, reference: string | null): Promise<void> {
  await db.query({
    name: 'payment.completeSync',
    text: 'update payment set pending_sync = null, reference = coalesce($2, reference), updated_at = now() where id = $1',
    values: [paymentId, reference],
  })
}

/** Ends a requested attempt that may not begin. Its key is answered from what the order has become. False when it is not requested any more. */
export async function refuseAttempt(db: Db, paymentId: PaymentId, outcome: 'refused' | 'expired'): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'payment.refuse',
    text: `update payment set status = 'failed', outcome = $2, updated_at = now() where id = $1 and status = 'requested'`,
    values: [paymentId, outcome],
  })
  return rowCount === 1
}
