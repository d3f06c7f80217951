import type { Invariant } from './check'

/** Of stock: never sold twice, never lost (reliability 1, 2, 3). */
export const STOCK_INVARIANTS: readonly Invariant[] = [
  {
    name: 'stock_not_oversold',
    holds: 'always',
    text: `
      select sku || ' in ' || warehouse_id || ': ' || reserved || ' promised of ' || on_hand as what
      from stock_level
      where reserved < 0 or on_hand < reserved`,
  },
  {
    name: 'on_hand_is_the_sum_of_its_movements',
    holds: 'always',
    text: `
      select sku || ' in ' || warehouse_id || ': ' || coalesce(on_hand, 0) || ' on hand, ' || coalesce(moved, 0) || ' moved' as what
      from stock_level
      full join (
        select sku, warehouse_id, sum(delta) as moved from stock_movement group by sku, warehouse_id
      ) as movement using (sku, warehouse_id)
      where coalesce(on_hand, 0) <> coalesce(moved, 0)`,
  },
  {
    name: 'reserved_is_the_sum_of_its_reservations',
    holds: 'always',
    text: `
      select sku || ' in ' || warehouse_id || ': ' || coalesce(reserved, 0) || ' reserved, ' || coalesce(promised, 0) || ' promised' as what
      from stock_level
      full join (
        select sku, warehouse_id, sum(quantity) as promised
        from reservation
        where state in ('held', 'committed')
        group by sku, warehouse_id
      ) as live using (sku, warehouse_id)
      where coalesce(reserved, 0) <> coalesce(promised, 0)`,
  },
  {
    // Held while the order is open, committed once it has won, nothing once it is cancelled.
    name: 'orders_reserve_their_lines',
    holds: 'always',
    text: `
      select order_id || ' ' || sku || ': ordered ' || coalesce(line.quantity, 0) || ', reserved ' || coalesce(stock.quantity, 0) as what
      from (
        select l.order_id, l.sku, l.quantity, o.status in ('inventory_reserved', 'payment_pending') as open
        from order_line l
        join orders o on o.id = l.order_id and o.status <> 'cancelled'
      ) as line
      full join (
        select owner_id as order_id, sku, sum(quantity) as quantity, bool_and(state = 'held') as held, bool_or(state = 'held') as any_held
        from reservation
        where kind = 'hard' and state in ('held', 'committed', 'shipped')
        group by owner_id, sku
      ) as stock using (order_id, sku)
      where line.quantity is distinct from stock.quantity or case when open then not held else any_held end`,
  },
  {
    name: 'holds_end_in_time',
    holds: 'at_rest',
    text: `
      select r.owner_id || ' holds ' || r.sku || ' since ' || r.expires_at as what
      from reservation r
      where r.state = 'held'
        and r.expires_at < now() - interval '30 seconds'
        and not exists (select from attention a where a.order_id = r.owner_id and a.closed_at is null)
        and not exists (
          select from payment p where p.order_id = r.owner_id and p.status in ('sent', 'requires_action', 'pending'))`,
  },
]
