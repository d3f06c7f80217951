import type { CartId, OrderId } from '../../domain/ids'
import type { CancelReason } from '../../domain/order'
import { newId } from '../id'
import { RELEASE_STOCK } from '../inventory/reservation'
import type { Db } from '../pool'
import { OPEN, statement } from '../sql'

/**
 * Ends an open order unpaid, in one statement: cancelled, its stock given back, the cart free again. What was asked for
 * and never sent is over; an attempt that the provider may still know of stays unresolved until it is settled, but the
 * keys that wait for it get their answer now. Whatever arrives later finds a cancelled order: the tombstone. When somebody
 * asked for it (`customer`), the reason is the one that was asked with.
 * Returns its cart; null when it was not open any more.
 */
export async function cancelOrder(
  db: Db,
  { orderId, reason }: { orderId: OrderId; reason: CancelReason },
): Promise<CartId | null> {
  const { rows } = await db.query<{ cartId: CartId }>(CANCEL({ orderId, reason, eventId: newId('event') }))
  return rows[0]?.cartId ?? null
}

const CANCEL = statement(
  'order.cancel',
  `
    with before as (
      select id, status,
             coalesce(case when :reason = 'customer' then cancel_wanted end, jsonb_build_object('reason', :reason::text)) as why
      from orders
      where id = :orderId and status in ${OPEN}
      for update
    ),
    over as (
      update orders o
      set status = 'cancelled', cancel_reason = before.why ->> 'reason', event_seq = event_seq + 1, hold_expires_at = null,
          payment_status = case when before.status = 'pending' then 'none' else payment_status end,
          cancelled_at = now(), updated_at = now()
      from before
      where o.id = before.id
      returning o.id, o.cart_id, o.event_seq, before.status as was, before.why
    ),
    freed as (
      update reservation r
      set state = case when :reason = 'expired' then 'expired' else 'released' end, updated_at = now()
      from over
      where r.owner_id = over.id and r.state = 'held'
      returning r.sku, r.warehouse_id, r.quantity
    ), ${RELEASE_STOCK},
    answered as (
      update payment p
      set outcome = case when :reason = 'expired' then 'expired' else 'cancelled' end,
          status = case when p.status = 'requested' then 'failed' else p.status end, updated_at = now()
      from over
      where p.order_id = over.id and p.outcome is null
    ),
    unlocked as (
      update cart c
      set order_id = null, updated_at = now()
      from over
      where c.id = over.cart_id and c.order_id = over.id
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :eventId, id, event_seq, 'order.cancelled', was, 'cancelled', why
      from over
    )
    select cart_id as "cartId", (select count(*) from freed_stock) from over`,
)
