import type { WarehouseOperation } from '../../domain/fulfillment/shipment'
import type { OrderId, ShipmentId, Sku, WarehouseId } from '../../domain/ids'
import type { Tx } from '../pool'
import { statement } from '../sql'

/** What happens to stock that is committed to an order: it leaves, is not on its shelf, or is given back. */
export interface OrderStockMove {
  readonly kind: 'ship' | 'short' | 'give'
  readonly sku: Sku
  readonly quantity: number
  readonly warehouseId: WarehouseId
  readonly shipmentId: ShipmentId | null
}

/**
 * Moves stock that is committed to an order, in the transaction that has the order locked: nobody else changes what is
 * reserved for it. What leaves, or is short, is on hand no more, with its movement. Levels are locked in (sku, warehouse) order.
 * Throws when less is committed than is moved.
 */
export async function moveOrderStock(tx: Tx, orderId: OrderId, moves: readonly OrderStockMove[]): Promise<void> {
  if (moves.length === 0) return
  const { rows } = await tx.query<{ moved: number }>(
    MOVE({
      orderId,
      kinds: moves.map(({ kind }) => kind),
      skus: moves.map(({ sku }) => sku),
      warehouses: moves.map(({ warehouseId }) => warehouseId),
      quantities: moves.map(({ quantity }) => quantity),
      shipments: moves.map(({ shipmentId }) => shipmentId),
    }),
  )
  const levels = new Set(moves.map(({ sku, warehouseId }) => `${warehouseId}/${sku}`)).size
  if (rows[0]?.moved !== levels) throw new Error(`Less is committed to ${orderId} than is to be moved`)
}

const MOVE = statement(
  'inventory.moveOrderStock',
  `
    with move as (
      select *
      from unnest(:kinds::text[], :skus::text[], :warehouses::text[], :quantities::int[], :shipments::text[])
        with ordinality as m (kind, sku, warehouse_id, quantity, shipment_id, n)
    ),
    part as (
      select sku, warehouse_id, sum(quantity)::int as taken, coalesce(sum(quantity) filter (where kind = 'ship'), 0)::int as sent,
             coalesce(sum(quantity) filter (where kind <> 'give'), 0)::int as gone
      from move
      group by sku, warehouse_id
    ),
    live as (
      select r.id, r.sku, r.warehouse_id, r.quantity as had, part.taken, part.sent
      from reservation r
      join part using (sku, warehouse_id)
      where r.owner_id = :orderId and r.state = 'committed' and r.quantity >= part.taken
      for update of r
    ),
    changed as (
      update reservation r
      set quantity = case when taken < had then had - taken when sent = taken then had else taken - sent end,
          state = case when taken < had then 'committed' when sent = taken then 'shipped' else 'released' end, updated_at = now()
      from live
      where r.id = live.id
    ),
    sent_apart as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
      select new_id('rsv'), 'hard', :orderId, sku, warehouse_id, sent, 'shipped'
      from live
      where sent > 0 and not (taken = had and sent = taken)
    ),
    locked as (
      select s.sku, s.warehouse_id, s.on_hand, s.reserved, part.taken, part.gone
      from stock_level s
      join live using (sku, warehouse_id)
      join part using (sku, warehouse_id)
      order by s.sku, s.warehouse_id
      for update of s
    ),
    stock as (
      update stock_level s
      set on_hand = locked.on_hand - gone, reserved = locked.reserved - taken
      from locked
      where s.sku = locked.sku and s.warehouse_id = locked.warehouse_id
    ),
    moved as (
      insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reference)
      select sku, warehouse_id, -quantity,
             (on_hand - sum(quantity) over (partition by sku, warehouse_id order by n))::int,
             case kind when 'ship' then 'shipment' else 'short_pick' end, shipment_id
      from move
      join locked using (sku, warehouse_id)
      where kind <> 'give'
    )
    select count(*)::int as moved from locked`,
)

/** What an order whose units wait for stock could be given. */
export interface Served {
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly quantity: number
}

/**
 * Gives free stock to what the order waits for, in the transaction that has the order locked: what is there is committed to
 * it, and waits no more. Warehouses in the order of their priority, but not `except`.
 */
export async function serveWaiting(tx: Tx, orderId: OrderId, except: WarehouseId | null): Promise<Served[]> {
  const { rows } = await tx.query<Served>(SERVE({ orderId, except }))
  return rows
}

const SERVE = statement(
  'inventory.serveWaiting',
  `
    with waiting as (
      select sku, quantity from back_order where order_id = :orderId for update
    ),
    level as (
      select s.sku, s.warehouse_id, s.on_hand, s.reserved
      from stock_level s
      join waiting using (sku)
      where s.warehouse_id is distinct from :except
      order by s.sku, s.warehouse_id
      for update of s
    ),
    ranked as (
      select level.*, waiting.quantity as wanted, level.on_hand - level.reserved as free,
             coalesce(sum(level.on_hand - level.reserved) over (
               partition by level.sku order by w.priority, level.warehouse_id
               rows between unbounded preceding and 1 preceding), 0) as earlier
      from level
      join waiting using (sku)
      join warehouse w on w.id = level.warehouse_id
      where level.on_hand > level.reserved
    ),
    given as (
      select sku, warehouse_id, on_hand, reserved, least(free, wanted - earlier)::int as quantity
      from ranked
      where earlier < wanted
    ),
    stock as (
      update stock_level s
      set on_hand = given.on_hand, reserved = given.reserved + given.quantity
      from given
      where s.sku = given.sku and s.warehouse_id = given.warehouse_id
    ),
    kept as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
      select new_id('rsv'), 'hard', :orderId, sku, warehouse_id, quantity, 'committed'
      from given
      on conflict (owner_id, sku, warehouse_id) where state in ('held', 'committed')
      do update set quantity = reservation.quantity + excluded.quantity, updated_at = now()
    ),
    total as (
      select sku, sum(quantity)::int as quantity from given group by sku
    ),
    served as (
      delete from back_order b using total where b.order_id = :orderId and b.sku = total.sku and b.quantity = total.quantity
    ),
    reduced as (
      update back_order b
      set quantity = b.quantity - total.quantity
      from total
      where b.order_id = :orderId and b.sku = total.sku and b.quantity > total.quantity
    ),
    replanned as (
      update orders set planned_at = null where id = :orderId and exists (select from given)
    )
    select sku, warehouse_id as "warehouseId", quantity from given`,
)

/**
 * Commits these units to the order, all from one warehouse, the first by its priority that has all of them. Null: none has. The
 * order is locked.
 */
export async function takeWhole(
  tx: Tx,
  orderId: OrderId,
  units: readonly { readonly sku: Sku; readonly quantity: number }[],
): Promise<{ warehouseId: WarehouseId; operation: WarehouseOperation } | null> {
  const { rows } = await tx.query<{ warehouseId: WarehouseId; operation: WarehouseOperation }>(
    TAKE_WHOLE({ orderId, skus: units.map(({ sku }) => sku), quantities: units.map(({ quantity }) => quantity) }),
  )
  return rows[0] ?? null
}

const TAKE_WHOLE = statement(
  'inventory.takeWhole',
  `
    with wanted as (
      select * from unnest(:skus::text[], :quantities::int[]) as w (sku, quantity)
    ),
    level as (
      select s.sku, s.warehouse_id, s.on_hand, s.reserved, wanted.quantity
      from stock_level s
      join wanted using (sku)
      order by s.sku, s.warehouse_id
      for update of s
    ),
    place as (
      select w.id, w.operation
      from warehouse w
      join level on level.warehouse_id = w.id and level.on_hand - level.reserved >= level.quantity
      group by w.id
      having count(*) = (select count(*) from wanted)
      order by w.priority, w.id
      limit 1
    ),
    stock as (
      update stock_level s
      set on_hand = level.on_hand, reserved = level.reserved + level.quantity
      from level
      join place on place.id = level.warehouse_id
      where s.sku = level.sku and s.warehouse_id = level.warehouse_id
    ),
    kept as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
      select new_id('rsv'), 'hard', :orderId, wanted.sku, place.id, wanted.quantity, 'committed'
      from wanted, place
      on conflict (owner_id, sku, warehouse_id) where state in ('held', 'committed')
      do update set quantity = reservation.quantity + excluded.quantity, updated_at = now()
    )
    select id as "warehouseId", operation from place`,
)
