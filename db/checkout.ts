import { type AcceptRefusal, attemptToJoin } from '../domain/checkout'
import { DomainError } from '../domain/errors'
import type { CartId, OrderId, PaymentId } from '../domain/ids'
import { ATTEMPTS_PER_CART_MAX, chargeKey } from '../domain/payment/attempt'
import { type Cart, type CartKey, readCart, requireOpen } from './cart/cart'
import { newId } from './id'
import { type Order, readOwnOrder } from './order/read'
import { ATTEMPTS_SENT_FOR, type RequestAttempt, requestAttempt } from './payment/attempt'
import { type IdempotencyScope, requireSameBody } from './platform/idempotency'
import type { Db } from './pool'
import { statement } from './sql'

/**
 * Requests to check out or to pay, under their idempotency keys. A key names an attempt of an order, and what became of
 * that attempt is its answer; or it keeps the refusal of a checkout that never became an order.
 */
export type CheckoutKey =
  | { readonly kind: 'names'; readonly orderId: OrderId; readonly attempt: number }
  | { readonly kind: 'refused'; readonly refusal: AcceptRefusal }

/** What a request to check out a cart is about. An order of null was there a moment ago. */
export type CheckoutSubject =
  | { readonly kind: 'key'; readonly key: CheckoutKey }
  | { readonly kind: 'order'; readonly order: Order | null }
  | { readonly kind: 'cart'; readonly cart: Cart }

/** The key, when it was used before; else the order that the cart has; else the cart. Throws `not_found`, `cart_closed`. */
export async function readCheckoutSubject(
  db: Db,
  { cartId, tokenHash, idempotency }: CartKey & { idempotency: IdempotencyScope },
): Promise<CheckoutSubject> {
  const key = await readCheckoutKey(db, idempotency)
  if (key) return { kind: 'key', key }
  const cart = await readCart(db, { cartId, tokenHash })
  if (!cart) throw new DomainError('not_found', 'There is no such cart.')
  if (cart.orderId) return { kind: 'order', order: await readOwnOrder(db, cart.orderId, tokenHash) }
  requireOpen(cart)
  return { kind: 'cart', cart }
}

/** Null: the key is new. Throws `idempotency_key_reused` when it was used with another body. */
export async function readCheckoutKey(
  db: Db,
  { scope, operation, key, bodyHash }: IdempotencyScope,
): Promise<CheckoutKey | null> {
  const { rows } = await db.query<{
    body_hash: Buffer
    order_id: OrderId | null
    attempt: number | null
    resource: AcceptRefusal
  }>({
    name: 'checkoutKey.read',
    text: `
      select body_hash, order_id, attempt, resource
      from idempotency
      where scope = $1 and operation = $2 and key = $3`,
    values: [scope, operation, key],
  })
  const row = rows[0]
  if (!row) return null
  requireSameBody(row.body_hash, bodyHash)
  if (row.order_id === null) return { kind: 'refused', refusal: row.resource }
  return { kind: 'names', orderId: row.order_id, attempt: row.attempt ?? 1 }
}

/**
 * Makes an order of the cart as it was read. Null: the cart has changed, the key was used meanwhile, or the cart was tried
 * too often. Read again.
 */
export async function acceptCart(
  db: Db,
  input: Omit<AcceptOrder, 'orderId' | 'paymentId' | 'paymentKey'>,
): Promise<{ orderId: OrderId; number: string } | null> {
  const orderId = newId('order')
  const accepted = await unlessKeyIsTaken(() =>
    acceptOrder(db, { ...input, orderId, paymentId: newId('payment'), paymentKey: chargeKey(orderId, 1) }),
  )
  return accepted && { orderId, number: accepted.number }
}

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
  /** Of the attempt that is asked for; both null when nothing is due. */
  readonly provider: string | null
  readonly method: string | null
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
 * snapshot of its lines, the attempt that was asked for, if any, the first event and the idempotency key.
 * Null when the cart is not as it was read: changed, locked, closed or gone; or was tried too often. Look again.
 */
export async function acceptOrder(db: Db, { idempotency, ...order }: AcceptOrder): Promise<{ number: string } | null> {
  const { rows } = await db.query<{ number: string }>(
    ACCEPT({
      ...order,
      scope: idempotency.scope,
      operation: idempotency.operation,
      key: idempotency.key,
      keyBodyHash: idempotency.bodyHash,
      attemptsMax: ATTEMPTS_PER_CART_MAX,
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
        and (${ATTEMPTS_SENT_FOR} cart.id) < :attemptsMax
      returning id, token_hash, version, currency, lines
    ),
    accepted as (
      insert into orders (id, cart_id, token_hash, status, payment_status, currency, email, shipping_address,
        billing_address, shipping_method, return_url, snapshot, cart_version, expected_total, body_hash, event_seq)
      select :orderId, id, token_hash, 'pending', case when :provider::text is null then 'none' else 'pending' end, currency, :email, :shippingAddress,
             :billingAddress, :shippingMethod, :returnUrl, lines, version, :expectedTotal, :bodyHash, 1
      from taken
      returning id, number, currency
    ),
    requested as (
      insert into payment (id, order_id, attempt, key, provider, method, currency)
      select :paymentId, id, 1, :paymentKey, :provider, :method, currency
      from accepted
      where :provider::text is not null
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

/**
 * Asks for another attempt. Null: the order does not wait for one any more, the key was used meanwhile, or its cart was
 * tried too often. Read again.
 */
export async function requestNextAttempt(
  db: Db,
  input: Omit<RequestAttempt, 'paymentId'>,
): Promise<{ attempt: number } | null> {
  return unlessKeyIsTaken(() => requestAttempt(db, { ...input, paymentId: newId('payment') }))
}

async function unlessKeyIsTaken<T>(write: () => Promise<T | null>): Promise<T | null> {
  try {
    return await write()
  } catch (error) {
    if ((error as { constraint?: unknown }).constraint === 'idempotency_pkey') return null
    throw error
  }
}

/** Lets a key join the attempt of this order that is being made, or that paid. What the key named before stays. */
export async function joinAttempt(
  db: Db,
  order: Pick<Order, 'id' | 'attempts'>,
  { scope, operation, key, bodyHash }: IdempotencyScope,
): Promise<number> {
  const attempt = attemptToJoin(order)
  await db.query({
    name: 'checkoutKey.name',
    text: `
      insert into idempotency (scope, operation, key, body_hash, order_id, attempt)
      values ($1, $2, $3, $4, $5, $6)
      on conflict do nothing`,
    values: [scope, operation, key, bodyHash, order.id, attempt],
  })
  return attempt
}

/**
 * Keeps a refusal as the key's answer. `prices` (minor units by SKU) become what the lines of the open cart were promised.
 * What the key stood for before stays.
 */
export async function refuseCheckout(
  db: Db,
  { scope, operation, key, bodyHash }: IdempotencyScope,
  { cartId, refusal, prices }: { cartId: CartId; refusal: AcceptRefusal; prices: Readonly<Record<string, number>> },
): Promise<void> {
  await db.query(
    REFUSE({
      scope,
      operation,
      key,
      bodyHash,
      refusal: JSON.stringify(refusal),
      cartId,
      prices: JSON.stringify(prices),
    }),
  )
}

const REFUSE = statement(
  'checkoutKey.refuse',
  `
    with kept as (
      insert into idempotency (scope, operation, key, body_hash, status, resource)
      values (:scope, :operation, :key, :bodyHash, 409, :refusal)
      on conflict do nothing
      returning 1
    )
    update cart
    set lines = (
          select coalesce(jsonb_object_agg(line.key, case
                   when :prices::jsonb ? line.key then jsonb_set(line.value, '{price_at_add}', :prices::jsonb -> line.key)
                   else line.value
                 end), '{}')
          from jsonb_each(cart.lines) as line
        )
    from kept
    where cart.id = :cartId and cart.state = 'open' and cart.order_id is null and :prices::jsonb <> '{}'`,
)
