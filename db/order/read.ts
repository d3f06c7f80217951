import type { Refusal } from '../../domain/checkout'
import type { CartId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import type { FulfillmentStatus } from '../../domain/fulfillment/shipment'
import type { CancelReason, HoldCause, OrderStatus } from '../../domain/order'
import type { AttemptOutcome, AttemptStatus, PaymentStatus } from '../../domain/payment/attempt'
import type { MoveStatus, RefundCause } from '../../domain/payment/books'
import type { Address } from '../cart/cart'
import { INSTEAD_STATUS } from '../payment/move'
import type { Db } from '../pool'
import { statement } from '../sql'
import { USED_LABEL, SHIPMENT_JSON, type StoredCommand, type StoredShipment } from './shipment'

/** An order with its lines and attempts, as its answers are built from. Amounts in minor units of `currency`. */
export interface Order {
  readonly id: OrderId
  readonly number: string
  readonly cartId: CartId
  readonly status: OrderStatus
  readonly cancelReason: CancelReason | null
  /** Why it is on hold; empty when it is not. */
  readonly heldFor: readonly HoldCause[]
  /** A label bears its address, or may: one is asked for, or there. */
  readonly isLabelled: boolean
  readonly paymentStatus: PaymentStatus
  readonly fulfillmentStatus: FulfillmentStatus
  readonly currency: string
  readonly email: string
  readonly shippingAddress: Address
  /** Rises with each change of the address. */
  readonly addressVersion: number
  /** Of its last event. */
  readonly eventSeq: number
  readonly shippingMethod: string
  readonly bodyHash: Buffer
  readonly subtotal: number
  readonly discount: number
  readonly shipping: number
  readonly tax: number
  readonly total: number
  /** The value of what will not be delivered. */
  readonly cancelled: number
  /** Of what is left then, what the payment provider cannot take in its steps. */
  readonly waived: number
  readonly holdExpiresAt: Date | null
  readonly refusal: Refusal | null
  readonly createdAt: Date
  readonly updatedAt: Date
  /** Null: it was never paid for. */
  readonly confirmedAt: Date | null
  readonly lines: readonly OrderLine[]
  /** Oldest first. */
  readonly attempts: readonly OrderAttempt[]
  /** The requests, oldest first. */
  readonly refunds: readonly OrderRefund[]
  /** Oldest first. */
  readonly shipments: readonly StoredShipment[]
  /** What was asked for and could not be answered at once, the newest of it, oldest first. */
  readonly commands: readonly StoredCommand[]
}

/** One request to give money back, carried out by as many payments as it takes. Amounts in minor units. */
export interface OrderRefund {
  readonly id: RefundId
  readonly amount: number
  readonly status: MoveStatus
  readonly reasonCode: string | null
  readonly cause: RefundCause
  /** RFC 3339. */
  readonly createdAt: string
}

export interface OrderLine {
  readonly sku: string
  readonly title: string
  readonly sellerId: string
  readonly quantity: number
  /** Units that will not be delivered, and units that have left. */
  readonly cancelled: number
  readonly shipped: number
  readonly delivered: number
  readonly unitPrice: number
  readonly discount: number
  readonly tax: number
  readonly total: number
}

export interface OrderAttempt {
  readonly id: PaymentId
  readonly attempt: number
  readonly provider: string
  readonly status: AttemptStatus
  readonly outcome: AttemptOutcome | null
  readonly amount: number | null
  readonly captured: number
  readonly released: number
  readonly refunded: number
  readonly refunding: number
  readonly declineCode: string | null
  readonly actionUrl: string | null
  /** RFC 3339. */
  readonly createdAt: string
}

/** A cart's limit bounds the lines. No buyer makes more attempts than this during a hold. */
const ATTEMPTS_MAX = 200
const REFUNDS_MAX = 200
const SHIPMENTS_MAX = 200
const COMMANDS_MAX = 20

/** Of order `o`. A refund that is tried again counts by its last try. */
const REFUND_REQUESTS = `
             select request_id, sum(amount)::bigint as amount, min(number) as number, min(created_at) as created_at,
                    min(reason_code) as reason_code, min(cause) as cause,
                    case when bool_or(now = 'pending') then 'pending' when bool_or(now = 'failed') then 'failed'
                         else 'succeeded' end as status
             from refund, lateral (select coalesce(${INSTEAD_STATUS}, refund.status) as now) as stands
             where order_id = o.id and not exists (select from refund again where again.retries = refund.id)
             group by request_id
             order by min(number) desc
             limit ${REFUNDS_MAX}` as const

/** Of order `o`: while a label of it is claimed or live, its address is fixed. One that is asked back is nobody's any more. */
export const IS_LABELLED = `exists (select from label where order_id = o.id and status in ('claimed', 'live'))` as const

const ORDER = `
  select o.id, o.number, o.cart_id as "cartId", o.status, o.cancel_reason as "cancelReason", o.held_for as "heldFor",
         ${IS_LABELLED} as "isLabelled",
         o.payment_status as "paymentStatus", o.fulfillment_status as "fulfillmentStatus", o.currency, o.email,
         o.shipping_address as "shippingAddress", o.address_version as "addressVersion", o.event_seq as "eventSeq", o.shipping_method as "shippingMethod", o.body_hash as "bodyHash",
         o.subtotal, o.discount, o.shipping, o.tax, o.total, o.cancelled, o.waived, o.hold_expires_at as "holdExpiresAt", o.refusal,
         o.created_at as "createdAt", o.updated_at as "updatedAt", o.confirmed_at as "confirmedAt",
         coalesce((
           select json_agg(json_build_object('sku', l.sku_written, 'title', l.title, 'sellerId', l.seller_id,
                    'quantity', l.quantity, 'cancelled', l.cancelled, 'shipped', l.shipped, 'delivered', l.delivered, 'unitPrice', l.unit_price, 'discount', l.discount, 'tax', l.tax,
                    'total', l.total) order by l.position)
           from order_line l
           where l.order_id = o.id
         ), '[]') as lines,
         coalesce((
           select json_agg(json_build_object('id', p.id, 'attempt', p.attempt, 'provider', p.provider, 'status', p.status,
                    'outcome', p.outcome, 'amount', p.amount, 'captured', p.captured, 'released', p.released, 'refunded', p.refunded,
                    'refunding', p.refunding,
                    'declineCode', p.decline_code, 'actionUrl', p.action_url,
                    'createdAt', p.created_at) order by p.attempt)
           from (select * from payment where order_id = o.id order by attempt desc limit ${ATTEMPTS_MAX}) p
         ), '[]') as attempts,
         coalesce((
           select json_agg(json_build_object('id', r.request_id, 'amount', r.amount, 'status', r.status,
                    'reasonCode', r.reason_code, 'cause', r.cause, 'createdAt', r.created_at) order by r.number)
           from (${REFUND_REQUESTS}) r
         ), '[]') as refunds,
         coalesce((
           select json_agg(shipment order by number)
           from (
             select ${SHIPMENT_JSON} as shipment, s.number
             from shipment s ${USED_LABEL}
             where s.order_id = o.id
             order by s.number desc
             limit ${SHIPMENTS_MAX}
           ) as newest
         ), '[]') as shipments,
         coalesce((
           select json_agg(json_build_object('id', c.id, 'shipmentId', c.shipment_id, 'kind', c.kind, 'state', c.state,
                    'code', c.code, 'createdAt', c.created_at) order by c.id)
           from (select * from order_command where order_id = o.id order by id desc limit ${COMMANDS_MAX}) c
         ), '[]') as commands
  from orders o`

/** The order, to the holder of its cart's token. Null: there is none, or it is somebody else's. */
export async function readOwnOrder(db: Db, orderId: OrderId, tokenHash: Buffer): Promise<Order | null> {
  const { rows } = await db.query<Order>({
    name: 'order.readOwn',
    text: `${ORDER} where o.id = $1 and o.token_hash = $2`,
    values: [orderId, tokenHash],
  })
  return rows[0] ?? null
}

/** The order by its id. The caller has checked who may see it. */
export async function readOrder(db: Db, orderId: OrderId): Promise<Order | null> {
  const { rows } = await db.query<Order>({ name: 'order.read', text: `${ORDER} where o.id = $1`, values: [orderId] })
  return rows[0] ?? null
}

export interface OrderFilter {
  readonly status: OrderStatus | null
  readonly email: string | null
  /** As it is stored. */
  readonly number: string | null
  readonly attention: boolean | null
  readonly limit: number
  /** The last id of the list before. */
  readonly before: OrderId | null
}

/** Orders, newest first. */
export async function listOrders(
  db: Db,
  { status, email, number, attention, limit, before }: OrderFilter,
): Promise<Order[]> {
  const list = number === null ? LIST : LIST_OF_NUMBER
  const { rows } = await db.query<Order>(list({ status, email, attention, before, limit, number }))
  return rows
}

const LISTED = `${ORDER}
  where (:status::text is null or o.status = :status)
    and (:email::text is null or lower(o.email) = lower(:email))
    and (:attention::boolean is null
         or :attention = exists (select from attention a where a.order_id = o.id and a.closed_at is null))
    and (:before::text is null or o.id < :before)
    and (:number::text is null or o.number = :number)
  order by o.id desc
  limit :limit` as const

const LIST = statement('order.list', LISTED)
/** Under a name of its own, so that it has a plan of its own. */
const LIST_OF_NUMBER = statement('order.listOfNumber', LISTED)

export interface OrderEvent {
  readonly id: string
  readonly seq: number
  readonly type: string
  readonly from: OrderStatus | null
  readonly to: OrderStatus | null
  readonly data: Record<string, unknown>
  readonly createdAt: Date
}

/** An order's events in order; a checkout makes a handful, an attempt two. */
export async function readEvents(db: Db, orderId: OrderId): Promise<OrderEvent[]> {
  const { rows } = await db.query<OrderEvent>({
    name: 'order.events',
    text: `
      select id, seq, type, from_status as "from", to_status as "to", data, created_at as "createdAt"
      from order_event
      where order_id = $1
      order by seq
      limit 1000`,
    values: [orderId],
  })
  return rows
}

export interface OrderReservation {
  readonly id: string
  readonly sku: string
  readonly warehouseId: string
  readonly quantity: number
  readonly state: string
  readonly expiresAt: Date | null
}

export async function readReservations(db: Db, orderId: OrderId): Promise<OrderReservation[]> {
  const { rows } = await db.query<OrderReservation>({
    name: 'order.reservations',
    text: `
      select r.id, v.sku_written as sku, r.warehouse_id as "warehouseId", r.quantity, r.state, r.expires_at as "expiresAt"
      from reservation r
      join variant v on v.sku = r.sku
      where r.owner_id = $1
      order by r.sku, r.warehouse_id
      limit 5000`,
    values: [orderId],
  })
  return rows
}
