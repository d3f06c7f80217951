import { type CatalogQuery, type CatalogSort, catalogStatement, listCatalog } from '../../../db/catalog/listing'
import { updateBrand } from '../../../db/catalog/brand'
import { createCategory, updateCategory } from '../../../db/catalog/category-tree'
import { createProduct, updateProduct } from '../../../db/catalog/product'
import { newId } from '../../../db/id'
import { type Pool, withTransaction } from '../../../db/pool'
import type { CategoryId, ProductId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { fillCatalog, productId } from '../../support/large-catalog'
import { rowsOf } from '../../support/plan'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('the listings', () => {
  it('are what the products, prices, categories and brands say, whatever is changed', async () => {
    const top = await category({ title: 'Top' })
    const other = await category({ title: 'Other' })
    const low = await category({ title: 'Low', parentId: top })
    const id = await product('A', { categories: [low], brand: 'Acme' })
    await product('B', { categories: [top, low] })
    expect(await listingsOf(id)).toEqual(['Acme GBP', 'Low GBP', 'Top GBP', 'all GBP'])
    const steps: (() => Promise<unknown>)[] = [
      () => patch(id, { variants: [{ sku: 'A', price: { amount: 50, currency: 'EUR' } }] }),
      () => patch(id, { variants: [{ sku: 'A-2', prices: [gbp(9_000)] }] }),
      () => patch(id, { categories: [other] }),
      () => change(low, { parentId: other }),
      () => patch(id, { brand: 'Else' }),
      () => rename('else', 'Else Ltd'),
      () => patch(id, { brand: null, categories: [low] }),
      () => patch(id, { status: 'archived' }),
      () => patch(id, { status: 'active' }),
      () => patch(id, { variants: [{ sku: 'A', prices: [] }] }),
      () => database.pool.query("update price set amount = 77 where sku = 'B'"),
      () => database.pool.query("delete from price where sku = 'B'"),
      () => database.pool.query("delete from variant where sku = 'A-2'"),
    ]
    for (const step of steps) {
      await step()
      expect(await wrongListings()).toEqual([])
    }
    await patch(id, { status: 'archived' })
    expect(await listingsOf(id)).toEqual([])
  })

  it('are right also when two writers change prices of one product at once', async () => {
    const id = await product('A')
    await patch(id, { variants: [{ sku: 'B', prices: [gbp(100)] }] })
    for (let round = 1; round <= 10; round++) {
      await Promise.all(
        ['A', 'B'].map((sku) =>
          database.pool.query('update price set amount = $2 where sku = $1', [sku, Math.round(1_000 / round)]),
        ),
      )
      expect(await wrongListings()).toEqual([])
    }
  })
})

describe('a list', () => {
  it('goes through all that fit, each once, in its order', async () => {
    const { subs } = await fillCatalog(database.pool, 300)
    const fitting: Partial<CatalogQuery>[] = [
      {},
      { category: 'top-0' },
      { category: subs[0] as string },
      { brand: 'brand-3' },
      { category: 'top-1', brand: 'brand-1', priceMin: 100, priceMax: 60_000 },
      { inStock: true, category: 'top-2' },
      { currency: 'CHF' },
    ]
    for (const filter of fitting) {
      for (const sort of SORTS) {
        const all = await pages(filter, sort)
        expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
        expect(all).toEqual([...all].sort(inOrder(sort)))
        expect(all.map(({ id }) => id).sort()).toEqual(await fittingIds(filter))
      }
    }
  })

  it('is empty of a category or a brand that is not there', async () => {
    await fillCatalog(database.pool, 50)
    for (const filter of [{ category: 'nothing' }, { category: newId('category') }, { brand: 'nothing' }])
      expect(await pages(filter, 'oldest')).toEqual([])
  })

  it('reads no more rows of a large catalog than of a small one', async () => {
    const shapes: [string, Partial<CatalogQuery>][] = [
      ['all', {}],
      ['a branch', { category: 'top-0' }],
      ['a brand', { brand: 'brand-3' }],
      ['a rare currency', { currency: 'CHF' }],
      ['what is in stock', { inStock: true }],
      ['a price and up', { priceMin: 20_000 }],
      ['a branch in stock', { category: 'top-1', inStock: true }],
    ]
    const small = await rowsReadBy(1_000, shapes)
    const large = await rowsReadBy(10_000, shapes)
    // Some plans read a table of twenty categories once more per product; one that scans reads ten thousand rows.
    const grown = [...large].filter(([shape, rows]) => rows > (small.get(shape) ?? 0) * 1.3 + 500)
    expect(grown.map(([shape, rows]) => `${shape}: ${small.get(shape)} → ${rows}`)).toEqual([])
  }, 120_000)
})

const SORTS: readonly CatalogSort[] = ['oldest', 'newest', 'price_asc', 'price_desc']
const LIST = { currency: 'GBP', after: null, limit: 21 } as const

/** Per list and order the rows that its plan reads, for the first page and for one from the middle. */
async function rowsReadBy(
  products: number,
  shapes: readonly (readonly [string, Partial<CatalogQuery>])[],
): Promise<Map<string, number>> {
  const { pool, drop } = await testDatabase()
  const read = new Map<string, number>()
  try {
    await fillCatalog(pool, products)
    await pool.query('analyze')
    for (const [shape, filter] of shapes) {
      for (const sort of SORTS) {
        const query = { ...LIST, ...filter, sort }
        read.set(`${shape}, ${sort}, first`, await rowsRead(pool, query))
        const middle = { id: productId(Math.floor(products / 2)), price: 50_000 }
        read.set(`${shape}, ${sort}, middle`, await rowsRead(pool, { ...query, after: middle }))
      }
    }
  } finally {
    await drop()
  }
  return read
}

async function rowsRead(pool: Pool, query: CatalogQuery): Promise<number> {
  const { rows: lists } = await pool.query<{ list: number }>(
    `select number as list from category where slug = $1
     union all select -id from brand where slug = $2`,
    [query.category ?? null, query.brand ?? null],
  )
  const { text, values } = catalogStatement(
    query,
    lists.map(({ list }) => list),
  )
  return rowsOf(pool, text, values)
}

async function pages(filter: Partial<CatalogQuery>, sort: CatalogSort) {
  const all: { id: string; price: number }[] = []
  for (;;) {
    const page = await listCatalog(database.pool, { ...LIST, limit: 17, ...filter, sort, after: all.at(-1) ?? null })
    all.push(...page.map(({ id, price }) => ({ id, price })))
    if (page.length < 17) return all
  }
}

function inOrder(sort: CatalogSort) {
  return (one: { id: string; price: number }, other: { id: string; price: number }) => {
    const byId = one.id < other.id ? -1 : 1
    if (sort === 'oldest') return byId
    if (sort === 'newest') return -byId
    const byPrice = one.price - other.price || byId
    return sort === 'price_asc' ? byPrice : -byPrice
  }
}

/** The products that fit, found the slow way. */
async function fittingIds({
  category,
  brand,
  priceMin = 0,
  priceMax = 1e9,
  inStock,
  currency = 'GBP',
}: Partial<CatalogQuery>) {
  const { rows } = await database.pool.query<{ id: string }>(
    `select p.id
     from product p
     join variant v on v.product_id = p.id
     join price x on x.sku = v.sku and x.currency = $1 and x.amount between $2 and $3
     join stock_level s on s.sku = v.sku
     where ($4::text is null or exists (
             select
             from product_category pc
             join category c on c.id = pc.category_id
             join category up on up.id = any (c.path) and (up.id = $4 or up.slug = $4)
             where pc.product_id = p.id
           ))
       and ($5::text is null or p.brand = (select name from brand where slug = $5))
       and (not $6 or s.on_hand > s.reserved)
     order by p.id`,
    [currency, priceMin, priceMax, category ?? null, brand ?? null, inStock ?? false],
  )
  return rows.map(({ id }) => id)
}

function category(input: { title: string; parentId?: CategoryId }): Promise<CategoryId> {
  return withTransaction(database.pool, (tx) => createCategory(tx, input))
}

function product(sku: string, input: { brand?: string; categories?: string[] } = {}): Promise<ProductId> {
  return withTransaction(database.pool, (tx) =>
    createProduct(tx, { title: sku, variants: [{ sku, prices: [gbp(100)] }], ...input }),
  )
}

function patch(id: ProductId, given: Parameters<typeof updateProduct>[1]['patch']): Promise<void> {
  return withTransaction(database.pool, (tx) => updateProduct(tx, { id, mayChange: () => true, patch: given }))
}

function change(id: CategoryId, given: Parameters<typeof updateCategory>[1]['patch']) {
  return withTransaction(database.pool, (tx) => updateCategory(tx, { id, mayChange: () => true, patch: given }))
}

function rename(slug: string, name: string): Promise<void> {
  return withTransaction(database.pool, (tx) => updateBrand(tx, { slug, mayChange: () => true, patch: { name } }))
}

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}

async function listingsOf(id: ProductId): Promise<string[]> {
  const { rows } = await database.pool.query<{ listing: string }>(
    `select coalesce(c.title, b.name, 'all') || ' ' || currency as listing
     from listing l
     left join category c on c.number = l.list
     left join brand b on -b.id = l.list
     where product_id = $1`,
    [id],
  )
  return rows.map(({ listing }) => listing).sort()
}

/** Listings that are there and should not be, or the other way round, by the tables that they are made of. */
async function wrongListings() {
  const { rows } = await database.pool.query(
    `with wanted as (
       select list, x.currency, p.id, min(x.amount) as price
       from product p
       join variant v on v.product_id = p.id
       join price x on x.sku = v.sku
       cross join lateral (
         select 0 as list
         union select up.number from product_category pc join category c on c.id = pc.category_id
               join category up on up.id = any (c.path) where pc.product_id = p.id
         union select -b.id from brand b where b.name = p.brand
       ) as lists
       where p.status = 'active'
       group by list, x.currency, p.id
     )
     select * from (table wanted except table listing) as missing
     union all
     select * from (table listing except table wanted) as left_over`,
  )
  return rows
}
