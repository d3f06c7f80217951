import { z } from 'zod'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import {
  addLines,
  type Cart,
  type CartKey,
  insertCart,
  readCart,
  requireOpen,
  setDetails,
  setLine,
  cartToken,
  hashToken,
} from '../../db/cart/cart'
import { cacheCart, dropCart, readCachedCart } from '../../db/cart/cache'
import { readCatalogEpoch } from '../../db/catalog/epoch'
import { newId } from '../../db/id'
import { type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import { holdCart, releaseCartHold } from '../../db/inventory/reservation'
import type { Db, Tx } from '../../db/pool'
import { CART_LINES_MAX, type LineChange, linesInOrder, QUANTITY_MAX, sumLines } from '../../domain/cart'
import { DomainError } from '../../domain/errors'
import { type CartId, SKU_PATTERN, skuKey } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { SHIPPING_METHODS, shippingOptions } from '../../domain/pricing/shipping'
import { cartBody, cartJson, presentCart } from './answer'
import { notServed } from './served'
import { invalid } from '../http/problem'
import type { ApiDeps } from '../deps'
import { type CartCaller, defineRoute, type Route } from '../http/route'
import { address, currency, email, idOf, money, orNull, pathId, sku } from '../http/schemas'

const CHANGE_CODES = ['cart_closed', 'cart_locked', 'request_in_progress'] as const
const quantity = z.int().min(1).max(QUANTITY_MAX)
const line = z.strictObject({ sku, quantity })
const linePath = z.object({ id: idOf('cart'), sku })

const createCart = defineRoute({
  method: 'post',
  path: '/v1/store/carts',
  tag: 'Carts',
  summary: 'Make a cart',
  description: 'Answers the token that opens it, this once. The currency is the store’s when none is named.',
  caller: 'anyone',
  body: z.strictObject({ currency: currency.optional() }),
  answers: { 201: cartBody, 409: ['request_in_progress'], 422: ['idempotency_key_reused'] },
  example: { answer: 201, body: { currency: 'GBP' } },
}).handle(async ({ body, idempotency }, deps) => {
  const currency = body.currency ?? (await storeSettings(deps.pool)).defaultCurrency
  if (!idempotency) {
    const { cart, token } = await makeCart(deps.pool, currency, deps)
    return { status: 201, body: { ...(await presentCart(cart, deps)), token } }
  }
  return withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => ({ status: 201, resource: (await makeCart(tx, currency, deps)).cart.id }),
    async (cartId) => {
      const token = tokenOf(cartId, deps)
      const cart = await requireCart(deps.pool, { cartId, tokenHash: hashToken(token) })
      return { ...(await presentCart(cart, deps)), token }
    },
  )
})

const getCart = defineRoute({
  method: 'get',
  path: '/v1/store/carts/{id}',
  tag: 'Carts',
  summary: 'Read a cart',
  caller: 'cart',
  params: pathId('cart'),
  answers: { 200: cartBody },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) => {
  const { tokenHash } = caller
  const cached = await readCachedCart(deps.redis, params.id, tokenHash)
  if (cached.json !== null) return { status: 200, json: cached.json }
  const cart = await requireCart(deps.pool, keyOf(params.id, caller))
  const json = await cartJson(cart, deps)
  const { mark } = cached
  if (mark) await cacheCart(deps.redis, cart.id, { mark, tokenHash, json, expiresAt: cart.expiresAt })
  return { status: 200, json }
})

const patchCart = defineRoute({
  method: 'patch',
  path: '/v1/store/carts/{id}',
  tag: 'Carts',
  summary: 'Set e-mail, address or shipping method',
  description: 'A field that is left out stays; null empties it.',
  caller: 'cart',
  params: pathId('cart'),
  body: z.strictObject({
    email: email.nullish(),
    shipping_address: orNull(address).optional(),
    shipping_method: z.enum(SHIPPING_METHODS).nullish(),
  }),
  answers: { 200: cartBody, 409: ['cart_closed', 'cart_locked'] },
  example: { answer: 200, body: { email: 'buyer@example.com', shipping_method: 'standard' } },
}).handle(async ({ params, body, caller }, deps) => {
  if (body.shipping_address) await requireCountry(body.shipping_address.country, deps)
  const cart = await setDetails(deps.pool, keyOf(params.id, caller), {
    email: body.email,
    shippingAddress: body.shipping_address,
    shippingMethod: body.shipping_method,
  })
  return answerChanged(cart, deps)
})

const postLines = defineRoute({
  method: 'post',
  path: '/v1/store/carts/{id}/lines',
  tag: 'Carts',
  summary: 'Add one line or many',
  description:
    'Adds to what is there; several lines are added in one step, all or none. More than is available is accepted with a problem.',
  caller: 'cart',
  params: pathId('cart'),
  body: z.union([line, z.strictObject({ lines: z.array(line).min(1) })]),
  answers: {
    200: cartBody,
    404: ['not_found', 'sku_not_found'],
    409: CHANGE_CODES,
    422: ['no_price', 'cart_too_large', 'amount_out_of_range', 'idempotency_key_reused'],
  },
  example: { answer: 200, body: { sku: '85123A', quantity: 2 } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const key = keyOf(params.id, caller)
  const lines = wantedLines('lines' in body ? body.lines : [body])
  if (!idempotency) {
    return answerChanged(await addToCart(key, lines, deps), deps)
  }
  return changeOnce(key, deps, idempotency, (tx) => addLines(tx, key, lines))
})

const patchLine = defineRoute({
  method: 'patch',
  path: '/v1/store/carts/{id}/lines/{sku}',
  tag: 'Carts',
  summary: 'Set the quantity of a line',
  description: '0 removes the line.',
  caller: 'cart',
  params: linePath,
  body: z.strictObject({ quantity: z.int().min(0).max(QUANTITY_MAX) }),
  answers: {
    200: cartBody,
    404: ['not_found', 'sku_not_found'],
    409: ['cart_closed', 'cart_locked'],
    422: ['amount_out_of_range'],
  },
  example: { answer: 200, body: { quantity: 3 } },
}).handle(async ({ params, body, caller }, deps) =>
  changeLine(keyOf(params.id, caller), { ...skuOf(params.sku), quantity: body.quantity }, deps),
)

const deleteLine = defineRoute({
  method: 'delete',
  path: '/v1/store/carts/{id}/lines/{sku}',
  tag: 'Carts',
  summary: 'Remove a line',
  caller: 'cart',
  params: linePath,
  answers: { 200: cartBody, 404: ['not_found', 'sku_not_found'], 409: ['cart_closed', 'cart_locked'] },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) =>
  changeLine(keyOf(params.id, caller), { ...skuOf(params.sku), quantity: 0 }, deps),
)

const getShippingOptions = defineRoute({
  method: 'get',
  path: '/v1/store/carts/{id}/shipping-options',
  tag: 'Carts',
  summary: 'How this cart can be sent',
  caller: 'cart',
  params: pathId('cart'),
  answers: {
    200: z.strictObject({
      data: z.array(z.strictObject({ id: z.string(), label: z.string(), price: money, estimate: z.string() })),
    }),
  },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) => {
  const { currency } = await requireCart(deps.pool, keyOf(params.id, caller))
  const data = shippingOptions(currency).map(({ id, label, price, estimate }) => ({
    id,
    label,
    price: { amount: price, currency },
    estimate,
  }))
  return { status: 200, body: { data } }
})

const postHold = defineRoute({
  method: 'post',
  path: '/v1/store/carts/{id}/hold',
  tag: 'Carts',
  summary: 'Hold the stock of all lines for a while',
  description:
    'To exactly the quantities of the lines, all or none; a second call renews. `hold.expires_at` is the countdown.',
  caller: 'cart',
  params: pathId('cart'),
  answers: { 200: cartBody, 409: ['out_of_stock', 'cart_empty', ...CHANGE_CODES] },
  example: { answer: 200 },
}).handle(async ({ params, caller, idempotency }, deps) => {
  const key = keyOf(params.id, caller)
  const store = await storeSettings(deps.pool)
  const { cart: seconds } = holdSeconds(store, deps.settings)
  return changeOnce(key, deps, idempotency, (tx) => holdLines(tx, key, { countries: store.countries, seconds }))
})

const deleteHold = defineRoute({
  method: 'delete',
  path: '/v1/store/carts/{id}/hold',
  tag: 'Carts',
  summary: 'Give the held stock back',
  caller: 'cart',
  params: pathId('cart'),
  answers: { 200: cartBody, 409: ['cart_closed', 'cart_locked'] },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) => {
  const key = keyOf(params.id, caller)
  requireOpen(await requireCart(deps.pool, key))
  await releaseCartHold(deps.pool, params.id)
  return answerChanged(await requireCart(deps.pool, key), deps)
})

export const cartRoutes: readonly Route[] = [
  getCart,
  postLines,
  createCart,
  patchCart,
  patchLine,
  deleteLine,
  getShippingOptions,
  postHold,
  deleteHold,
]

async function makeCart(db: Db, currency: Currency, deps: ApiDeps): Promise<{ cart: Cart; token: string }> {
  const cartId = newId('cart')
  const token = tokenOf(cartId, deps)
  return { cart: await insertCart(db, { cartId, tokenHash: hashToken(token), currency }), token }
}

/** With little to read for a cart that has many lines: see `db/cart/recent.ts`. */
async function addToCart(key: CartKey, lines: readonly LineChange[], deps: ApiDeps): Promise<Cart> {
  const epoch = await readCatalogEpoch(deps.redis)
  if (epoch === null) return addLines(deps.pool, key, lines)
  const cart = await addLines(deps.pool, key, lines, 'changed')
  return deps.catalogEntryCache.complete(deps.pool, cart, epoch)
}

/** The last line takes the cart's hold with it. */
async function changeLine(key: CartKey, change: LineChange, deps: ApiDeps): Promise<{ status: 200; json: string }> {
  const cart = await setLine(deps.pool, key, change)
  if (cart.holdExpiresAt === null || Object.keys(cart.lines).length > 0) return answerChanged(cart, deps)
  await releaseCartHold(deps.pool, key.cartId)
  return answerChanged(await requireCart(deps.pool, key), deps)
}

/** The answer to whoever has changed a cart. */
async function answerChanged(cart: Cart, deps: ApiDeps): Promise<{ status: 200; json: string }> {
  await dropCart(deps.redis, cart.id)
  return { status: 200, json: await cartJson(cart, deps) }
}

/** A change under a key: its effect and the key commit together; the answer is the cart as it stands. */
async function changeOnce(
  key: CartKey,
  deps: ApiDeps,
  idempotency: IdempotencyScope | null,
  change: (tx: Tx) => Promise<unknown>,
): Promise<{ status: 200; json: string; headers: Record<string, string> }> {
  const { status, body, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      await change(tx)
      return { status: 200, resource: key.cartId }
    },
    async () => (await answerChanged(await requireCart(deps.pool, key), deps)).json,
  )
  return { status, json: body, headers }
}

async function holdLines(
  tx: Tx,
  key: CartKey,
  { countries, seconds }: { countries: readonly string[]; seconds: number },
): Promise<void> {
  const cart = await requireCart(tx, key)
  requireOpen(cart)
  const lines = linesInOrder(cart.lines)
  if (lines.length === 0) throw new DomainError('cart_empty', 'There is nothing to hold.')
  const held = await holdCart(tx, {
    cartId: key.cartId,
    lines,
    country: cart.shippingAddress?.country ?? countries[0] ?? '',
    seconds,
  })
  if (held.held) return
  // A checkout may have locked the cart in between: then it is not the stock that is short.
  requireOpen(await requireCart(tx, key))
  const short = held.short.map(({ sku, ...counts }) => ({ sku: cart.catalog.get(sku)?.skuWritten ?? sku, ...counts }))
  throw new DomainError('out_of_stock', 'There is not enough stock to hold all lines.', { lines: short })
}

async function requireCart(db: Db, key: CartKey): Promise<Cart> {
  const cart = await readCart(db, key)
  if (!cart) throw new DomainError('not_found', 'There is no such cart.')
  return cart
}

async function requireCountry(country: string, { pool }: ApiDeps): Promise<void> {
  const { countries } = await storeSettings(pool)
  const errors = notServed(country, countries)
  if (errors.length > 0) throw invalid(errors)
}

/** Summed per SKU, so that a line given twice is one. Throws for SKUs that cannot exist and for sums beyond the limits. */
function wantedLines(given: readonly { sku: string; quantity: number }[]): LineChange[] {
  const lines = sumLines(given.map(({ sku, quantity }) => ({ ...skuOf(sku), quantity })))
  if (lines.length > CART_LINES_MAX)
    throw new DomainError('cart_too_large', `A cart holds at most ${CART_LINES_MAX} lines.`)
  const tooMany = lines.find((line) => line.quantity > QUANTITY_MAX)
  if (tooMany) {
    throw invalid([
      { in: 'body', pointer: '/lines', code: 'too_big', message: `${tooMany.sku}: at most ${QUANTITY_MAX} in all.` },
    ])
  }
  return lines
}

/** The key of a SKU; one that no merchant can have written is unknown without asking. */
function skuOf(written: string): Pick<LineChange, 'sku' | 'written'> {
  if (!SKU_PATTERN.test(written)) throw new DomainError('sku_not_found', 'There is no such SKU.')
  return { sku: skuKey(written), written }
}

function keyOf(cartId: CartId, { tokenHash }: CartCaller): CartKey {
  return { cartId, tokenHash }
}

function tokenOf(cartId: CartId, { settings }: ApiDeps): string {
  return cartToken(settings.TOKEN_SECRET, cartId)
}
