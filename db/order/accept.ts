import type { CartId, OrderId, PaymentId } from '../../domain/ids'
import { newId } from '../id'
import type { Db } from '../pool'
import { statement } from '../sql'

export interface AcceptOrder {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly cartId: CartId
  readonly tokenHash: Buffer
  /** The version that was read and checked: when it has moved on, nothing is accepted. */
  readonly cartVersion: number
  readonly email: string
  readonly shippingAddress: object
  readonly billingAddress: object | null
  readonly shippingMethod: string
  readonly returnUrl: string | null
  readonly expectedTotal: number | null
  readonly provider: string
  readonly method: string
  readonly paymentKey: string
  /** Of the body without its payment. */
  readonly bodyHash: Buffer
  readonly idempotency: {
    readonly scope: string
    readonly operation: string
    readonly key: string
    readonly bodyHash: Buffer
  }
}

/**
 * Commit 1: one statement that locks the cart's row, stamps the order on it, and writes the order as `pending` with the
 * snapshot of its lines, the attempt that was asked for, the first event and the idempotency key.
 * Null when the cart is not as it was read: changed, locked, closed or gone. Look again.
 */
export async function acceptOrder(db: Db, { idempotency, ...order }: AcceptOrder): Promise<{ number: string } | null> {
  const { rows } = await db.query<{ number: string }>(
    ACCEPT({
      ...order,
      scope: idempotency.scope,
      operation: idempotency.operation,
      key: idempotency.key,
      keyBodyHash: idempotency.bodyHash,
      eventId: newId('event'),
    }),
  )
  return rows[0] ?? null
}

const ACCEPT = statement(
  'order.accept',
  `
    with taken as (
      update cart
      set order_id = :orderId, updated_at = now()
      where id = :cartId
        and token_hash = :tokenHash
        and version = :cartVersion
        and state = 'open'
        and order_id is null
        and expires_at > now()
        and lines <> '{}'
      returning id, token_hash, version, currency, lines
    ),
    accepted as (
      insert into orders (id, cart_id, token_hash, status, payment_status, currency, email, shipping_address,
        billing_address, shipping_method, return_url, snapshot, cart_version, expected_total, body_hash, event_seq)
      select :orderId, id, token_hash, 'pending', 'pending', currency, :email, :shippingAddress,
             :billingAddress, :shippingMethod, :returnUrl, lines, version, :expectedTotal, :bodyHash, 1
      from taken
      returning id, number, currency
    ),
    requested as (
      insert into payment (id, order_id, attempt, key, provider, method, currency)
      select :paymentId, id, 1, :paymentKey, :provider, :method, currency
      from accepted
    ),
    named as (
      insert into idempotency (scope, operation, key, body_hash, order_id, attempt)
      select :scope, :operation, :key, :keyBodyHash, id, 1
      from accepted
    ),
    event as (
      insert into order_event (id, order_id, seq, type, to_status)
      select :eventId, id, 1, 'order.created', 'pending'
      from accepted
    )
    select number from accepted`,
)
