import { InteractionBuffer, writeInteractions } from '../../../api/recommendation/interaction-buffer'
import { newId } from '../../../db/id'
import { createPool } from '../../../db/pool'
import type { ProductId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'

let api: TestApi
let ids: ProductId[]
beforeAll(async () => {
  api = await startApi()
  await seedProducts(
    api.database.pool,
    ['A', 'B', 'C'].map((sku) => ({ sku, title: sku, prices: { GBP: 100 }, stock: 5 })),
  )
  const { rows } = await api.database.pool.query<{ product_id: ProductId }>(
    'select product_id from variant order by sku',
  )
  ids = rows.map((row) => row.product_id)
})
afterAll(() => api.close())

const EVENTS = '/v1/store/events'
const post = (events: readonly unknown[], session?: string) =>
  api.call('post', EVENTS, { body: { events, ...(session ? { session } : {}) } })
const write = () => api.deps.interactions.write(api.deps)

describe('POST /events', () => {
  it('answers at once, and counts per product and day', async () => {
    const taken = await post([
      { type: 'view', product_id: ids[0] },
      { type: 'view', product_id: ids[0] },
      { type: 'click', product_id: ids[0] },
      { type: 'add', product_id: ids[1] },
      { type: 'view', product_id: newId('product') },
    ])
    expect(taken).toMatchObject({ status: 202, body: { accepted: 5, dropped: 0 } })
    expect(await stats()).toEqual([])
    await write()
    await post([{ type: 'view', product_id: ids[0] }])
    await write()
    expect(await stats()).toEqual([
      { product_id: ids[0], views: 3, clicks: 1, adds: 0 },
      { product_id: ids[1], views: 0, clicks: 0, adds: 1 },
    ])
  })

  it('counts what has a key once', async () => {
    const events = [{ type: 'click', product_id: ids[1] }]
    const keyed = (body: object) => api.call('post', EVENTS, { body, idempotencyKey: 'events-1' })
    const clicks = async () => (await stats()).find(({ product_id }) => product_id === ids[1])?.clicks ?? 0
    const before = await clicks()
    const [one, two] = [await keyed({ events }), await keyed({ events })]
    expect(two).toMatchObject({ status: 202, body: one.body })
    expect(two.headers.get('idempotent-replayed')).toBe('true')
    expect(await keyed({ events: [...events, ...events] })).toMatchObject({ status: 422 })
    await write()
    expect((await clicks()) - before).toBe(1)
    const held = await holdTable(api.database.pool, 'idempotency')
    const waiting = keyed({ events })
    await held.waitedForBy(1)
    expect(await keyed({ events })).toMatchObject({ status: 409, body: { code: 'request_in_progress' } })
    await held.release()
    expect((await waiting).status).toBe(202)
  })

  it('counts searches, and none that may name a person', async () => {
    await post([
      { type: 'search', query: ' White  Heart', results: 3 },
      { type: 'search', query: 'white heart', results: 0 },
      { type: 'search', query: 'unicorn', results: 0 },
      { type: 'search', query: 'jane.doe@example.com', results: 0 },
    ])
    await write()
    const key = await api.key('readonly')
    const all = await api.call('get', '/v1/admin/searches', { key })
    expect(all).toMatchObject({
      status: 200,
      body: {
        data: [
          { query: 'white heart', searches: 2, fruitless: 1 },
          { query: 'unicorn', searches: 1, fruitless: 1 },
        ],
      },
    })
    const fruitless = await api.call('get', '/v1/admin/searches?fruitless=true&limit=1', { key })
    expect(fruitless.body.data).toHaveLength(1)
  })

  it('counts only so many different searches a day: callers do not fill the disk', async () => {
    const { pool } = api.database
    await pool.query(
      `insert into search_stat (day, query) select (now() at time zone 'utc')::date, 'filler ' || n from generate_series(1, 20000) as n`,
    )
    await post([
      { type: 'search', query: 'one too many' },
      { type: 'search', query: 'filler 7' },
    ])
    await write()
    const { rows } = await pool.query(
      "select query, searches from search_stat where query in ('one too many', 'filler 7')",
    )
    expect(rows).toEqual([{ query: 'filler 7', searches: 1 }])
    await pool.query("delete from search_stat where query like 'filler %'")
  })

  it.each([
    ['nothing', { events: [] }],
    ['too many', { events: Array.from({ length: 101 }, () => ({ type: 'search', query: 'x' })) }],
    ['an unknown type', { events: [{ type: 'buy', product_id: 'prod_01h455vb4pex5vsknk084sn02q' }] }],
    ['a product that is none', { events: [{ type: 'view', product_id: "prod_'; drop table product" }] }],
    ['a search for a product', { events: [{ type: 'search', product_id: 'prod_01h455vb4pex5vsknk084sn02q' }] }],
    ['an unknown field', { events: [{ type: 'search', query: 'x', email: 'a@b.c' }] }],
    ['a session that is an address', { session: 'somebody@example.com', events: [{ type: 'search', query: 'x' }] }],
  ])('refuses %s', async (_what, body) => {
    expect(await api.call('post', EVENTS, { body })).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  it('keeps of a session only what it looked at last, for a day, under a name that does not tell it', async () => {
    const session = 'b6f0c4de2a1947d38f51'
    await post(
      [
        { type: 'view', product_id: ids[0] },
        { type: 'view', product_id: ids[1] },
      ],
      session,
    )
    await post([{ type: 'view', product_id: ids[0] }], session)
    const keys = await api.deps.redis.keys('seen:*')
    expect(keys).toHaveLength(1)
    expect(keys[0]).not.toContain(session)
    expect(await api.deps.redis.lrange(keys[0] as string, 0, -1)).toEqual([ids[0], ids[1]])
    expect(await api.deps.redis.ttl(keys[0] as string)).toBeGreaterThan(0)
    expect(JSON.stringify((await api.database.pool.query('select * from product_stat')).rows)).not.toContain(session)
  })
})

describe('the buffer', () => {
  const deps = () => ({ ...api.deps, interactions: new InteractionBuffer() })

  it('drops what is one too many, and takes what it counts already', async () => {
    const buffer = new InteractionBuffer()
    const search = (query: string) => buffer.add({ type: 'search', query, fruitless: false })
    const taken = Array.from({ length: 2_001 }, (_, n) => search(`query ${n}`))
    expect(taken.lastIndexOf(true)).toBe(1_999)
    expect(search('query 0')).toBe(true)
  })

  it('keeps what could not be written, and writes it when Postgres is back', async () => {
    const { interactions } = deps()
    interactions.add({ type: 'add', productId: ids[2] as ProductId })
    const away = createPool(
      { DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none', DATABASE_POOL_MAX: 1 },
      { name: 'holdfast-test' },
    )
    await expect(interactions.write({ ...api.deps, pool: away })).rejects.toThrow('ECONNREFUSED')
    await away.end()
    await interactions.write(api.deps)
    expect(await stats()).toContainEqual({ product_id: ids[2], views: 0, clicks: 0, adds: 1 })
  })

  it('is written once more when the process stops', async () => {
    const own = deps()
    const stopping = new AbortController()
    const writing = writeInteractions(own, stopping.signal)
    own.interactions.add({ type: 'click', productId: ids[2] as ProductId })
    stopping.abort()
    await writing
    expect(await stats()).toContainEqual({ product_id: ids[2], views: 0, clicks: 1, adds: 1 })
  })
})

it('every listed status has been seen', () => expect(api.unseen('Events')).toEqual([]))

async function stats() {
  const { rows } = await api.database.pool.query(
    'select product_id, views, clicks, adds from product_stat order by product_id',
  )
  return rows
}
