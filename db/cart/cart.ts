import { createHash, createHmac } from 'node:crypto'
import {
  CART_LIFE_DAYS,
  CART_LINES_MAX,
  type CartState,
  type LineChange,
  QUANTITY_MAX,
  type StoredLines,
} from '../../domain/cart'
import { DomainError } from '../../domain/errors'
import type { CartId, OrderId, Sku } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { type CatalogEntry, LINE_TOTAL_MAX } from '../../domain/pricing/price'
import type { Db } from '../pool'
import { catalogEntries, type EntryColumns, readPricing, toCatalog } from '../pricing'
import { type Query, statement } from '../sql'

/**
 * Carts. A change is one statement: it bumps the version, and it finds its row only while the cart is open, not expired
 * and not locked by an order. Lines are computed from the row itself, never from what somebody read before, so that
 * parallel changes lose nothing. Every statement also returns the catalog's word on the lines, to price the answer.
 */

export interface Address {
  readonly name: string
  readonly company: string | null
  readonly line1: string
  readonly line2: string | null
  /** Null where the country's post does without. */
  readonly city: string | null
  readonly postal_code: string | null
  readonly region: string | null
  readonly country: string
  readonly phone: string | null
}

/** A cart's row and what its lines are priced from. */
export interface Cart {
  readonly id: CartId
  readonly version: number
  readonly currency: Currency
  readonly lines: StoredLines
  readonly email: string | null
  readonly shippingAddress: Address | null
  readonly shippingMethod: string | null
  /** `expired` also when its time is over and nobody has noted it yet. */
  readonly state: CartState
  /** The order that locks it while it is open, or that bought it. */
  readonly orderId: OrderId | null
  /** Null without a hold, and once the hold has ended: no reader compares it with the clock. */
  readonly holdExpiresAt: Date | null
  readonly expiresAt: Date
  readonly catalog: ReadonlyMap<Sku, CatalogEntry>
}

/** What opens a cart: its id and the hash of its token, both in the `where` of every statement. */
export interface CartKey {
  readonly cartId: CartId
  readonly tokenHash: Buffer
}

export async function insertCart(
  db: Db,
  { cartId, tokenHash, currency }: CartKey & { currency: Currency },
): Promise<Cart> {
  const cart = await queryCart(db, INSERT({ cartId, tokenHash, currency }))
  if (!cart) throw new Error('an insert returned no row')
  return cart
}

/** The cart in whatever state, or null: no such cart, or not this caller's. */
export async function readCart(db: Db, { cartId, tokenHash }: CartKey): Promise<Cart | null> {
  return queryCart(db, SELECT({ cartId, tokenHash }))
}

/**
 * Adds to what is there, all lines or none. At most one line per SKU.
 * Throws `sku_not_found`, `no_price`, `cart_too_large`, `validation_failed`, `amount_out_of_range`, or as {@link changeCart}.
 */
export async function addLines(
  db: Db,
  key: CartKey,
  lines: readonly LineChange[],
  entries: Entries = 'all',
): Promise<Cart> {
  const added = { skus: lines.map((line) => line.sku), quantities: lines.map((line) => line.quantity) }
  return changeCart(db, key, ADD_LINES[entries]({ ...key, ...added }), (cart) => refuseAdding(db, cart, lines))
}

/** Which entries of the catalog a changed cart comes with; of a large cart `changed` reads those of the change alone. */
export type Entries = 'all' | 'changed'

/** Sets a line's quantity; 0 removes it. Throws `sku_not_found` when the cart has no such line, or as {@link changeCart}. */
export async function setLine(db: Db, key: CartKey, { sku, written = sku, quantity }: LineChange): Promise<Cart> {
  return changeCart(db, key, SET_LINE({ ...key, sku, quantity }), async (cart) => {
    const line = cart.lines[sku]
    if (!line) throw new DomainError('sku_not_found', `The cart has no line ${written}.`, { sku: written })
    refuseAmount(sku, quantity, cart.catalog.get(sku)?.price ?? line.price_at_add)
  })
}

/** Undefined leaves a field as it is, null empties it. Throws as {@link changeCart}. */
export interface CartDetails {
  readonly email?: string | null | undefined
  readonly shippingAddress?: Address | null | undefined
  readonly shippingMethod?: string | null | undefined
}

export async function setDetails(
  db: Db,
  key: CartKey,
  { email, shippingAddress, shippingMethod }: CartDetails,
): Promise<Cart> {
  const change = SET_DETAILS({
    ...key,
    hasEmail: email !== undefined,
    email: email ?? null,
    hasAddress: shippingAddress !== undefined,
    shippingAddress: shippingAddress ?? null,
    hasMethod: shippingMethod !== undefined,
    shippingMethod: shippingMethod ?? null,
  })
  return changeCart(db, key, change, async () => undefined)
}

/** Throws `cart_closed` or `cart_locked` (with `checkout`) unless the cart may be changed. */
export function requireOpen(cart: Pick<Cart, 'state' | 'orderId'>): void {
  if (cart.state !== 'open') throw new DomainError('cart_closed', `The cart is ${cart.state}.`)
  if (cart.orderId) {
    throw new DomainError('cart_locked', 'The cart is being checked out. Cancel the checkout to change it.', {
      checkout: { order_id: cart.orderId },
    })
  }
}

const CHANGE_TRIES_MAX = 5

/**
 * Runs one conditional statement. When it found no row, the cart is read to say why; when nothing is wrong with it any
 * more (it was unlocked in between, say), the statement runs again.
 * Throws `not_found`, `cart_closed`, `cart_locked`, and whatever `refuse` finds.
 */
async function changeCart(db: Db, key: CartKey, change: Query, refuse: (cart: Cart) => Promise<void>): Promise<Cart> {
  for (let tries = 0; tries < CHANGE_TRIES_MAX; tries++) {
    const changed = await queryCart(db, change)
    if (changed) return changed
    const cart = await readCart(db, key)
    if (!cart) throw new DomainError('not_found', 'There is no such cart.')
    requireOpen(cart)
    await refuse(cart)
  }
  throw new DomainError('unavailable', 'The cart changes too fast. Try again.', { dependency: 'postgres' })
}

async function refuseAdding(db: Db, cart: Cart, lines: readonly LineChange[]): Promise<void> {
  const catalog = await readPricing(db, { currency: cart.currency, skus: lines.map((line) => line.sku), cartId: null })
  for (const { sku, written = sku, quantity } of lines) {
    const entry = catalog.get(sku)
    if (!entry?.active) throw new DomainError('sku_not_found', `There is no SKU ${written}.`, { sku: written })
    if (entry.price === null) throw new DomainError('no_price', `${sku} has no price in ${cart.currency}.`, { sku })
    const wanted = (cart.lines[sku]?.quantity ?? 0) + quantity
    if (wanted > QUANTITY_MAX) {
      throw new DomainError(
        'validation_failed',
        `A line holds at most ${QUANTITY_MAX} units; ${sku} would have ${wanted}.`,
        {
          errors: [{ in: 'body', pointer: '/quantity', code: 'too_big', message: `At most ${QUANTITY_MAX} in all.` }],
        },
      )
    }
    refuseAmount(sku, wanted, entry.price)
  }
  const added = lines.filter((line) => !cart.lines[line.sku]).length
  if (Object.keys(cart.lines).length + added > CART_LINES_MAX) {
    throw new DomainError('cart_too_large', `A cart holds at most ${CART_LINES_MAX} lines.`)
  }
}

function refuseAmount(sku: Sku, quantity: number, price: number): void {
  if (quantity * price > LINE_TOTAL_MAX) {
    throw new DomainError('amount_out_of_range', `${quantity} × ${sku} costs more than a line may.`, { sku })
  }
}

interface CartRow extends Omit<Cart, 'catalog'> {
  readonly entries: EntryColumns
}

async function queryCart(db: Db, query: Query): Promise<Cart | null> {
  const { rows } = await db.query<CartRow>(query)
  const row = rows[0]
  if (!row) return null
  const { entries, ...cart } = row
  return { ...cart, catalog: toCatalog(entries) }
}

/** A cart of so many lines is priced faster by one statement than by two. */
const LARGE_CART_LINES = 20

const ALL_SKUS = 'array(select jsonb_object_keys(c.lines))'

/** The SKUs that are changed, an expression of type text[], when the cart is large and sees no stock that others do not. */
function changedSkus(changed: string): string {
  return `(case
    when c.hold_expires_at is null and (select count(*) from jsonb_object_keys(c.lines)) > ${LARGE_CART_LINES} then ${changed}
    else ${ALL_SKUS}
  end)`
}

/** Wraps a statement on `cart` so that it answers a {@link CartRow} with entries of these SKUs. */
function returning<const Text extends string>(change: Text, skus = ALL_SKUS) {
  return `
    with c as (${change})
    select id, version, currency, lines, email, shipping_address as "shippingAddress", shipping_method as "shippingMethod",
           case when state = 'open' and expires_at <= now() and order_id is null then 'expired' else state end as state,
           order_id as "orderId", expires_at as "expiresAt",
           case when hold_expires_at > now() then hold_expires_at end as "holdExpiresAt",
           ${catalogEntries({ skus, currency: 'c.currency', holder: 'c.id' })} as entries
    from c` as const
}

const LIFE = `now() + interval '${CART_LIFE_DAYS} days'` as const

const INSERT = statement(
  'cart.insert',
  returning(`
    insert into cart (id, token_hash, currency, expires_at)
    values (:cartId, :tokenHash, :currency, ${LIFE})
    returning *`),
)

const SELECT = statement(
  'cart.read',
  returning(`
    select *
    from cart
    where id = :cartId and token_hash = :tokenHash`),
)

const CHANGED = `version = version + 1, updated_at = now(), expires_at = ${LIFE}` as const
const MAY_CHANGE = `id = :cartId and token_hash = :tokenHash and state = 'open' and order_id is null and expires_at > now()`

/** Subqueries on the row itself see it as it is once its lock is had. */
const ADDING = `
  update cart
  set ${CHANGED},
      lines = lines || (
        select jsonb_object_agg(d.sku, jsonb_build_object(
                 'quantity', d.quantity + coalesce((lines -> d.sku ->> 'quantity')::int, 0),
                 'price_at_add', coalesce((lines -> d.sku ->> 'price_at_add')::bigint, a.amount),
                 'position', coalesce((lines -> d.sku ->> 'position')::bigint, cart.version::bigint * ${CART_LINES_MAX} + d.n)))
        from unnest(:skus::text[], :quantities::int[]) with ordinality as d (sku, quantity, n)
        join price a on a.sku = d.sku and a.currency = cart.currency
      )
  where ${MAY_CHANGE}
    and (
      select count(*)
      from unnest(:skus::text[], :quantities::int[]) as d (sku, quantity)
      join variant v on v.sku = d.sku
      join product p on p.id = v.product_id and p.status = 'active'
      join price a on a.sku = d.sku and a.currency = cart.currency
      where d.quantity + coalesce((lines -> d.sku ->> 'quantity')::int, 0)
            <= least(${QUANTITY_MAX}, ${LINE_TOTAL_MAX} / greatest(a.amount, 1))
    ) = cardinality(:skus::text[])
    and (select count(*) from jsonb_object_keys(lines))
        + (select count(*) from unnest(:skus::text[]) as d (sku) where not lines ? d.sku) <= ${CART_LINES_MAX}
  returning *` as const

const ADD_LINES = {
  all: statement('cart.addLines.all', returning(ADDING)),
  changed: statement('cart.addLines.changed', returning(ADDING, changedSkus(':skus::text[]'))),
}

const SET_LINE = statement(
  'cart.setLine',
  returning(`
    update cart
    set ${CHANGED},
        lines = case
          when :quantity::int = 0 then lines - :sku::text
          else jsonb_set(lines, array[:sku::text, 'quantity'], to_jsonb(:quantity::int))
        end
    where ${MAY_CHANGE}
      and lines ? :sku::text
      and :quantity::bigint * coalesce(
            (select amount from price a where a.sku = :sku::text and a.currency = cart.currency),
            (lines -> :sku::text ->> 'price_at_add')::bigint) <= ${LINE_TOTAL_MAX}
    returning *`),
)

const SET_DETAILS = statement(
  'cart.setDetails',
  returning(`
    update cart
    set ${CHANGED},
        email = case when :hasEmail::boolean then :email::text else email end,
        shipping_address = case when :hasAddress::boolean then :shippingAddress::jsonb else shipping_address end,
        shipping_method = case when :hasMethod::boolean then :shippingMethod::text else shipping_method end
    where ${MAY_CHANGE}
    returning *`),
)

/**
 * The token that opens a guest's cart, its checkout and its order. It is derived, so that a repeated request can answer
 * it again; what is stored is its hash alone.
 */
export function cartToken(secret: string, cartId: CartId): string {
  return `ct_${createHmac('sha256', secret).update(cartId).digest('base64url')}`
}

/** SHA-256: what `token_hash` columns are compared with. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
