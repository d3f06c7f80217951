import { newId } from '../../db/id'
import type { Pool } from '../../db/pool'
import type { LabelId, OrderId, ShipmentId, WarehouseId } from '../../domain/ids'

/** A shipment and its label, as rows, for tests of what reads them. */
export interface ShippedRow {
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
  readonly labelId: LabelId
  readonly trackingNumber: string
}

interface Wanted {
  readonly orderId: OrderId
  readonly status?: string
  readonly labelStatus?: string
  /** Null: its label has none yet. */
  readonly trackingNumber?: string | null
  readonly askAt?: Date | null
  readonly shippedAt?: Date | null
}

let count = 0

export async function insertShipment(pool: Pool, wanted: Wanted): Promise<ShippedRow> {
  const number = ++count
  const { orderId, status = 'shipped', labelStatus = 'live', askAt = null, shippedAt = new Date() } = wanted
  const trackingNumber = wanted.trackingNumber === undefined ? `77000${number}` : wanted.trackingNumber
  const warehouseId: WarehouseId = newId('warehouse')
  const [shipmentId, labelId] = [newId('shipment'), newId('label')]
  await pool.query(`insert into warehouse (id, name, country) values ($1, $2, 'GB')`, [warehouseId, warehouseId])
  await pool.query(
    `insert into shipment (id, order_id, number, warehouse_id, status, ask_at, shipped_at) values ($1, $2, $3, $4, $5, $6, $7)`,
    [shipmentId, orderId, number, warehouseId, status, askAt, shippedAt],
  )
  await pool.query(
    `insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status, reference,
                        tracking_number)
     values ($1, $2, $3, $4, $5, 'sandbox', 'standard', 1, $6, $7, $8)`,
    [labelId, shipmentId, orderId, number, `${orderId}/label/${number}`, labelStatus, `lb_${number}`, trackingNumber],
  )
  return { orderId, shipmentId, labelId, trackingNumber: trackingNumber ?? '' }
}
