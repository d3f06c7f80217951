import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addImage, deleteImage, withUnusedName } from '../../../../db/catalog/image/write'
import { withTransaction } from '../../../../db/pool'
import type { ImageId, ProductId } from '../../../../domain/ids'
import { diskImageStore } from '../../../../providers/image-store/disk'
import { seedProducts } from '../../../support/catalog'
import { type TestDatabase, testDatabase } from '../../../support/database'

let database: TestDatabase
const folder = mkdtempSync(join(tmpdir(), 'holdfast-race-'))
const store = diskImageStore(folder)
beforeAll(async () => {
  database = await testDatabase()
  await seedProducts(
    database.pool,
    ['A', 'B'].map((sku) => ({ sku, title: sku, prices: { GBP: 1 }, stock: 1 })),
  )
})
afterAll(async () => {
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

it('of one process that deletes a picture and one that adds it, the file stays for who has it', async () => {
  const { rows } = await database.pool.query<{ product_id: ProductId }>('select product_id from variant order by sku')
  const [one, other] = rows.map((row) => row.product_id) as [ProductId, ProductId]
  for (let round = 0; round < 25; round++) {
    const name = String(round).padStart(32, '0')
    const file = `${name}-800.webp`
    const id = await add(one, name, file)
    await Promise.all([remove(one, id, name, file), add(other, name, file)])
    expect(await store.get(file)).toEqual(Buffer.from(file))
  }
})

async function add(product: ProductId, name: string, file: string): Promise<ImageId> {
  const picture = { name, alt: '', width: 1, height: 1 }
  const { id } = await withTransaction(database.pool, (tx) =>
    addImage(tx, product, picture, () => store.put(file, Buffer.from(file))),
  )
  return id
}

async function remove(product: ProductId, id: ImageId, name: string, file: string): Promise<void> {
  await withTransaction(database.pool, (tx) => deleteImage(tx, { productId: product, id, mayChange: () => true }))
  await withUnusedName(database.pool, name, () => store.delete(file))
}
