import { OPEN_STATUSES, ORDER_TRANSITIONS } from '../../../domain/order'
import type { Invariant } from './check'

const EDGES = Object.entries(ORDER_TRANSITIONS).flatMap(([from, tos]) => tos.map((to) => `${from}>${to}`))
const OPEN = OPEN_STATUSES.map((status) => `'${status}'`).join(', ')

/** Of orders, their events, carts and keys (reliability 6, 7, 8). */
export const ORDER_INVARIANTS: readonly Invariant[] = [
  {
    name: 'requests_reach_their_workflow',
    holds: 'at_rest',
    text: `
      select o.id || ': attempt ' || p.attempt || ' was accepted at ' || p.created_at || ' and never taken up' as what
      from payment p
      join orders o on o.id = p.order_id
      where p.status = 'requested' and p.attempt > 1 and p.created_at < now() - interval '1 minute'
      union all
      select o.id || ': is to be cancelled since ' || o.cancel_wanted_at
      from orders o
      where o.status in (${OPEN}) and o.cancel_wanted_at < now() - interval '1 minute'
        and not exists (select from attention a where a.order_id = o.id and a.closed_at is null)`,
  },
  {
    name: 'one_live_order_per_cart',
    holds: 'always',
    text: `
      select cart_id || ': ' || string_agg(id, ', ') as what
      from orders
      where status <> 'cancelled'
      group by cart_id
      having count(*) > 1`,
  },
  {
    name: 'carts_and_orders_name_each_other',
    holds: 'always',
    text: `
      select o.id || ' is open, its cart names ' || coalesce(c.order_id, 'no order') as what
      from orders o
      join cart c on c.id = o.cart_id
      where o.status in (${OPEN}) and c.order_id is distinct from o.id
      union all
      select c.id || ' (' || c.state || ') names ' || c.order_id || ' (' || coalesce(o.status, 'gone') || ')'
      from cart c
      left join orders o on o.id = c.order_id
      where c.order_id is not null
        and (o.cart_id is distinct from c.id or o.status in (${OPEN}) and c.state <> 'open'
             or o.status not in (${OPEN}) and c.state <> 'bought')`,
  },
  {
    name: 'events_have_no_gaps',
    holds: 'always',
    text: `
      select o.id || ': ' || o.event_seq || ' counted, ' || count(e.seq) || ' there, the last is ' || coalesce(max(e.seq), 0) as what
      from orders o
      left join order_event e on e.order_id = o.id
      group by o.id
      having count(e.seq) <> o.event_seq or coalesce(max(e.seq), 0) <> o.event_seq or o.event_seq = 0`,
  },
  {
    name: 'every_status_change_is_legal',
    holds: 'always',
    text: `
      select order_id || ' #' || seq || ': ' || coalesce(from_status, 'nothing') || ' to ' || to_status || ', after ' ||
             coalesce(before, 'nothing') as what
      from (
        select order_id, seq, from_status, to_status,
               lag(to_status) over (partition by order_id order by seq) as before
        from order_event
        where to_status is not null
      ) as change
      where from_status is distinct from before
         or (before is null and to_status <> 'pending')
         or (before is not null and not (before || '>' || to_status = any ($1::text[])))`,
    values: [EDGES],
  },
  {
    name: 'events_add_up_to_the_status',
    holds: 'always',
    text: `
      select o.id || ' is ' || o.status || ', its events say ' || coalesce(e.to_status, 'nothing') as what
      from orders o
      left join (
        select distinct on (order_id) order_id, to_status
        from order_event
        where to_status is not null
        order by order_id, seq desc
      ) as e on e.order_id = o.id
      where e.to_status is distinct from o.status`,
  },
  {
    // Prices with tax inside, or tax on top; nothing is ever negative.
    name: 'totals_add_up',
    holds: 'always',
    text: `
      select o.id || ': lines ' || coalesce(l.gross, 0) || ', subtotal ' || o.subtotal || ', total ' || o.total as what
      from orders o
      left join (
        select order_id, sum(unit_price * quantity) as gross, sum(discount) as discount,
               bool_or(total not in (unit_price * quantity - discount, unit_price * quantity - discount + tax)) as wrong
        from order_line
        group by order_id
      ) as l on l.order_id = o.id
      where coalesce(l.wrong, false)
         or coalesce(l.gross, 0) <> o.subtotal
         or coalesce(l.discount, 0) <> o.discount
         or o.total not in (o.subtotal - o.discount + o.shipping, o.subtotal - o.discount + o.shipping + o.tax)`,
  },
  {
    // Units leave a line from the back: the last of them are worth what the first ones leave of it. With the last unit of all
    // the fee goes too. An order that was never confirmed ends as a whole: none of its units is counted.
    name: 'cancelled_is_the_value_of_its_units',
    holds: 'always',
    text: `
      select o.id || ' is ' || o.status || ' with ' || o.cancelled || ' cancelled of ' || o.total || '; of its units ' ||
             coalesce(l.units, 0) || ', worth ' || coalesce(l.worth, 0) as what
      from (
        select id from orders where cancelled > 0 or status = 'cancelled' and confirmed_at is not null
        union
        select order_id from order_line where cancelled > 0
      ) as touched
      join orders o using (id)
      cross join lateral (
        select sum(cancelled) as units, bool_and(cancelled = quantity) as is_all,
               sum(total - div(total::numeric * (quantity - cancelled), quantity)) as worth
        from order_line
        where order_id = o.id
      ) as l
      where case when o.confirmed_at is null then o.cancelled > 0 or l.units > 0
                 else o.cancelled <> case when l.is_all then o.total else l.worth end
                      or (o.status = 'cancelled') <> l.is_all end`,
  },
  {
    name: 'lines_are_what_was_accepted',
    holds: 'always',
    text: `
      select order_id || ' ' || sku || ': accepted ' || coalesce(accepted, 0) || ', ordered ' || coalesce(line.quantity, 0) as what
      from (
        select o.id as order_id, s.key as sku, (s.value ->> 'quantity')::int as accepted
        from orders o
        join order_line any_line on any_line.order_id = o.id and any_line.position = 1
        cross join jsonb_each(o.snapshot) as s
      ) as snapshot
      full join (select order_id, sku, quantity from order_line) as line using (order_id, sku)
      where accepted is distinct from line.quantity`,
  },
  {
    name: 'keys_name_their_callers_attempt',
    holds: 'always',
    text: `
      select i.operation || ' names ' || i.order_id || ' attempt ' || i.attempt as what
      from idempotency i
      left join orders o on o.id = i.order_id
      left join payment p on p.order_id = i.order_id and p.attempt = i.attempt
      where i.order_id is not null
        and (o.id is null
             or i.scope <> 'cart:' || rtrim(translate(encode(o.token_hash, 'base64'), '+/', '-_'), '=')
             or p.id is null and o.total > 0)`,
  },
  {
    name: 'open_orders_come_to_an_end',
    holds: 'at_rest',
    text: `
      select o.id || ' is ' || o.status || ', held until ' || coalesce(o.hold_expires_at::text, 'no time') as what
      from orders o
      where o.status in (${OPEN})
        and coalesce(o.hold_expires_at, o.created_at) < now() - interval '30 seconds'
        and not exists (select from attention a where a.order_id = o.id and a.closed_at is null)`,
  },
]
