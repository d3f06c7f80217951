import type { OrderId, RefundId, Sku, WarehouseId } from '../../domain/ids'
import { receiveStock, type Units } from '../inventory/stock'
import type { Tx } from '../pool'
import { statement } from '../sql'

/** Units that have left an order and came back to where they were sent from. */
export interface Restock {
  readonly orderId: OrderId
  /** Null: all that have left. */
  readonly wanted: readonly Units[] | null
  /** What they were refunded by. */
  readonly refundId: RefundId
  readonly actor: string
}

/**
 * Puts units of an order back on their shelves, in the transaction `tx`, which has the order locked: each unit once, however many
 * refunds name it. Of several parcels those that came back are taken first, those that are lost last. Answers the SKUs of which a
 * level would hold more than it can: then the caller throws.
 */
export async function restockUnits(tx: Tx, { orderId, wanted, refundId, actor }: Restock): Promise<readonly Sku[]> {
  const { rows } = await tx.query<{ warehouseId: WarehouseId; lines: Units[] }>(
    TAKE_BACK({
      orderId,
      isAll: wanted === null,
      skus: wanted?.map(({ sku }) => sku) ?? [],
      quantities: wanted?.map(({ quantity }) => quantity) ?? [],
    }),
  )
  const tooMany: Sku[] = []
  for (const { warehouseId, lines } of rows)
    tooMany.push(...(await receiveStock(tx, { warehouseId, lines, cause: 'restock', reference: refundId, actor })))
  return tooMany
}

/** The units of a line that have left, laid end to end by their parcels: those before `restocked` are back already. */
const TAKE_BACK = statement(
  'restock.takeBack',
  `
    with wanted as (
      select l.sku, l.restocked, least(coalesce(w.quantity, l.shipped), l.shipped - l.restocked) as quantity
      from order_line l
      left join unnest(:skus::text[], :quantities::int[]) as w (sku, quantity) using (sku)
      where l.order_id = :orderId and l.restocked < l.shipped and (:isAll::boolean or w.sku is not null)
    ),
    sent as (
      select u.sku, s.warehouse_id, u.quantity,
             sum(u.quantity) over (
               partition by u.sku order by array_position(array['returned', 'delivered', 'shipped', 'lost'], s.status), s.number
             )::int as last
      from shipment s
      join shipment_line u on u.shipment_id = s.id
      where s.order_id = :orderId and s.status in ('returned', 'delivered', 'shipped', 'lost')
    ),
    back as (
      select sent.sku, sent.warehouse_id,
             least(sent.last, wanted.restocked + wanted.quantity)
               - greatest(sent.last - sent.quantity, wanted.restocked) as quantity
      from sent
      join wanted using (sku)
    ),
    noted as (
      update order_line l
      set restocked = l.restocked + wanted.quantity
      from wanted
      where l.order_id = :orderId and l.sku = wanted.sku
    ),
    place as (
      select warehouse_id, sku, sum(quantity)::int as quantity from back where quantity > 0 group by warehouse_id, sku
    )
    select warehouse_id as "warehouseId", json_agg(json_build_object('sku', sku, 'quantity', quantity) order by sku) as lines
    from place
    group by warehouse_id
    order by warehouse_id`,
)
