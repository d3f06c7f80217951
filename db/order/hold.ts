import type { OrderId } from '../../domain/ids'
import { newId } from '../id'
import type { Tx } from '../pool'
import { statement } from '../sql'

/** Holds, in the transaction `tx` that has the order locked: what was sent or cancelled is left as it is. */

/** Puts a confirmed order on hold. It stays there when it was held before. */
export async function holdOrder(tx: Tx, orderId: OrderId, reasonCode: string): Promise<void> {
  await tx.query(HOLD({ orderId, eventId: newId('event'), reasonCode }))
}

const HOLD = statement(
  'order.hold',
  `
    with before as (
      select id, status from orders where id = :orderId and status in ('confirmed', 'processing')
    ),
    held as (
      update orders o
      set status = 'on_hold', held_from = before.status, event_seq = event_seq + 1, updated_at = now()
      from before
      where o.id = before.id
      returning o.id, o.event_seq, o.held_from
    )
    insert into order_event (id, order_id, seq, type, from_status, to_status, data)
    select :eventId, id, event_seq, 'order.held', held_from, 'on_hold', jsonb_build_object('reason_code', :reasonCode::text)
    from held`,
)

/** Lets an order on hold go on where it came from, unless a dispute of it still waits for somebody. */
export async function resumeOrder(tx: Tx, orderId: OrderId, reasonCode: string): Promise<void> {
  await tx.query(RESUME({ orderId, eventId: newId('event'), reasonCode }))
}

const RESUME = statement(
  'order.resume',
  `
    with before as (
      select id, held_from from orders where id = :orderId and status = 'on_hold'
    ),
    resumed as (
      update orders o
      set status = before.held_from, held_from = null, event_seq = event_seq + 1, updated_at = now()
      from before
      where o.id = before.id
      returning o.id, o.event_seq, o.status
    )
    insert into order_event (id, order_id, seq, type, from_status, to_status, data)
    select :eventId, id, event_seq, 'order.resumed', 'on_hold', status, jsonb_build_object('reason_code', :reasonCode::text)
    from resumed`,
)
