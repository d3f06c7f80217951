import type { Invariant } from './check'

/** Of parcels: none leaves unpaid, and what is in them is what was ordered. */
export const SHIPMENT_INVARIANTS: readonly Invariant[] = [
  {
    // What has left is what its shipments say; what is still to be sent lies in one of them, waits for stock, or is not planned yet.
    name: 'units_lie_in_shipments',
    holds: 'always',
    text: `
      select l.order_id || ' ' || l.sku || ': ' || l.shipped || ' sent by its line, ' || coalesce(s.sent, 0) || ' by shipments; ' ||
             (l.quantity - l.cancelled - l.shipped) || ' to send, ' || coalesce(s.inside, 0) || ' in shipments, ' ||
             coalesce(b.quantity, 0) || ' waiting' as what
      from order_line l
      join orders o on o.id = l.order_id
      left join back_order b on b.order_id = l.order_id and b.sku = l.sku
      left join (
        select s.order_id, u.sku,
               sum(u.quantity) filter (where s.status in ('shipped', 'delivered', 'lost', 'returned')) as sent,
               sum(u.quantity) filter (where s.status in ('allocated', 'picking', 'packed', 'labelled')) as inside
        from shipment s
        join shipment_line u on u.shipment_id = s.id
        where s.replaces is null
        group by s.order_id, u.sku
      ) as s on s.order_id = l.order_id and s.sku = l.sku
      where coalesce(s.sent, 0) <> l.shipped
         or o.planned_at is not null and o.status <> 'cancelled'
            and coalesce(s.inside, 0) + coalesce(b.quantity, 0) <> l.quantity - l.cancelled - l.shipped
         or o.status = 'cancelled' and coalesce(s.inside, 0) + coalesce(b.quantity, 0) > 0`,
  },
  {
    name: 'no_parcel_leaves_uncaptured',
    holds: 'always',
    text: `
      select o.id || ': ' || o.recognized || ' has left, ' || paid.captured || ' of ' || (o.total - o.cancelled - o.waived) || ' is captured' as what
      from orders o
      cross join lateral (
        select coalesce(sum(captured), 0)::bigint as captured from payment where order_id = o.id and outcome = 'completed'
      ) as paid
      where o.recognized > 0 and paid.captured < least(o.recognized, o.total - o.cancelled - o.waived)`,
  },
  {
    name: 'a_cancelled_order_keeps_no_label',
    holds: 'always',
    text: `
      select l.order_id || ': label ' || l.id || ' is ' || l.status as what
      from label l
      join shipment s on s.id = l.shipment_id
      join orders o on o.id = l.order_id
      where l.status in ('claimed', 'live') and (o.status = 'cancelled' or s.status = 'cancelled')`,
  },
  {
    name: 'sent_parcels_have_labels',
    holds: 'always',
    text: `
      select s.order_id || ': shipment ' || s.id || ' is ' || s.status || ' without a live label' as what
      from shipment s
      where s.status in ('labelled', 'shipped', 'delivered', 'lost', 'returned')
        and not exists (select from label l where l.shipment_id = s.id and l.status = 'live')`,
  },
  {
    name: 'goods_move_on',
    holds: 'at_rest',
    text: `
      select o.id || ' is ' || o.status || ', and nobody has looked at its goods since ' || o.look_at as what
      from orders o
      where o.look_at < now() - interval '1 minute'
        and not exists (select from attention a where a.order_id = o.id and a.closed_at is null)
      union all
      select o.id || ': its units were given to no warehouse since ' || o.updated_at
      from orders o
      where o.status in ('confirmed', 'processing') and o.planned_at is null and o.updated_at < now() - interval '1 minute'
        and not exists (select from attention a where a.order_id = o.id and a.closed_at is null)
      union all
      select c.order_id || ': ' || c.kind || ' was asked for at ' || c.created_at || ' and never answered'
      from order_command c
      where c.state = 'pending' and c.created_at < now() - interval '1 minute'
        and (select status from orders where id = c.order_id) <> 'on_hold'
        and not exists (select from attention a where a.order_id = c.order_id and a.closed_at is null)`,
  },
]
