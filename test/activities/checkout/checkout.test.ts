import { randomUUID } from 'node:crypto'
import { createCheckoutActivities } from '../../../activities/checkout/checkout'
import { readSettings } from '../../../config'
import { cacheCart, readCachedCart } from '../../../db/cart/cache'
import { addLines, type CartKey, insertCart, readCart } from '../../../db/cart/cart'
import { acceptCart } from '../../../db/checkout'
import { newId } from '../../../db/id'
import { readOrder } from '../../../db/order/read'
import { requestCancel } from '../../../db/order/sweep'
import { createRedis, type Redis } from '../../../db/redis'
import type { OrderId, PaymentId } from '../../../domain/ids'
import { NO_TAX } from '../../../domain/pricing/price'
import type { TaxQuestion } from '../../../providers/tax'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { testRedis } from '../../support/redis'
import { seenCharge } from '../../support/seen'

let database: TestDatabase
let redis: Redis
let activities: ReturnType<typeof createCheckoutActivities>
const asked: TaxQuestion[] = []
beforeAll(async () => {
  database = await testDatabase()
  const settings = readSettings({ DATABASE_URL: database.url, REDIS_URL: (await testRedis()).url })
  redis = createRedis(settings)
  const rates = async (question: TaxQuestion) => {
    asked.push(question)
    return NO_TAX
  }
  activities = createCheckoutActivities({ pool: database.pool, redis, tax: { rates }, settings })
})
afterAll(async () => {
  redis?.disconnect()
  await database?.drop()
})

interface Accepted extends CartKey {
  readonly orderId: OrderId
  readonly skus: readonly string[]
}

/** An accepted order of one of each of two products of its own, five of each in stock; its cart is in the cache. */
async function accepted(price = 500, expectedTotal: number | null = null): Promise<Accepted> {
  const skus = [`Z-${randomUUID().slice(0, 8)}`, `a-much-longer-${randomUUID().slice(0, 8)}`]
  await seedProducts(
    database.pool,
    skus.map((sku) => ({ sku, title: sku, prices: { GBP: price }, stock: 5 })),
  )
  const cart = { cartId: newId('cart'), tokenHash: Buffer.from(randomUUID()) }
  await insertCart(database.pool, { ...cart, currency: 'GBP' })
  for (const sku of [...skus].reverse()) {
    await addLines(database.pool, cart, [{ sku: sku.toUpperCase(), quantity: 1 }])
  }
  const order = await acceptCart(database.pool, {
    ...cart,
    cartVersion: 3,
    email: 'a@example.com',
    shippingAddress: { country: 'GB', postal_code: 'N1 9GU' },
    billingAddress: null,
    shippingMethod: 'express',
    returnUrl: null,
    expectedTotal,
    provider: 'sandbox',
    method: 'pm_card_visa',
    bodyHash: Buffer.alloc(32),
    idempotency: { scope: 'test', operation: cart.cartId, key: 'first', bodyHash: Buffer.alloc(32) },
  })
  await putInCache(cart)
  return { ...cart, orderId: order?.orderId as OrderId, skus }
}

async function putInCache({ cartId, tokenHash }: CartKey): Promise<void> {
  const { mark } = (await readCachedCart(redis, cartId, tokenHash)) as { mark: { drops: string; epoch: string } }
  await cacheCart(redis, cartId, { mark, tokenHash, json: '{}', expiresAt: new Date(Date.now() + 60_000) })
  expect(await isCached({ cartId, tokenHash })).toBe(true)
}

async function isCached({ cartId, tokenHash }: CartKey): Promise<boolean> {
  return (await readCachedCart(redis, cartId, tokenHash)).json !== null
}

async function placed(): Promise<Accepted & { paymentId: PaymentId }> {
  const order = await accepted()
  const answer = await activities.place({ orderId: order.orderId })
  if (answer.outcome !== 'placed' || !answer.attempt) throw new Error(answer.outcome)
  return { ...order, paymentId: answer.attempt.paymentId }
}

describe('placing', () => {
  it('writes the lines in the order of the cart at the price of today, and says again what it did', async () => {
    const { orderId, skus } = await accepted()
    const first = await activities.place({ orderId })
    expect(first).toMatchObject({ outcome: 'placed', due: 1_495, currency: 'GBP', repeated: false })
    expect(asked.at(-1)?.address).toEqual({ country: 'GB', postalCode: 'N1 9GU' })
    const order = await readOrder(database.pool, orderId)
    expect(order).toMatchObject({ status: 'payment_pending', subtotal: 1_000, shipping: 495, total: 1_495 })
    expect(order?.lines.map(({ sku }) => sku)).toEqual([...skus].reverse())
    expect(await activities.place({ orderId })).toMatchObject({ outcome: 'placed', due: 1_495, repeated: true })
  })

  it('refuses what is sold out by now, and makes the cart free', async () => {
    const order = await accepted()
    const [sold] = order.skus as [string]
    await database.pool.query('update stock_level set on_hand = 0 where sku = $1', [sold.toUpperCase()])
    expect(await activities.place(order)).toEqual({ outcome: 'over' })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'cancelled',
      refusal: { code: 'out_of_stock', lines: [{ sku: sold, requested: 1, available: 0 }] },
    })
    expect(await readCart(database.pool, order)).toMatchObject({ state: 'open', orderId: null })
    expect(await isCached(order)).toBe(false)
    // Its first try may have been killed right after the commit.
    await putInCache(order)
    expect(await activities.place(order)).toEqual({ outcome: 'over' })
    expect(await isCached(order)).toBe(false)
  })

  it('refuses another total than the buyer saw, and writes the prices into the cart', async () => {
    const order = await accepted(500, 1_400)
    expect(await activities.place(order)).toEqual({ outcome: 'over' })
    const total = (amount: number) => ({ amount, currency: 'GBP' })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      refusal: { code: 'price_changed', old_total: total(1_400), new_total: total(1_495) },
    })
    const cart = await readCart(database.pool, order)
    expect(Object.values(cart?.lines ?? {}).map((line) => line.price_at_add)).toEqual([500, 500])
  })

  it('does not place what was accepted longer ago than a hold lasts: its buyer has left', async () => {
    const order = await accepted()
    await database.pool.query(`update orders set created_at = now() - interval '3 hours' where id = $1`, [
      order.orderId,
    ])
    expect(await activities.place(order)).toEqual({ outcome: 'over' })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'cancelled',
      cancelReason: 'expired',
      attempts: [{ status: 'failed', outcome: 'expired' }],
    })
    expect(await isCached(order)).toBe(false)
  })

  it('cancels what is to be cancelled, for the reason of whoever asked first', async () => {
    const order = await accepted()
    const { pool } = database
    expect(await requestCancel(pool, order.orderId, { reason: 'fraud', reasonCode: 'fraud' })).toBe(true)
    expect(await requestCancel(pool, order.orderId, { reason: 'customer', reasonCode: 'customer' })).toBe(true)
    expect(await activities.place(order)).toEqual({ outcome: 'over' })
    expect(await readOrder(pool, order.orderId)).toMatchObject({ cancelReason: 'fraud' })
    const { rows } = await pool.query(`select data from order_event where order_id = $1 and type = 'order.cancelled'`, [
      order.orderId,
    ])
    expect(rows).toEqual([{ data: { reason: 'fraud', reason_code: 'fraud' } }])
    expect(await isCached(order)).toBe(false)
  })
})

describe('the end of a checkout', () => {
  it('confirmed: the cached cart goes, even when its first try was killed right after the commit', async () => {
    const order = await placed()
    const paid = seenCharge({ paymentId: order.paymentId, reference: 'ch_1' })
    expect(await activities.confirm({ orderId: order.orderId, paid })).toBe(true)
    expect(await isCached(order)).toBe(false)
    await putInCache(order)
    expect(await activities.confirm({ orderId: order.orderId, paid })).toBe(true)
    expect(await isCached(order)).toBe(false)
  })

  it('cancelled: the cached cart goes, and no money confirms it any more', async () => {
    const order = await placed()
    await activities.cancelOrder({ orderId: order.orderId, reason: 'customer' })
    expect(await isCached(order)).toBe(false)
    await putInCache(order)
    await activities.cancelOrder({ orderId: order.orderId, reason: 'expired' })
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({ cancelReason: 'customer' })
    expect(await isCached(order)).toBe(false)
    const paid = seenCharge({ paymentId: order.paymentId, reference: 'ch_2' })
    expect(await activities.confirm({ orderId: order.orderId, paid })).toBe(false)
  })
})
