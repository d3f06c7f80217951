import type { WarehouseMessageKind, WarehouseMessageState } from '../../domain/fulfillment/shipment'
import type { OrderId, ShipmentId, WarehouseMessageId } from '../../domain/ids'
import type { Db } from '../pool'
import { statement } from '../sql'

/** A message to a warehouse's own system, with all that it says. Written in the goods of its order alone, but for when it is sent. */
export interface StoredMessage {
  readonly id: WarehouseMessageId
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
  readonly key: string
  readonly kind: WarehouseMessageKind
  readonly state: WarehouseMessageState
  readonly revision: number
  readonly wave: string
  readonly shippingMethod: string
  readonly lines: readonly { readonly sku: string; readonly title: string; readonly quantity: number }[]
  readonly label: { readonly carrier: string; readonly service: string; readonly tracking_number: string | null } | null
  /** Null: the warehouse has no system of its own any more. */
  readonly endpoint: string | null
  readonly secret: string | null
  readonly createdAt: Date
}

export async function readMessage(db: Db, messageId: WarehouseMessageId): Promise<StoredMessage | null> {
  const { rows } = await db.query<StoredMessage>(READ({ messageId }))
  return rows[0] ?? null
}

const READ = statement(
  'warehouseMessage.read',
  `
    select m.id, m.order_id as "orderId", m.shipment_id as "shipmentId", m.key, m.kind, m.state, m.revision, s.wave,
           o.shipping_method as "shippingMethod", w.endpoint, x.secret, m.created_at as "createdAt",
           coalesce((
             select json_agg(json_build_object('sku', line.sku_written, 'title', line.title, 'quantity', u.quantity)
                      order by line.sku)
             from jsonb_to_recordset(m.lines) as u (sku text, quantity int)
             join order_line line on line.order_id = m.order_id and line.sku = u.sku
           ), '[]') as lines,
           (select json_build_object('carrier', carrier, 'service', service, 'tracking_number', tracking_number)
            from label where shipment_id = m.shipment_id and status = 'live') as label
    from warehouse_message m
    join shipment s on s.id = m.shipment_id
    join orders o on o.id = m.order_id
    join warehouse w on w.id = s.warehouse_id
    left join warehouse_secret x on x.warehouse_id = w.id
    where m.id = :messageId`,
)

/** The system may know of it from now on. False: it is wanted no more. */
export async function noteMessageSent(db: Db, messageId: WarehouseMessageId): Promise<boolean> {
  const { rowCount } = await db.query(NOTE_SENT({ messageId }))
  return rowCount === 1
}

const NOTE_SENT = statement(
  'warehouseMessage.noteSent',
  `
    update warehouse_message
    set sent_at = coalesce(sent_at, now()), updated_at = now()
    where id = :messageId and state = 'pending'`,
)
