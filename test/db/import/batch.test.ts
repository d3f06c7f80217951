import {
  appendChunk,
  beginImport,
  createImport,
  endImport,
  failSilentUploads,
  findImport,
  listRejections,
  readBytes,
  readProgress,
} from '../../../db/import/job'
import { applyBatch, type Batch } from '../../../db/import/batch'
import { findCategory } from '../../../db/catalog/category'
import { createCategory, defineAttributes } from '../../../db/catalog/category-tree'
import { newId } from '../../../db/id'
import { withTransaction } from '../../../db/pool'
import { findProduct, updateProduct } from '../../../db/catalog/product'
import { readLevel } from '../../../db/inventory/stock'
import { categoryPath } from '../../../domain/catalog/category'
import type { ImportId, ProductId, WarehouseId } from '../../../domain/ids'
import type { ImportRow } from '../../../domain/import/row'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'

let database: TestDatabase
let london: WarehouseId
beforeEach(async () => {
  database = await testDatabase()
  london = newId('warehouse')
  await database.pool.query("insert into warehouse (id, name, country) values ($1, 'London', 'GB')", [london])
})
afterEach(() => database.drop())

describe('an upload', () => {
  it('is kept in chunks and read from any byte', async () => {
    const id = await createImport(database.pool)
    const file = Buffer.from('sku,title\nA,B\n')
    await appendChunk(database.pool, { id, firstByte: 0, bytes: file.subarray(0, 5) })
    await appendChunk(database.pool, { id, firstByte: 5, bytes: file.subarray(5) })
    expect((await readBytes(database.pool, id, 3))?.toString()).toBe(',t')
    expect((await readBytes(database.pool, id, 5))?.toString()).toBe('itle\nA,B\n')
    expect(await readBytes(database.pool, id, file.length)).toBeNull()
  })

  it('takes nothing out of its place, twice, or after its end', async () => {
    const id = await createImport(database.pool)
    const bytes = Buffer.from('sku\n')
    expect(await appendChunk(database.pool, { id, firstByte: 9, bytes })).toBe(false)
    expect(await appendChunk(database.pool, { id, firstByte: 0, bytes })).toBe(true)
    expect(await appendChunk(database.pool, { id, firstByte: 0, bytes })).toBe(false)
    expect(await beginImport(database.pool, id)).toBe(true)
    expect(await appendChunk(database.pool, { id, firstByte: 4, bytes })).toBe(false)
    expect(await beginImport(database.pool, id)).toBe(false)
  })

  it('that fell silent is failed, one that still comes is not', async () => {
    const [silent, coming] = [await createImport(database.pool), await createImport(database.pool)]
    await database.pool.query("update import set updated_at = now() - interval '2 minutes' where id = $1", [silent])
    expect(await failSilentUploads(database.pool)).toEqual([silent])
    expect(await findImport(database.pool, silent)).toMatchObject({ state: 'failed', failure: 'The upload broke off.' })
    expect(await findImport(database.pool, coming)).toMatchObject({ state: 'receiving' })
    expect(await beginImport(database.pool, silent)).toBe(false)
  })
})

describe('a batch', () => {
  it('makes products, categories, prices, stock and events, and moves the import on', async () => {
    const id = await running()
    const rows = [
      row(2, 'A', {
        title: 'Tea',
        category: [{ slug: 'drinks', title: 'Drinks' }],
        price: gbp(200),
        stock: inLondon(5),
      }),
      row(3, 'A', { price: { amount: 250, currency: 'EUR' } }),
      row(4, 'B', { title: 'Tea', weightGrams: 70, heightMm: 85, cost: gbp(120) }),
    ]
    expect(await applyBatch(database.pool, batch(id, { rows, to: 100, rejections: [rejected(5)] }))).toBe(true)
    expect(await readProgress(database.pool, id)).toMatchObject({
      state: 'running',
      nextByte: 100,
      rowsRead: 4,
      rowsWritten: 3,
      rowsRejected: 1,
    })
    expect(await productOf('A')).toMatchObject({
      slug: 'tea',
      title: 'Tea',
      version: 1,
      categories: [{ slug: 'drinks' }],
      variants: [{ sku: 'a', prices: [{ amount: 250, currency: 'EUR' }, gbp(200)] }],
    })
    expect(await productOf('B')).toMatchObject({
      slug: 'tea-b',
      variants: [{ weight_grams: 70, height_mm: 85, width_mm: null, costs: [gbp(120)] }],
    })
    expect(await movements()).toEqual([{ sku: 'A', delta: 5, cause: 'import', reference: id }])
    expect(await events()).toEqual(['product.created 1', 'product.created 1'])
    expect(await listRejections(database.pool, id)).toEqual([rejected(5)])
  })

  it('is applied once, however often and by however many it is tried', async () => {
    const id = await running()
    const same = batch(id, { rows: [row(2, 'A', { title: 'Tea', stock: inLondon(5) })], to: 100 })
    const tries = await Promise.all(Array.from({ length: 8 }, () => applyBatch(database.pool, same)))
    expect(tries.filter(Boolean)).toHaveLength(1)
    expect(await applyBatch(database.pool, same)).toBe(false)
    expect(await readProgress(database.pool, id)).toMatchObject({ rowsRead: 1, rowsWritten: 1 })
    expect(await movements()).toHaveLength(1)
  })

  it('is refused once the import has ended', async () => {
    const id = await running()
    await endImport(database.pool, { id, state: 'cancelled' })
    expect(await applyBatch(database.pool, batch(id, { rows: [row(2, 'A', { title: 'Tea' })], to: 9 }))).toBe(false)
    expect(await events()).toEqual([])
  })

  it('rewrites nothing that is as it should be, and one version more where anything else changes', async () => {
    const tea = row(2, 'A', {
      title: 'Tea',
      category: [{ slug: 'drinks', title: 'Drinks' }],
      price: gbp(200),
      stock: inLondon(5),
    })
    await apply([tea])
    const before = await rowVersions()
    await apply([tea])
    expect(await rowVersions()).toEqual(before)
    await apply([row(2, 'A', { price: gbp(210), brand: 'Acme', category: [{ slug: 'food', title: 'Food' }] })])
    expect(await productOf('A')).toMatchObject({
      version: 2,
      brand: 'Acme',
      categories: [{ slug: 'food' }],
      variants: [{ prices: [gbp(210)] }],
    })
    await apply([row(2, 'A', { stock: inLondon(4) })])
    expect(await productOf('A')).toMatchObject({ version: 2 })
    expect(await events()).toEqual(['product.created 1', 'product.updated 2'])
    expect((await movements()).map(({ delta }) => delta)).toEqual([5, -1])
  })

  it('rejects a line that contradicts an earlier batch, and forgets what was said when the import is over', async () => {
    const id = await running()
    await applyBatch(database.pool, batch(id, { rows: [row(2, 'A', { title: 'Tea', price: gbp(200) })], to: 10 }))
    await applyBatch(database.pool, batch(id, { rows: [row(3, 'A', { price: gbp(300) })], from: 10, to: 20 }))
    expect(await listRejections(database.pool, id)).toEqual([
      { line: 3, code: 'conflicting_line', message: 'price differs from what line 2 says of this SKU.' },
    ])
    expect(await apply([row(2, 'A', { price: gbp(300) })])).toMatchObject({ rowsWritten: 1 })
  })

  it('never takes units that are promised, not even those promised while it was planned', async () => {
    await apply([row(2, 'A', { title: 'Tea', stock: inLondon(10) })])
    const buyer = await database.pool.connect()
    await buyer.query('begin')
    await buyer.query("update stock_level set reserved = 8 where sku = 'A'")
    const applying = apply([row(2, 'A', { stock: inLondon(5), title: 'Other' })])
    await untilWaiting()
    await buyer.query('commit')
    buyer.release()
    expect(await applying).toMatchObject({ rowsRejected: 1, rowsWritten: 0 })
    expect(await readLevel(database.pool, 'A', london)).toMatchObject({ onHand: 10, reserved: 8 })
    expect(await productOf('A')).toMatchObject({ title: 'Tea', version: 1 })
  })

  it('makes the categories of a path and the brand, and reads attributes as they are defined', async () => {
    const drinks = await withTransaction(database.pool, (tx) => createCategory(tx, { title: 'Drinks' }))
    const pieces = { name: 'pieces', label: 'Pieces', type: 'number', required: false, filterable: true } as const
    await withTransaction(database.pool, (tx) =>
      defineAttributes(tx, {
        id: drinks,
        mayChange: () => true,
        definitions: [{ ...pieces, options: [], unit: null }],
      }),
    )
    const category = categoryPath('Drinks/Tea/Green') ?? []
    const done = await apply([
      row(2, 'A', { title: 'Tea', brand: 'Acme', category, attributes: { pieces: '6', free: 'x' } }),
      row(3, 'B', { title: 'Tea', brand: 'ACME', category, attributes: { pieces: 'six' } }),
      row(4, 'C', { title: 'Tea', brand: 'ACME', category }),
    ])
    expect(done).toMatchObject({ rowsWritten: 2, rowsRejected: 1 })
    expect(await productOf('A')).toMatchObject({
      brand: 'Acme',
      attributes: { pieces: 6, free: 'x' },
      categories: [{ slug: 'drinks-tea-green', title: 'Green' }],
    })
    expect(await productOf('C')).toMatchObject({ brand: 'Acme' })
    expect((await findCategory(database.pool, 'drinks-tea-green'))?.breadcrumbs.map(({ title }) => title)).toEqual([
      'Drinks',
      'Tea',
      'Green',
    ])
    const before = await rowVersions()
    await apply([row(2, 'A', { title: 'Tea', brand: 'acme', category, attributes: { pieces: '6' } })])
    expect(await rowVersions()).toEqual(before)
    await apply([row(2, 'A', { attributes: { pieces: '7' } })])
    expect(await productOf('A')).toMatchObject({ version: 2, attributes: { pieces: 7, free: 'x' } })
  })

  it('keeps what an administrator changes meanwhile', async () => {
    await apply([row(2, 'A', { title: 'Tea', description: 'old' })])
    const id = (await productOf('A'))?.id as ProductId
    const admin = await database.pool.connect()
    await admin.query('begin')
    await updateProduct(admin, { id, mayChange: () => true, patch: { description: 'new' } })
    const applying = apply([row(2, 'A', { brand: 'Acme' })])
    await untilWaiting()
    await admin.query('commit')
    admin.release()
    await applying
    expect(await productOf('A')).toMatchObject({ version: 3, description: 'new', brand: 'Acme' })
  })

  it('and another import of the same new SKUs make each once', async () => {
    const rows = Array.from({ length: 50 }, (_, index) =>
      row(index + 2, `S${index}`, { title: 'Same title', stock: inLondon(3) }),
    )
    const done = await Promise.all([apply(rows), apply([...rows].reverse())])
    expect(done).toEqual([expect.objectContaining({ rowsWritten: 50 }), expect.objectContaining({ rowsWritten: 50 })])
    const { rows: counts } = await database.pool.query(
      'select count(*)::int as products, count(distinct slug)::int as slugs, sum(version)::int as versions from product',
    )
    expect(counts[0]).toEqual({ products: 50, slugs: 50, versions: 50 })
    expect(await movements()).toHaveLength(50)
  })

  it('counts every rejection and keeps the first thousand', async () => {
    const id = await running()
    const many = Array.from({ length: 700 }, (_, index) => rejected(index + 2))
    const more = Array.from({ length: 700 }, (_, index) => rejected(index + 702))
    await applyBatch(database.pool, batch(id, { rows: [], rejections: many, to: 10 }))
    await applyBatch(database.pool, batch(id, { rows: [], rejections: more, from: 10, to: 20 }))
    expect(await findImport(database.pool, id)).toMatchObject({ rowsRead: 1_400, rowsRejected: 1_400 })
    const kept = await listRejections(database.pool, id)
    expect(kept).toHaveLength(1_000)
    expect(kept.at(-1)?.line).toBe(1_001)
  })
})

/** A complete upload, ready to be imported. */
async function running(): Promise<ImportId> {
  const id = await createImport(database.pool)
  await appendChunk(database.pool, { id, firstByte: 0, bytes: Buffer.from('sku\n') })
  await beginImport(database.pool, id)
  return id
}

/** One batch as an import of its own. */
async function apply(rows: readonly ImportRow[]) {
  const id = await running()
  await applyBatch(database.pool, batch(id, { rows, to: 10 }))
  await endImport(database.pool, { id, state: 'completed' })
  return findImport(database.pool, id)
}

function batch(
  id: ImportId,
  {
    rows,
    from = 0,
    to,
    rejections = [],
  }: { rows: readonly ImportRow[]; from?: number; to: number; rejections?: Batch['rejections'] },
): Batch {
  return { id, rows, rejections, from: { byte: from, line: 1 }, to: { byte: to, line: 2 } }
}

function row(line: number, sku: string, fields: Partial<ImportRow>): ImportRow {
  return { line, sku, skuWritten: sku.toLowerCase(), ...fields }
}

function rejected(line: number) {
  return { line, code: 'bad_price', message: 'bad' } as const
}

function inLondon(onHand: number) {
  return { warehouseId: london, onHand }
}

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}

async function productOf(sku: string) {
  const { rows } = await database.pool.query<{ id: ProductId }>('select product_id as id from variant where sku = $1', [
    sku,
  ])
  return rows[0] ? findProduct(database.pool, rows[0].id) : null
}

async function movements() {
  const { rows } = await database.pool.query<{ sku: string; delta: number }>(
    'select sku, delta, cause, reference from stock_movement order by id',
  )
  return rows
}

async function events() {
  const { rows } = await database.pool.query<{ event: string }>(
    "select type || ' ' || seq as event from outbox order by id",
  )
  return rows.map(({ event }) => event)
}

/** Changes with every write of a row. */
async function rowVersions() {
  const { rows } = await database.pool.query(
    `select 'product', xmin::text from product
     union all select 'variant', xmin::text from variant
     union all select 'price', xmin::text from price
     union all select 'level', xmin::text from stock_level
     union all select 'category', xmin::text from product_category
     union all select 'event', xmin::text from outbox`,
  )
  return rows
}

/** Until some statement of this database waits for a lock. */
async function untilWaiting(): Promise<void> {
  const waiting = `select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()) as yes`
  await until('a statement waits', async () => (await database.pool.query<{ yes: boolean }>(waiting)).rows[0]?.yes)
}
