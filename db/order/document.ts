import type { OrderId, ShipmentId } from '../../domain/ids'
import type { Box, ShipmentStatus } from '../../domain/fulfillment/shipment'
import type { Address } from '../cart/cart'
import type { Db } from '../pool'

/** What stands on an order's documents, and in no answer. */

/** Null: the order has none of its own, or there is no such order. */
export async function readBillingAddress(db: Db, orderId: OrderId): Promise<Address | null> {
  const { rows } = await db.query<{ address: Address | null }>({
    name: 'order.billingAddress',
    text: `select billing_address as address from orders where id = $1`,
    values: [orderId],
  })
  return rows[0]?.address ?? null
}

/** What goes into one parcel. */
export interface SlipShipment {
  /** Within its order. */
  readonly number: number
  readonly status: ShipmentStatus
  readonly warehouse: string
  readonly boxes: readonly Box[] | null
  readonly createdAt: Date
  /** Of its label; null: it has none yet. */
  readonly carrier: string | null
  readonly service: string | null
  readonly trackingNumber: string | null
  readonly lines: readonly { readonly sku: string; readonly title: string; readonly quantity: number }[]
}

/** A shipment of this order, its lines in the order of the order's. Null: it has no such shipment. */
export async function readSlipShipment(
  db: Db,
  { orderId, shipmentId }: { orderId: OrderId; shipmentId: ShipmentId },
): Promise<SlipShipment | null> {
  const { rows } = await db.query<SlipShipment>({
    name: 'order.slipShipment',
    text: `
      select s.number, s.status, w.name as warehouse, s.boxes, s.created_at as "createdAt", label.carrier, label.service,
             label.tracking_number as "trackingNumber",
             coalesce((
               select json_agg(json_build_object('sku', l.sku_written, 'title', l.title, 'quantity', sl.quantity)
                        order by l.position)
               from shipment_line sl
               join order_line l on l.order_id = s.order_id and l.sku = sl.sku
               where sl.shipment_id = s.id
             ), '[]') as lines
      from shipment s
      join warehouse w on w.id = s.warehouse_id
      left join label on label.shipment_id = s.id and label.status = 'live'
      where s.id = $1 and s.order_id = $2`,
    values: [shipmentId, orderId],
  })
  return rows[0] ?? null
}
