import type { CartId, OrderId, PaymentId } from '../../domain/ids'
import { newId } from '../id'
import type { Db } from '../pool'

export interface AcceptOrder {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly cartId: CartId
  readonly tokenHash: Buffer
  /** The version that was read and checked: when it has moved on, nothing is accepted. */
  readonly cartVersion: number
  readonly email: string
  readonly shippingAddress: unknown
  readonly billingAddress: unknown
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
export async function acceptOrder(db: Db, input: AcceptOrder): Promise<{ number: string } | null> {
  const { rows } = await db.query<{ number: string }>({
    name: 'order.accept',
    text: `
      with taken as (
        update cart
        set order_id = $1, updated_at = now()
        where id = $2
          and token_hash = $3
          and version = $4
          and state = 'open'
          and order_id is null
          and expires_at > now()
          and lines <> '{}'
        returning id, token_hash, version, currency, lines
      ),
      accepted as (
        insert into orders (id, cart_id, token_hash, status, payment_status, currency, email, shipping_address,
          billing_address, shipping_method, return_url, snapshot, cart_version, expected_total, body_hash, event_seq)
        select $1, id, token_hash, 'pending', 'pending', currency, $5, $6, $7, $8, $9, lines, version, $10, $11, 1
        from taken
        returning id, number, currency
      ),
      requested as (
        insert into payment (id, order_id, attempt, key, provider, method, currency)
        select $12, id, 1, $13, $14, $15, currency
        from accepted
      ),
      named as (
        insert into idempotency (scope, operation, key, body_hash, order_id, attempt)
        select $16, $17, $18, $19, id, 1
        from accepted
      ),
      event as (
        insert into order_event (id, order_id, seq, type, to_status)
        select $20, id, 1, 'order.created', 'pending'
        from accepted
      )
      select number from accepted`,
    values: [
      input.orderId,
      input.cartId,
      input.tokenHash,
      input.cartVersion,
      input.email,
      input.shippingAddress,
      input.billingAddress,
      input.shippingMethod,
      input.returnUrl,
      input.expectedTotal,
      input.bodyHash,
      input.paymentId,
      input.paymentKey,
      input.provider,
      input.method,
      input.idempotency.scope,
      input.idempotency.operation,
      input.idempotency.key,
      input.idempotency.bodyHash,
      newId('event'),
    ],
  })
  return rows[0] ?? null
}
