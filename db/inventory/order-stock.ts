import type { WarehouseOperation } from '../../domain/fulfillment/shipment'
import type { OrderId, ShipmentId, Sku, WarehouseId } from '../../domain/ids'
import { type Allocation, type Demand, routeWhatIsThere, routeWhole, type Supply } from '../../domain/inventory'
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

/**
 * Gives free stock to what the order waits for, in the transaction that has the order locked: what is there is committed to
 * it, and waits no more. From the warehouses that routing chooses, but not `except`.
 */
export async function serveWaiting(
  tx: Tx,
  orderId: OrderId,
  except: WarehouseId | null,
): Promise<readonly Allocation[]> {
  const { rows: waiting } = await tx.query<Demand>(WAITING({ orderId }))
  const { supply, country } = await lockSupply(tx, orderId, waiting, except)
  const given = routeWhatIsThere(waiting, supply, country)
  if (given.length === 0) return []
  await commitStock(tx, orderId, given)
  await tx.query(SERVED({ orderId, ...columnsOf(given) }))
  return given
}

const WAITING = statement(
  'inventory.waitingOf',
  'select sku, quantity from back_order where order_id = :orderId order by sku for update',
)

/** Without `planned_at` the order is planned again, so that its new units get a shipment. */
const SERVED = statement(
  'inventory.served',
  `
    with total as (
      select sku, sum(quantity)::int as quantity
      from unnest(:skus::text[], :quantities::int[]) as given (sku, quantity)
      group by sku
    ),
    served as (
      delete from back_order b using total where b.order_id = :orderId and b.sku = total.sku and b.quantity = total.quantity
    ),
    reduced as (
      update back_order b
      set quantity = b.quantity - total.quantity
      from total
      where b.order_id = :orderId and b.sku = total.sku and b.quantity > total.quantity
    )
    update orders set planned_at = null where id = :orderId`,
)

/**
 * Commits these units to the order, all from one warehouse, but not from `except`: the one that routing chooses. Null: none has
 * all of them. The order is locked.
 */
export async function takeWhole(
  tx: Tx,
  orderId: OrderId,
  units: readonly Demand[],
  except: WarehouseId | null,
): Promise<{ warehouseId: WarehouseId; operation: WarehouseOperation } | null> {
  const { supply, country } = await lockSupply(tx, orderId, units, except)
  const taken = routeWhole(units, supply, country)
  const [first] = taken ?? []
  if (!taken || !first) return null
  await commitStock(tx, orderId, taken)
  const { rows } = await tx.query<{ operation: WarehouseOperation }>(OPERATION({ warehouseId: first.warehouseId }))
  const [warehouse] = rows
  if (!warehouse) throw new Error(`There is no warehouse ${first.warehouseId}`)
  return { warehouseId: first.warehouseId, operation: warehouse.operation }
}

const OPERATION = statement('inventory.operation', 'select operation from warehouse where id = :warehouseId')

/** What warehouses have of these SKUs, locked, and where the order goes. */
async function lockSupply(
  tx: Tx,
  orderId: OrderId,
  units: readonly Demand[],
  except: WarehouseId | null,
): Promise<{ supply: readonly Supply[]; country: string }> {
  const { rows } = await tx.query<Supply & { country: string; goesTo: string | null }>(
    LOCK_SUPPLY({ orderId, skus: units.map(({ sku }) => sku), except }),
  )
  return { supply: rows, country: rows[0]?.goesTo ?? '' }
}

const LOCK_SUPPLY = statement(
  'inventory.lockSupply',
  `
    select s.sku, s.warehouse_id as "warehouseId", s.on_hand - s.reserved as available, w.priority, w.country, w.latitude,
           w.longitude, o.shipping_address ->> 'country' as "goesTo"
    from stock_level s
    join warehouse w on w.id = s.warehouse_id
    join orders o on o.id = :orderId
    where s.sku = any (:skus::text[]) and s.warehouse_id is distinct from :except
    order by s.sku, s.warehouse_id
    for update of s`,
)

/** The levels are locked, and have it. */
async function commitStock(tx: Tx, orderId: OrderId, allocations: readonly Allocation[]): Promise<void> {
  await tx.query(COMMIT({ orderId, ...columnsOf(allocations) }))
}

function columnsOf(allocations: readonly Allocation[]) {
  return {
    skus: allocations.map(({ sku }) => sku),
    warehouses: allocations.map(({ warehouseId }) => warehouseId),
    quantities: allocations.map(({ quantity }) => quantity),
  }
}

const COMMIT = statement(
  'inventory.commitToOrder',
  `
    with taken as (
      select * from unnest(:skus::text[], :warehouses::text[], :quantities::int[]) as t (sku, warehouse_id, quantity)
    ),
    stock as (
      update stock_level s
      set reserved = s.reserved + taken.quantity
      from taken
      where s.sku = taken.sku and s.warehouse_id = taken.warehouse_id
    )
    insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
    select new_id('rsv'), 'hard', :orderId, sku, warehouse_id, quantity, 'committed'
    from taken
    on conflict (owner_id, sku, warehouse_id) where state in ('held', 'committed')
    do update set quantity = reservation.quantity + excluded.quantity, updated_at = now()`,
)
