import { randomUUID } from 'node:crypto'
import { addLines, type CartKey, insertCart, readCart } from '../../db/cart/cart'
import {
  acceptCart,
  joinAttempt,
  readCheckoutKey,
  readCheckoutSubject,
  refuseCheckout,
  requestNextAttempt,
} from '../../db/checkout'
import { newId } from '../../db/id'
import { cancelOrder } from '../../db/order/cancel'
import { readOrderToPlace } from '../../db/order/place'
import { readOwnOrder } from '../../db/order/read'
import type { IdempotencyScope } from '../../db/platform/idempotency'
import { readPriceInputs } from '../../db/pricing'
import type { OrderId } from '../../domain/ids'
import { seedProducts } from '../support/catalog'
import { testDatabase, type TestDatabase } from '../support/database'
import { orderStatements } from '../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  await seedProducts(database.pool, [
    { sku: 'Cup', title: 'Cup', prices: { GBP: 500 }, stock: 5 },
    { sku: 'Saucer-Long-Name', title: 'Saucer', prices: { GBP: 300 }, stock: 5 },
  ])
})
afterAll(() => database.drop())

const statements = orderStatements(() => database.pool)

/** A cart at version 3, with two of the long name and one cup. */
async function newCart(): Promise<CartKey> {
  const key = { cartId: newId('cart'), tokenHash: Buffer.from(randomUUID()) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  await addLines(database.pool, key, [{ sku: 'SAUCER-LONG-NAME', quantity: 2 }])
  await addLines(database.pool, key, [{ sku: 'CUP', quantity: 1 }])
  return key
}

function keyFor({ cartId }: Pick<CartKey, 'cartId'>, body = 'body'): IdempotencyScope {
  return { scope: 'test', operation: cartId, key: randomUUID(), bodyHash: Buffer.from(body) }
}

function accept(cart: CartKey, { idempotency = keyFor(cart), cartVersion = 3 } = {}) {
  return acceptCart(database.pool, {
    ...cart,
    cartVersion,
    email: 'a@example.com',
    shippingAddress: { country: 'GB' },
    billingAddress: null,
    shippingMethod: 'standard',
    returnUrl: null,
    expectedTotal: null,
    provider: 'sandbox',
    method: 'pm_card_visa',
    bodyHash: Buffer.alloc(32),
    idempotency,
  })
}

const subjectOf = (cart: CartKey, idempotency = keyFor(cart)) =>
  readCheckoutSubject(database.pool, { ...cart, idempotency })

describe('what a request is about', () => {
  it('is the cart until it has an order, then the order, and whatever its key was used for', async () => {
    const cart = await newCart()
    const idempotency = keyFor(cart)
    expect(await subjectOf(cart, idempotency)).toMatchObject({ kind: 'cart', cart: { id: cart.cartId, version: 3 } })
    const order = await accept(cart, { idempotency })
    expect(await subjectOf(cart)).toMatchObject({ kind: 'order', order: { id: order?.orderId, status: 'pending' } })
    const named = { kind: 'names', orderId: order?.orderId, attempt: 1 }
    expect(await subjectOf(cart, idempotency)).toEqual({ kind: 'key', key: named })
    await cancelOrder(database.pool, { orderId: order?.orderId as OrderId, reason: 'customer' })
    expect(await subjectOf(cart)).toMatchObject({ kind: 'cart' })
  })

  it('is nothing to a stranger, and no cart that is closed', async () => {
    const cart = await newCart()
    await expect(subjectOf({ ...cart, tokenHash: Buffer.from('other') })).rejects.toMatchObject({ code: 'not_found' })
    await database.pool.query("update cart set expires_at = now() - interval '1 day' where id = $1", [cart.cartId])
    await expect(subjectOf(cart)).rejects.toMatchObject({ code: 'cart_closed', message: 'The cart is expired.' })
  })

  it('is no key that comes with another body', async () => {
    const cart = await newCart()
    const idempotency = keyFor(cart)
    await accept(cart, { idempotency })
    const other = { ...idempotency, bodyHash: Buffer.from('another') }
    await expect(subjectOf(cart, other)).rejects.toMatchObject({ code: 'idempotency_key_reused' })
  })
})

describe('a cart', () => {
  it('becomes an order only as it was read, and under a key of its own', async () => {
    const [cart, another] = [await newCart(), await newCart()]
    expect(await accept(cart, { cartVersion: 2 })).toBeNull()
    const idempotency = keyFor(cart)
    expect(await accept(cart, { idempotency })).toMatchObject({ number: expect.stringMatching(/^HF-/) })
    expect(await accept(another, { idempotency })).toBeNull()
    expect(await readCart(database.pool, another)).toMatchObject({ orderId: null })
  })

  it('is priced from the same lines and entries as the snapshot that its order keeps', async () => {
    const cart = await newCart()
    const read = await readCart(database.pool, cart)
    if (!read) throw new Error('the cart is gone')
    const ofCart = await readPriceInputs(database.pool, read)
    expect(ofCart.lines.map(({ sku, quantity }) => [sku, quantity])).toEqual([
      ['SAUCER-LONG-NAME', 2],
      ['CUP', 1],
    ])
    const accepted = await accept(cart)
    const order = await readOrderToPlace(database.pool, accepted?.orderId as OrderId)
    if (!order) throw new Error('the order is gone')
    const { currency, snapshot: lines, cartId } = order
    expect(await readPriceInputs(database.pool, { currency, lines, cartId })).toEqual(ofCart)
  })

  it('keeps the prices that a refusal told; the key keeps the refusal', async () => {
    const cart = await newCart()
    const idempotency = keyFor(cart)
    const refusal = { code: 'cart_empty' } as const
    await refuseCheckout(database.pool, idempotency, { cartId: cart.cartId, refusal, prices: { CUP: 777 } })
    expect(await readCheckoutKey(database.pool, idempotency)).toEqual({ kind: 'refused', refusal })
    const lines = (await readCart(database.pool, cart))?.lines
    expect([lines?.['CUP']?.price_at_add, lines?.['SAUCER-LONG-NAME']?.price_at_add]).toEqual([777, 300])
  })
})

describe('a further attempt', () => {
  it('is not made while the order does not wait for one, nor under a key that is taken', async () => {
    const cart = await newCart()
    const idempotency = keyFor(cart)
    const orderId = (await accept(cart, { idempotency }))?.orderId as OrderId
    const ask = (key: IdempotencyScope) =>
      requestNextAttempt(database.pool, {
        orderId,
        tokenHash: cart.tokenHash,
        provider: 'sandbox',
        method: 'pm_card_visa',
        idempotency: key,
      })
    expect(await ask(keyFor(cart))).toBeNull()
    await database.pool.query(
      `with failed as (update payment set status = 'declined', outcome = 'declined' where order_id = $1)
       update orders set status = 'payment_pending', hold_expires_at = now() + interval '1 hour' where id = $1`,
      [orderId],
    )
    expect(await ask(idempotency)).toBeNull()
    expect(await ask(keyFor(cart))).toEqual({ attempt: 2 })
  })

  it('is joined by a new key; what a key named before stays', async () => {
    const cart = await newCart()
    const used = keyFor(cart)
    const orderId = (await accept(cart, { idempotency: used }))?.orderId as OrderId
    const order = await readOwnOrder(database.pool, orderId, cart.tokenHash)
    if (!order) throw new Error('the order is gone')
    const second = { ...order, attempts: order.attempts.map((attempt) => ({ ...attempt, attempt: 2 })) }
    const fresh = keyFor(cart)
    for (const key of [used, fresh]) expect(await joinAttempt(database.pool, second, key)).toBe(2)
    expect(await readCheckoutKey(database.pool, used)).toMatchObject({ attempt: 1 })
    expect(await readCheckoutKey(database.pool, fresh)).toMatchObject({ attempt: 2 })
  })
})

describe('the statement that accepts', () => {
  it('makes one order of ten at once, locks the cart, and frees it when it is cancelled', async () => {
    const cart = await statements.cartOfTwo()
    const orders = await Promise.all(Array.from({ length: 10 }, () => statements.accept(cart)))
    expect(orders.filter((order) => order !== null)).toHaveLength(1)
    const { rows } = await database.pool.query('select id from orders where cart_id = $1', [cart.cartId])
    await expect(addLines(database.pool, cart, [{ sku: cart.sku, quantity: 1 }])).rejects.toMatchObject({
      code: 'cart_locked',
    })
    expect(await cancelOrder(database.pool, { orderId: rows[0].id, reason: 'expired' })).toBe(cart.cartId)
    expect(await statements.accept(cart)).not.toBeNull()
  })

  it('takes nothing from a cart that has changed, is empty, or belongs to somebody else', async () => {
    const cart = await statements.cartOfTwo()
    expect(await statements.accept(cart, { cartVersion: 1 })).toBeNull()
    expect(await statements.accept({ ...cart, tokenHash: Buffer.alloc(32) })).toBeNull()
    expect(await statements.accept(cart)).not.toBeNull()
  })

  it('a second live order of one cart is refused by the schema, whatever the cart says', async () => {
    const first = await statements.accepted()
    await database.pool.query('update cart set order_id = null where id = $1', [first.cartId])
    await expect(statements.accept(first)).rejects.toMatchObject({ constraint: 'one_live_order_per_cart' })
  })
})
