import { insertCart, hashToken } from '../../../db/cart/cart'
import { updateProduct } from '../../../db/catalog/product'
import { newId } from '../../../db/id'
import { expireDueHolds, holdCart, releaseCartHold } from '../../../db/inventory/reservation'
import { adjustStock, setLevels } from '../../../db/inventory/stock'
import { type OutboxEvent, readRow, RELAY_PARTITIONS } from '../../../db/platform/outbox'
import { withTransaction } from '../../../db/pool'
import { isId, type ProductId, type WarehouseId } from '../../../domain/ids'
import { createLog } from '../../../log'
import { PostgresSearch } from '../../../providers/search/postgres/engine'
import type { Consumer } from '../../../workers/consumers/consumer'
import { searchConsumer } from '../../../workers/consumers/search'
import { runIndexer } from '../../../workers/loops/indexer'
import { runRelay } from '../../../workers/loops/relay'
import { testDatabase, type TestDatabase } from '../../support/database'
import { findText, productOf, retitleProduct } from '../../support/search'
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

function relay(consumers: readonly Consumer[]): void {
  for (let partition = 0; partition < RELAY_PARTITIONS; partition++) {
    begin((signal) => runRelay({ settings: { DATABASE_URL: database.url }, consumers, log }, partition, signal))
  }
}

const product = (title: string, sku: string) => productOf(database.pool, title, sku)
const retitle = (id: ProductId, title: string) => retitleProduct(database.pool, id, title)
const find = (text: string) => findText(engine, text)

describe('what changes', () => {
  beforeEach(() => {
    relay([searchConsumer(database.pool, ENGINES)])
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
    relay([searchConsumer(database.pool, ENGINES)])
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
      'sold_out',
      'back_in_stock',
      'sold_out',
      'back_in_stock',
      'sold_out',
      'back_in_stock',
    ])
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map(({ seq }) => seq).toSorted((a, b) => a - b))
    for (const { event_id } of rows) expect(isId('event', event_id)).toBe(true)
    expect(rows.map((row) => row.event_id).toSorted()).toEqual(rows.map((row) => row.event_id))
  })
})

describe('an event of a type that only a newer program knows', () => {
  it('is passed over, and those beside it are not', async () => {
    const id = await product('Copper Kettle', 'K-1')
    const written = (type: string, payload: unknown): OutboxEvent =>
      readRow({ id: 1, eventId: newId('event'), aggregate: id, seq: 1, type, payload, createdAt: new Date() })
    const noted = async () =>
      (await database.pool.query<{ product_id: string }>('select product_id from search_pending')).rows
    const consumer = searchConsumer(database.pool, ENGINES)
    await consumer.consume([written('product.updated.v2', { product: { id } })])
    expect(await noted()).toEqual([])
    await consumer.consume([
      written('product.updated.v2', { product: { id } }),
      written('product.updated', { product_id: id, version: 2 }),
    ])
    expect(await noted()).toEqual([{ product_id: id }])
  })
})
