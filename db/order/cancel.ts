import type { CartId, OrderId } from '../../domain/ids'
import { type CancelReason, decideUnits, type UnitsDecision, type WantedUnits } from '../../domain/order'
import { newId } from '../id'
import { RELEASE_STOCK } from '../inventory/reservation'
import { inBooks } from '../payment/books'
import type { Db, Tx } from '../pool'
import { OPEN, statement } from '../sql'
import { readUnits } from './units'

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

export interface CancelUnits {
  readonly orderId: OrderId
  /** Null: all that have not left. */
  readonly wanted: WantedUnits
  readonly reason: CancelReason
  /** Of whoever wants it, for the event. */
  readonly reasonCode: string
  /** The payment provider takes multiples of so many minor units. */
  readonly step: number
}

/** `nothing_left`: all of it was cancelled before, or the order was never confirmed. */
export type CancelledUnits =
  | { readonly outcome: 'cancelled' | 'nothing_left' }
  | Extract<UnitsDecision, { outcome: 'refused' }>

/**
 * Cancels units of a confirmed order, in the transaction `tx`: their stock goes back, and the books let go of, or give back,
 * what they cost. The last unit ends the order, unless something has left. Nothing changes when more is wanted than is left.
 */
export async function cancelUnits(
  tx: Tx,
  { orderId, wanted, reason, reasonCode, step }: CancelUnits,
): Promise<CancelledUnits> {
  return inBooks(tx, orderId, async (books) => {
    const decision = decideUnits(await readUnits(tx, orderId), wanted)
    if (decision.outcome === 'refused') return decision
    const { units, amount, isAll } = decision
    if (books.order.stage !== 'won' || units.length === 0) return { outcome: 'nothing_left' }
    await tx.query(
      CANCEL_UNITS({
        orderId,
        skus: units.map(({ sku }) => sku),
        quantities: units.map(({ quantity }) => quantity),
        isAll,
        reason,
        eventId: newId('event'),
        type: isAll ? 'order.cancelled' : 'order.units_cancelled',
        data: JSON.stringify(isAll ? { reason, reason_code: reasonCode } : { units, amount, reason_code: reasonCode }),
      }),
    )
    books.cancel({ amount, isAll, step })
    return { outcome: 'cancelled' }
  })
}

/** The order is locked: nobody else changes its lines, or what is reserved for it. */
const CANCEL_UNITS = statement(
  'order.cancelUnits',
  `
    with wanted as (
      select * from unnest(:skus::text[], :quantities::int[]) as w (sku, quantity)
    ),
    before as (
      select id, status from orders where id = :orderId
    ),
    line as (
      update order_line l
      set cancelled = l.cancelled + wanted.quantity
      from wanted
      where l.order_id = :orderId and l.sku = wanted.sku
    ),
    live as (
      select r.id, r.sku, r.quantity as had, sum(r.quantity) over (partition by r.sku order by r.warehouse_id, r.id) - r.quantity as earlier
      from reservation r
      where r.owner_id = :orderId and r.state = 'committed'
    ),
    taken as (
      select live.id, had, least(had, wanted.quantity - earlier)::int as quantity
      from live
      join wanted using (sku)
      where earlier < wanted.quantity
    ),
    freed as (
      update reservation r
      set quantity = case when taken.quantity = had then had else had - taken.quantity end,
          state = case when taken.quantity = had then 'released' else r.state end, updated_at = now()
      from taken
      where r.id = taken.id
      returning r.sku, r.warehouse_id, taken.quantity
    ), ${RELEASE_STOCK},
    changed as (
      update orders o
      set status = case when :isAll then 'cancelled' else o.status end,
          cancel_reason = case when :isAll then :reason end,
          cancelled_at = case when :isAll then now() end,
          held_from = case when :isAll then null else held_from end,
          held_for = case when :isAll then '{}' else held_for end,
          event_seq = event_seq + 1, updated_at = now()
      from before
      where o.id = before.id
      returning o.id, o.event_seq, before.status as was
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :eventId, id, event_seq, :type, case when :isAll then was end, case when :isAll then 'cancelled' end, :data::jsonb
      from changed
    )
    select (select count(*) from freed_stock)`,
)
