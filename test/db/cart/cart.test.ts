import {
  addLines,
  type Cart,
  insertCart,
  readCart,
  setDetails,
  setLine,
  cartToken,
  hashToken,
} from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import { linesInOrder } from '../../../domain/cart'
import type { CartId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
  await seedCatalog()
})
afterAll(() => database.drop())

describe('a cart', () => {
  it('adds to what is there and keeps the order of first mention', async () => {
    const { key } = await newCart()
    await addLines(database.pool, key, [
      { sku: 'TEA', quantity: 2 },
      { sku: 'CUP', quantity: 1 },
    ])
    const cart = await addLines(database.pool, key, [{ sku: 'TEA', quantity: 3 }])
    expect(cart.version).toBe(3)
    expect(linesInOrder(cart.lines)).toEqual([
      { sku: 'TEA', quantity: 5, priceAtAdd: 250 },
      { sku: 'CUP', quantity: 1, priceAtAdd: 400 },
    ])
  })

  it('loses nothing of a hundred parallel changes, and no two get the same version', async () => {
    const { key } = await newCart()
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        addLines(database.pool, key, [{ sku: index % 2 ? 'TEA' : 'CUP', quantity: 1 }]),
      ),
    )
    const cart = await found(key)
    expect(cart.lines['TEA']?.quantity).toBe(50)
    expect(cart.lines['CUP']?.quantity).toBe(50)
    expect(new Set(answers.map((answer) => answer.version)).size).toBe(100)
    expect(cart.version).toBe(101)
  })

  it('adds many lines or none', async () => {
    const { key } = await newCart()
    const both = [
      { sku: 'TEA', quantity: 1 },
      { sku: 'NOWHERE', quantity: 1 },
    ]
    await expect(addLines(database.pool, key, both)).rejects.toMatchObject({
      code: 'sku_not_found',
      details: { sku: 'NOWHERE' },
    })
    expect(await found(key)).toMatchObject({ version: 1, lines: {} })
  })

  it('refuses a SKU without a price in its currency, and one that is archived', async () => {
    const { key } = await newCart()
    await expect(addLines(database.pool, key, [{ sku: 'EUROS', quantity: 1 }])).rejects.toMatchObject({
      code: 'no_price',
    })
    await expect(addLines(database.pool, key, [{ sku: 'OLD', quantity: 1 }])).rejects.toMatchObject({
      code: 'sku_not_found',
    })
  })

  it('refuses more units than a line holds, in one step or in two', async () => {
    const { key } = await newCart()
    await addLines(database.pool, key, [{ sku: 'TEA', quantity: 99_999 }])
    await expect(addLines(database.pool, key, [{ sku: 'TEA', quantity: 2 }])).rejects.toMatchObject({
      code: 'validation_failed',
    })
    expect((await found(key)).lines['TEA']?.quantity).toBe(99_999)
  })

  it('refuses a line that costs more than can be added up exactly', async () => {
    const { key } = await newCart()
    await expect(addLines(database.pool, key, [{ sku: 'YACHT', quantity: 2 }])).rejects.toMatchObject({
      code: 'amount_out_of_range',
    })
    await addLines(database.pool, key, [{ sku: 'YACHT', quantity: 1 }])
    await expect(setLine(database.pool, key, { sku: 'YACHT', quantity: 3 })).rejects.toMatchObject({
      code: 'amount_out_of_range',
    })
  })

  it('refuses line 1,001', async () => {
    const { key } = await newCart()
    const skus = Array.from({ length: 1_000 }, (_, index) => ({ sku: `N${index}`, quantity: 1 }))
    const full = await addLines(database.pool, key, skus)
    expect(Object.keys(full.lines)).toHaveLength(1_000)
    expect(full.catalog.size).toBe(1_000)
    await expect(addLines(database.pool, key, [{ sku: 'TEA', quantity: 1 }])).rejects.toMatchObject({
      code: 'cart_too_large',
    })
    expect((await addLines(database.pool, key, [{ sku: 'N7', quantity: 1 }])).lines['N7']?.quantity).toBe(2)
  })

  it('sets a line, removes it at 0, and knows no line that is not there', async () => {
    const { key } = await newCart()
    await addLines(database.pool, key, [{ sku: 'TEA', quantity: 2 }])
    expect((await setLine(database.pool, key, { sku: 'TEA', quantity: 7 })).lines['TEA']).toMatchObject({
      quantity: 7,
      price_at_add: 250,
    })
    expect((await setLine(database.pool, key, { sku: 'TEA', quantity: 0 })).lines).toEqual({})
    await expect(setLine(database.pool, key, { sku: 'TEA', quantity: 1 })).rejects.toMatchObject({
      code: 'sku_not_found',
    })
  })

  it('changes only the details that are named', async () => {
    const { key } = await newCart()
    await setDetails(database.pool, key, { email: 'a@example.com', shippingMethod: 'express' })
    const cart = await setDetails(database.pool, key, { shippingMethod: null })
    expect(cart).toMatchObject({ email: 'a@example.com', shippingMethod: null, shippingAddress: null, version: 3 })
  })

  it('is opened by its own token alone', async () => {
    const { key } = await newCart()
    const other = { ...key, tokenHash: hashToken('ct_other') }
    expect(await readCart(database.pool, other)).toBeNull()
    await expect(addLines(database.pool, other, [{ sku: 'TEA', quantity: 1 }])).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  it('refuses changes while an order locks it, once it is bought, and once its time is over', async () => {
    const { key } = await newCart()
    const orderId = newId('order')
    await database.pool.query('update cart set order_id = $2 where id = $1', [key.cartId, orderId])
    await expect(addLines(database.pool, key, [{ sku: 'TEA', quantity: 1 }])).rejects.toMatchObject({
      code: 'cart_locked',
      details: { checkout: { order_id: orderId } },
    })
    await database.pool.query(`update cart set state = 'bought' where id = $1`, [key.cartId])
    await expect(setDetails(database.pool, key, { email: null })).rejects.toMatchObject({ code: 'cart_closed' })

    const expired = await newCart()
    await database.pool.query(`update cart set expires_at = now() where id = $1`, [expired.key.cartId])
    await expect(setDetails(database.pool, expired.key, { email: null })).rejects.toMatchObject({ code: 'cart_closed' })
    expect((await found(expired.key)).state).toBe('expired')
  })

  it('reads price and stock of all warehouses with its own soft hold counted as available', async () => {
    const { key } = await newCart()
    const cart = await addLines(database.pool, key, [{ sku: 'CUP', quantity: 1 }])
    expect(cart.catalog.get('CUP')).toMatchObject({ skuWritten: 'Cup', price: 400, available: 8, active: true })
    await database.pool.query(
      `insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
       select $1, 'soft', $2, 'CUP', id, 3, now() + interval '1 minute' from warehouse where name = 'North'`,
      [newId('reservation'), key.cartId],
    )
    await database.pool.query(
      `update stock_level set reserved = 3 where sku = 'CUP' and warehouse_id = (select id from warehouse where name = 'North')`,
    )
    expect((await found(key)).catalog.get('CUP')?.available).toBe(8)
    const other = await newCart()
    expect(
      (await addLines(database.pool, other.key, [{ sku: 'CUP', quantity: 1 }])).catalog.get('CUP')?.available,
    ).toBe(5)
  })
})

async function newCart(): Promise<{ key: { cartId: CartId; tokenHash: Buffer } }> {
  const cartId = newId('cart')
  const key = { cartId, tokenHash: hashToken(cartToken('a secret of the test', cartId)) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  return { key }
}

async function found(key: { cartId: CartId; tokenHash: Buffer }): Promise<Cart> {
  const cart = await readCart(database.pool, key)
  if (!cart) throw new Error('the cart is gone')
  return cart
}

async function seedCatalog(): Promise<void> {
  const { pool } = database
  const product = newId('product')
  const archived = newId('product')
  await pool.query(`insert into product (id, slug, title) values ($1, 'things', 'Things')`, [product])
  await pool.query(`insert into product (id, slug, title, status) values ($1, 'old', 'Old', 'archived')`, [archived])
  await pool.query(`insert into warehouse (id, name, country) values ($1, 'North', 'GB'), ($2, 'South', 'GB')`, [
    newId('warehouse'),
    newId('warehouse'),
  ])
  await pool.query(
    `insert into variant (sku, sku_written, product_id, title)
     select upper(w), w, case when w = 'OLD' then $2 else $1 end, w
     from unnest(array['TEA', 'Cup', 'EUROS', 'OLD', 'YACHT'] || array(select 'N' || n from generate_series(0, 999) n)) w`,
    [product, archived],
  )
  await pool.query(
    `insert into price (sku, currency, amount)
     select sku, 'GBP', case sku when 'TEA' then 250 when 'CUP' then 400 when 'YACHT' then 600000000000 else 100 end
     from variant where sku <> 'EUROS'
     union all select 'EUROS', 'EUR', 100`,
  )
  await pool.query(
    `insert into stock_level (sku, warehouse_id, on_hand)
     select 'CUP', id, case name when 'North' then 5 else 3 end from warehouse`,
  )
}
