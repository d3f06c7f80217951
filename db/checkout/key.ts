import type { Refusal } from '../../domain/checkout'
import type { CartId, OrderId } from '../../domain/ids'
import type { IdempotencyScope } from '../platform/idempotency'
import type { Db } from '../pool'

/**
 * Idempotency keys of checkouts and payments. A key names an attempt of an order, and what became of that attempt is its
 * answer; or it keeps the refusal of a checkout that never became an order.
 */
export type CheckoutKey =
  | { readonly kind: 'names'; readonly bodyHash: Buffer; readonly orderId: OrderId; readonly attempt: number }
  | { readonly kind: 'refused'; readonly bodyHash: Buffer; readonly refusal: AcceptRefusal }

/** Why a checkout was refused before it was accepted. */
export type AcceptRefusal =
  | Refusal
  | { readonly code: 'cart_changed'; readonly version: number }
  | { readonly code: 'cart_empty' }

export async function readCheckoutKey(
  db: Db,
  { scope, operation, key }: IdempotencyScope,
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
  if (row.order_id === null) return { kind: 'refused', bodyHash: row.body_hash, refusal: row.resource }
  return { kind: 'names', bodyHash: row.body_hash, orderId: row.order_id, attempt: row.attempt ?? 1 }
}

/** Lets a key join an attempt that is there. What it named before stays. */
export async function nameAttempt(
  db: Db,
  { scope, operation, key, bodyHash }: IdempotencyScope,
  { orderId, attempt }: { orderId: OrderId; attempt: number },
): Promise<void> {
  await db.query({
    name: 'checkoutKey.name',
    text: `
      insert into idempotency (scope, operation, key, body_hash, order_id, attempt)
      values ($1, $2, $3, $4, $5, $6)
      on conflict do nothing`,
    values: [scope, operation, key, bodyHash, orderId, attempt],
  })
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
  await db.query({
    name: 'checkoutKey.refuse',
    text: `
      with kept as (
        insert into idempotency (scope, operation, key, body_hash, status, resource)
        values ($1, $2, $3, $4, 409, $5)
        on conflict do nothing
        returning 1
      )
      update cart
      set lines = (
            select coalesce(jsonb_object_agg(line.key, case
                     when $7::jsonb ? line.key then jsonb_set(line.value, '{price_at_add}', $7::jsonb -> line.key)
                     else line.value
                   end), '{}')
            from jsonb_each(cart.lines) as line
          )
      from kept
      where cart.id = $6 and cart.state = 'open' and cart.order_id is null and $7::jsonb <> '{}'`,
    values: [scope, operation, key, bodyHash, JSON.stringify(refusal), cartId, JSON.stringify(prices)],
  })
}
