import type {
  CaptureId,
  CategoryId,
  LabelId,
  OrderId,
  PaymentId,
  ProductId,
  RefundId,
  ShipmentId,
  Sku,
  WarehouseId,
} from './ids'
import type { RoutingScore } from './inventory'
import type { CancelReason, HoldCause, OrderStatus } from './order'
import type { SeenPayment } from './payment/books'

/**
 * Every event that Holdfast publishes: the outbox carries them, its consumers read them, the stream passes them on. A name
 * is a noun and what it became: `<noun>.<past participle or state>`.
 *
 * To add an event, add its data to {@link EventData} and its version to {@link EVENT_VERSIONS}, write it in the transaction
 * of the change, and let `test/db/platform/outbox.test.ts` write it once.
 *
 * Data may gain fields at any time. Data that an older reader would misread is a new version, with a name of its own
 * (`product.updated.v2`), written beside the old one until nobody reads that any more.
 */

/** What each event tells. Amounts are in minor units of the order's currency. */
interface EventData {
  /** A checkout was accepted. */
  readonly 'order.created': OrderData
  /** Stock was reserved for all lines. */
  readonly 'inventory.reserved': OrderData<{
    /** Why these warehouses: each with its distance, null where nobody knows it, and whether it sends all of the order. */
    readonly routes: readonly (RoutingScore & { readonly warehouse_id: WarehouseId })[]
  }>
  /** The order has its prices and waits for its payment. */
  readonly 'order.payment_pending': OrderData<{ readonly total: number }>
  /** The order was paid, or nothing was due. */
  readonly 'order.confirmed': OrderData
  readonly 'order.cancelled': OrderData<{ readonly reason: CancelReason; readonly reason_code?: string }>
  /** Nothing is labelled or captured until it is resumed. */
  readonly 'order.held': OrderData<Hold>
  /** It was on hold already, and has one more cause to be. */
  readonly 'order.hold_added': OrderData<Hold>
  /** One of its causes is gone, and it stays on hold. */
  readonly 'order.hold_removed': OrderData<Hold>
  /** The last cause is gone. */
  readonly 'order.resumed': OrderData<Hold>
  /** Where it goes was changed; the address itself no event tells. */
  readonly 'order.address_changed': OrderData<{ readonly address_version: number }>
  /** Units that it waited for came, and are kept for it in that warehouse. */
  readonly 'order.back_order_served': OrderData<{
    readonly warehouse_id: WarehouseId
    readonly units: readonly { readonly sku: Sku; readonly quantity: number }[]
  }>
  /** Some units of a confirmed order will not be delivered. `amount`: what they are worth. */
  readonly 'order.units_cancelled': OrderData<{
    readonly units: readonly Units[]
    readonly amount: number
    readonly reason_code: string
  }>
  /** A further attempt to pay may be sent to the provider; the first one has no such event. */
  readonly 'payment.requested': OrderData<PaymentAmount>
  /** The customer has to act, as in 3-D Secure. */
  readonly 'payment.requires_action': OrderData<PaymentRef>
  /** The provider will decide later. */
  readonly 'payment.pending': OrderData<PaymentRef>
  readonly 'payment.authorized': OrderData<PaymentAmount>
  readonly 'payment.capture_requested': OrderData<CaptureAmount>
  /** Money was taken: by a capture, or when it was authorized. */
  readonly 'payment.captured': OrderData<CaptureAmount>
  readonly 'payment.capture_failed': OrderData<CaptureAmount & Failure>
  readonly 'payment.declined': OrderData<PaymentRef & { readonly decline_code: string }>
  readonly 'payment.failed': OrderData<PaymentRef>
  /** Cancelled at the provider. With an amount: so much had been authorized, and nothing was captured. */
  readonly 'payment.voided': OrderData<PaymentRef & { readonly amount?: number }>
  /** What was authorized and not captured was let go. */
  readonly 'payment.released': OrderData<PaymentAmount>
  /** Money arrived by an attempt that pays for nothing; it goes back. */
  readonly 'payment.received': OrderData<PaymentAmount & { readonly status: SeenPayment['state'] }>
  readonly 'payment.refund_requested': OrderData<RefundAmount>
  readonly 'payment.refunded': OrderData<RefundAmount>
  /** The provider refused it, or it came back. */
  readonly 'payment.refund_failed': OrderData<RefundAmount & Failure>
  /** The customer's bank takes money back. */
  readonly 'payment.disputed': OrderData<PaymentAmount>
  readonly 'payment.dispute_closed': OrderData<PaymentAmount & { readonly status: 'won' | 'lost' }>
  /** Units of the order were given to a warehouse, which is to send them. */
  readonly 'shipment.allocated': OrderData<
    ShipmentRef & {
      readonly warehouse_id: WarehouseId
      readonly lines: readonly Units[]
      readonly replaces?: ShipmentId
    }
  >
  /** Its units were taken from their shelves; `short`: these were not there. */
  readonly 'shipment.picked': OrderData<ShipmentRef & { readonly short?: readonly Units[] }>
  readonly 'shipment.packed': OrderData<ShipmentRef>
  /** Some of its units were cancelled: it is packed, and labelled, anew. */
  readonly 'shipment.reopened': OrderData<ShipmentRef>
  readonly 'shipment.labelled': OrderData<
    LabelRef & { readonly carrier: string; readonly service: string; readonly tracking_number: string | null }
  >
  /** The carrier does not sell the label. */
  readonly 'shipment.label_refused': OrderData<LabelRef & { readonly code: string }>
  readonly 'shipment.label_voided': OrderData<LabelRef>
  /** Its carrier has it, or its warehouse says that it has left, and nobody had asked for it: its money is taken at once. */
  readonly 'shipment.left_unasked': OrderData<ShipmentRef>
  /** Its money is there: the warehouse's own system may let it leave. */
  readonly 'shipment.released': OrderData<ShipmentRef>
  /** The warehouse's own system will not send it, or not keep it back. */
  readonly 'shipment.refused': OrderData<ShipmentRef & { readonly code: string }>
  /** Its money could not be taken: it stays. */
  readonly 'shipment.kept': OrderData<ShipmentRef>
  readonly 'shipment.shipped': OrderData<ShipmentRef & { readonly lines: readonly Units[] }>
  readonly 'shipment.delivered': OrderData<ShipmentRef>
  readonly 'shipment.lost': OrderData<ShipmentRef>
  /** It came back to its warehouse. */
  readonly 'shipment.returned': OrderData<ShipmentRef>
  /** It is lost or came back, and nobody waits for it any more: the customer has their money, or is content. */
  readonly 'shipment.settled': OrderData<ShipmentRef>
  readonly 'shipment.cancelled': OrderData<ShipmentRef & { readonly reason: 'cancelled' | 'short' }>
  /** No warehouse has these units: they wait for the next receipt. */
  readonly 'order.back_ordered': OrderData<{ readonly units: readonly Units[] }>
  /** The first of its units are on their way out of a warehouse. */
  readonly 'order.processing': OrderData
  /** All of its units that were not cancelled have left. */
  readonly 'order.shipped': OrderData
  /** All that was sent has arrived, or was settled with the customer. */
  readonly 'order.delivered': OrderData
  /** Its return window is over. */
  readonly 'order.completed': OrderData
  readonly 'product.created': ProductData
  /** The product changed, or something else that storefronts show with it: its rating, a category's title. */
  readonly 'product.updated': ProductData
  readonly 'category.created': CategoryData
  readonly 'category.updated': CategoryData
  readonly 'category.deleted': CategoryData
  /** Staff changed what lies in a warehouse; or an import did, where the level became empty or stopped being so. */
  readonly 'stock.adjusted': StockData
  /** A cart took the last free unit of a level. */
  readonly 'stock.sold_out': StockData
  /** A cart gave a unit back to a level that had none free. */
  readonly 'stock.back_in_stock': StockData
}

export const EVENT_VERSIONS = {
  'order.created': 1,
  'inventory.reserved': 1,
  'order.payment_pending': 1,
  'order.confirmed': 1,
  'order.cancelled': 1,
  'order.held': 1,
  'order.hold_added': 1,
  'order.hold_removed': 1,
  'order.resumed': 1,
  'order.address_changed': 1,
  'order.back_order_served': 1,
  'order.units_cancelled': 1,
  'payment.requested': 1,
  'payment.requires_action': 1,
  'payment.pending': 1,
  'payment.authorized': 1,
  'payment.capture_requested': 1,
  'payment.captured': 1,
  'payment.capture_failed': 1,
  'payment.declined': 1,
  'payment.failed': 1,
  'payment.voided': 1,
  'payment.released': 1,
  'payment.received': 1,
  'payment.refund_requested': 1,
  'payment.refunded': 1,
  'payment.refund_failed': 1,
  'payment.disputed': 1,
  'payment.dispute_closed': 1,
  'shipment.allocated': 1,
  'shipment.picked': 1,
  'shipment.packed': 1,
  'shipment.reopened': 1,
  'shipment.labelled': 1,
  'shipment.label_refused': 1,
  'shipment.label_voided': 1,
  'shipment.left_unasked': 1,
  'shipment.released': 1,
  'shipment.refused': 1,
  'shipment.kept': 1,
  'shipment.shipped': 1,
  'shipment.delivered': 1,
  'shipment.lost': 1,
  'shipment.returned': 1,
  'shipment.settled': 1,
  'shipment.cancelled': 1,
  'order.back_ordered': 1,
  'order.processing': 1,
  'order.shipped': 1,
  'order.delivered': 1,
  'order.completed': 1,
  'product.created': 1,
  'product.updated': 1,
  'category.created': 1,
  'category.updated': 1,
  'category.deleted': 1,
  'stock.adjusted': 1,
  'stock.sold_out': 1,
  'stock.back_in_stock': 1,
} as const satisfies Readonly<Record<keyof EventData, number>>

export type EventType = keyof EventData

/** Narrowed by its `type`: `event.type === 'stock.adjusted'` says what `event.data` is. */
export type HoldfastEvent = {
  [Type in EventType]: {
    readonly type: Type
    readonly version: (typeof EVENT_VERSIONS)[Type]
    readonly data: EventData[Type]
  }
}[EventType]

/** An event of an order is a row of `order_event` as well. */
interface OrderData<Details = Record<string, never>> {
  readonly order_id: OrderId
  /** The order's status before and after; both null where it did not change. `from` alone is null at the first event. */
  readonly from: OrderStatus | null
  readonly to: OrderStatus | null
  readonly data: Details
  /** RFC 3339, as Postgres writes it. */
  readonly at: string
}

interface Units {
  readonly sku: Sku
  readonly quantity: number
}

interface ShipmentRef {
  readonly shipment_id: ShipmentId
}

interface LabelRef extends ShipmentRef {
  readonly label_id: LabelId
}

interface Hold {
  readonly cause: HoldCause
  readonly reason_code: string
}

interface PaymentRef {
  readonly payment_id: PaymentId
}

interface PaymentAmount extends PaymentRef {
  readonly amount: number
}

interface CaptureAmount extends PaymentAmount {
  readonly capture_id: CaptureId
}

interface RefundAmount extends PaymentAmount {
  readonly refund_id: RefundId
}

interface Failure {
  /** In the provider's words, or in ours: `order_cancelled`, `released`, `amount_exceeds_available`. */
  readonly failure_code: string
}

interface ProductData {
  readonly product_id: ProductId
  /** Of the product: the sequence number of its events. */
  readonly version: number
}

interface CategoryData {
  readonly category_id: CategoryId
  /** Of the category: the sequence number of its events. */
  readonly version: number
  /** The categories whose pages show it, or did: itself and those above it, before the change and after. */
  readonly shown_on: readonly CategoryId[]
}

/** Of one SKU in one warehouse. */
interface StockData {
  readonly sku: Sku
  readonly warehouse_id: WarehouseId
  readonly on_hand: number
}

/**
 * The event that was written with this type and data; null for a type that this program does not know, because a newer one
 * has written it. Whoever reads events passes over those and goes on: an old process must not stop at what a new one says.
 * The data is taken as it is, since our own statements write it; a test compares it with the types above.
 */
export function parseEvent(type: string, data: unknown): HoldfastEvent | null {
  if (!isEventType(type)) return null
  return { type, version: EVENT_VERSIONS[type], data } as HoldfastEvent
}

function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENT_VERSIONS, type)
}
