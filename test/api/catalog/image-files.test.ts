import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deleteLeftFiles, withStoredFiles } from '../../../api/catalog/image-files'
import { leaveImageName, takeImageLease } from '../../../db/catalog/image/lease'
import { addImage, deleteImage } from '../../../db/catalog/image/write'
import { withTransaction } from '../../../db/pool'
import { imageFile } from '../../../domain/catalog/image'
import type { ImageId, ProductId } from '../../../domain/ids'
import { createLog } from '../../../log'
import { createImageStore } from '../../../providers/image-store'
import { seedProducts } from '../../support/catalog'
import { type TestDatabase, testDatabase } from '../../support/database'

let database: TestDatabase
let one: ProductId
let other: ProductId
const folder = mkdtempSync(join(tmpdir(), 'holdfast-race-'))
const images = createImageStore({ IMAGE_STORE: folder, S3_REGION: '', S3_ACCESS_KEY_ID: '', S3_SECRET_ACCESS_KEY: '' })
const log = createLog('silent', 'test')
const deps = () => ({ pool: database.pool, images, log })
beforeAll(async () => {
  database = await testDatabase()
  await seedProducts(
    database.pool,
    ['A', 'B'].map((sku) => ({ sku, title: sku, prices: { GBP: 1 }, stock: 1 })),
  )
  const { rows } = await database.pool.query<{ product_id: ProductId }>('select product_id from variant order by sku')
  ;[one, other] = rows.map((row) => row.product_id) as [ProductId, ProductId]
})
afterAll(async () => {
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

let names = 0
let name: string
beforeEach(() => {
  name = String(++names).padStart(32, '0')
})

it('of one process that deletes a picture and one that adds it, the file stays for who has it', async () => {
  for (let round = 0; round < 25; round++) {
    name = String(++names).padStart(32, '0')
    const id = await add(one)
    await Promise.all([remove(one, id), add(other)])
    expect(await stored()).toBe(name)
    expect(await leases()).toBe(0)
  }
})

it('of two products that lose the same picture at once, the files go', async () => {
  for (let round = 0; round < 25; round++) {
    name = String(++names).padStart(32, '0')
    const ids = [await add(one), await add(other)] as const
    await Promise.all([remove(one, ids[0]), remove(other, ids[1])])
    expect(await stored()).toBe(null)
    expect(await leases()).toBe(0)
  }
})

it('files that are not named in the end go', async () => {
  await expect(withStoredFiles(picture(), deps(), () => Promise.reject(new Error('the limit')))).rejects.toThrow(
    'the limit',
  )
  expect(await stored()).toBe(null)
  expect(await leases()).toBe(0)
})

it('what a killed process has left is deleted by whoever comes later, and keeps nobody from storing the same', async () => {
  await takeImageLease(database.pool, name)
  await images.put(imageFile(name, 800), Buffer.from(name))
  const waiting = add(one)
  await database.pool.query("update image_lease set ends_at = '-infinity' where name = $1", [name])
  await waiting
  expect(await stored()).toBe(name)

  const left = String(++names).padStart(32, '0')
  await images.put(imageFile(left, 800), Buffer.from(left))
  await withTransaction(database.pool, (tx) => leaveImageName(tx, left))
  await deleteLeftFiles(deps())
  expect(await images.get(imageFile(left, 800))).toBe(null)
  expect(await leases()).toBe(0)
})

it('who has lost the lease names nothing', async () => {
  const late = withStoredFiles(picture(), deps(), async (lease) => {
    await database.pool.query("update image_lease set ends_at = '-infinity' where name = $1", [name])
    await takeImageLease(database.pool, name)
    return withTransaction(database.pool, (tx) => addImage(tx, one, row(), lease))
  })
  await expect(late).rejects.toMatchObject({ code: 'unavailable' })
  expect(await stored()).toBe(name)
  await database.pool.query('delete from image_lease where name = $1', [name])
})

const row = () => ({ name, alt: '', width: 1, height: 1 })
const picture = () => ({ name, files: new Map([[800 as const, Buffer.from(name)]]) })

async function add(product: ProductId): Promise<ImageId> {
  const given = row()
  const { id } = await withStoredFiles(picture(), deps(), (lease) =>
    withTransaction(database.pool, (tx) => addImage(tx, product, given, lease)),
  )
  return id
}

async function remove(product: ProductId, id: ImageId): Promise<void> {
  await withTransaction(database.pool, (tx) => deleteImage(tx, { productId: product, id, mayChange: () => true }))
  await deleteLeftFiles(deps())
}

async function stored(): Promise<string | null> {
  return (await images.get(imageFile(name, 800)))?.toString() ?? null
}

async function leases(): Promise<number> {
  return (await database.pool.query('select from image_lease')).rowCount ?? 0
}
