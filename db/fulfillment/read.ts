import type { ShipmentStatus } from '../../domain/fulfillment/shipment'
import type { CommandId, OrderId, ShipmentId, WarehouseId } from '../../domain/ids'
import { USED_LABEL, SHIPMENT_JSON, type StoredCommand, type StoredShipment } from '../order/shipment'
import type { Db } from '../pool'
import { statement } from '../sql'

export async function readShipment(db: Db, id: ShipmentId): Promise<StoredShipment | null> {
  const { rows } = await db.query<{ shipment: StoredShipment }>({
    name: 'shipment.read',
    text: `select ${SHIPMENT_JSON} as shipment from shipment s ${USED_LABEL} where s.id = $1`,
    values: [id],
  })
  return rows[0]?.shipment ?? null
}

export interface ShipmentFilter {
  readonly status: ShipmentStatus | null
  readonly warehouseId: WarehouseId | null
  readonly orderId: OrderId | null
  readonly limit: number
  /** The last id of the list before. */
  readonly before: ShipmentId | null
}

/** Shipments, newest first. */
export async function listShipments(db: Db, filter: ShipmentFilter): Promise<StoredShipment[]> {
  const { rows } = await db.query<{ shipment: StoredShipment }>(LIST({ ...filter }))
  return rows.map(({ shipment }) => shipment)
}

/** Without a name: which index fits depends on what is asked for. */
const LIST = statement(
  null,
  `
    select ${SHIPMENT_JSON} as shipment
    from shipment s ${USED_LABEL}
    where (:status::text is null or s.status = :status)
      and (:warehouseId::text is null or s.warehouse_id = :warehouseId)
      and (:orderId::text is null or s.order_id = :orderId)
      and (:before::text is null or s.id < :before)
    order by s.id desc
    limit :limit`,
)

/** What is to be picked in a warehouse of one SKU, and for which shipments. */
export interface PickLine {
  readonly sku: string
  readonly title: string
  readonly quantity: number
  readonly shipments: readonly { readonly id: ShipmentId; readonly quantity: number }[]
}

/** What is to be picked in a warehouse, of one wave or of all (null), by SKU after `after`. */
export async function readPickList(
  db: Db,
  pick: { warehouseId: WarehouseId; wave: string | null; after: string; limit: number },
): Promise<PickLine[]> {
  const { rows } = await db.query<PickLine>(PICK_LIST({ ...pick }))
  return rows
}

/** What was sent may be sent once more, in the place of what was lost. */
const SENDING = `('confirmed', 'processing', 'shipped', 'delivered')` as const

const PICK_LIST = statement(
  'shipment.pickList',
  `
    select l.sku_written as sku, min(l.title) as title, sum(u.quantity)::int as quantity,
           json_agg(json_build_object('id', s.id, 'quantity', u.quantity) order by s.id) as shipments
    from shipment s
    join orders o on o.id = s.order_id and o.status in ${SENDING}
    join shipment_line u on u.shipment_id = s.id
    join order_line l on l.order_id = s.order_id and l.sku = u.sku
    where s.warehouse_id = :warehouseId and s.status = 'allocated' and (:wave::text is null or s.wave = :wave)
      and l.sku_written > :after
    group by l.sku_written
    order by l.sku_written
    limit :limit`,
)

/** The last thing of this kind that was asked of a shipment; null: nothing was. */
export async function readCommand(db: Db, id: CommandId): Promise<StoredCommand | null> {
  const { rows } = await db.query<StoredCommand>({
    name: 'command.read',
    text: `
      select id, shipment_id as "shipmentId", kind, state, code, created_at as "createdAt"
      from order_command
      where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** The label of a shipment that is live: whom to ask for its document. Null: there is none. */
export async function readLiveLabel(
  db: Db,
  shipmentId: ShipmentId,
): Promise<{ readonly carrier: string; readonly reference: string } | null> {
  const { rows } = await db.query<{ carrier: string; reference: string }>({
    name: 'label.live',
    text: `select carrier, reference from label where shipment_id = $1 and status = 'live' and reference is not null`,
    values: [shipmentId],
  })
  return rows[0] ?? null
}
