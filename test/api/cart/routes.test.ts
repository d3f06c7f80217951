import { cacheCart, dropCart, readCachedCart } from '../../../db/cart/cache'
import { hashToken } from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import { forgetStoreSettings } from '../../../db/platform/settings'
import type { CartId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
  await seedProducts(api.database.pool, [
    { sku: 'Tea', title: 'A tin of tea', prices: { GBP: 250 }, stock: 100 },
    { sku: 'CUP', title: 'A cup', prices: { GBP: 400, EUR: 500 }, stock: 3 },
    { sku: 'SOLD-OUT', title: 'Gone', prices: { GBP: 100 }, stock: 0 },
    { sku: 'A/B', title: 'With a slash', prices: { GBP: 100 }, stock: 1 },
    { sku: 'GOLD', title: 'Dear', prices: { GBP: 900_000_000_000 }, stock: 9 },
    ...Array.from({ length: 1_001 }, (_, index) => ({
      sku: `N-${index}`,
      title: 'One of many',
      prices: { GBP: 1 },
      stock: 1,
    })),
  ])
})
afterAll(() => api.close())

describe('POST /carts', () => {
  it('makes an empty cart and answers its token', async () => {
    const { status, body } = await api.call('post', '/v1/store/carts', { body: { currency: 'GBP' } })
    expect(status).toBe(201)
    expect(body).toMatchObject({ version: 1, currency: 'GBP', lines: [], problems: [], hold: null, checkout: null })
    expect(body.totals).toMatchObject({ total: { amount: 0, currency: 'GBP' }, estimated: true })
    expect(body.token).toMatch(/^ct_[\w-]{43}$/)
  })

  it('takes the currency of the store when none is named', async () => {
    expect((await api.call('post', '/v1/store/carts')).body.currency).toBe('GBP')
  })

  it('answers the same cart and token to a repeated key, and refuses the key for another body', async () => {
    const first = await api.call('post', '/v1/store/carts', { body: { currency: 'EUR' }, idempotencyKey: 'make-one' })
    const again = await api.call('post', '/v1/store/carts', { body: { currency: 'EUR' }, idempotencyKey: 'make-one' })
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id, token: first.body.token } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const other = await api.call('post', '/v1/store/carts', { body: { currency: 'GBP' }, idempotencyKey: 'make-one' })
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  it('makes one cart of ten requests with one key at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.call('post', '/v1/store/carts', { body: {}, idempotencyKey: 'at-once' })),
    )
    const made = answers.filter((answer) => answer.status === 201)
    const waiting = answers.filter((answer) => answer.status === 409)
    expect(made.length + waiting.length).toBe(10)
    expect(waiting.every((answer) => answer.body.code === 'request_in_progress')).toBe(true)
    expect(new Set(made.map((answer) => answer.body.id)).size).toBe(1)
  })
})

describe('lines', () => {
  it('adds one, then many, and answers the priced cart with its version one higher', async () => {
    const cart = await newCart()
    const one = await cart.call('post', '/lines', { body: { sku: 'tea', quantity: 2 } })
    expect(one).toMatchObject({ status: 200, body: { version: 2 } })
    expect(one.body.lines).toEqual([
      {
        sku: 'Tea',
        product_id: expect.stringMatching(/^prod_/),
        title: 'A tin of tea',
        quantity: 2,
        unit_price: { amount: 250, currency: 'GBP' },
        price_at_add: { amount: 250, currency: 'GBP' },
        discount: { amount: 0, currency: 'GBP' },
        tax: { amount: 0, currency: 'GBP' },
        total: { amount: 500, currency: 'GBP' },
      },
    ])
    const many = await cart.call('post', '/lines', {
      body: {
        lines: [
          { sku: 'CUP', quantity: 1 },
          { sku: 'TEA', quantity: 1 },
          { sku: 'cup', quantity: 1 },
        ],
      },
    })
    expect(many.body).toMatchObject({
      version: 3,
      totals: { subtotal: { amount: 1_550 }, total: { amount: 1_550 }, due: { amount: 1_550 } },
    })
    expect(quantities(many.body)).toEqual({ Tea: 3, CUP: 2 })
  })

  it('loses nothing of parallel changes', async () => {
    const cart = await newCart()
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })),
    )
    expect(new Set(answers.map((answer) => answer.body.version)).size).toBe(40)
    expect(quantities((await cart.call('get')).body)).toEqual({ Tea: 40 })
  })

  it('adds once per idempotency key', async () => {
    const cart = await newCart()
    const add = () => cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 }, idempotencyKey: 'once' })
    await add()
    expect((await add()).body.version).toBe(2)
    const other = await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 2 }, idempotencyKey: 'once' })
    expect(other.status).toBe(422)
    const another = await newCart()
    expect(
      (await another.call('post', '/lines', { body: { sku: 'TEA', quantity: 2 }, idempotencyKey: 'once' })).status,
    ).toBe(200)
  })

  it('sets, removes at 0, and deletes', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', {
      body: {
        lines: [
          { sku: 'TEA', quantity: 2 },
          { sku: 'A/B', quantity: 1 },
        ],
      },
    })
    expect(quantities((await cart.call('patch', '/lines/tea', { body: { quantity: 5 } })).body)).toEqual({
      Tea: 5,
      'A/B': 1,
    })
    expect(quantities((await cart.call('delete', '/lines/a%2Fb')).body)).toEqual({ Tea: 5 })
    expect(quantities((await cart.call('patch', '/lines/TEA', { body: { quantity: 0 } })).body)).toEqual({})
    expect(await cart.call('delete', '/lines/TEA')).toMatchObject({ status: 404, body: { code: 'sku_not_found' } })
    expect(await cart.call('patch', '/lines/TEA', { body: { quantity: 1 } })).toMatchObject({
      status: 404,
      body: { code: 'sku_not_found' },
    })
  })

  it.each([
    [{ sku: 'NOWHERE', quantity: 1 }, 404, 'sku_not_found'],
    [{ sku: 'straße', quantity: 1 }, 404, 'sku_not_found'],
    [{ sku: 'TEA', quantity: 0 }, 400, 'validation_failed'],
    [{ sku: 'TEA', quantity: 100_001 }, 400, 'validation_failed'],
    [{ sku: 'TEA', quantity: 1.5 }, 400, 'validation_failed'],
    [{ sku: 'TEA', quantity: -1 }, 400, 'validation_failed'],
    [{ sku: 'TEA', quantity: '1' }, 400, 'validation_failed'],
    [{ sku: 'TEA' }, 400, 'validation_failed'],
    [{ lines: [] }, 400, 'validation_failed'],
    [
      {
        lines: [
          { sku: 'TEA', quantity: 60_000 },
          { sku: 'tea', quantity: 60_000 },
        ],
      },
      400,
      'validation_failed',
    ],
    [
      { lines: Array.from({ length: 1_001 }, (_, index) => ({ sku: `N-${index}`, quantity: 1 })) },
      422,
      'cart_too_large',
    ],
    [
      {
        lines: [
          { sku: 'TEA', quantity: 1 },
          { sku: 'NOWHERE', quantity: 1 },
        ],
      },
      404,
      'sku_not_found',
    ],
    [{ sku: 'GOLD', quantity: 2 }, 422, 'amount_out_of_range'],
  ])('refuses case %# and changes nothing', async (body, status, code) => {
    const cart = await newCart()
    expect(await cart.call('post', '/lines', { body })).toMatchObject({ status, body: { code } })
    expect((await cart.call('get')).body).toMatchObject({ version: 1, lines: [] })
  })

  it('says a SKU that there is not as it was written', async () => {
    const cart = await newCart()
    const { body } = await cart.call('post', '/lines', { body: { sku: 'no-Where', quantity: 1 } })
    expect(body).toMatchObject({ code: 'sku_not_found', sku: 'no-Where', detail: 'There is no SKU no-Where.' })
  })

  it('names the wrong field of the nearest form', async () => {
    const cart = await newCart()
    const { body } = await cart.call('post', '/lines', {
      body: {
        lines: [
          { sku: 'TEA', quantity: 1 },
          { sku: 'TEA', quantity: 0 },
        ],
      },
    })
    expect(body.errors).toEqual([expect.objectContaining({ in: 'body', pointer: '/lines/1/quantity' })])
  })

  it('refuses a SKU without a price in the currency of the cart', async () => {
    const cart = await newCart('EUR')
    expect(await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })).toMatchObject({
      status: 422,
      body: { code: 'no_price' },
    })
  })

  it('refuses to set more than can be paid', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'GOLD', quantity: 1 } })
    expect(await cart.call('patch', '/lines/GOLD', { body: { quantity: 2 } })).toMatchObject({
      status: 422,
      body: { code: 'amount_out_of_range' },
    })
  })
})

describe('problems', () => {
  it('accepts more than is available and says so', async () => {
    const cart = await newCart()
    const { body } = await cart.call('post', '/lines', {
      body: {
        lines: [
          { sku: 'CUP', quantity: 5 },
          { sku: 'SOLD-OUT', quantity: 1 },
        ],
      },
    })
    expect(body.problems).toEqual([
      expect.objectContaining({ code: 'insufficient_stock', sku: 'CUP', available_quantity: 3 }),
      expect.objectContaining({ code: 'out_of_stock', sku: 'SOLD-OUT', available_quantity: 0 }),
    ])
  })

  it('shows a changed price with both figures, and charges the new one', async () => {
    await seedProducts(api.database.pool, [{ sku: 'WAVE', title: 'Changes', prices: { GBP: 100 }, stock: 5 }])
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'WAVE', quantity: 2 } })
    await api.database.pool.query(`update price set amount = 130 where sku = 'WAVE'`)
    const { body } = await cart.call('post', '/lines', { body: { sku: 'WAVE', quantity: 1 } })
    expect(body.problems).toEqual([
      expect.objectContaining({
        code: 'price_changed',
        old_price: { amount: 100, currency: 'GBP' },
        new_price: { amount: 130, currency: 'GBP' },
      }),
    ])
    expect(body.lines[0]).toMatchObject({
      unit_price: { amount: 130 },
      price_at_add: { amount: 100 },
      total: { amount: 390 },
    })
  })

  it('keeps the line of a product that is archived, at no cost', async () => {
    await seedProducts(api.database.pool, [{ sku: 'LAST', title: 'Of its kind', prices: { GBP: 100 }, stock: 5 }])
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'LAST', quantity: 2 } })
    await api.database.pool.query(
      `update product set status = 'archived' where id = (select product_id from variant where sku = 'LAST')`,
    )
    const { body } = await cart.call('patch', '', { body: { email: 'a@example.com' } })
    expect(body.problems).toEqual([expect.objectContaining({ code: 'unavailable', sku: 'LAST' })])
    expect(body.totals.total.amount).toBe(0)
  })
})

describe('details', () => {
  const shipping_address = {
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

  it('sets e-mail, address and method; the totals are then no estimate', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })
    const { body } = await cart.call('patch', '', {
      body: { email: 'buyer@example.com', shipping_address, shipping_method: 'express' },
    })
    expect(body).toMatchObject({ version: 3, email: 'buyer@example.com', shipping_address, shipping_method: 'express' })
    expect(body.totals).toMatchObject({ shipping: { amount: 495 }, total: { amount: 745 }, estimated: false })
    const emptied = await cart.call('patch', '', { body: { shipping_address: null } })
    expect(emptied.body).toMatchObject({
      email: 'buyer@example.com',
      shipping_address: null,
      totals: { estimated: true },
    })
  })

  it('fills in what may be left out', async () => {
    const cart = await newCart()
    const { line2: _line2, region: _region, ...short } = shipping_address
    expect((await cart.call('patch', '', { body: { shipping_address: short } })).body.shipping_address).toEqual(
      shipping_address,
    )
  })

  it.each([
    [{ email: 'nobody' }, '/email'],
    [{ email: `${'a'.repeat(250)}@example.com` }, '/email'],
    [{ shipping_method: 'rocket' }, '/shipping_method'],
    [{ shipping_address: { ...shipping_address, country: 'ZZ' } }, '/shipping_address/country'],
    [{ shipping_address: { ...shipping_address, city: '   ' } }, '/shipping_address/city'],
    [{ shipping_address: { ...shipping_address, planet: 'Mars' } }, '/shipping_address/planet'],
    [{ color: 'red' }, '/color'],
  ])('refuses %j', async (body, pointer) => {
    const cart = await newCart()
    const answer = await cart.call('patch', '', { body })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ pointer }] } })
  })

  it('lists two flat shipping methods in the currency of the cart', async () => {
    const cart = await newCart('EUR')
    expect((await cart.call('get', '/shipping-options')).body.data).toEqual([
      expect.objectContaining({ id: 'standard', price: { amount: 0, currency: 'EUR' } }),
      expect.objectContaining({ id: 'express', price: { amount: 495, currency: 'EUR' } }),
    ])
  })
})

describe('many holds at once', () => {
  it('are all answered by a few connections, when no process has read the settings of the store yet', async () => {
    const small = await startApi({ DATABASE_POOL_MAX: '4' })
    try {
      await seedProducts(small.database.pool, [{ sku: 'MANY', title: 'Many', prices: { GBP: 1 }, stock: 100 }])
      const buyers: { id: string; token: string }[] = []
      for (let n = 0; n < 40; n++) {
        const { body } = await small.call('post', '/v1/store/carts', { body: { currency: 'GBP' } })
        const line = { sku: 'MANY', quantity: 1 }
        await small.call('post', `/v1/store/carts/${body.id}/lines`, { token: body.token, body: line })
        buyers.push(body)
      }
      forgetStoreSettings(small.deps.pool)
      // Every connection of the pool is inside a transaction, and the other requests wait for one.
      const held = await holdTable(small.database.pool, 'cart')
      const answered = Promise.all(
        buyers.map(({ id, token }) => small.call('post', `/v1/store/carts/${id}/hold`, { token })),
      )
      await held.waitedForBy(4)
      await held.release()
      const began = Date.now()
      const answers = await answered
      expect(answers.map(({ status }) => status)).toEqual(buyers.map(() => 200))
      expect(Date.now() - began).toBeLessThan(5_000)
    } finally {
      await small.close()
    }
  })
})

describe('a hold', () => {
  it('holds all lines, counts as available to its own cart, and gives them back', async () => {
    await seedProducts(api.database.pool, [{ sku: 'HELD', title: 'Held', prices: { GBP: 100 }, stock: 3 }])
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'HELD', quantity: 2 } })
    const held = await cart.call('post', '/hold')
    expect(held).toMatchObject({ status: 200, body: { hold: { expires_at: expect.any(String) }, problems: [] } })
    expect(await reserved('HELD')).toBe(2)

    const other = await newCart()
    await other.call('post', '/lines', { body: { sku: 'HELD', quantity: 2 } })
    expect(await other.call('post', '/hold')).toMatchObject({
      status: 409,
      body: { code: 'out_of_stock', lines: [{ sku: 'HELD', requested: 2, available: 1 }] },
    })

    await cart.call('patch', '/lines/HELD', { body: { quantity: 1 } })
    await cart.call('post', '/hold')
    expect(await reserved('HELD')).toBe(1)
    expect((await cart.call('delete', '/hold')).body.hold).toBeNull()
    expect(await reserved('HELD')).toBe(0)
    expect((await cart.call('delete', '/hold')).status).toBe(200)
  })

  it('ends with the last line of its cart', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'CUP', quantity: 1 } })
    await cart.call('post', '/hold')
    expect((await cart.call('delete', '/lines/CUP')).body).toMatchObject({ lines: [], hold: null })
    const { rows } = await api.database.pool.query(
      "select count(*)::int as n from reservation where owner_id = $1 and state = 'held'",
      [cart.id],
    )
    expect(rows).toEqual([{ n: 0 }])
  })

  it('holds nothing for an empty cart', async () => {
    const cart = await newCart()
    expect(await cart.call('post', '/hold')).toMatchObject({ status: 409, body: { code: 'cart_empty' } })
  })

  it('is made once per key', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 2 } })
    await cart.call('post', '/hold', { idempotencyKey: 'hold' })
    expect((await cart.call('post', '/hold', { idempotencyKey: 'hold' })).headers.get('idempotent-replayed')).toBe(
      'true',
    )
    expect((await cart.call('post', '/hold', { idempotencyKey: 'hold', body: { x: 1 } })).status).toBe(200)
  })
})

describe('who may', () => {
  it('asks for the token, and knows no cart without the right one', async () => {
    const cart = await newCart()
    const path = `/v1/store/carts/${cart.id}`
    expect(await api.call('get', path)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
    const other = await newCart()
    for (const [method, rest, body] of [
      ['get', '', undefined],
      ['patch', '', {}],
      ['post', '/lines', { sku: 'TEA', quantity: 1 }],
      ['patch', '/lines/TEA', { quantity: 1 }],
      ['delete', '/lines/TEA', undefined],
      ['get', '/shipping-options', undefined],
      ['post', '/hold', undefined],
      ['delete', '/hold', undefined],
    ] as const) {
      expect(await api.call(method, path + rest, { token: other.token, ...(body ? { body } : {}) })).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
    }
    expect((await api.call('get', '/v1/store/carts/cart_nonsense', { token: cart.token })).status).toBe(404)
  })

  it('refuses changes while an order is open, and once the cart is bought', async () => {
    for (const [state, code] of [
      ['open', 'cart_locked'],
      ['bought', 'cart_closed'],
    ] as const) {
      const cart = await newCart()
      await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })
      const orderId = newId('order')
      await api.database.pool.query('update cart set order_id = $2, state = $3 where id = $1', [
        cart.id,
        orderId,
        state,
      ])
      for (const [method, rest, body] of [
        ['patch', '', {}],
        ['post', '/lines', { sku: 'TEA', quantity: 1 }],
        ['patch', '/lines/TEA', { quantity: 1 }],
        ['delete', '/lines/TEA', undefined],
        ['post', '/hold', undefined],
        ['delete', '/hold', undefined],
      ] as const) {
        const answer = await cart.call(method, rest, body ? { body } : {})
        expect(answer).toMatchObject({ status: 409, body: { code } })
        if (code === 'cart_locked') expect(answer.body.checkout).toMatchObject({ order_id: orderId })
      }
      await api.deps.redis.flushdb()
      expect((await cart.call('get')).body).toMatchObject({ state, checkout: { order_id: orderId } })
    }
  })

  it('refuses changes seven days after the last', async () => {
    const cart = await newCart()
    await api.database.pool.query(`update cart set expires_at = now() - interval '1 second' where id = $1`, [cart.id])
    expect(await cart.call('patch', '', { body: {} })).toMatchObject({ status: 409, body: { code: 'cart_closed' } })
  })
})

describe('a cart of many lines', () => {
  const lines = Array.from({ length: 60 }, (_, index) => ({ sku: `N-${index}`, quantity: 1 }))

  it('is answered whole and priced as it is today, whatever this process has read before', async () => {
    const key = await api.key()
    const made = await api.call('post', '/v1/admin/products', {
      key,
      body: { title: 'Last of many', variants: [{ sku: 'MANY', prices: [{ amount: 100, currency: 'GBP' }] }] },
    })
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { lines: [...lines, { sku: 'MANY', quantity: 1 }] } })
    const again = await cart.call('post', '/lines', { body: { sku: 'N-7', quantity: 2 } })
    expect(again.body.lines).toHaveLength(61)
    expect(again.body.lines[7]).toMatchObject({ sku: 'N-7', quantity: 3, title: 'One of many' })
    expect(again.body.totals.total.amount).toBe(60 + 2 + 100)
    await api.call('patch', `/v1/admin/products/${made.body.id}`, {
      key,
      headers: { 'if-match': made.headers.get('etag') ?? '' },
      body: { variants: [{ sku: 'MANY', prices: [{ amount: 140, currency: 'GBP' }] }] },
    })
    const dearer = await cart.call('post', '/lines', { body: { sku: 'N-7', quantity: 1 } })
    expect(dearer.body.totals.total.amount).toBe(60 + 3 + 140)
    expect((await cart.call('get')).body).toEqual(dearer.body)
  })

  it('counts its own hold as available, and shows nobody else’s', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { lines } })
    await cart.call('post', '/hold')
    const holding = await cart.call('post', '/lines', { body: { sku: 'CUP', quantity: 1 } })
    expect(holding.body.problems).toEqual([])
    const other = await newCart()
    await other.call('post', '/lines', { body: { lines } })
    const short = await other.call('post', '/lines', { body: { sku: 'CUP', quantity: 1 } })
    expect(short.body.problems).toHaveLength(lines.length)
    await cart.call('delete', '/hold')
  })
})

describe('reads', () => {
  it('come from Redis, and from Postgres when Redis has lost them', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })
    const before = await cart.call('get')
    await api.database.pool.query('update cart set version = 77 where id = $1', [cart.id])
    expect((await cart.call('get')).body).toEqual(before.body)
    await api.deps.redis.flushdb()
    expect((await cart.call('get')).body.version).toBe(77)
  })

  it('show at once what a merchant has changed', async () => {
    const sku = 'EPOCH-1'
    const key = await api.key()
    const made = await api.call('post', '/v1/admin/products', {
      key,
      body: { title: 'Epoch', variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }] },
    })
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku, quantity: 1 } })
    const before = await cart.call('get')
    await api.call('patch', `/v1/admin/products/${made.body.id}`, {
      key,
      headers: { 'if-match': made.headers.get('etag') ?? '' },
      body: { variants: [{ sku, prices: [{ amount: 120, currency: 'GBP' }] }] },
    })
    const after = await cart.call('get')
    expect(before.body.lines[0].unit_price.amount).toBe(100)
    expect(after.body.lines[0].unit_price.amount).toBe(120)
    expect(after.body.problems).toContainEqual(expect.objectContaining({ code: 'price_changed', sku }))
  })

  it('never fill in what was read before a change', async () => {
    const cart = await newCart()
    const id = cart.id as CartId
    const tokenHash = hashToken(cart.token)
    const { redis } = api.deps
    const found = await readCachedCart(redis, id, tokenHash)
    if (found.json !== null || !found.mark) throw new Error('nothing has been read yet')
    const expiresAt = new Date(Date.now() + 60_000)
    await dropCart(redis, id)
    await cacheCart(redis, id, { mark: found.mark, tokenHash, json: '"old"', expiresAt })
    expect(await readCachedCart(redis, id, tokenHash)).toMatchObject({ json: null })
  })

  it('live in Redis for as long as the cart does', async () => {
    const cart = await newCart()
    await cart.call('post', '/lines', { body: { sku: 'TEA', quantity: 1 } })
    await cart.call('get')
    const days = (await api.deps.redis.pttl(`cart:{${cart.id}}`)) / 86_400_000
    expect(days).toBeGreaterThan(6.9)
    expect(days).toBeLessThanOrEqual(7)
  })
})

it('answers every status that its routes list', () => {
  expect(api.unseen('Carts')).toEqual([])
})

async function newCart(currency = 'GBP') {
  const { body } = await api.call('post', '/v1/store/carts', { body: { currency } })
  const { id, token } = body as { id: string; token: string }
  return {
    id,
    token,
    call: (method: string, rest = '', options: Parameters<TestApi['call']>[2] = {}) =>
      api.call(method, `/v1/store/carts/${id}${rest}`, { token, ...options }),
  }
}

function quantities(cart: { lines: { sku: string; quantity: number }[] }): Record<string, number> {
  return Object.fromEntries(cart.lines.map((line) => [line.sku, line.quantity]))
}

async function reserved(sku: string): Promise<number> {
  const { rows } = await api.database.pool.query<{ reserved: number }>(
    'select sum(reserved)::int as reserved from stock_level where sku = $1',
    [sku],
  )
  return rows[0]?.reserved ?? 0
}
