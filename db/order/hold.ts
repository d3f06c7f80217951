import type { OrderId } from '../../domain/ids'
import type { HoldCause } from '../../domain/order'
import { newId } from '../id'
import type { Tx } from '../pool'
import { statement } from '../sql'

/**
 * Holds. An order is on hold while one of its causes is left; it comes from `confirmed` or `processing`, and goes back there.
 * What was sent or cancelled is left as it is.
 */

export interface HoldChange {
  readonly cause: HoldCause
  readonly reasonCode: string
}

/** `unchanged`: it was so before. `refused`: an order in this status cannot be held, or was never held. */
export type HoldOutcome = 'changed' | 'unchanged' | 'refused'

/** Holds an order for a cause, until it is resumed for this cause and every other; in the transaction `tx`, which locks it. */
export async function holdOrder(tx: Tx, orderId: OrderId, { cause, reasonCode }: HoldChange): Promise<HoldOutcome> {
  const { rows } = await tx.query<{ outcome: HoldOutcome }>(
    HOLD({ orderId, cause, reasonCode, eventId: newId('event') }),
  )
  return rows[0]?.outcome ?? 'refused'
}

const HOLD = statement(
  'order.hold',
  `
    with before as (
      select id, status, held_from, held_for
      from orders
      where id = :orderId and status in ('confirmed', 'processing', 'on_hold')
      for update
    ),
    held as (
      update orders o
      set status = 'on_hold', held_from = coalesce(before.held_from, before.status), held_for = before.held_for || :cause::text,
          event_seq = event_seq + 1, updated_at = now()
      from before
      where o.id = before.id and :cause::text <> all (before.held_for)
      returning o.id, o.event_seq, nullif(before.status, 'on_hold') as held_from
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :eventId, id, event_seq, case when held_from is null then 'order.hold_added' else 'order.held' end, held_from,
             case when held_from is not null then 'on_hold' end,
             jsonb_build_object('cause', :cause::text, 'reason_code', :reasonCode::text)
      from held
    )
    select case when exists (select from held) then 'changed' else 'unchanged' end as outcome from before`,
)

/**
 * Takes a cause from an order on hold; without the last one it goes on where it came from, and its workflow is to look at its
 * goods again, even if nobody tells it. In the transaction `tx`, which locks the order.
 */
export async function resumeOrder(tx: Tx, orderId: OrderId, { cause, reasonCode }: HoldChange): Promise<HoldOutcome> {
  const { rows } = await tx.query<{ outcome: HoldOutcome }>(
    RESUME({ orderId, cause, reasonCode, eventId: newId('event') }),
  )
  return rows[0]?.outcome ?? 'refused'
}

const RESUME = statement(
  'order.resume',
  `
    with before as (
      select id, status, held_from, array_remove(held_for, :cause::text) as left_over, :cause::text = any (held_for) as is_held
      from orders
      where id = :orderId and status in ('confirmed', 'processing', 'on_hold')
      for update
    ),
    resumed as (
      update orders o
      set status = case when before.left_over = '{}' then before.held_from else o.status end,
          held_from = case when before.left_over <> '{}' then before.held_from end, held_for = before.left_over,
          look_at = case when before.left_over = '{}' then least(o.look_at, now()) else o.look_at end,
          event_seq = event_seq + 1, updated_at = now()
      from before
      where o.id = before.id and before.is_held
      returning o.id, o.event_seq, nullif(o.status, 'on_hold') as goes_on
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :eventId, id, event_seq, case when goes_on is null then 'order.hold_removed' else 'order.resumed' end,
             case when goes_on is not null then 'on_hold' end, goes_on,
             jsonb_build_object('cause', :cause::text, 'reason_code', :reasonCode::text)
      from resumed
    )
    select case when exists (select from resumed) then 'changed' else 'unchanged' end as outcome from before`,
)
