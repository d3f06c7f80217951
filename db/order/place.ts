import type { Refusal } from '../../domain/checkout'
import type { CartId, OrderId, WarehouseId } from '../../domain/ids'
import type { CancelReason, OrderStatus } from '../../domain/order'
import type { Allocation, RoutingScore } from '../../domain/inventory'
import { newId } from '../id'
import { demandValues, RESERVE } from '../inventory/reservation'
import type { AttemptToCharge } from '../payment/attempt'
import type { Db } from '../pool'
import { statement } from '../sql'

/** What a checkout works on: its order as accepted, and the newest attempt that is not over. */
export interface OrderToPlace {
  readonly id: OrderId
  readonly number: string
  readonly cartId: CartId
  readonly status: OrderStatus
  readonly cancelReason: CancelReason | null
  readonly currency: string
  readonly country: string
  readonly postalCode: string | null
  readonly shippingMethod: string
  readonly snapshot: Readonly<Record<string, { quantity: number; price_at_add: number; position: number }>>
  readonly expectedTotal: number | null
  readonly total: number
  readonly units: number
  /** How long ago it was accepted. */
  readonly ageMs: number
  /** How long the stock is still held; null before it is. Negative once the time is over. */
  readonly holdMs: number | null
  /** Buyer or staff want it cancelled. */
  readonly cancelWanted: boolean
  readonly attempt: AttemptToCharge | null
}

export async function readOrderToPlace(db: Db, orderId: OrderId): Promise<OrderToPlace | null> {
  const { rows } = await db.query<OrderToPlace>({
    name: 'order.toPlace',
    text: `
      select o.id, o.number, o.cart_id as "cartId", o.status, o.cancel_reason as "cancelReason", o.currency,
             o.shipping_address ->> 'country' as country,
             o.shipping_address ->> 'postal_code' as "postalCode", o.shipping_method as "shippingMethod", o.snapshot,
             o.expected_total as "expectedTotal", o.total,
             (select coalesce(sum((line.value ->> 'quantity')::int), 0)::int from jsonb_each(o.snapshot) as line) as units,
             extract(epoch from now() - o.created_at)::float8 * 1000 as "ageMs",
             extract(epoch from o.hold_expires_at - now())::float8 * 1000 as "holdMs",
             o.cancel_wanted_at is not null as "cancelWanted",
             case when p.id is not null then
               jsonb_build_object('paymentId', p.id, 'attempt', p.attempt, 'key', p.key, 'status', p.status)
             end as attempt
      from orders o
      left join lateral (
        select id, attempt, key, status
        from payment
        where order_id = o.id and status in ('requested', 'sent', 'requires_action', 'pending')
        order by attempt
        limit 1
      ) p on true
      where o.id = $1`,
    values: [orderId],
  })
  return rows[0] ?? null
}

export interface PlacedLine {
  readonly sku: string
  readonly skuWritten: string
  readonly productId: string
  readonly title: string
  readonly sellerId: string
  readonly quantity: number
  readonly unitPrice: number
  readonly discount: number
  readonly tax: number
  readonly total: number
}

export interface PlaceOrder {
  readonly orderId: OrderId
  readonly cartId: CartId
  readonly allocations: readonly Allocation[]
  /** Why these warehouses: what the event tells, for support. */
  readonly scores: ReadonlyMap<WarehouseId, RoutingScore>
  readonly lines: readonly PlacedLine[]
  readonly totals: {
    readonly subtotal: number
    readonly discount: number
    readonly shipping: number
    readonly tax: number
    readonly total: number
  }
  readonly holdSeconds: number
}

/**
 * Commit 2: reserves all of it or nothing, writes the priced lines and totals and makes the requested attempt ready to be
 * sent. With nothing to pay the attempt is dropped. Null when stock was gone, or the order was not `pending` any more or
 * older than a hold lasts, so that nobody waits for it: then nothing changed. Look again.
 */
export async function placeOrder(
  db: Db,
  { orderId, cartId, allocations, scores, lines, totals, holdSeconds }: PlaceOrder,
): Promise<{ holdMs: number } | null> {
  const { rows } = await db.query<{ holdMs: number }>(
    PLACE({
      ...demandValues(allocations),
      orderId,
      holder: cartId,
      routes: JSON.stringify([...scores].map(([warehouse_id, score]) => ({ warehouse_id, ...score }))),
      holdSeconds,
      skus: lines.map((line) => line.sku),
      skusWritten: lines.map((line) => line.skuWritten),
      productIds: lines.map((line) => line.productId),
      titles: lines.map((line) => line.title),
      sellerIds: lines.map((line) => line.sellerId),
      quantities: lines.map((line) => line.quantity),
      unitPrices: lines.map((line) => line.unitPrice),
      discounts: lines.map((line) => line.discount),
      taxes: lines.map((line) => line.tax),
      lineTotals: lines.map((line) => line.total),
      ...totals,
      reservedEventId: newId('event'),
      placedEventId: newId('event'),
    }),
  )
  return rows[0] ?? null
}

const PLACE = statement(
  'order.place',
  `
    with claimed as (
      select id
      from orders
      where id = :orderId and status = 'pending' and created_at > now() - make_interval(secs => :holdSeconds)
      for update
    ), ${RESERVE},
    reserved as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
      select demand.id, 'hard', :orderId, sku, warehouse_id, quantity, now() + make_interval(secs => :holdSeconds)
      from demand, fit
    ),
    consumed as (
      update reservation r
      set state = 'released', updated_at = now()
      from own, fit
      where r.id = own.id
    ),
    line as (
      insert into order_line (order_id, position, sku, sku_written, product_id, title, seller_id, quantity, unit_price,
        discount, tax, total)
      select :orderId, row_number() over (), l.*
      from unnest(:skus::text[], :skusWritten::text[], :productIds::text[], :titles::text[], :sellerIds::text[],
        :quantities::int[], :unitPrices::bigint[], :discounts::bigint[], :taxes::bigint[], :lineTotals::bigint[]) as l, fit
    ),
    ready as (
      update payment
      set status = 'sent', amount = :total, asked = :total, sent_at = now(), expires_at = now() + make_interval(secs => :holdSeconds),
          updated_at = now()
      from fit
      where order_id = :orderId and attempt = 1 and status = 'requested' and :total::bigint > 0
    ),
    dropped as (
      delete from payment
      using fit
      where order_id = :orderId and attempt = 1 and status = 'requested' and :total::bigint = 0
    ),
    placed as (
      update orders
      set status = 'payment_pending', payment_status = case when :total::bigint > 0 then 'pending' else 'none' end,
          subtotal = :subtotal, discount = :discount, shipping = :shipping, tax = :tax, total = :total,
          hold_expires_at = now() + make_interval(secs => :holdSeconds), event_seq = event_seq + 2, updated_at = now()
      from fit
      where id = :orderId
      returning id, event_seq, hold_expires_at
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :reservedEventId, id, event_seq - 1, 'inventory.reserved', 'pending', 'inventory_reserved',
             jsonb_build_object('routes', :routes::jsonb)
      from placed
      union all
      select :placedEventId, id, event_seq, 'order.payment_pending', 'inventory_reserved', 'payment_pending',
             jsonb_build_object('total', :total::bigint)
      from placed
    )
    select extract(epoch from hold_expires_at - now())::float8 * 1000 as "holdMs" from placed`,
)

/**
 * Refuses a `pending` order in one statement: cancelled with its reason, the attempt over, the cart free again with
 * today's prices as the ones it was promised. The cart's own soft hold stays. False when it was not `pending`.
 */
export async function refuseOrder(
  db: Db,
  { orderId, refusal, prices }: { orderId: OrderId; refusal: Refusal; prices: Readonly<Record<string, number>> },
): Promise<boolean> {
  const { rowCount } = await db.query(
    REFUSE({
      orderId,
      reason: refusal.code,
      refusal: JSON.stringify(refusal),
      prices: JSON.stringify(prices),
      eventId: newId('event'),
    }),
  )
  return rowCount === 1
}

const REFUSE = statement(
  'order.refuse',
  `
    with refused as (
      update orders
      set status = 'cancelled', cancel_reason = :reason, payment_status = 'none', refusal = :refusal,
          event_seq = event_seq + 1, cancelled_at = now(), updated_at = now()
      where id = :orderId and status = 'pending'
      returning id, cart_id, event_seq
    ),
    attempt as (
      update payment
      set status = 'failed', outcome = 'refused', updated_at = now()
      from refused
      where order_id = refused.id and payment.status = 'requested'
    ),
    freed as (
      update cart
      set order_id = null, updated_at = now(),
          lines = (
            select coalesce(jsonb_object_agg(line.key, case
                     when :prices::jsonb ? line.key then jsonb_set(line.value, '{price_at_add}', :prices::jsonb -> line.key)
                     else line.value
                   end), '{}')
            from jsonb_each(cart.lines) as line
          )
      from refused
      where cart.id = refused.cart_id and cart.order_id = refused.id
    ),
    event as (
      insert into order_event (id, order_id, seq, type, from_status, to_status, data)
      select :eventId, id, event_seq, 'order.cancelled', 'pending', 'cancelled', jsonb_build_object('reason', :reason::text)
      from refused
    )
    select 1 from refused`,
)
