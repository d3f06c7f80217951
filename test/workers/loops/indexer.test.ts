import { insertCart } from '../../../db/cart/cart'
import { hashToken } from '../../../db/cart/token'
import { newId } from '../../../db/id'
import { expireDueHolds, holdCart, releaseCartHold } from '../../../db/inventory/reservation'
import { withTransaction } from '../../../db/pool'
import { createProduct, updateProduct } from '../../../db/catalog/product'
import { projectDocuments, writeDocuments } from '../../../db/search/document'
import { markForSearch, markStockChanges, takePending } from '../../../db/search/pending'
import { adjustStock, setLevels } from '../../../db/inventory/stock'
import { RELAY_PARTITIONS } from '../../../db/platform/outbox'
import { NO_AFFINITY, NO_FILTERS, type SearchDocument } from '../../../domain/search'
import { isId, type ProductId, type WarehouseId } from '../../../domain/ids'
import { createLog } from '../../../log'
import type { SearchEngine } from '../../../providers/search/port'
import { PostgresSearch } from '../../../providers/search/postgres/engine'
import { runRelay, type Sink } from '../../../workers/loops/relay'
import { indexPending, runIndexer, searchSink } from '../../../workers/loops/indexer'
import { testDatabase, type TestDatabase } from '../../support/database'
import { until } from '../../support/wait'

const log = createLog('silent', 'test')
const ENGINES = ['postgres']

let database: TestDatabase
let engine: PostgresSearch
let warehouseId: WarehouseId
const stops: AbortController[] = []
const running: Promise<void>[] = []

beforeEach(async () => {
  database = await testDatabase()
  engine = new PostgresSearch(database.pool)
  warehouseId = newId('warehouse')
  await database.pool.query(`insert into warehouse (id, name, country) values ($1, 'Main', 'GB')`, [warehouseId])
})
afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort()
  await Promise.all(running.splice(0))
  await database.drop()
})

function begin(work: (signal: AbortSignal) => Promise<void>): void {
  const stop = new AbortController()
  stops.push(stop)
  running.push(work(stop.signal))
}

function relay(sinks: readonly Sink[]): void {
  for (let partition = 0; partition < RELAY_PARTITIONS; partition++) {
    begin((signal) => runRelay({ settings: { DATABASE_URL: database.url }, sinks, log }, partition, signal))
  }
}

const product = (title: string, sku: string): Promise<ProductId> =>
  withTransaction(database.pool, (tx) =>
    createProduct(tx, { title, variants: [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }] }),
  )

const retitle = (id: ProductId, title: string): Promise<void> =>
  withTransaction(database.pool, (tx) => updateProduct(tx, { id, mayChange: () => true, patch: { title } }))

async function find(text: string): Promise<{ total: number; inStock: number }> {
  const query = {
    text,
    currency: 'GBP',
    filters: NO_FILTERS,
    sort: 'relevance',
    offset: 0,
    limit: 10,
    affinity: NO_AFFINITY,
  } as const
  const { total, facets } = await engine.search(query)
  return { total, inStock: facets.values['in_stock']?.find(({ value }) => value === 'true')?.count ?? 0 }
}

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

describe('what changes', () => {
  beforeEach(() => {
    relay([searchSink(database.pool, ENGINES)])
    begin((signal) => runIndexer({ pool: database.pool, engine, log }, signal))
  })

  it('is found soon: products made, changed and archived', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await until('it is found', async () => (await find('kettle ')).total === 1)
    await retitle(id, 'Copper Teapot')
    await until('it is found by its new title', async () => (await find('teapot ')).total === 1)
    expect((await find('kettle ')).total).toBe(0)
    await withTransaction(database.pool, (tx) =>
      updateProduct(tx, { id, mayChange: () => true, patch: { status: 'archived' } }),
    )
    await until('it is gone', async () => (await find('teapot ')).total === 0)
  })

  it('is found soon: the first and the last unit, adjusted by staff or imported', async () => {
    await product('Copper Kettle', 'K-1')
    await until('it is found', async () => (await find('kettle ')).total === 1)
    const adjust = (setOnHand: number) =>
      adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand, reason: 'stocktake', actor: 'key' })
    await adjust(3)
    await until('it is in stock', async () => (await find('kettle ')).inStock === 1)
    await adjust(0)
    await until('it is out of stock', async () => (await find('kettle ')).inStock === 0)
    const level = [{ sku: 'K-1', warehouseId, onHand: 7 }]
    await setLevels(database.pool, level, { cause: 'import', reference: newId('import') })
    await until('it is in stock again', async () => (await find('kettle ')).inStock === 1)
    const { rows } = await database.pool.query(
      `select aggregate, seq, payload from outbox where type = 'stock.adjusted' order by id`,
    )
    expect(rows).toHaveLength(3)
    const moved = await database.pool.query('select id from stock_movement order by id')
    expect(rows.map((row) => row.seq)).toEqual(moved.rows.map((row) => row.id))
    expect(rows[0]).toMatchObject({ aggregate: `${warehouseId}/K-1`, payload: { sku: 'K-1', on_hand: 3 } })
  })

  it('is found soon: an order that takes the last unit', async () => {
    const id = await product('Copper Kettle', 'K-1')
    await adjustStock(database.pool, { sku: 'K-1', warehouseId, setOnHand: 1, reason: 'stocktake', actor: 'key' })
    await until('it is in stock', async () => (await find('kettle ')).inStock === 1)
    const orderId = newId('order')
    await database.pool.query(
      `insert into orders (id, cart_id, token_hash, status, currency, email, shipping_address, shipping_method, snapshot,
                           cart_version, body_hash)
       values ($1, $2, '', 'confirmed', 'GBP', 'a@example.com', '{}', 'standard', '[]', 1, '')`,
      [orderId, newId('cart')],
    )
    await database.pool.query(
      `insert into order_line (order_id, position, sku, sku_written, product_id, title, seller_id, quantity, unit_price, total)
       values ($1, 1, 'K-1', 'K-1', $2, 'Copper Kettle', 'house', 1, 100, 100)`,
      [orderId, id],
    )
    await database.pool.query(`update stock_level set reserved = 1 where sku = 'K-1'`)
    await database.pool.query(
      `insert into order_event (id, order_id, seq, type, to_status) values ($1, $2, 1, 'order.confirmed', 'confirmed')`,
      [newId('event'), orderId],
    )
    await until('it is out of stock', async () => (await find('kettle ')).inStock === 0)
  })
})

describe('what carts hold', () => {
  it('is found soon: the last unit held, given back, and freed when its time is over', async () => {
    relay([searchSink(database.pool, ENGINES)])
    begin((signal) => runIndexer({ pool: database.pool, engine, log }, signal))
    const { pool } = database
    await product('Copper Kettle', 'K-1')
    await adjustStock(pool, { sku: 'K-1', warehouseId, setOnHand: 2, reason: 'stocktake', actor: 'key' })
    const becomes = (inStock: number) =>
      until(`${inStock} in stock`, async () => (await find('kettle ')).inStock === inStock)
    const cartId = newId('cart')
    await insertCart(pool, { cartId, tokenHash: hashToken('token'), currency: 'GBP' })
    const hold = (quantity: number) =>
      withTransaction(pool, (tx) =>
        holdCart(tx, { cartId, lines: [{ sku: 'K-1', quantity }], country: 'GB', seconds: 60 }),
      )
    await becomes(1)
    await hold(2)
    await becomes(0)
    await hold(1)
    await becomes(1)
    await hold(2)
    await becomes(0)
    await releaseCartHold(pool, cartId)
    await becomes(1)
    await hold(2)
    await becomes(0)
    await pool.query('update reservation set expires_at = now()')
    expect(await expireDueHolds(pool, { shard: 0, shards: 1, limit: 10 })).toMatchObject({ expired: 1 })
    await becomes(1)
    const { rows } = await pool.query("select event_id, type, seq from outbox where aggregate like 'wh%' order by id")
    expect(rows.slice(1).map(({ type }) => type.slice(6))).toEqual([
      'taken',
      'freed',
      'taken',
      'freed',
      'taken',
      'freed',
    ])
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map(({ seq }) => seq).toSorted((a, b) => a - b))
    for (const { event_id } of rows) expect(isId('event', event_id)).toBe(true)
    expect(rows.map((row) => row.event_id).toSorted()).toEqual(rows.map((row) => row.event_id))
  })
})

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
