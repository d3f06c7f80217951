import { OPEN } from '../../sql'
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
    // Of each line what was neither cancelled nor shipped, and waits for no stock, and what is sent once more: held while the order
    // is open, committed once it has won. A cancelled order keeps nothing.
    name: 'orders_reserve_their_lines',
    holds: 'always',
    text: `
      select order_id || ' ' || sku || ': ' || coalesce(wanted, 0) || ' to send, ' || coalesce(live, 0) || ' reserved; ' ||
             coalesce(line.shipped, 0) || ' sent, ' || coalesce(stock.shipped, 0) || ' taken from stock' as what
      from (
        select l.order_id, l.sku, case when o.status = 'cancelled' then 0
                 else l.quantity - l.cancelled - l.shipped - coalesce(b.quantity, 0) + coalesce(again.inside, 0) end as wanted,
               l.shipped + coalesce(again.left_again, 0) as shipped, o.status in ${OPEN} as is_open
        from order_line l
        join orders o on o.id = l.order_id
        left join back_order b on b.order_id = l.order_id and b.sku = l.sku
        left join (
          select s.order_id, u.sku, sum(u.quantity) filter (where s.status in ('allocated', 'picking', 'packed', 'labelled')) as inside,
                 sum(u.quantity) filter (where s.status in ('shipped', 'delivered', 'lost', 'returned')) as left_again
          from shipment s
          join shipment_line u on u.shipment_id = s.id
          where s.replaces is not null
          group by s.order_id, u.sku
        ) as again on again.order_id = l.order_id and again.sku = l.sku
      ) as line
      full join (
        select owner_id as order_id, sku, sum(quantity) filter (where state in ('held', 'committed')) as live,
               sum(quantity) filter (where state = 'shipped') as shipped, bool_or(state = 'held') as any_held,
               bool_or(state = 'committed') as any_committed
        from reservation
        where kind = 'hard' and state in ('held', 'committed', 'shipped')
        group by owner_id, sku
      ) as stock using (order_id, sku)
      where coalesce(wanted, 0) <> coalesce(live, 0)
         or coalesce(line.shipped, 0) <> coalesce(stock.shipped, 0)
         or case when is_open then any_committed else any_held end`,
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
