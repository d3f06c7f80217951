import type { LabelId, OrderId, ShipmentId, WarehouseMessageId } from '../ids'
import type { Goods } from './goods'
import type { LabelBook, ShipmentBook } from './rows'
import {
  type LabelStatus,
  type ParcelPlight,
  plightOf,
  type ShipmentStatus,
  type Units,
  type WarehouseMessageKind,
  type WarehouseTrouble,
} from './shipment'

/** What is still to be done with the goods of an order, once all that needs nobody outside is done. */
export interface FulfillmentWork {
  /** The order is over: nothing is sent any more. */
  readonly isOver: boolean
  readonly items: readonly FulfillmentItem[]
  /** When to look again by itself, in milliseconds since the epoch; null: when told. Also of an order that is over. */
  readonly lookAt: number | null
  /** In words for support: what the order waits for. */
  readonly waitsFor: string
}

export type FulfillmentItem =
  /** A carrier is to sell a label, or to take one back. */
  | { readonly kind: 'buy' | 'void'; readonly object: LabelId; readonly shipmentId: ShipmentId }
  /** A warehouse's own system is to hear of a shipment. */
  | {
      readonly kind: 'tell'
      readonly object: WarehouseMessageId
      readonly shipmentId: ShipmentId
      readonly message: WarehouseMessageKind
    }
  /** A carrier has refused that: a person has to decide. */
  | {
      readonly kind: 'label'
      readonly object: LabelId
      readonly shipmentId: ShipmentId
      readonly status: LabelStatus
      readonly code: string
    }
  /** A parcel is lost or came back, or its warehouse or carrier is silent: a person has to decide. */
  | {
      readonly kind: 'parcel'
      readonly object: ShipmentId
      readonly status: ShipmentStatus
      readonly trouble: WarehouseTrouble | null
      readonly plight: ParcelPlight
    }
  /** Units were not on their shelves, and no warehouse has others: a person has to know. */
  | { readonly kind: 'short'; readonly object: OrderId; readonly units: readonly Units[] }

/** What the rows ask for. */
export function workOf(goods: Goods): FulfillmentWork {
  const labels = goods.labels
    .filter(({ atWork, checkAt }) => atWork && (checkAt === null || goods.isDue(checkAt)))
    .map(({ id, shipmentId, status, failureCode }): FulfillmentItem => {
      if (failureCode !== null) return { kind: 'label', object: id, shipmentId, status, code: failureCode }
      return { kind: status === 'claimed' ? 'buy' : 'void', object: id, shipmentId }
    })
  const parcels = goods.shipments
    .filter(({ needsDecision }) => needsDecision)
    .map((shipment): FulfillmentItem => {
      const { id, status, trouble, releasedAt } = shipment
      const plight = plightOf({ status, trouble, isReleased: releasedAt !== null, isOver: !goods.isAlive })
      return { kind: 'parcel', object: id, status, trouble, plight }
    })
  const { id, shortAskAt } = goods.order
  const short: readonly FulfillmentItem[] =
    goods.isDue(shortAskAt) && goods.backOrders.length > 0 && goods.isAlive
      ? [{ kind: 'short', object: id, units: goods.backOrders }]
      : []
  const messages = goods.messages.due.map(
    ({ id, shipmentId, kind }): FulfillmentItem => ({ kind: 'tell', object: id, shipmentId, message: kind }),
  )
  return {
    isOver: !goods.isAlive,
    items: [...labels, ...messages, ...parcels, ...short],
    lookAt: firstOf([goods.order.lookAt, ...goods.labels.map(({ checkAt }) => checkAt)]),
    waitsFor: waitsFor(goods),
  }
}

/** The first of these times. */
function firstOf(times: readonly (string | null)[]): number | null {
  const known = times.filter((time) => time !== null).map((time) => Date.parse(time))
  return known.length === 0 ? null : Math.min(...known)
}

function waitsFor(goods: Goods): string {
  const { order, shipments, labels, backOrders } = goods
  if (order.status === 'delivered') return 'the end of the return window: all of it has arrived.'
  const waiting = [
    ...(goods.isHeld
      ? ['somebody to resume the order: it is on hold, and nothing is labelled or captured meanwhile']
      : []),
    ...(backOrders.length > 0 ? [`stock: no warehouse has ${unitsInWords(backOrders)}`] : []),
    ...labels.filter(({ checkAt }) => checkAt !== null).map(waitsForVoiding),
    ...shipments.map(waitsForShipment).filter((text) => text !== null),
  ]
  return `${waiting.length === 0 ? 'the next thing to do with the goods or the money of this order' : waiting.join('; and for ')}.`
}

function waitsForVoiding({ id, voidSentAt }: LabelBook): string {
  return `the carrier, which was asked at ${voidSentAt} to take label \`${id}\` back, to say what became of that`
}

/** Null: it needs nothing more. */
function waitsForShipment({
  id,
  number,
  status,
  warehouseId,
  lines,
  isLeaving,
  releasedAt,
  dueAt,
}: ShipmentBook): string | null {
  const what = `shipment ${number} (\`${id}\`, ${unitsInWords(lines)})`
  switch (status) {
    case 'allocated':
      return `warehouse \`${warehouseId}\` to pick ${what}`
    case 'picking':
      return `warehouse \`${warehouseId}\` to pack ${what}`
    case 'packed':
      return `a label for ${what}`
    case 'labelled':
      return isLeaving && releasedAt === null
        ? `the money of ${what}, which then leaves`
        : `warehouse \`${warehouseId}\` to hand over ${what}`
    case 'shipped':
      return `the carrier to deliver ${what}`
    case 'lost':
    case 'returned':
      // Of one without a time a person is asked, or nobody waits for it.
      return dueAt === null ? null : `news of ${what}, which ${status === 'lost' ? 'is lost' : 'came back'}`
    default:
      return null
  }
}

const SHOWN_MAX = 5

/** "2 × `85123A`, 1 × `22423`" */
export function unitsInWords(units: readonly Units[]): string {
  const shown = units.slice(0, SHOWN_MAX).map(({ sku, quantity }) => `${quantity} × \`${sku}\``)
  const more = units.length - shown.length
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(', ')
}
