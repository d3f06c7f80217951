import { type CatalogQuery, type CatalogSort, catalogStatement, listCatalog } from '../../../db/catalog/listing'
import { createCategory, updateCategory } from '../../../db/catalog/category-tree'
import { newId } from '../../../db/id'
import { type Db, type Pool, withTransaction } from '../../../db/pool'
import { createProduct, findProduct, updateProduct } from '../../../db/catalog/product'
import { listRecommended } from '../../../db/recommendation/lists'
import { listBestsellers, listCategoryShelves, listNewest } from '../../../db/catalog/collection'
import { updateBrand } from '../../../db/catalog/brand'
import type { CategoryId, ProductId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('the offers', () => {
  it('are what the products, prices, categories and brands say, whatever is changed', async () => {
    const top = await category({ title: 'Top' })
    const other = await category({ title: 'Other' })
    const low = await category({ title: 'Low', parentId: top })
    const id = await product('A', { categories: [low], brand: 'Acme' })
    await product('B', { categories: [top, low] })
    expect(await offersOf(id)).toEqual(['Acme GBP', 'Low GBP', 'Top GBP', 'all GBP'])
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
      expect(await wrongOffers()).toEqual([])
    }
    await patch(id, { status: 'archived' })
    expect(await offersOf(id)).toEqual([])
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
      expect(await wrongOffers()).toEqual([])
    }
  })
})

describe('a brand', () => {
  it('is made once, spelt as it was written first, whoever names it at the same time', async () => {
    const ids = await Promise.all(
      ['Acme & Co', 'ACME & CO', 'acme & co', 'Acmé'].map((brand, index) => product(`P${index}`, { brand })),
    )
    const { rows } = await database.pool.query<{ name: string; slug: string }>(
      'select name, slug from brand order by id',
    )
    expect(rows).toHaveLength(2)
    const [first] = rows.filter(({ name }) => name !== 'Acmé')
    const names = await Promise.all(ids.map(async (id) => (await findProduct(database.pool, id))?.brand))
    expect(names).toEqual([first?.name, first?.name, first?.name, 'Acmé'])
    expect(rows.map(({ slug }) => slug).sort()).toEqual(['acme', 'acme-co'])
  })

  it('of another name with the same slug gets an ending', async () => {
    await product('A', { brand: 'Acme' })
    await product('B', { brand: 'Ac-me!' })
    await product('C', { brand: 'Acme?' })
    await product('D', { brand: '新品' })
    await product('E', { brand: 'Acme*' })
    const { rows } = await database.pool.query<{ slug: string }>('select slug from brand order by id')
    expect(rows.map(({ slug }) => slug)).toEqual([
      'acme',
      'ac-me',
      'acme-2',
      'brand',
      expect.stringMatching(/^acme-[0-9a-f]{8}$/),
    ])
  })

  it('takes its products with it when it is renamed, and tells them', async () => {
    const id = await product('A', { brand: 'Acme' })
    await product('B', { brand: 'Other' })
    await expect(rename('acme', 'OTHER')).rejects.toMatchObject({ code: 'name_taken' })
    await rename('acme', 'ACME')
    expect(await findProduct(database.pool, id)).toMatchObject({ brand: 'ACME', version: 2 })
    const again = await product('C', { brand: 'acme' })
    expect(await findProduct(database.pool, again)).toMatchObject({ brand: 'ACME' })
  })

  it('that is renamed while a product is made with it is the brand of that name then', async () => {
    await product('A', { brand: 'Acme' })
    const renamer = await database.pool.connect()
    await renamer.query('begin')
    await updateBrand(renamer, { slug: 'acme', mayChange: () => true, patch: { name: 'Apex' } })
    const making = product('B', { brand: 'Acme' })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await renamer.query('commit')
    renamer.release()
    expect(await findProduct(database.pool, await making)).toMatchObject({ brand: 'Acme' })
  })
})

describe('a list', () => {
  it('goes through all that fit, each once, in its order', async () => {
    const { subs } = await fill(database.pool, 300)
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
    await fill(database.pool, 50)
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

describe('the rows of a home page', () => {
  it('cost no more in a large catalog than in a small one, in whatever currency', async () => {
    const small = await rowsReadByShelves(1_000)
    const large = await rowsReadByShelves(10_000)
    const grown = [...large].filter(([shelf, rows]) => rows > (small.get(shelf) ?? 0) * 1.3 + 500)
    expect(grown.map(([shelf, rows]) => `${shelf}: ${small.get(shelf)} → ${rows}`)).toEqual([])
  }, 120_000)

  it('show a new category whose products all lie below it, and nothing that has left one', async () => {
    const top = await category({ title: 'Top' })
    const low = await category({ title: 'Low', parentId: top })
    const other = await category({ title: 'Other' })
    const [stays, leaves, archived] = [
      await product('STAYS', { categories: [low] }),
      await product('LEAVES', { categories: [low] }),
      await product('ARCHIVED', { categories: [low] }),
    ]
    const size = { currency: 'GBP', limit: 4, categories: 6 } as const
    const shown = async () =>
      (await listCategoryShelves(database.pool, size)).map(({ category: { id }, products }) => [
        id,
        products.map((one) => one.id),
      ])
    expect(await shown()).toEqual([[top, [archived, leaves, stays]]])
    for (const [rank, id] of [leaves, archived].entries())
      for (const ranked of [top, low])
        await database.pool.query(
          'insert into category_bestseller (category_id, rank, product_id) values ($1, $2, $3)',
          [ranked, rank + 1, id],
        )
    expect(await shown()).toEqual([[top, [leaves, archived, stays]]])
    await patch(leaves, { categories: [other] })
    await patch(archived, { status: 'archived' })
    expect(await shown()).toEqual([
      [top, [stays]],
      [other, [leaves]],
    ])
    const beside = await listRecommended(database.pool, { product: stays, kind: 'similar', currency: 'GBP', limit: 4 })
    expect(beside).toEqual([])
  })
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
    await fill(pool, products)
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

/** Per row of the home page and currency the rows that its plan reads: nothing is sold in the last one. */
async function rowsReadByShelves(products: number): Promise<Map<string, number>> {
  const { pool, drop } = await testDatabase()
  const read = new Map<string, number>()
  try {
    await fill(pool, products)
    await pool.query('analyze')
    for (const currency of ['GBP', 'CHF', 'USD'] as const) {
      const size = { currency, limit: 8, categories: 6 }
      const like = { currency, limit: 8, product: productId(Math.floor(products / 2)), kind: 'similar' } as const
      read.set(`bestsellers, ${currency}`, await rowsReadIn(pool, (db) => listBestsellers(db, size)))
      read.set(`newest, ${currency}`, await rowsReadIn(pool, (db) => listNewest(db, size)))
      read.set(`categories, ${currency}`, await rowsReadIn(pool, (db) => listCategoryShelves(db, size)))
      read.set(`recommended, ${currency}`, await rowsReadIn(pool, (db) => listRecommended(db, like)))
    }
  } finally {
    await drop()
  }
  return read
}

/** The rows that the plans of all statements of `work` read. */
async function rowsReadIn(pool: Pool, work: (db: Db) => Promise<unknown>): Promise<number> {
  let rows = 0
  const query = async ({ text, values }: { text: string; values: unknown[] }) => {
    rows += await rowsOf(pool, text, values)
    return pool.query(text, values)
  }
  await work({ query } as unknown as Db)
  return rows
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly Plans?: readonly Plan[]
}

async function rowsRead(pool: Pool, query: CatalogQuery): Promise<number> {
  const { rows: shelves } = await pool.query<{ shelf: number }>(
    `select number as shelf from category where slug = $1
     union all select -id from brand where slug = $2`,
    [query.category ?? null, query.brand ?? null],
  )
  const { text, values } = catalogStatement(
    query,
    shelves.map(({ shelf }) => shelf),
  )
  return rowsOf(pool, text, values)
}

async function rowsOf(pool: Pool, text: string, values: readonly unknown[]): Promise<number> {
  const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`explain (analyze, format json) ${text}`, [
    ...values,
  ])
  return rowsIn((rows[0] as { 'QUERY PLAN': [{ Plan: Plan }] })['QUERY PLAN'][0].Plan)
}

function rowsIn(plan: Plan): number {
  const below = (plan.Plans ?? []).reduce((sum, part) => sum + rowsIn(part), 0)
  if (!/Scan/.test(plan['Node Type'])) return below
  const rows =
    plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0)
  return below + rows * plan['Actual Loops']
}

/** A catalog: 4 × 4 categories, a brand for every second product, 50 with a price in CHF, one in ten out of stock. */
async function fill(pool: Pool, products: number): Promise<{ subs: CategoryId[] }> {
  const subs: CategoryId[] = []
  for (let top = 0; top < 4; top++) {
    const parentId = await withTransaction(pool, (tx) => createCategory(tx, { title: `Top ${top}` }))
    for (let sub = 0; sub < 4; sub++)
      subs.push(await withTransaction(pool, (tx) => createCategory(tx, { title: `Sub ${sub}`, parentId })))
  }
  const warehouse = newId('warehouse')
  await pool.query("insert into warehouse (id, name, country) values ($1, 'Main', 'GB')", [warehouse])
  const each = `from generate_series(0, ${products - 1}) as n`
  const id = `'prod_' || lpad(n::text, 26, '0')`
  for (const statement of [
    `insert into product (id, slug, title, brand)
     select ${id}, 'p-' || n, 'Product ' || n, case when n % 2 = 1 then 'Brand ' || n % 10 end ${each}`,
    `insert into variant (sku, sku_written, product_id, title) select 'S' || n, 'S' || n, ${id}, 'V' ${each}`,
    `insert into product_category (product_id, category_id)
     select ${id}, (array['${subs.join("','")}'])[1 + n % ${subs.length}] ${each}`,
    `insert into price (sku, currency, amount) select 'S' || n, 'GBP', n::bigint * 7919 % 100003 ${each}`,
    `insert into price (sku, currency, amount) select 'S' || n, 'CHF', n ${each} where n % ${products / 50} = 0`,
    `insert into stock_level (sku, warehouse_id, on_hand)
     select 'S' || n, '${warehouse}', case when n % 10 = 0 then 0 else 5 end ${each}`,
  ])
    await pool.query(statement)
  return { subs }
}

function productId(n: number): string {
  return `prod_${String(n).padStart(26, '0')}`
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

async function offersOf(id: ProductId): Promise<string[]> {
  const { rows } = await database.pool.query<{ offer: string }>(
    `select coalesce(c.title, b.name, 'all') || ' ' || currency as offer
     from offer o
     left join category c on c.number = o.shelf
     left join brand b on -b.id = o.shelf
     where product_id = $1`,
    [id],
  )
  return rows.map(({ offer }) => offer).sort()
}

/** Offers that are there and should not be, or the other way round, by the tables that they are made of. */
async function wrongOffers() {
  const { rows } = await database.pool.query(
    `with wanted as (
       select shelf, x.currency, p.id, min(x.amount) as price
       from product p
       join variant v on v.product_id = p.id
       join price x on x.sku = v.sku
       cross join lateral (
         select 0 as shelf
         union select up.number from product_category pc join category c on c.id = pc.category_id
               join category up on up.id = any (c.path) where pc.product_id = p.id
         union select -b.id from brand b where b.name = p.brand
       ) as shelves
       where p.status = 'active'
       group by shelf, x.currency, p.id
     )
     select * from (table wanted except table offer) as missing
     union all
     select * from (table offer except table wanted) as left_over`,
  )
  return rows
}
