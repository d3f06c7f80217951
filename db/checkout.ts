import { type AcceptRefusal, attemptToJoin } from '../domain/checkout'
import { DomainError } from '../domain/errors'
import type { CartId, OrderId } from '../domain/ids'
import { chargeKey } from '../domain/payment'
import { type Cart, type CartKey, readCart, requireOpen } from './cart/cart'
import { newId } from './id'
import { type AcceptOrder, acceptOrder } from './order/accept'
import { type Order, readOwnOrder } from './order/read'
import { type RequestAttempt, requestAttempt } from './payment/attempt'
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

/** Makes an order of the cart as it was read. Null: the cart has changed, or the key was used meanwhile. Read again. */
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

/** Asks for another attempt. Null: the order does not wait for one any more, or the key was used meanwhile. Read again. */
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
