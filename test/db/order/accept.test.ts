import { addLines } from '../../../db/cart/cart'
import { cancelOrder } from '../../../db/order/cancel'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { accept, accepted, cartOfTwo } = orderStatements(() => database.pool)

describe('accepting', () => {
  it('makes one order of ten at once, locks the cart, and frees it when it is cancelled', async () => {
    const cart = await cartOfTwo()
    const orders = await Promise.all(Array.from({ length: 10 }, () => accept(cart)))
    expect(orders.filter((order) => order !== null)).toHaveLength(1)
    const { rows } = await database.pool.query('select id from orders where cart_id = $1', [cart.cartId])
    await expect(addLines(database.pool, cart, [{ sku: cart.sku, quantity: 1 }])).rejects.toMatchObject({
      code: 'cart_locked',
    })
    expect(await cancelOrder(database.pool, { orderId: rows[0].id, reason: 'expired' })).toBe(cart.cartId)
    expect(await accept(cart)).not.toBeNull()
  })

  it('takes nothing from a cart that has changed, is empty, or belongs to somebody else', async () => {
    const cart = await cartOfTwo()
    expect(await accept(cart, { cartVersion: 1 })).toBeNull()
    expect(await accept({ ...cart, tokenHash: Buffer.alloc(32) })).toBeNull()
    expect(await accept(cart)).not.toBeNull()
  })

  it('a second live order of one cart is refused by the schema, whatever the cart says', async () => {
    const first = await accepted()
    await database.pool.query('update cart set order_id = null where id = $1', [first.cartId])
    await expect(accept(first)).rejects.toMatchObject({ constraint: 'one_live_order_per_cart' })
  })
})
