import { newId } from '../../../db/id'
import { projectDocuments, writeDocuments } from '../../../db/search/document'
import { markForSearch, markStockChanges, takePending } from '../../../db/search/pending'
import { adjustStock } from '../../../db/inventory/stock'
import type { SearchDocument } from '../../../domain/search'
import type { ProductId, WarehouseId } from '../../../domain/ids'
import { createLog } from '../../../log'
import type { SearchEngine } from '../../../providers/search/port'
import { PostgresSearch } from '../../../providers/search/postgres'
import { indexPending } from '../../../workers/loops/indexer'
import { testDatabase, type TestDatabase } from '../../support/database'
import { findText, productOf, retitleProduct } from '../../support/search'

const log = createLog('silent', 'test')
const ENGINES = ['postgres']

let database: TestDatabase
let engine: PostgresSearch
let warehouseId: WarehouseId

beforeEach(async () => {
  database = await testDatabase()
  engine = new PostgresSearch(database.pool)
  warehouseId = newId('warehouse')
  await database.pool.query(`insert into warehouse (id, name, country) values ($1, 'Main', 'GB')`, [warehouseId])
})
afterEach(() => database.drop())

const product = (title: string, sku: string) => productOf(database.pool, title, sku)
const retitle = (id: ProductId, title: string) => retitleProduct(database.pool, id, title)
const find = (text: string) => findText(engine, text)

/** The engine, but for this. */
function engineLike(changes: { name: string; index: SearchEngine['index'] }): SearchEngine {
  return Object.assign(Object.create(engine), changes)
}

async function document(id: ProductId): Promise<SearchDocument> {
  const { documents } = await projectDocuments(database.pool, [id])
  return documents[0] as SearchDocument
}

async function pending(): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>('select count(*)::int as n from search_pending')
  return rows[0]?.n ?? -1
}

describe('an older document', () => {
  it('never replaces a newer one: by version, and of one version by when it was read', async () => {
    const id = await product('Copper Kettle', 'K-1')
    const first = await document(id)
    await retitle(id, 'Copper Teapot')
    const second = await document(id)
    await engine.index({ documents: [second], removals: [] })
    await engine.index({ documents: [first], removals: [] })
    expect((await find('teapot ')).total).toBe(1)
    await adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand: 1, reason: 'stocktake', actor: 'key' })
    const stocked = await document(id)
    await writeDocuments(database.pool, [stocked])
    await writeDocuments(database.pool, [second])
    expect((await find('teapot ')).inStock).toBe(1)
    await engine.index({ documents: [], removals: [{ id, asOf: second.asOf }] })
    expect((await find('teapot ')).total).toBe(1)
    await engine.index({ documents: [stocked, stocked].slice(1), removals: [] })
    expect((await find('teapot ')).total).toBe(1)
  })
})

describe('the notes of what is to be indexed', () => {
  it('come twice or late without harm', async () => {
    const id = await product('Copper Kettle', 'K-1')
    for (let n = 0; n < 3; n++) await markForSearch(database.pool, ENGINES, [id, id])
    expect(await pending()).toBe(1)
    expect(await indexPending({ pool: database.pool, engine, log })).toBe(1)
    expect(await indexPending({ pool: database.pool, engine, log })).toBe(0)
    expect(await pending()).toBe(0)
    expect((await find('kettle ')).total).toBe(1)
  })

  it('marked while it is worked on is worked on again', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await markForSearch(database.pool, ENGINES, [id])
    const late = engineLike({
      name: 'postgres',
      index: async (...changes: Parameters<typeof engine.index>) => {
        await retitle(id, 'Copper Teapot')
        await markForSearch(database.pool, ENGINES, [id])
        return engine.index(...changes)
      },
    })
    await indexPending({ pool: database.pool, engine: late, log })
    expect(await pending()).toBe(1)
    await indexPending({ pool: database.pool, engine, log })
    expect(await pending()).toBe(0)
    expect((await find('teapot ')).total).toBe(1)
  })

  it('of a killed process are taken over, and what its lease outlived is done again', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await markForSearch(database.pool, ENGINES, [id])
    expect(await takePending(database.pool, 'postgres', 10)).toHaveLength(1)
    expect(await takePending(database.pool, 'postgres', 10)).toHaveLength(0)
    await database.pool.query('update search_pending set due_at = now()')
    const frozen = engineLike({
      name: 'postgres',
      index: async () => {
        await database.pool.query('update search_pending set due_at = now()')
        expect(await indexPending({ pool: database.pool, engine, log })).toBe(1)
        return []
      },
    })
    await indexPending({ pool: database.pool, engine: frozen, log })
    expect(await pending()).toBe(1)
  })

  it('stock that neither begins nor ends is no reason to index', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand: 5, reason: 'stocktake', actor: 'key' })
    await engine.index({ documents: [await document(id)], removals: [] })
    await adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand: 4, reason: 'stocktake', actor: 'key' })
    await markStockChanges(database.pool, ENGINES, { orders: [], skus: ['K-1'] })
    expect(await pending()).toBe(0)
    await adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand: 0, reason: 'stocktake', actor: 'key' })
    await markStockChanges(database.pool, ENGINES, { orders: [], skus: ['K-1'] })
    expect(await pending()).toBe(1)
  })

  it('of an engine that is away wait, ever longer, and those of another do not', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await markForSearch(database.pool, ['postgres', 'away'], [id])
    const away = engineLike({ name: 'away', index: () => Promise.reject(new Error('down')) })
    await expect(indexPending({ pool: database.pool, engine: away, log })).rejects.toThrow('down')
    expect(await indexPending({ pool: database.pool, engine: away, log })).toBe(0)
    expect(await indexPending({ pool: database.pool, engine, log })).toBe(1)
    expect((await find('kettle ')).total).toBe(1)
    await database.pool.query('update search_pending set due_at = now()')
    const back = engineLike({ name: 'away', index: async () => [] })
    expect(await indexPending({ pool: database.pool, engine: back, log })).toBe(1)
    expect(await pending()).toBe(0)
  })

  it('refused are due at once when the product is corrected, also while it is being refused', async () => {
    const id = await product('Copper Kettle', 'K-1')
    const refuse = (meanwhile: () => Promise<void>) =>
      engineLike({
        name: 'postgres',
        index: async () => {
          await meanwhile()
          return [{ id, reason: 'too large' }]
        },
      })
    const mark = () => markForSearch(database.pool, ENGINES, [id])
    await mark()
    expect(await indexPending({ pool: database.pool, engine: refuse(async () => {}), log })).toBe(1)
    expect(await indexPending({ pool: database.pool, engine, log })).toBe(0)
    await mark()
    expect(await indexPending({ pool: database.pool, engine: refuse(mark), log })).toBe(1)
    expect(await indexPending({ pool: database.pool, engine, log })).toBe(1)
    expect(await pending()).toBe(0)
  })

  it('leave who works on one alone with it when it is marked anew', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await markForSearch(database.pool, ENGINES, [id])
    expect(await takePending(database.pool, 'postgres', 10)).toHaveLength(1)
    await markForSearch(database.pool, ENGINES, [id])
    expect(await takePending(database.pool, 'postgres', 10)).toHaveLength(0)
  })

  it('refused by the engine are kept, the others of the batch are not', async () => {
    const ids = [await product('Copper Kettle', 'K-1'), await product('Steel Pan', 'P-1')]
    await markForSearch(database.pool, ENGINES, ids)
    const picky = engineLike({
      name: 'postgres',
      index: async () => [{ id: ids[0] as ProductId, reason: 'too large' }],
    })
    expect(await indexPending({ pool: database.pool, engine: picky, log })).toBe(2)
    expect(await pending()).toBe(1)
  })
})
