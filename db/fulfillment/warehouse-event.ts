import { UNKNOWN_CARRIER } from '../../domain/fulfillment/labels'
import { advance } from '../../domain/fulfillment/advance'
import { hear, type WarehouseNews } from '../../domain/fulfillment/warehouse-news'
import type { OrderId, ShipmentId, WarehouseId } from '../../domain/ids'
import type { Tx } from '../pool'
import { statement } from '../sql'
import { type GoodsWork, inGoods } from './goods'
import { findElsewhere } from './reroute'

/** What a warehouse's own system has told, and of which of its shipments. */
export interface WarehouseEvent {
  readonly warehouseId: WarehouseId
  /** The system's id of it: the same event twice is one. */
  readonly eventId: string
  readonly orderId: OrderId
  readonly shipmentId: ShipmentId
  readonly news: WarehouseNews
  /** As it is kept. */
  readonly body: object
}

/**
 * Keeps what a warehouse's own system has told, and takes it into the shipment, its order and the order's money, all in `tx`.
 * What was told before changes nothing. Answers whether a person has to look at the shipment now.
 */
export async function applyWarehouseEvent(
  tx: Tx,
  { warehouseId, eventId, orderId, shipmentId, news, body }: WarehouseEvent,
  context: GoodsWork,
): Promise<{ readonly isNew: boolean; readonly needsPerson: boolean }> {
  const { rowCount } = await tx.query(KEEP({ warehouseId, eventId, shipmentId, body: JSON.stringify(body) }))
  if (rowCount === 0) return { isNew: false, needsPerson: false }
  const { short, needsPerson } = await inGoods(tx, orderId, context, async (goods, books) => {
    const isFree = news.trackingNumber === null || (await isFreeNumber(tx, { ...news, shipmentId }))
    const short = hear(goods, shipmentId, isFree ? news : { ...news, trackingNumber: null }, books)
    goods.backOrder(short)
    advance(goods, books)
    return { short, needsPerson: goods.shipment(shipmentId).needsDecision }
  })
  await findElsewhere(tx, { orderId, shipmentId }, short, context)
  return { isNew: true, needsPerson }
}

const KEEP = statement(
  'warehouseEvent.keep',
  `
    insert into warehouse_event (warehouse_id, event_id, shipment_id, body)
    values (:warehouseId, :eventId, :shipmentId, :body::jsonb)
    on conflict do nothing`,
)

/** A number that another parcel has, which is not over, says nothing of this one. */
async function isFreeNumber(
  tx: Tx,
  {
    carrier,
    trackingNumber,
    shipmentId,
  }: Pick<WarehouseNews, 'carrier' | 'trackingNumber'> & { shipmentId: ShipmentId },
): Promise<boolean> {
  const { rows } = await tx.query({
    name: 'warehouseEvent.isFreeNumber',
    text: `
      select from label l
      join shipment s on s.id = l.shipment_id
      where l.carrier = $1 and l.tracking_number = $2 and l.status in ('live', 'voiding') and s.id <> $3
        and s.status not in ('delivered', 'returned', 'cancelled')`,
    values: [carrier ?? UNKNOWN_CARRIER, trackingNumber, shipmentId],
  })
  return rows.length === 0
}
