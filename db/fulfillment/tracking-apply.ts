import type { Goods } from '../../domain/fulfillment/goods'
import { observe, type ToldOfParcel } from '../../domain/fulfillment/tracking'
import type { OrderId, ShipmentId } from '../../domain/ids'
import type { Pool, Tx } from '../pool'
import { countDelivery } from './carrier-record'
import { withGoods } from './goods'
import { endProgress, endTracking, type TrackingRow } from './tracking'

/**
 * Takes what a carrier told of the parcels of a shipment, by each label that it has had, into the shipment, and into its order, in
 * one transaction. Of one that has not left, as far as we know, the events stay and come again. `tell`: the order's workflow has
 * something to do; `needsPerson`: also when the order is over, for a person has to look at it.
 */
export async function applyTracking(
  pool: Pool,
  { orderId, shipmentId, events }: { orderId: OrderId; shipmentId: ShipmentId; events: readonly TrackingRow[] },
): Promise<{ tell: boolean; needsPerson: boolean }> {
  // Most of what carriers tell changes nothing: no order is locked and read for it.
  if (await endProgress(pool, events)) return { tell: false, needsPerson: false }
  // It moves no money: in which steps that could be does not matter.
  return withGoods(pool, orderId, { stepOf: () => 1 }, async (goods, books, tx) => {
    const before = {
      status: goods.order.status,
      shipment: { ...goods.shipment(shipmentId) },
      undecided: undecidedOf(goods),
    }
    for (const { id } of goods.labels) {
      const ofLabel = events.filter(({ owner }) => owner?.labelId === id)
      if (ofLabel.length > 0 && observe(goods, id, ofLabel.map(toldOf), books))
        await endTracking(tx, ofLabel, shipmentId)
    }
    const shipment = goods.shipment(shipmentId)
    if (shipment.status === 'delivered' && before.shipment.status !== 'delivered') await count(tx, goods, shipmentId)
    return {
      tell:
        shipment.isLeaving !== before.shipment.isLeaving ||
        undecidedOf(goods) !== before.undecided ||
        goods.order.status !== before.status,
      needsPerson: shipment.needsDecision,
    }
  })
}

function toldOf({ type, happenedAt, expectedAt }: TrackingRow): ToldOfParcel {
  return { type, happenedAt: happenedAt.toISOString(), expectedAt: expectedAt?.toISOString() ?? null }
}

/** Their ids as one text. */
function undecidedOf({ shipments }: Goods): string {
  return shipments.flatMap(({ id, needsDecision }) => (needsDecision ? id : [])).join()
}

async function count(tx: Tx, goods: Goods, shipmentId: ShipmentId): Promise<void> {
  const { endedAt, expectedAt } = goods.shipment(shipmentId)
  const label = goods.labels.findLast((each) => each.shipmentId === shipmentId && each.status === 'live')
  if (!label?.carrier || !label.service) return
  const { rows } = await tx.query<{ country: string }>({
    name: 'tracking.country',
    text: `select shipping_address ->> 'country' as country from orders where id = $1`,
    values: [goods.order.id],
  })
  // What a carrier never promised is in time.
  const onTime = expectedAt === null || endedAt === null || endedAt <= expectedAt
  await countDelivery(tx, { carrier: label.carrier, service: label.service, country: rows[0]?.country ?? '', onTime })
}
