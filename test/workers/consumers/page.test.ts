import { newId } from '../../../db/id'
import { findPage, storePage, readDropMark } from '../../../db/page'
import { type OutboxEvent, readRow } from '../../../db/platform/outbox'
import { createRedis, type Redis } from '../../../db/redis'
import { pageConsumer } from '../../../workers/consumers/page'
import type { Consumer } from '../../../workers/consumers/consumer'
import { testDatabase, type TestDatabase } from '../../support/database'
import { testRedis } from '../../support/redis'
import { productOf } from '../../support/search'
import { until } from '../../support/wait'

let database: TestDatabase
let redis: Redis
let consumer: Consumer
beforeAll(async () => {
  database = await testDatabase()
  redis = createRedis({ REDIS_URL: (await testRedis()).url })
  consumer = pageConsumer({ pool: database.pool, redis })
  await until('Redis is there', () => redis.status === 'ready')
})
afterAll(async () => {
  redis.disconnect()
  await database.drop()
})

function written(type: string, payload: Record<string, unknown>): OutboxEvent {
  return readRow({ id: 1, eventId: newId('event'), aggregate: 'any', seq: 1, type, payload, createdAt: new Date() })
}

/** As an API process would have made it just now. */
async function keepPage(tag: string): Promise<void> {
  const mark = (await readDropMark(redis)) ?? 0
  await storePage(redis, tag, { json: '{}', tags: [tag], builtAt: Date.now(), expiresAt: null }, mark)
  await isKept(tag)
}

async function isKept(tag: string): Promise<void> {
  await until(`the page of ${tag} is there`, async () => (await findPage(redis, tag)) !== null)
}

async function isDropped(tag: string): Promise<void> {
  await until(`the page of ${tag} is dropped`, async () => (await findPage(redis, tag)) === null)
}

it('drops the pages of what changed: products, what there is of a SKU, categories', async () => {
  const [changed, stocked] = [
    await productOf(database.pool, 'Cup', 'C-1'),
    await productOf(database.pool, 'Pan', 'P-1'),
  ]
  const [above, moved, other] = [newId('category'), newId('category'), newId('product')]
  for (const tag of [changed, stocked, above, moved, other]) await keepPage(tag)
  await consumer.consume([
    written('product.updated', { product_id: changed, version: 2 }),
    written('stock.sold_out', { sku: 'P-1', warehouse_id: newId('warehouse'), on_hand: 1 }),
    written('category.updated', { category_id: moved, version: 2, shown_on: [above, moved] }),
  ])
  for (const tag of [changed, stocked, above, moved]) await isDropped(tag)
  await isKept(other)
})

it('passes over what orders say, and over types that it does not know, and goes on', async () => {
  const id = await productOf(database.pool, 'Pot', 'P-2')
  await keepPage(id)
  await consumer.consume([
    written('product.updated.v2', { id }),
    written('order.confirmed', { order_id: newId('order'), from: 'payment_pending', to: 'confirmed', data: {} }),
  ])
  await isKept(id)
  await consumer.consume([written('product.updated.v2', { id }), written('product.updated', { product_id: id })])
  await isDropped(id)
})
