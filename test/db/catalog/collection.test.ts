import { createCategory } from '../../../db/catalog/category-tree'
import { listBestsellers, listCategoryCollections, listNewest } from '../../../db/catalog/collection'
import { createProduct, updateProduct } from '../../../db/catalog/product'
import { type Db, type Pool, withTransaction } from '../../../db/pool'
import { listRecommended } from '../../../db/recommendation/lists'
import type { CategoryId, ProductId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { fillCatalog, productId } from '../../support/large-catalog'
import { rowsOf } from '../../support/plan'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

describe('the collections of a home page', () => {
  it('cost no more in a large catalog than in a small one, in whatever currency', async () => {
    const small = await rowsReadByCollections(1_000)
    const large = await rowsReadByCollections(10_000)
    const grown = [...large].filter(([collection, rows]) => rows > (small.get(collection) ?? 0) * 1.3 + 500)
    expect(grown.map(([collection, rows]) => `${collection}: ${small.get(collection)} → ${rows}`)).toEqual([])
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
      (await listCategoryCollections(database.pool, size)).map(({ category: { id }, products }) => [
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

/** Per collection of the home page and currency the rows that its plan reads: nothing is sold in the last one. */
async function rowsReadByCollections(products: number): Promise<Map<string, number>> {
  const { pool, drop } = await testDatabase()
  const read = new Map<string, number>()
  try {
    await fillCatalog(pool, products)
    await pool.query('analyze')
    for (const currency of ['GBP', 'CHF', 'USD'] as const) {
      const size = { currency, limit: 8, categories: 6 }
      const like = { currency, limit: 8, product: productId(Math.floor(products / 2)), kind: 'similar' } as const
      read.set(`bestsellers, ${currency}`, await rowsReadIn(pool, (db) => listBestsellers(db, size)))
      read.set(`newest, ${currency}`, await rowsReadIn(pool, (db) => listNewest(db, size)))
      read.set(`categories, ${currency}`, await rowsReadIn(pool, (db) => listCategoryCollections(db, size)))
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

function category(input: { title: string; parentId?: CategoryId }): Promise<CategoryId> {
  return withTransaction(database.pool, (tx) => createCategory(tx, input))
}

function product(sku: string, input: { categories?: string[] } = {}): Promise<ProductId> {
  return withTransaction(database.pool, (tx) =>
    createProduct(tx, { title: sku, variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }], ...input }),
  )
}

function patch(id: ProductId, given: Parameters<typeof updateProduct>[1]['patch']): Promise<void> {
  return withTransaction(database.pool, (tx) => updateProduct(tx, { id, mayChange: () => true, patch: given }))
}
