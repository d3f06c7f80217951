import { randomUUID } from 'node:crypto'
import { hashToken } from '../../db/cart/cart'
import { newId } from '../../db/id'
import { acceptOrder } from '../../db/checkout'
import type { CartId, OrderId } from '../../domain/ids'
import { seedProducts } from './catalog'
import type { TestDatabase } from './database'
import { type Answer, callApi } from './http'
import { until } from './wait'

/** Where a shop runs: what `testStack()` answers has it all. */
export interface ShopAddress {
  /** One or several API processes; calls go to the first unless they say otherwise. */
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly sandbox: string
  readonly database: TestDatabase
}

export interface CheckoutOptions {
  readonly method?: string
  readonly key?: string
  /** Which API process answers. */
  readonly api?: number
  /** Added to the body. */
  readonly body?: Readonly<Record<string, unknown>>
}

export const ADDRESS = {
  name: 'Sample Buyer',
  company: null,
  line1: '1 High St',
  line2: null,
  city: 'Leeds',
  postal_code: 'LS1 4DY',
  region: null,
  country: 'GB',
  phone: null,
}

interface OwnProduct {
  readonly price?: number
  readonly stock?: number
  readonly currency?: string
}

/** A shop as its buyers, its staff and its payment provider see it: over HTTP. */
export class Shop {
  readonly address: ShopAddress

  constructor(address: ShopAddress) {
    this.address = address
  }

  /** A product of its own, in stock; returns its SKU. `price` in minor units. */
  async product({ price = 1_000, stock = 100, currency = 'GBP' }: OwnProduct = {}): Promise<string> {
    const sku = `SKU-${randomUUID().slice(0, 13).toUpperCase()}`
    const seed = () =>
      seedProducts(this.address.database.pool, [{ sku, title: `Product ${sku}`, prices: { [currency]: price }, stock }])
    // On a busy machine a first connection may take longer than the pool waits for it.
    await seed().catch((error: Error) => (/timeout/.test(error.message) ? seed() : Promise.reject(error)))
    return sku
  }

  /** A new cart with these lines. */
  async buyer(lines: Readonly<Record<string, number>> = {}, currency = 'GBP'): Promise<Buyer> {
    const made = await this.call('post', '/v1/store/carts', { body: { currency } })
    const buyer = new Buyer(this, made.body.id, made.body.token)
    const wanted = Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity }))
    if (wanted.length > 0) await buyer.cart('post', '/lines', { lines: wanted })
    return buyer
  }

  /** A buyer with a product that nobody else wants. */
  async buyerOf(product: OwnProduct = {}, quantity = 1): Promise<Buyer & { sku: string }> {
    const sku = await this.product(product)
    return Object.assign(await this.buyer({ [sku]: quantity }, product.currency), { sku })
  }

  call(method: string, path: string, options: Parameters<typeof callApi>[3] = {}, api = 0): Promise<Answer> {
    return callApi(this.address.apis[api] as string, method, path, options)
  }

  admin(method: string, path: string, body?: unknown, idempotencyKey: string = randomUUID()): Promise<Answer> {
    const sent = body === undefined ? {} : { body, idempotencyKey }
    return this.call(method, path, { key: this.address.adminKey, ...sent })
  }

  /** What is promised and what is free of a SKU. */
  async stock(sku: string): Promise<{ on_hand: number; reserved: number; available: number }> {
    const { body } = await this.admin('get', `/v1/admin/inventory/${sku}`)
    return { on_hand: body.on_hand, reserved: body.reserved, available: body.available }
  }

  async setStock(sku: string, onHand: number): Promise<void> {
    const { body } = await this.admin('get', `/v1/admin/inventory/${sku}`)
    const warehouse_id = body.levels[0].warehouse_id
    await this.admin('post', '/v1/admin/inventory/adjustments', {
      sku,
      warehouse_id,
      set_on_hand: onHand,
      reason: 'stocktake',
    })
  }

  async setPrice(sku: string, amount: number): Promise<void> {
    await this.address.database.pool.query(`update price set amount = $2 where sku = $1`, [sku, amount])
  }

  order(orderId: string): Promise<Answer> {
    return this.admin('get', `/v1/admin/orders/${orderId}`)
  }

  /** Waits until the order has this status. */
  async orderBecomes(orderId: string, status: string, withinMs?: number): Promise<Answer['body']> {
    const order = await until(
      `${orderId} is ${status}`,
      async () => (await this.order(orderId)).body,
      (body) => body.status === status,
      withinMs,
    )
    return order
  }

  /** The open cases of an order. */
  async cases(orderId: string): Promise<Answer['body'][]> {
    const { body } = await this.admin('get', '/v1/admin/attention?limit=100')
    return body.data.filter((open: { order_id: string }) => open.order_id === orderId)
  }

  async waitForCase(orderId: string, code: string, withinMs = 20_000): Promise<Answer['body']> {
    const [found] = await until(
      `${code} of ${orderId}`,
      async () => (await this.cases(orderId)).filter((open) => open.case === code),
      (cases) => cases.length > 0,
      withinMs,
    )
    return found
  }

  /** What the payment provider's own journal knows of an order, oldest first. */
  async charges(orderId: string): Promise<{ id: string; key: string; status: string; amount: number }[]> {
    const response = await fetch(`${this.address.sandbox}/v1/charges?reference=${orderId}`)
    return ((await response.json()) as { data: { id: string; key: string; status: string; amount: number }[] }).data
  }

  async chargeStates(orderId: string): Promise<string[]> {
    return (await this.charges(orderId)).map((charge) => charge.status)
  }

  /** What others do at the payment provider: its own pages, the customer's bank. `path` as in `docs/sandbox.md`. */
  async atProvider(path: string, body: unknown = {}): Promise<{ status: number; body: Answer['body'] }> {
    const response = await fetch(`${this.address.sandbox}/v1/charges/${path}`, {
      method: 'post',
      headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  /** Makes the provider fail; without arguments it works again. */
  async faults(faults: Record<string, number> = {}): Promise<void> {
    const response = await fetch(`${this.address.sandbox}/v1/faults`, {
      method: 'put',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    })
    if (!response.ok) throw new Error(`The sandbox answered ${response.status}`)
  }

  /** What the customer does on the page of the bank. */
  async decide(actionUrl: string, decision: 'approve' | 'refuse'): Promise<void> {
    await fetch(`${actionUrl}/${decision}`, { method: 'post', redirect: 'manual' })
  }
}

/** One cart, and what its holder does with it. */
export class Buyer {
  readonly shop: Shop
  readonly cartId: string
  readonly token: string

  constructor(shop: Shop, cartId: string, token: string) {
    this.shop = shop
    this.cartId = cartId
    this.token = token
  }

  cart(method: string, path = '', body?: unknown): Promise<Answer> {
    return this.shop.call(method, `/v1/store/carts/${this.cartId}${path}`, {
      token: this.token,
      ...(body === undefined ? {} : { body }),
    })
  }

  checkout({ method = 'pm_card_visa', key = randomUUID(), api = 0, body = {} }: CheckoutOptions = {}): Promise<Answer> {
    return this.shop.call(
      'post',
      `/v1/store/carts/${this.cartId}/checkout`,
      {
        token: this.token,
        idempotencyKey: key,
        body: {
          email: 'buyer@example.com',
          shipping_address: ADDRESS,
          shipping_method: 'standard',
          payment: { provider: 'sandbox', method },
          ...body,
        },
      },
      api,
    )
  }

  /** The order of a checkout whose answer is not there yet. */
  async accepted(): Promise<string> {
    return (await until('the order is accepted', async () => {
      const { body } = await this.cart('get')
      return body.checkout?.order_id ?? null
    })) as string
  }

  /** What a checkout leaves behind whose API is killed right after commit 1: an order that nobody works on. */
  async acceptOnly(method = 'pm_card_visa'): Promise<OrderId> {
    const orderId = newId('order')
    const { body } = await this.cart('get')
    const tokenHash = hashToken(this.token)
    await acceptOrder(this.shop.address.database.pool, {
      orderId,
      paymentId: newId('payment'),
      cartId: this.cartId as CartId,
      tokenHash,
      cartVersion: body.version,
      email: 'buyer@example.com',
      shippingAddress: ADDRESS,
      billingAddress: null,
      shippingMethod: 'standard',
      returnUrl: null,
      expectedTotal: null,
      provider: 'sandbox',
      method,
      paymentKey: `${orderId}/charge/1`,
      bodyHash: Buffer.alloc(32),
      idempotency: {
        scope: `cart:${tokenHash.toString('base64url')}`,
        operation: 'test',
        key: randomUUID(),
        bodyHash: Buffer.alloc(32),
      },
    })
    return orderId
  }

  pay(orderId: string, method: string, key: string = randomUUID(), api = 0): Promise<Answer> {
    return this.shop.call(
      'post',
      `/v1/store/checkouts/${orderId}/payments`,
      { token: this.token, idempotencyKey: key, body: { method } },
      api,
    )
  }

  cancel(orderId: string, key: string = randomUUID(), api = 0): Promise<Answer> {
    return this.shop.call(
      'post',
      `/v1/store/checkouts/${orderId}/cancel`,
      { token: this.token, idempotencyKey: key, body: {} },
      api,
    )
  }

  async state(orderId: string): Promise<Answer['body']> {
    return (await this.shop.call('get', `/v1/store/checkouts/${orderId}`, { token: this.token })).body
  }

  async stateBecomes(orderId: string, state: string, withinMs?: number): Promise<Answer['body']> {
    const reached = await until(
      `the checkout of ${orderId} is ${state}`,
      () => this.state(orderId),
      (body) => body.state === state,
      withinMs,
    )
    return reached
  }

  order(orderId: string): Promise<Answer> {
    return this.shop.call('get', `/v1/store/orders/${orderId}`, { token: this.token })
  }
}
