import type { OrderId, Sku, WarehouseId } from '../../domain/ids'
import { newId } from '../id'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

/**
 * Units that orders wait for. What comes is kept for them before any cart can have it, the order first that was confirmed first.
 * Orders are locked before stock, by their ids, as everywhere.
 */

/** Units that were found for an order. */
export interface ServedUnits {
  readonly orderId: OrderId
  readonly sku: Sku
  readonly quantity: number
}

/**
 * A round serves at most so many rows of `back_order`, so that it locks no more orders than these. Whoever served so many looks
 * again: {@link listServableBackOrders} has what is left.
 */
export const BACK_ORDERS_AT_ONCE = 500

/** Serves the orders that wait for these SKUs from what is free in the warehouse, in the transaction `tx`. */
export async function serveBackOrders(
  tx: Tx,
  { warehouseId, skus }: { warehouseId: WarehouseId; skus: readonly Sku[] },
): Promise<ServedUnits[]> {
  const orderIds = await lockWaitingOrders(tx, skus)
  return serveOrders(tx, { warehouseId, skus, orderIds })
}

/**
 * Locks the orders of the next round. A transaction that is going to lock stock calls it before, so that it may serve these orders
 * afterwards: see {@link serveOrders}.
 */
export async function lockWaitingOrders(tx: Tx, skus: readonly Sku[]): Promise<OrderId[]> {
  if (skus.length === 0) return []
  const { rows } = await tx.query<{ id: OrderId }>(LOCK_WAITING({ skus, limit: BACK_ORDERS_AT_ONCE }))
  return rows.map(({ id }) => id)
}

const LOCK_WAITING = statement(
  'backOrder.lockWaiting',
  `
    select o.id
    from orders o
    where o.id in (
      select order_id
      from (
        select b.order_id, b.confirmed_at
        from unnest(:skus::text[]) as s (sku)
        cross join lateral (
          select order_id, confirmed_at from back_order where sku = s.sku order by confirmed_at, order_id limit :limit
        ) as b
        order by b.confirmed_at, b.order_id
        limit :limit
      ) as oldest
    )
    order by o.id
    for update`,
)

/** Serves orders that {@link lockWaitingOrders} has locked. */
export async function serveOrders(
  tx: Tx,
  { warehouseId, skus, orderIds }: { warehouseId: WarehouseId; skus: readonly Sku[]; orderIds: readonly OrderId[] },
): Promise<ServedUnits[]> {
  if (orderIds.length === 0) return []
  const levels = await tx.query<{ sku: Sku; free: number }>(LOCK_LEVELS({ warehouseId, skus, orderIds }))
  const waiting = await tx.query<ServedUnits>(READ_WAITING({ skus, orderIds }))
  const served = shareOut(waiting.rows, new Map(levels.rows.map(({ sku, free }) => [sku, free])))
  if (served.length === 0) return []
  await tx.query(
    SERVE({
      warehouseId,
      orderIds: served.map(({ orderId }) => orderId),
      skus: served.map(({ sku }) => sku),
      quantities: served.map(({ quantity }) => quantity),
      ids: served.map(() => newId('reservation')),
    }),
  )
  return served
}

/** Gives what is free to those who wait, in their order: to each as much as there is left. */
function shareOut(waiting: readonly ServedUnits[], free: Map<Sku, number>): ServedUnits[] {
  return waiting.flatMap(({ orderId, sku, quantity }) => {
    const left = free.get(sku) ?? 0
    const given = Math.min(left, quantity)
    free.set(sku, left - given)
    return given > 0 ? [{ orderId, sku, quantity: given }] : []
  })
}

const LOCK_LEVELS = statement(
  'backOrder.lockLevels',
  `
    select sku, on_hand - reserved as free
    from stock_level
    where warehouse_id = :warehouseId
      and sku in (select sku from back_order where order_id = any (:orderIds::text[]) and sku = any (:skus::text[]))
    order by sku, warehouse_id
    for update`,
)

/** The orders are locked: nobody else changes what they wait for. An order on hold keeps its place, and gets its units. */
const READ_WAITING = statement(
  'backOrder.readWaiting',
  `
    select b.order_id as "orderId", b.sku, b.quantity
    from back_order b
    join orders o on o.id = b.order_id
    where b.order_id = any (:orderIds::text[]) and b.sku = any (:skus::text[])
      and o.status in ('confirmed', 'processing', 'on_hold')
    order by b.confirmed_at, b.order_id, b.sku`,
)

/** Without `planned_at` the order is planned again, so that its new units get a shipment. */
const SERVE = statement(
  'backOrder.serve',
  `
    with served as (
      select *
      from unnest(:orderIds::text[], :skus::text[], :quantities::int[], :ids::text[]) as s (order_id, sku, quantity, id)
    ),
    reserved as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
      select id, 'hard', order_id, sku, :warehouseId, quantity, 'committed' from served
      on conflict (owner_id, sku, warehouse_id) where state in ('held', 'committed')
      do update set quantity = reservation.quantity + excluded.quantity, updated_at = now()
    ),
    stock as (
      update stock_level s
      set reserved = s.reserved + taken.quantity
      from (select sku, sum(quantity)::int as quantity from served group by sku) as taken
      where s.sku = taken.sku and s.warehouse_id = :warehouseId
    ),
    still_waiting as (
      update back_order b
      set quantity = b.quantity - served.quantity
      from served
      where b.order_id = served.order_id and b.sku = served.sku and b.quantity > served.quantity
    ),
    done as (
      delete from back_order b
      using served
      where b.order_id = served.order_id and b.sku = served.sku and b.quantity = served.quantity
    ),
    unplanned as (
      update orders o
      set planned_at = null, event_seq = event_seq + 1, updated_at = now()
      where o.id in (select order_id from served)
      returning o.id, o.event_seq
    )
    insert into order_event (id, order_id, seq, type, data)
    select new_id('evt'), unplanned.id, event_seq, 'order.back_order_served',
           jsonb_build_object('warehouse_id', :warehouseId::text, 'units',
             (select jsonb_agg(jsonb_build_object('sku', sku, 'quantity', quantity) order by sku)
              from served where order_id = unplanned.id))
    from unplanned`,
)

/** Back orders that stock is free for, by warehouse: what came back by a cancellation, a count or a transfer, or was too much for one round. */
export interface ServableBackOrders {
  readonly warehouseId: WarehouseId
  readonly skus: readonly Sku[]
}

/** At most `limit` SKUs. Reads what waits, never what is done. */
export async function listServableBackOrders(db: Db, { limit }: { limit: number }): Promise<ServableBackOrders[]> {
  const { rows } = await db.query<ServableBackOrders>(LIST_SERVABLE({ limit }))
  return rows
}

const LIST_SERVABLE = statement(
  'backOrder.listServable',
  `
    select warehouse_id as "warehouseId", array_agg(sku::text order by sku) as skus
    from (
      select s.warehouse_id, s.sku
      from (
        select distinct b.sku
        from back_order b
        join orders o on o.id = b.order_id
        where o.status in ('confirmed', 'processing', 'on_hold')
      ) as waiting
      join stock_level s on s.sku = waiting.sku and s.on_hand > s.reserved
      order by s.sku, s.warehouse_id
      limit :limit
    ) as servable
    group by warehouse_id
    order by warehouse_id`,
)
