import { randomUUID } from 'node:crypto'
import { Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'

let stack: TestStack
let shop: Shop
beforeAll(async () => {
  stack = await testStack({ apis: 2, env: { CHECKOUT_WAIT_MS: '4000', LOG_LEVEL: 'debug' } })
  shop = new Shop({ ...stack, apis: stack.stack.file.apis, sandbox: stack.stack.file.sandbox })
}, 60_000)
afterAll(() => stack?.stop(), 30_000)

const GBP = (amount: number) => ({ amount, currency: 'GBP' })

describe('paid', () => {
  it('answers 201 with the order, commits its stock, closes the cart', async () => {
    const buyer = await shop.buyerOf({ price: 255, stock: 5 }, 2)
    const { status, body } = await buyer.checkout()
    expect({ status, body }).toMatchObject({
      status: 201,
      body: {
        number: expect.stringMatching(/^HF-\d+$/),
        status: 'confirmed',
        payment_status: 'authorized',
        fulfillment_status: 'unfulfilled',
        email: 'buyer@example.com',
        lines: [{ sku: buyer.sku, quantity: 2, unit_price: GBP(255), total: GBP(510) }],
        totals: { subtotal: GBP(510), total: GBP(510), authorized: GBP(510), captured: GBP(0), refunded: GBP(0) },
        payments: [{ provider: 'sandbox', status: 'authorized', amount: GBP(510) }],
      },
    })
    expect(await shop.stock(buyer.sku)).toEqual({ on_hand: 5, reserved: 2, available: 3 })
    expect(await shop.charges(body.id)).toMatchObject([
      { key: `${body.id}/charge/1`, status: 'authorized', amount: 510 },
    ])
    const changed = await buyer.cart('post', '/lines', { sku: buyer.sku, quantity: 1 })
    expect(changed).toMatchObject({ status: 409, body: { code: 'cart_closed' } })
    expect(await buyer.checkout()).toMatchObject({ status: 201, body: { id: body.id } })
    const { body: order } = await shop.order(body.id)
    // Soon after it is given to a warehouse.
    expect(order.events.slice(0, 5).map((event: { type: string }) => event.type)).toEqual([
      'order.created',
      'inventory.reserved',
      'order.payment_pending',
      'payment.authorized',
      'order.confirmed',
    ])
    expect(order.reservations).toMatchObject([{ sku: buyer.sku, quantity: 2, state: 'committed', expires_at: null }])
    expect(order.ledger.map((entry: { account: string; amount: unknown }) => [entry.account, entry.amount])).toEqual([
      ['authorized', GBP(510)],
      ['authorized_contra', GBP(-510)],
    ])
  })

  it('charges shipping and what the cart knows stands in for the body', async () => {
    const buyer = await shop.buyerOf({ price: 1_000 })
    await buyer.cart('patch', '', {
      email: 'cart@example.com',
      shipping_address: { name: 'C', line1: '2 Low St', city: 'York', postal_code: 'YO1 1AA', country: 'GB' },
      shipping_method: 'express',
    })
    const { status, body } = await shop.call('post', `/v1/store/carts/${buyer.cartId}/checkout`, {
      token: buyer.token,
      idempotencyKey: randomUUID(),
      body: { payment: { method: 'pm_card_mastercard' } },
    })
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { email: 'cart@example.com', totals: { shipping: GBP(495), total: GBP(1_495) } },
    })
  })

  it('is 201 without a payment when nothing is due', async () => {
    const buyer = await shop.buyerOf({ price: 0, stock: 1 })
    const { status, body } = await buyer.checkout()
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { status: 'confirmed', payment_status: 'none', payments: [] },
    })
    expect(await shop.charges(body.id)).toEqual([])
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    expect(await buyer.checkout()).toMatchObject({ status: 201, body: { id: body.id } })
  })
})

describe('declined', () => {
  it.each([
    ['pm_card_chargeDeclined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
  ])('%s answers 402 with %s, holds the stock, and another card pays', async (method, decline_code) => {
    const buyer = await shop.buyerOf({ stock: 3 })
    const key = randomUUID()
    const declined = await buyer.checkout({ method, key })
    expect(declined).toMatchObject({
      status: 402,
      body: {
        code: 'payment_declined',
        decline_code,
        checkout: { state: 'ready_for_payment', hold_expires_at: expect.any(String), order: null },
      },
    })
    const orderId = declined.body.checkout.order_id
    expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    expect(await buyer.cart('post', '/lines', { sku: buyer.sku, quantity: 1 })).toMatchObject({
      status: 409,
      body: { code: 'cart_locked', checkout: { order_id: orderId } },
    })
    const paid = await buyer.pay(orderId, 'pm_card_visa')
    expect(paid).toMatchObject({ status: 201, body: { id: orderId, payment_status: 'authorized' } })
    const replayed = await buyer.checkout({ method, key })
    expect(replayed).toMatchObject({
      status: 402,
      body: { decline_code, checkout: { state: 'completed', order: { id: orderId } } },
    })
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(await shop.chargeStates(orderId)).toEqual(['declined', 'authorized'])
  })

  it('an equal body but for the payment, with a new key, is a new attempt on the same order; another body is not', async () => {
    const buyer = await shop.buyerOf()
    const declined = await buyer.checkout({ method: 'pm_card_chargeDeclined' })
    const orderId = declined.body.checkout.order_id
    const other = await buyer.checkout({ body: { shipping_method: 'express' } })
    expect(other).toMatchObject({
      status: 409,
      body: { code: 'checkout_in_progress', checkout: { order_id: orderId, state: 'ready_for_payment' } },
    })
    expect(await buyer.checkout({ method: 'pm_card_mastercard' })).toMatchObject({ status: 201, body: { id: orderId } })
    expect(await shop.charges(orderId)).toMatchObject([
      { key: `${orderId}/charge/1` },
      { key: `${orderId}/charge/2`, status: 'authorized' },
    ])
  })
})

describe('refused before any money moves', () => {
  it('out_of_stock: names the lines, holds nothing, leaves the cart open; sells once the stock is back', async () => {
    const [short, plenty] = [await shop.product({ stock: 1 }), await shop.product()]
    const buyer = await shop.buyer({ [short]: 2, [plenty]: 1 })
    const key = randomUUID()
    const answer = await buyer.checkout({ key })
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'out_of_stock', lines: [{ sku: short, requested: 2, available: 1 }] },
    })
    expect(await shop.stock(plenty)).toMatchObject({ reserved: 0 })
    await shop.setStock(short, 2)
    const replayed = await buyer.checkout({ key })
    expect(replayed).toMatchObject({ status: 409, body: { code: 'out_of_stock' } })
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(await buyer.checkout()).toMatchObject({ status: 201 })
  })

  it('sells each unit once to many at the same time, and every loser hears it', async () => {
    const sku = await shop.product({ stock: 3 })
    const buyers = await Promise.all(Array.from({ length: 12 }, () => shop.buyer({ [sku]: 1 })))
    const answers = await Promise.all(buyers.map((buyer, index) => buyer.checkout({ api: index % 2 })))
    const codes = answers.map(({ status, body }) => (status === 201 ? 201 : body.code))
    expect(codes.filter((code) => code === 201)).toHaveLength(3)
    expect(codes.filter((code) => code === 'out_of_stock')).toHaveLength(9)
    expect(await shop.stock(sku)).toEqual({ on_hand: 3, reserved: 3, available: 0 })
    const loser = buyers[codes.indexOf('out_of_stock')]
    await shop.setStock(sku, 4)
    expect(await loser?.checkout()).toMatchObject({ status: 201 })
  })

  it('price_changed: against the total that the buyer saw', async () => {
    const buyer = await shop.buyerOf({ price: 1_000 }, 2)
    await shop.setPrice(buyer.sku, 1_010)
    const answer = await buyer.checkout({ body: { expected_total: GBP(2_000) } })
    expect(answer).toMatchObject({ status: 409, body: { code: 'price_changed' } })
    expect([answer.body.old_total, answer.body.new_total]).toEqual([GBP(2_000), GBP(2_020)])
    expect(await buyer.checkout({ body: { expected_total: GBP(2_020) } })).toMatchObject({ status: 201 })
  })

  it('price_changed: a line more than 5 % above the price at which it was added, which then becomes the promise', async () => {
    const buyer = await shop.buyerOf({ price: 1_000 })
    await shop.setPrice(buyer.sku, 1_051)
    const answer = await buyer.checkout()
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'price_changed', old_total: GBP(1_000), new_total: GBP(1_051) },
    })
    const cart = await buyer.cart('get')
    expect(cart.body.lines).toMatchObject([{ price_at_add: GBP(1_051), unit_price: GBP(1_051) }])
    expect(await buyer.checkout()).toMatchObject({ status: 201, body: { totals: { total: GBP(1_051) } } })
  })

  it("up to 5 % above, or less, today's price is charged", async () => {
    const [dearer, cheaper] = [await shop.buyerOf({ price: 1_000 }), await shop.buyerOf({ price: 1_000 })]
    await Promise.all([shop.setPrice(dearer.sku, 1_050), shop.setPrice(cheaper.sku, 100)])
    expect(await dearer.checkout()).toMatchObject({ status: 201, body: { totals: { total: GBP(1_050) } } })
    expect(await cheaper.checkout()).toMatchObject({ status: 201, body: { totals: { total: GBP(100) } } })
  })

  it('cart_changed and cart_empty', async () => {
    const buyer = await shop.buyerOf()
    expect(await buyer.checkout({ body: { cart_version: 1 } })).toMatchObject({
      status: 409,
      body: { code: 'cart_changed', version: 2 },
    })
    expect(await buyer.checkout({ body: { cart_version: 2 } })).toMatchObject({ status: 201 })
    expect(await (await shop.buyer()).checkout()).toMatchObject({ status: 409, body: { code: 'cart_empty' } })
  })

  it('an archived product is out of stock', async () => {
    const buyer = await shop.buyerOf()
    await shop.address.database.pool.query(
      `update product set status = 'archived' where id = (select product_id from variant where sku = $1)`,
      [buyer.sku],
    )
    expect(await buyer.checkout()).toMatchObject({
      status: 409,
      body: { code: 'out_of_stock', lines: [{ sku: buyer.sku, requested: 1, available: 0 }] },
    })
  })

  it('names every field that neither the body nor the cart has', async () => {
    const buyer = await shop.buyerOf()
    const { status, body } = await shop.call('post', `/v1/store/carts/${buyer.cartId}/checkout`, {
      token: buyer.token,
      idempotencyKey: randomUUID(),
      body: { payment: { method: 'pm_card_visa' } },
    })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'validation_failed' })
    expect(body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([
      '/email',
      '/shipping_address',
      '/shipping_method',
    ])
  })
})

describe('idempotency', () => {
  it('the same key answers the same order, as it stands; another body is refused; no key is refused', async () => {
    const buyer = await shop.buyerOf()
    const key = randomUUID()
    const first = await buyer.checkout({ key })
    const again = await buyer.checkout({ key, api: 1 })
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await buyer.checkout({ key, method: 'pm_card_mastercard' })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    })
    const without = await shop.call('post', `/v1/store/carts/${buyer.cartId}/checkout`, {
      token: buyer.token,
      body: { payment: { method: 'pm_card_visa' } },
    })
    expect(without).toMatchObject({ status: 400, body: { code: 'idempotency_key_required' } })
  })

  it('one order and one charge from twenty submissions: two API processes, one key or many', async () => {
    const [sameKey, manyKeys] = [await shop.buyerOf(), await shop.buyerOf()]
    const submit = (buyer: typeof sameKey, key?: string) =>
      Array.from({ length: 10 }, (_, index) => buyer.checkout({ api: index % 2, ...(key && { key }) }))
    const answers = await Promise.all([...submit(sameKey, randomUUID()), ...submit(manyKeys)])
    expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(201))
    for (const [buyer, own] of [
      [sameKey, answers.slice(0, 10)],
      [manyKeys, answers.slice(10)],
    ] as const) {
      const orders = new Set(own.map((answer) => answer.body.id))
      expect(orders.size).toBe(1)
      expect(await shop.chargeStates([...orders][0])).toEqual(['authorized'])
      expect(await shop.stock(buyer.sku)).toMatchObject({ reserved: 1 })
    }
  })

  it('a declined attempt is one answer to all who joined it', async () => {
    const buyer = await shop.buyerOf()
    const answers = await Promise.all(
      [0, 1, 0, 1].map((api) => buyer.checkout({ api, method: 'pm_card_chargeDeclined', key: randomUUID() })),
    )
    const orders = new Set(answers.map((answer) => answer.body.checkout?.order_id))
    expect(answers.map((answer) => answer.status)).toEqual([402, 402, 402, 402])
    expect(orders.size).toBe(1)
  })
})

describe('who may read', () => {
  it("an order and its checkout are there for its cart's token, and for nobody else", async () => {
    const [buyer, stranger] = [await shop.buyerOf(), await shop.buyer()]
    const { body } = await buyer.checkout()
    expect(await buyer.order(body.id)).toMatchObject({ status: 200, body: { id: body.id, lines: [{ quantity: 1 }] } })
    expect(await buyer.state(body.id)).toMatchObject({ state: 'completed', order: { id: body.id } })
    for (const path of [`/v1/store/orders/${body.id}`, `/v1/store/checkouts/${body.id}`]) {
      expect(await shop.call('get', path, { token: stranger.token })).toMatchObject({ status: 404 })
      expect((await shop.call('get', path)).status).toBeGreaterThanOrEqual(400)
    }
    expect(await stranger.pay(body.id, 'pm_card_visa')).toMatchObject({ status: 404 })
    expect(await stranger.cancel(body.id)).toMatchObject({ status: 404 })
    expect(
      await shop.call('post', `/v1/store/carts/${buyer.cartId}/checkout`, {
        token: stranger.token,
        idempotencyKey: randomUUID(),
        body: { payment: { method: 'pm_card_visa' } },
      }),
    ).toMatchObject({ status: 404 })
  })
})
