import type { CommandKind, CommandState, ShipmentStatus } from '../../domain/fulfillment/shipment'
import type { CommandId, OrderId, ShipmentId, WarehouseId } from '../../domain/ids'

/** A shipment as it is answered. Times are RFC 3339, as Postgres writes them. */
export interface StoredShipment {
  readonly id: ShipmentId
  readonly orderId: OrderId
  readonly number: number
  readonly warehouseId: WarehouseId
  readonly sellerId: string
  readonly status: ShipmentStatus
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[]
  readonly replaces: ShipmentId | null
  readonly wave: string
  readonly isLeaving: boolean
  readonly carrier: string | null
  readonly service: string | null
  readonly trackingNumber: string | null
  readonly trackingUrl: string | null
  /** Its carrier has the document of a label that is live. */
  readonly hasLabel: boolean
  readonly expectedAt: string | null
  readonly events: readonly { readonly at: string; readonly type: string; readonly detail: string | null }[]
}

/** What somebody asked for that is not, or was not, done at once. */
export interface StoredCommand {
  readonly id: CommandId
  readonly shipmentId: ShipmentId | null
  readonly kind: CommandKind
  readonly state: CommandState
  readonly code: string | null
  readonly createdAt: string
}

/** A parcel has a handful of its own events, and a carrier tells a dozen more. */
const EVENTS_MAX = 100

/**
 * The shipment `s` as JSON, with the label that it goes by, and what happened to it, the oldest first. What its carrier
 * has told stands as it told it, and when it happened, in the place of what was made of it.
 */
export const SHIPMENT_JSON = `
  json_build_object('id', s.id, 'orderId', s.order_id, 'number', s.number, 'warehouseId', s.warehouse_id, 'sellerId', s.seller_id,
    'status', s.status, 'replaces', s.replaces, 'wave', s.wave, 'isLeaving', s.is_leaving, 'expectedAt', s.expected_at,
    'lines', coalesce((
      select json_agg(json_build_object('sku', l.sku_written, 'quantity', u.quantity) order by l.position)
      from shipment_line u
      join order_line l on l.order_id = s.order_id and l.sku = u.sku
      where u.shipment_id = s.id
    ), '[]'),
    'carrier', used.carrier, 'service', used.service, 'trackingNumber', used.tracking_number,
    'trackingUrl', used.tracking_url, 'hasLabel', used.reference is not null,
    'events', coalesce((
      select json_agg(json_build_object('at', at, 'type', type, 'detail', detail) order by at, place)
      from (
        select * from (
          select e.created_at as at, e.seq as place, substr(e.type, length('shipment.') + 1) as type,
                 coalesce(e.data ->> 'code', e.data ->> 'reason') as detail
          from order_event e
          where e.order_id = s.order_id and e.type like 'shipment.%' and e.data ->> 'shipment_id' = s.id
            and not exists (
              select from tracking_event t where t.shipment_id = s.id and t.type = substr(e.type, length('shipment.') + 1)
            )
          union all
          select t.happened_at, 0, t.type, t.detail
          from tracking_event t
          where t.shipment_id = s.id
        ) as every
        order by at desc
        limit ${EVENTS_MAX}
      ) as shown
    ), '[]'))` as const

/** The label that the shipment `s` goes by, as `used`: what was voided leads nowhere. */
export const USED_LABEL = `
  left join label used on used.shipment_id = s.id and used.status = 'live'` as const
