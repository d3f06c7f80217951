import { WAREHOUSE_PATIENCE_HOURS } from '../../domain/fulfillment/patience'
import type { OrderId } from '../../domain/ids'
import type { Db } from '../pool'
import { statement } from '../sql'

/** The demo's warehouses begin so long after an order was given to them. */
export const AUTOMATIC_SECONDS = 2

/**
 * Makes shipments of what is committed to these orders and in no shipment yet: one for each warehouse and seller. Orders that
 * have nothing of that kind, or are not confirmed, stay as they are.
 */
export async function planShipments(db: Db, orderIds: readonly OrderId[]): Promise<void> {
  await db.query(PLAN({ orderIds, automaticSeconds: AUTOMATIC_SECONDS, patienceHours: WAREHOUSE_PATIENCE_HOURS }))
}

const PLAN = statement(
  'fulfillment.plan',
  `
    with due as (
      select id, event_seq
      from orders
      where id = any (:orderIds::text[]) and status in ('confirmed', 'processing', 'on_hold') and planned_at is null
      order by id
      for update
    ),
    reserved as (
      select r.owner_id as order_id, r.sku, r.warehouse_id, r.quantity
      from reservation r
      join due on due.id = r.owner_id
      where r.state = 'committed'
    ),
    inside as (
      select s.order_id, l.sku, s.warehouse_id, sum(l.quantity)::int as quantity
      from shipment s
      join due on due.id = s.order_id
      join shipment_line l on l.shipment_id = s.id
      where s.status in ('allocated', 'picking', 'packed', 'labelled')
      group by s.order_id, l.sku, s.warehouse_id
    ),
    free as (
      select reserved.order_id, reserved.sku, reserved.warehouse_id, line.seller_id,
             reserved.quantity - coalesce(inside.quantity, 0) as quantity
      from reserved
      left join inside using (order_id, sku, warehouse_id)
      join order_line line on line.order_id = reserved.order_id and line.sku = reserved.sku
      where reserved.quantity > coalesce(inside.quantity, 0)
    ),
    parcel as (
      select order_id, warehouse_id, seller_id,
             row_number() over (partition by order_id order by warehouse_id, seller_id)::int as n
      from (select distinct order_id, warehouse_id, seller_id from free) as place
    ),
    made as (
      insert into shipment (id, order_id, number, warehouse_id, operation, seller_id, due_at)
      select new_id('shp'), parcel.order_id, parcel.n + coalesce(latest.number, 0), parcel.warehouse_id, w.operation,
             parcel.seller_id,
             now() + case w.operation when 'automatic' then make_interval(secs => :automaticSeconds)
                                      when 'manual' then make_interval(hours => :patienceHours)
                                      -- It is told at once.
                                      else interval '0' end
      from parcel
      join warehouse w on w.id = parcel.warehouse_id
      left join lateral (select max(number) as number from shipment s where s.order_id = parcel.order_id) as latest on true
      returning id, order_id, number, warehouse_id, seller_id, due_at
    ),
    line as (
      insert into shipment_line (shipment_id, sku, quantity)
      select made.id, free.sku, free.quantity
      from free
      join made using (order_id, warehouse_id, seller_id)
    ),
    planned as (
      update orders o
      set planned_at = now(), updated_at = now(),
          look_at = least(o.look_at, (select min(due_at) from made where made.order_id = o.id)),
          event_seq = o.event_seq + (select count(*)::int from made where made.order_id = o.id)
      from due
      where o.id = due.id
    )
    insert into order_event (id, order_id, seq, type, data)
    select new_id('evt'), made.order_id,
           due.event_seq + row_number() over (partition by made.order_id order by made.number)::int, 'shipment.allocated',
           jsonb_build_object('shipment_id', made.id, 'warehouse_id', made.warehouse_id,
             'lines', (select jsonb_agg(jsonb_build_object('sku', f.sku, 'quantity', f.quantity) order by f.sku) from free f
                       where (f.order_id, f.warehouse_id, f.seller_id) = (made.order_id, made.warehouse_id, made.seller_id)))
    from made
    join due on due.id = made.order_id`,
)
