import { findCatalogProduct, listCatalog } from '../../../db/catalog/listing'
import { ensureCategories, listCategories } from '../../../db/catalog/category'
import { withTransaction } from '../../../db/pool'
import {
  createProduct,
  findProduct,
  type ProductInput,
  type ProductPatch,
  touchProducts,
  updateProduct,
} from '../../../db/catalog/product'
import { holdSeconds, readStoreSettings, replaceStoreSettings } from '../../../db/platform/settings'
import { insertWarehouse } from '../../../db/inventory/warehouse'
import type { ProductId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('a storefront', () => {
  it('sees active products with a price in its currency, page after page, each in one statement', async () => {
    await seedProducts(database.pool, [
      { sku: 'A', title: 'A', prices: { GBP: 100, EUR: 120 }, stock: 9 },
      { sku: 'B', title: 'B', prices: { EUR: 120 }, stock: 9 },
      { sku: 'C', title: 'C', prices: { GBP: 300 }, stock: 0 },
      { sku: 'D', title: 'D', prices: { GBP: 400 }, stock: 9 },
    ])
    await database.pool.query("update product set status = 'archived' where title = 'D'")
    const list = { currency: 'GBP', sort: 'oldest', after: null, limit: 5 } as const
    const first = await listCatalog(database.pool, { ...list, limit: 1 })
    const second = await listCatalog(database.pool, { ...list, after: { id: first[0]?.id ?? '', price: 0 } })
    expect(
      [...first, ...second].map(({ title, variants }) => [title, variants[0]?.amount, variants[0]?.available]),
    ).toEqual([
      ['A', 100, 9],
      ['C', 300, 0],
    ])
    expect(await listCatalog(database.pool, { ...list, currency: 'USD' })).toEqual([])
  })

  it('finds a product by id and by slug, with the variants that have a price, in their order, over all warehouses', async () => {
    const id = await create({
      title: 'Mug',
      categories: ['Kitchen', 'Gifts'],
      variants: [
        { sku: 'mug-red', title: 'Red', prices: [gbp(500)] },
        { sku: 'mug-blue', title: 'Blue', prices: [{ amount: 600, currency: 'EUR' }] },
        { sku: 'mug-any', prices: [gbp(400)] },
      ],
    })
    for (const name of ['London', 'Dublin']) {
      const warehouse = await insertWarehouse(database.pool, warehouseNamed(name))
      await database.pool.query("insert into stock_level values ('MUG-RED', $1, 3, 1)", [warehouse])
    }
    const bySlug = await findCatalogProduct(database.pool, 'mug', 'GBP')
    expect(await findCatalogProduct(database.pool, id, 'GBP')).toEqual(bySlug)
    expect(bySlug?.variants).toEqual([
      { sku: 'mug-red', title: 'Red', attributes: {}, amount: 500, available: 4 },
      { sku: 'mug-any', title: 'Mug', attributes: {}, amount: 400, available: 0 },
    ])
    expect(bySlug?.categories.map(({ slug }) => slug)).toEqual(['kitchen', 'gifts'])
    expect(await findCatalogProduct(database.pool, 'mug', 'USD')).toBeNull()
  })
})

describe('a product', () => {
  it('is made with its event in the outbox, and a slug from its title that nobody else has', async () => {
    const ids = [await create(simple('a')), await create(simple('b')), await create(simple('c'))]
    const products = await Promise.all(ids.map((id) => findProduct(database.pool, id)))
    expect(products.map((product) => product?.slug)).toEqual(['cup', 'cup-2', 'cup-3'])
    expect(products[0]).toMatchObject({ version: 1, status: 'active', sellerId: 'house' })
    expect(await eventsOf(ids[0])).toEqual([
      { type: 'product.created', seq: 1, payload: { product_id: ids[0], version: 1 } },
    ])
  })

  it('gets a slug of its own also when twenty of the same title are made at once', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => create(simple(`at-once-${index}`))))
    const { rows } = await database.pool.query('select count(distinct slug)::int as slugs from product')
    expect(rows[0].slugs).toBe(ids.length)
  })

  it('refuses a SKU of another product, whatever its case, and a slug that is taken, and then makes nothing', async () => {
    await create({ ...simple('Tea-1'), slug: 'tea' })
    await expect(create(simple('TEA-1'))).rejects.toMatchObject({ code: 'sku_taken', details: { sku: 'TEA-1' } })
    await expect(create({ ...simple('tea-2'), slug: 'tea' })).rejects.toMatchObject({ code: 'slug_taken' })
    const { rows } = await database.pool.query('select count(*)::int as products from product')
    expect(rows[0].products).toBe(1)
  })

  it('changes what is named and nothing else, and its version is the sequence of its events', async () => {
    const id = await create({ ...simple('a'), description: 'old', brand: 'Acme' })
    await change(id, { title: 'Beaker', brand: null, status: 'archived' })
    await change(id, {
      variants: [
        { sku: 'A', price: { amount: 450, currency: 'EUR' } },
        { sku: 'b', prices: [gbp(700)] },
      ],
    })
    await change(id, { variants: [{ sku: 'b', title: 'Big', prices: [] }] })
    expect(await findProduct(database.pool, id)).toMatchObject({
      version: 4,
      title: 'Beaker',
      slug: 'cup',
      description: 'old',
      brand: null,
      status: 'archived',
      variants: [
        { sku: 'a', title: 'Cup', prices: [{ amount: 450, currency: 'EUR' }, gbp(400)] },
        { sku: 'b', title: 'Big', prices: [] },
      ],
    })
    expect((await eventsOf(id)).map(({ type, seq }) => [type, seq])).toEqual([
      ['product.created', 1],
      ['product.updated', 2],
      ['product.updated', 3],
      ['product.updated', 4],
    ])
  })

  it('is changed by one of several who read the same version', async () => {
    const id = await create(simple('a'))
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => change(id, { title: `Title ${index}` }, (version) => version === 1)),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(tries.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'precondition_failed' } })
    expect(await findProduct(database.pool, id)).toMatchObject({ version: 2 })
  })

  it('cannot take the slug of another, nor a category id that is none', async () => {
    await create({ ...simple('a'), slug: 'taken' })
    const id = await create(simple('b'))
    await expect(change(id, { slug: 'taken' })).rejects.toMatchObject({ code: 'slug_taken' })
    await expect(change(id, { categories: ['cat_01h455vb4pex5vsknk084sn02q'] })).rejects.toMatchObject({
      code: 'validation_failed',
      details: { errors: [expect.objectContaining({ pointer: '/categories/0' })] },
    })
    expect(await findProduct(database.pool, id)).toMatchObject({ version: 1 })
  })

  it('is told of what else is shown with it, each once more per change, whoever is at it at the same time', async () => {
    const ids = await Promise.all(['a', 'b', 'c'].map((sku) => create(simple(sku))))
    const unknown = 'prod_01h455vb4pex5vsknk084sn02q'
    const touch = (wanted: readonly ProductId[]) =>
      withTransaction(database.pool, (tx) => touchProducts(tx, [...wanted, unknown]))
    await Promise.all([touch(ids), touch([...ids].reverse()), touch([])])
    for (const id of ids) expect((await eventsOf(id)).map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(await eventsOf(unknown)).toEqual([])
  })

  it('that is unknown is not found', async () => {
    const id = 'prod_01h455vb4pex5vsknk084sn02q'
    await expect(change(id, { title: 'x' })).rejects.toMatchObject({ code: 'not_found' })
  })
})

it('makes a category once, whoever asks for it, and lists them', async () => {
  const paths = [[{ slug: 'home', title: 'Home' }], [{ slug: 'garden', title: 'Garden' }]]
  await Promise.all(
    Array.from({ length: 8 }, () => withTransaction(database.pool, (tx) => ensureCategories(tx, paths))),
  )
  const categories = await listCategories(database.pool, { after: null, limit: 10 })
  expect(categories.map(({ slug }) => slug).sort()).toEqual(['garden', 'home'])
  expect(await listCategories(database.pool, { after: categories[0]?.id ?? '', limit: 10 })).toHaveLength(1)
})

it('lets the store override how long stock is held', async () => {
  const environment = { CHECKOUT_HOLD_SECONDS: 900, CART_HOLD_SECONDS: 600 }
  expect(holdSeconds(await readStoreSettings(database.pool), environment)).toEqual({ checkout: 900, cart: 600 })
  const store = await readStoreSettings(database.pool)
  await replaceStoreSettings(database.pool, { ...store, checkoutHoldSeconds: 30 })
  expect(holdSeconds(await readStoreSettings(database.pool), environment)).toEqual({ checkout: 30, cart: 600 })
})

function create(input: ProductInput): Promise<ProductId> {
  return withTransaction(database.pool, (tx) => createProduct(tx, input))
}

function change(
  id: ProductId,
  patch: ProductPatch,
  mayChange: (version: number) => boolean = () => true,
): Promise<void> {
  return withTransaction(database.pool, (tx) => updateProduct(tx, { id, mayChange, patch }))
}

async function eventsOf(id: ProductId | undefined) {
  const { rows } = await database.pool.query<{ type: string; seq: number; payload: unknown }>(
    'select type, seq, payload from outbox where aggregate = $1 order by id',
    [id],
  )
  return rows
}

function simple(sku: string): ProductInput {
  return { title: 'Cup', variants: [{ sku, prices: [gbp(400)] }] }
}

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}

function warehouseNamed(name: string) {
  return {
    name,
    country: 'GB',
    postalCode: null,
    coordinates: null,
    priority: 1,
    operation: 'manual' as const,
    endpoint: null,
  }
}
