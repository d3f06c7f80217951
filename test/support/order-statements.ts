import { randomUUID } from 'node:crypto'
import { addLines, insertCart, readCart, cartToken, hashToken } from '../../db/cart/cart'
import { newId } from '../../db/id'
import { acceptOrder } from '../../db/checkout'
import { cancelOrder } from '../../db/order/cancel'
import { planShipments } from '../../db/fulfillment/plan'
import { confirmOrder, type Paid } from '../../db/order/confirm'
import { placeOrder } from '../../db/order/place'
import { readEvents, readOrder } from '../../db/order/read'
import type { Pool } from '../../db/pool'
import type { CartId, OrderId, PaymentId, WarehouseId } from '../../domain/ids'
import { mayBecome, type OrderStatus } from '../../domain/order'
import { seedProducts } from './catalog'
import { seenCharge } from './seen'

export interface AcceptedOrder {
  readonly sku: string
  readonly cartId: CartId
  readonly tokenHash: Buffer
  readonly orderId: OrderId
  readonly paymentId: PaymentId
}

/** The statements of a checkout, each called by hand: no API, no workflow. `pool` is asked for when a test runs. */
export function orderStatements(pool: () => Pool) {
  let main: WarehouseId

  /** A cart with 2 of a product of its own, at 500 each, of which there are `stock`. */
  async function cartOfTwo(stock = 5): Promise<Omit<AcceptedOrder, 'orderId' | 'paymentId'>> {
    const sku = `O-${randomUUID().slice(0, 8).toUpperCase()}`
    main = await seedProducts(pool(), [{ sku, title: sku, prices: { GBP: 500 }, stock }])
    const cartId = newId('cart')
    const key = { cartId, tokenHash: hashToken(cartToken('a secret of the tests', cartId)) }
    await insertCart(pool(), { ...key, currency: 'GBP' })
    await addLines(pool(), key, [{ sku, quantity: 2 }])
    return { sku, ...key }
  }

  function accept(
    { cartId, tokenHash }: Pick<AcceptedOrder, 'cartId' | 'tokenHash'>,
    { orderId = newId('order'), paymentId = newId('payment'), cartVersion = 2, key = randomUUID() } = {},
  ) {
    return acceptOrder(pool(), {
      orderId,
      paymentId,
      cartId,
      tokenHash,
      cartVersion,
      email: 'a@example.com',
      shippingAddress: { country: 'GB' },
      billingAddress: null,
      shippingMethod: 'standard',
      returnUrl: null,
      expectedTotal: null,
      provider: 'sandbox',
      method: 'pm_card_visa',
      paymentKey: `${orderId}/charge/1`,
      bodyHash: Buffer.alloc(32),
      idempotency: {
        scope: `cart:${tokenHash.toString('base64url')}`,
        operation: cartId,
        key,
        bodyHash: Buffer.alloc(32),
      },
    })
  }

  async function accepted(stock?: number): Promise<AcceptedOrder> {
    const cart = await cartOfTwo(stock)
    const ids = { orderId: newId('order'), paymentId: newId('payment') }
    expect(await accept(cart, ids)).toMatchObject({ number: expect.stringMatching(/^HF-/) })
    return { ...cart, ...ids }
  }

  function place({ orderId, cartId, sku }: AcceptedOrder, holdSeconds = 60) {
    return placeOrder(pool(), {
      orderId,
      cartId,
      allocations: [{ sku, warehouseId: main, quantity: 2 }],
      scores: new Map([[main, { distance_km: null, priority: 100, is_whole: true }]]),
      lines: [
        {
          sku,
          skuWritten: sku,
          productId: newId('product'),
          title: sku,
          sellerId: 'house',
          quantity: 2,
          unitPrice: 500,
          discount: 0,
          tax: 0,
          total: 1_000,
        },
      ],
      totals: { subtotal: 1_000, discount: 0, shipping: 0, tax: 0, total: 1_000 },
      holdSeconds,
    })
  }

  async function placed(holdSeconds?: number): Promise<AcceptedOrder> {
    const order = await accepted()
    expect(await place(order, holdSeconds)).not.toBeNull()
    return order
  }

  /** As the relay does it: the units of a confirmed order are given to shipments. */
  const confirm = async ({ orderId, paymentId }: AcceptedOrder, paid: Partial<Paid> = {}) => {
    const charge = { ...seenCharge({ reference: 'ch_1' }), paymentId, ...paid }
    const cartId = await confirmOrder(pool(), { orderId, paid: charge })
    await planShipments(pool(), [orderId])
    return cartId
  }

  const cancel = ({ orderId }: AcceptedOrder) => cancelOrder(pool(), { orderId, reason: 'customer' })

  async function reservedOf(sku: string): Promise<number> {
    const { rows } = await pool().query('select reserved from stock_level where sku = $1', [sku])
    return rows[0].reserved
  }

  const cartOf = ({ cartId, tokenHash }: AcceptedOrder) => readCart(pool(), { cartId, tokenHash })

  /** The events of an order are gap-free, and each step of its status is one that the table allows. */
  async function followsTheTable(orderId: OrderId): Promise<void> {
    const events = await readEvents(pool(), orderId)
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
    let status: OrderStatus | null = null
    for (const { from, to } of events) {
      if (to === null) continue
      expect(from).toBe(status)
      if (from !== null) expect(mayBecome(from, to)).toBe(true)
      status = to
    }
    expect((await readOrder(pool(), orderId))?.status).toBe(status)
  }

  return {
    accept,
    accepted,
    cancel,
    cartOf,
    cartOfTwo,
    confirm,
    followsTheTable,
    place,
    placed,
    reservedOf,
    /** Where the stock of the last cart lies. */
    warehouseId: () => main,
  }
}
