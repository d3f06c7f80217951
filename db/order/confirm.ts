import type { CartId, OrderId, PaymentId } from '../../domain/ids'
import { newId } from '../id'
import { LEDGER_OF_PAYMENT } from '../payment/ledger'
import type { Db } from '../pool'
import { statement } from '../sql'

export interface Paid {
  readonly paymentId: PaymentId
  readonly status: 'authorized' | 'captured'
  /** The provider's id of the charge. */
  readonly reference: string
  /** Whether it can be captured in parts, and until when (RFC 3339); null where the provider does not say. */
  readonly capturesInParts: boolean
  readonly captureBefore: string | null
}

/**
 * Commit 3: the order has won. Payment, ledger, reservations, cart and events in one statement, only while the order
 * waits for this payment. `paid` is null when nothing was due. Returns the order's cart; null when it did not apply: the
 * order is over, was confirmed before, or buyer or staff want it cancelled, or its payment is being cancelled.
 */
export async function confirmOrder(
  db: Db,
  { orderId, paid }: { orderId: OrderId; paid: Paid | null },
): Promise<CartId | null> {
  const { rows } = await db.query<{ cartId: CartId }>(
    CONFIRM({
      orderId,
      paymentId: paid?.paymentId ?? null,
      status: paid?.status ?? null,
      reference: paid?.reference ?? null,
      capturesInParts: paid?.capturesInParts ?? true,
      captureBefore: paid?.captureBefore ?? null,
      captureId: newId('capture'),
      paidEventId: newId('event'),
      confirmedEventId: newId('event'),
    }),
  )
  return rows[0]?.cartId ?? null
}

const CONFIRM = statement(
  'order.confirm',
  `
    with free as (
      select id
      from orders
      where id = :orderId and status = 'payment_pending' and :paymentId::text is null and total = 0
        and cancel_wanted_at is null
      for update
    ),
    payable as (
      select o.id
      from orders o
      join payment p on p.order_id = o.id
      where o.id = :orderId and o.status = 'payment_pending' and o.cancel_wanted_at is null
        and p.id = :paymentId and p.status in ('sent', 'requires_action', 'pending') and p.cancelling = 0
      for update of o, p
    ),
    won as (
      update orders
      set status = 'confirmed', payment_status = coalesce(:status, 'none'), hold_expires_at = null,
          event_seq = event_seq + case when :paymentId::text is null then 1 else 2 end, confirmed_at = now(),
          updated_at = now()
      where id in (select id from free union all select id from payable)
      returning id, cart_id, event_seq
    ),
    paid as (
      update payment p
      set status = :status, outcome = 'completed', reference = :reference, action_url = null,
          captures_in_parts = :capturesInParts, capture_before = :captureBefore,
          captured = case when :status = 'captured' then p.amount else 0 end, updated_at = now()
      from won
      where p.id = :paymentId
      returning p.id, p.order_id, p.amount, p.currency
    ),
    taken as (
      insert into capture (id, order_id, payment_id, number, key, amount, currency, status, at_work, cause)
      select :captureId, order_id, id, 1, order_id || '/capture/1', amount, currency, 'succeeded', false, 'authorization'
      from paid
      where :status = 'captured'
    ),
    superseded as (
      update payment p
      set status = 'failed', outcome = 'superseded', updated_at = now()
      from won
      where p.order_id = won.id and p.status = 'requested'
    ),
    committed as (
      update reservation r
      set state = 'committed', expires_at = null, updated_at = now()
      from won
      where r.owner_id = won.id and r.state = 'held'
    ),
    closed as (
      update cart c
      set state = 'bought', updated_at = now()
      from won
      where c.id = won.cart_id and c.order_id = won.id
    ),
    ledger as (
      ${LEDGER_OF_PAYMENT}
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :paidEventId, won.id, event_seq - 1,
             case :status::text when 'captured' then 'payment.captured' else 'payment.authorized' end, null, null,
             jsonb_strip_nulls(jsonb_build_object('payment_id', paid.id, 'amount', paid.amount,
               'capture_id', case when :status = 'captured' then :captureId::text end))
      from won join paid on true
      union all
      select :confirmedEventId, won.id, event_seq, 'order.confirmed', 'payment_pending', 'confirmed', '{}'
      from won
    )
    select cart_id as "cartId" from won`,
)
