import { updateBrand } from '../../../db/catalog/brand'
import { createProduct, findProduct } from '../../../db/catalog/product'
import { withTransaction } from '../../../db/pool'
import type { ProductId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
})
afterEach(() => database.drop())

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

function product(sku: string, { brand }: { brand: string }): Promise<ProductId> {
  return withTransaction(database.pool, (tx) =>
    createProduct(tx, { title: sku, brand, variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }] }),
  )
}

function rename(slug: string, name: string): Promise<void> {
  return withTransaction(database.pool, (tx) => updateBrand(tx, { slug, mayChange: () => true, patch: { name } }))
}
