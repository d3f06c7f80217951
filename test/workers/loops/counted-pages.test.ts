import { newId } from '../../../db/id'
import { findPage, storePage, readDropMark } from '../../../db/page'
import { withTransaction } from '../../../db/pool'
import { createProduct } from '../../../db/catalog/product'
import { createRedis, type Redis } from '../../../db/redis'
import { markForSearch } from '../../../db/search/pending'
import type { CategoryId, ProductId } from '../../../domain/ids'
import { createLog } from '../../../log'
import { PostgresSearch } from '../../../providers/search/postgres/engine'
import { dropCountedPages } from '../../../workers/loops/counted-pages'
import { indexPending } from '../../../workers/loops/indexer'
import { testDatabase, type TestDatabase } from '../../support/database'
import { testRedis } from '../../support/redis'
import { until } from '../../support/wait'

let database: TestDatabase
let redis: Redis
beforeAll(async () => {
  database = await testDatabase()
  redis = createRedis({ REDIS_URL: (await testRedis()).url })
  await until('Redis is there', () => redis.status === 'ready')
})
afterAll(async () => {
  redis.disconnect()
  await database.drop()
})

describe('a page that counts products', () => {
  it('is dropped once what was changed can be found, also by those above', async () => {
    const { root, leaf } = await branch()
    const id = await productIn(leaf)
    await keepPage('root', root)
    await keepPage('leaf', leaf)
    await index([id])
    expect(await findPage(redis, 'root')).toBeNull()
    expect(await findPage(redis, 'leaf')).toBeNull()
  })

  it('stays when only the index had to be told: of sales, of stock', async () => {
    const { leaf } = await branch()
    const id = await productIn(leaf)
    await database.pool.query(`update product set updated_at = now() - interval '1 minute' where id = $1`, [id])
    await keepPage('quiet', leaf)
    await index([id])
    await isThere('quiet')
  })
})

async function branch(): Promise<{ root: CategoryId; leaf: CategoryId }> {
  const [root, leaf] = [newId('category'), newId('category')]
  for (const [id, parent] of [
    [root, null],
    [leaf, root],
  ]) {
    await database.pool.query('insert into category (id, slug, title, parent_id) values ($1, $2, $2, $3)', [
      id,
      `c-${id?.slice(-12)}`,
      parent,
    ])
  }
  return { root, leaf }
}

function productIn(category: CategoryId): Promise<ProductId> {
  const sku = newId('product').slice(-12)
  const variants = [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }]
  return withTransaction(database.pool, (tx) => createProduct(tx, { title: 'Cup', categories: [category], variants }))
}

/** As an API process would have made it just now. */
async function keepPage(key: string, tag: string): Promise<void> {
  const mark = (await readDropMark(redis)) ?? 0
  await storePage(redis, key, { json: '{}', tags: [tag], builtAt: Date.now(), expiresAt: null }, mark)
  await isThere(key)
}

/** What was dropped stays away; an answer that came too late on a busy machine only looks like it. */
async function isThere(key: string): Promise<void> {
  await until(`the page ${key} is there`, async () => (await findPage(redis, key)) !== null)
}

async function index(products: readonly ProductId[]): Promise<void> {
  const { pool } = database
  await markForSearch(pool, ['postgres'], products)
  const indexed = dropCountedPages({ pool, redis })
  while (
    (await indexPending({ pool, engine: new PostgresSearch(pool), log: createLog('silent', 'test'), indexed })) > 0
  );
}
