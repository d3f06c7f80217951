import { setTimeout as pause } from 'node:timers/promises'
import { withTransaction } from '../../../db/pool'
import { createProduct } from '../../../db/catalog/product'
import { markForSearch } from '../../../db/search/pending'
import { listRebuildRequests } from '../../../db/search/rebuild'
import type { ProductId } from '../../../domain/ids'
import { reindexWorkflowId } from '../../../domain/workflow-id'
import { createLog } from '../../../log'
import { indexPending } from '../../../workers/loops/indexer'
import { startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'
import { startTypesenseStub, type TypesenseStub } from '../../support/typesense-stub'
import { until } from '../../support/wait'

const log = createLog('silent', 'test')

interface Wanted {
  readonly sku: string
  readonly title: string
  readonly price: number
  readonly brand?: string
  readonly category?: string
  readonly color?: string
}

const SHOP: readonly Wanted[] = [
  {
    sku: 'HEART',
    title: 'White Hanging Heart T-Light Holder',
    price: 255,
    brand: 'Acme & Sons',
    category: 'Home Decor',
  },
  { sku: 'BAG-RED', title: 'Lunch Bag Red Retrospot', price: 165, category: 'Bags', color: 'Red' },
  { sku: 'BAG-BLUE', title: 'Lunch Bag Blue Skull', price: 175, category: 'Bags', color: 'Blue' },
  { sku: 'XSS', title: 'Frame <img src=x onerror=alert(1)>', price: 900 },
]

async function fill(api: TestApi): Promise<Map<string, ProductId>> {
  const ids = new Map<string, ProductId>()
  for (const { sku, title, price, brand, category, color } of SHOP) {
    const id = await withTransaction(api.database.pool, (tx) =>
      createProduct(tx, {
        title,
        brand: brand ?? null,
        categories: category === undefined ? [] : [category],
        attributes: color === undefined ? {} : { color },
        variants: [{ sku, prices: [{ amount: price, currency: 'GBP' }] }],
      }),
    )
    ids.set(sku, id)
  }
  await index(api, [...ids.values()])
  return ids
}

async function index(api: TestApi, ids: readonly ProductId[]): Promise<void> {
  const { pool, search } = api.deps
  await markForSearch(
    pool,
    search.engines.map(({ name }) => name),
    ids,
  )
  for (const engine of search.engines) while ((await indexPending({ pool, engine, log })) > 0);
}

const titlesOf = (body: { data: { title: string }[] }): string[] => body.data.map(({ title }) => title)

describe('search in Postgres', () => {
  let api: TestApi
  let ids: Map<string, ProductId>
  beforeAll(async () => {
    api = await startApi()
    ids = await fill(api)
  })
  afterAll(() => api.close())

  const get = (query: string) => api.call('get', `/v1/store/search?${query}`)

  it('answers products with what matched, facets with labels, and who answered', async () => {
    const { status, body } = await get('q=hangnig+heart+')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      data: [
        {
          id: ids.get('HEART'),
          slug: 'white-hanging-heart-t-light-holder',
          price_range: { min: { amount: 255, currency: 'GBP' } },
          available: false,
          highlight: { title: 'White <mark>Hanging</mark> <mark>Heart</mark> T-Light Holder' },
        },
      ],
      facets: {
        category: [{ value: 'home-decor', label: 'Home Decor', count: 1 }],
        brand: [{ value: 'acme-sons', label: 'Acme & Sons', count: 1 }],
        price: [{ from: { amount: 0, currency: 'GBP' }, to: { amount: 500, currency: 'GBP' }, count: 1 }],
        rating: [],
        in_stock: [{ value: 'false', label: 'Out of stock', count: 1 }],
      },
      total: 1,
      total_is_exact: true,
      engine: 'postgres',
      did_you_mean: 'hanging heart',
      has_more: false,
      next_cursor: null,
    })
  })

  it('narrows, sorts and counts what could be chosen instead', async () => {
    expect(titlesOf((await get('category=bags&sort=price_desc')).body)).toEqual([
      'Lunch Bag Blue Skull',
      'Lunch Bag Red Retrospot',
    ])
    expect(titlesOf((await get('brand=Acme+%26+Sons')).body)).toEqual(['White Hanging Heart T-Light Holder'])
    expect(titlesOf((await get('price_min=170&price_max=300&sort=price_asc')).body)).toEqual([
      'Lunch Bag Blue Skull',
      'White Hanging Heart T-Light Holder',
    ])
    const red = (await get('q=lunch+bag+&attr.color=RED')).body
    expect((await get('q=lunch+bag+&attr.Color=red')).body).toEqual(red)
    expect(titlesOf(red)).toEqual(['Lunch Bag Red Retrospot'])
    expect(red.facets['attr.color']).toEqual([
      { value: 'blue', label: 'Blue', count: 1 },
      { value: 'red', label: 'Red', count: 1 },
    ])
    expect((await get('currency=EUR')).body).toMatchObject({ data: [], total: 0 })
    expect((await get('in_stock=true')).body.total).toBe(0)
    expect((await get('rating_min=4')).body.total).toBe(0)
  })

  it('takes empty parameters for none', async () => {
    expect((await get('q=&category=&brand=&price_min=&price_max=&rating_min=&in_stock=')).body.total).toBe(4)
  })

  it('goes page by page, and knows a cursor of another search', async () => {
    const first = await get('sort=newest&limit=3')
    expect(first.body).toMatchObject({ has_more: true, total: 4 })
    const second = await get(`sort=newest&limit=3&cursor=${first.body.next_cursor}`)
    expect(second.body).toMatchObject({ has_more: false, next_cursor: null })
    expect(new Set([...titlesOf(first.body), ...titlesOf(second.body)]).size).toBe(4)
    expect(await get(`sort=rating&limit=3&cursor=${first.body.next_cursor}`)).toMatchObject({ status: 400 })
  })

  it('puts first, among equals, what the session looked at', async () => {
    const session = 'c2f1a94be07d4e6c8a35'
    const find = async (query: string) => titlesOf((await get(`q=lunch+bag+${query}`)).body)
    const [first, second] = await find('')
    const { body } = await get(`q=${second}`)
    const viewed = { type: 'view', product_id: body.data[0].id }
    await api.call('post', '/v1/store/events', { body: { session, events: [viewed] } })
    expect(await find(`&session=${session}`)).toEqual([second, first])
    expect(await find(`&session=${session}&sort=newest`)).toEqual(await find('&sort=newest'))
    expect(await find(`&session=${session}x`)).toEqual([first, second])
    expect(await find('')).toEqual([first, second])
  })

  it('prefers the categories that the session looked into', async () => {
    const session = '9e01d7f6b3c44a5d8127'
    const [first] = (await get('')).body.data
    const other = SHOP.find(({ category, title }) => category !== undefined && title !== first.title) as Wanted
    const viewed = { type: 'add', product_id: ids.get(other.sku) }
    await api.call('post', '/v1/store/events', { body: { session, events: [viewed] } })
    const { body } = await get(`session=${session}`)
    expect(body.data[0].categories[0].title).toBe(other.category)
    expect(titlesOf(body)[0]).toBe(other.title)
  })

  it('is there for a session without Redis', async () => {
    const without = await startApi({ REDIS_URL: 'redis://127.0.0.1:1/0' })
    expect((await without.call('get', '/v1/store/search?q=bag&session=c2f1a94be07d4e6c8a35')).status).toBe(200)
    await without.close()
  })

  it.each([
    'page=2',
    'session=short',
    'session=somebody@example.com',
    'Q=heart',
    'sort=best',
    'sort=price_asc%3B+drop+table+product',
    'price_min=-1',
    'price_min=1.5',
    'price_max=99999999999999',
    'rating_min=6',
    'rating_min=NaN',
    'in_stock=maybe',
    'limit=0',
    'limit=101',
    'currency=gbp',
    'cursor=nonsense',
    `cursor=${Buffer.from('{"at":-1,"of":"x"}').toString('base64url')}`,
    `q=${'x'.repeat(201)}`,
    'attr.=red',
    'attr.1color=red',
    'attr.a%27b=red',
    'attr.color=',
    'attributes.color=red',
    'category=a&category=b',
    'q=%00',
    'price_min=300&price_max=200',
    `${Array.from({ length: 11 }, (_, n) => `attr.a${n}=x`).join('&')}`,
  ])('refuses %s', async (query) => {
    const { status, body } = await get(query)
    expect(status).toBe(400)
    expect(body.code).toBe('validation_failed')
    expect(body.errors.length).toBeGreaterThan(0)
  })

  it.each([
    "' or 1=1 --",
    "'; drop table search_document; --",
    "\\' | !!! & <->",
    '`) || id:!=x',
    ':*',
    '%',
    'a:*|b',
    '$1',
    '{{constructor}}',
    '../../etc/passwd',
  ])('takes %j for words and values, wherever it stands', async (hostile) => {
    const text = encodeURIComponent(hostile)
    for (const query of [`q=${text}`, `category=${text}`, `brand=${text}`, `attr.color=${text}`]) {
      const { status, body } = await get(query)
      expect(status).toBe(200)
      expect(body.engine).toBe('postgres')
    }
    expect((await api.call('get', `/v1/store/search/suggest?q=${text}`)).status).toBe(200)
    expect((await get('')).body.total).toBe(4)
  })

  it('marks nothing but what matched: a title is text', async () => {
    const { body } = await get('q=frame')
    expect(body.data[0].highlight.title).toBe('<mark>Frame</mark> &lt;img src=x onerror=alert(1)&gt;')
  })

  it('completes, from the first letter on', async () => {
    const { body } = await api.call('get', '/v1/store/search/suggest?q=wh')
    expect(body).toEqual({
      data: [
        { type: 'query', text: 'white', slug: null },
        { type: 'product', text: 'White Hanging Heart T-Light Holder', slug: 'white-hanging-heart-t-light-holder' },
      ],
      engine: 'postgres',
    })
    expect((await api.call('get', '/v1/store/search/suggest?q=b')).body.data).toContainEqual({
      type: 'category',
      text: 'Bags',
      slug: 'bags',
    })
    expect((await api.call('get', '/v1/store/search/suggest?q=')).body.data).toEqual([])
    expect((await api.call('get', '/v1/store/search/suggest')).status).toBe(400)
    expect((await api.call('get', '/v1/store/search/suggest?q=a&sort=x')).status).toBe(400)
  })

  it('completes categories by their present names, and only those that have something on offer', async () => {
    const { pool } = api.database
    const completed = async (q: string) => {
      const { body } = await api.call('get', `/v1/store/search/suggest?q=${q}`)
      return body.data.filter(({ type }: { type: string }) => type === 'category')
    }
    await pool.query(`update category set slug = 'carriers', title = 'Totes' where slug = 'bags'`)
    expect(await completed('bag')).toEqual([])
    expect(await completed('carr')).toEqual([{ type: 'category', text: 'Totes', slug: 'carriers' }])
    expect(await completed('tot')).toEqual([{ type: 'category', text: 'Totes', slug: 'carriers' }])
    const bags = [ids.get('BAG-RED'), ids.get('BAG-BLUE')]
    await pool.query(`update product set status = 'archived' where id = any ($1)`, [bags])
    expect(await completed('carr')).toEqual([])
    await pool.query(`update product set status = 'active' where id = any ($1)`, [bags])
    await pool.query(`update category set slug = 'bags', title = 'Bags' where slug = 'carriers'`)
  })

  it('neither narrows by nor counts what its category does not want as a filter', async () => {
    const { pool } = api.database
    const bags = [ids.get('BAG-RED'), ids.get('BAG-BLUE')] as ProductId[]
    await pool.query(
      `insert into category_attribute (category_id, position, name, label, type, required, filterable, options)
       select id, 1, 'color', 'Color', 'text', false, false, '{}' from category where slug = 'bags'`,
    )
    await index(api, bags)
    const { body } = await get('q=lunch+bag+red+')
    expect(titlesOf(body)).toEqual(['Lunch Bag Red Retrospot'])
    expect(body.facets).not.toHaveProperty(['attr.color'])
    expect((await get('attr.color=red')).body).toMatchObject({ data: [], total: 0 })
    await pool.query('delete from category_attribute')
    await index(api, bags)
    expect((await get('attr.color=red')).body.total).toBe(1)
  })

  it('leaves out what was taken off sale and is still in the index', async () => {
    const { pool } = api.database
    await pool.query(`update product set status = 'archived' where id = $1`, [ids.get('BAG-RED')])
    const { body } = await get('category=bags')
    expect(titlesOf(body)).toEqual(['Lunch Bag Blue Skull'])
    await index(api, [ids.get('BAG-RED') as ProductId])
    expect((await get('category=bags')).body.total).toBe(1)
    await pool.query(`update product set status = 'active' where id = $1`, [ids.get('BAG-RED')])
    await index(api, [ids.get('BAG-RED') as ProductId])
    expect((await get('category=bags')).body.total).toBe(2)
  })

  it('finds by the categories above a product, too', async () => {
    const { pool } = api.database
    await pool.query(
      `update category set parent_id = (select id from category where slug = 'home-decor') where slug = 'bags'`,
    )
    await index(api, [...ids.values()])
    expect((await get('category=home-decor')).body.total).toBe(3)
    await pool.query('update category set parent_id = null')
    await index(api, [...ids.values()])
    expect((await get('category=home-decor')).body.total).toBe(1)
  })
})

describe('search rules', () => {
  let api: TestApi
  let key: string
  let ids: Map<string, ProductId>
  beforeAll(async () => {
    api = await startApi()
    key = await api.key('catalog')
    ids = await fill(api)
  })
  afterAll(() => api.close())

  async function put(path: string, data: unknown): Promise<number> {
    const { headers } = await api.call('get', path, { key })
    return (await api.call('put', path, { key, body: { data }, headers: { 'if-match': headers.get('etag') ?? '' } }))
      .status
  }
  const find = async (query: string) => titlesOf((await api.call('get', `/v1/store/search?${query}`)).body)

  it('synonyms are searched by within a second', async () => {
    const path = '/v1/admin/search/synonyms'
    expect(await put(path, [{ terms: ['sack', 'bag'] }, { root: 'decoration', terms: ['t-light'] }])).toBe(200)
    expect((await api.call('get', path, { key })).body.data).toEqual([
      { root: null, terms: ['sack', 'bag'] },
      { root: 'decoration', terms: ['t-light'] },
    ])
    await until(
      'sacks are bags',
      async () => (await find('q=red+sack+')).join() === 'Lunch Bag Red Retrospot',
      Boolean,
      1_000,
    )
    expect(await find('q=decoration')).toEqual(['White Hanging Heart T-Light Holder'])
    expect(await put(path, [])).toBe(200)
  })

  it('curations are searched by within a second', async () => {
    const path = '/v1/admin/search/curations'
    const heart = ids.get('HEART')
    const blue = ids.get('BAG-BLUE')
    expect(await put(path, [{ query: 'Lunch-Bag', pins: [heart], hides: [blue] }])).toBe(200)
    expect((await api.call('get', path, { key })).body.data).toEqual([
      { query: 'lunch bag', pins: [heart], hides: [blue] },
    ])
    const wanted = ['White Hanging Heart T-Light Holder', 'Lunch Bag Red Retrospot']
    await until('it is pinned', async () => (await find('q=lunch+bag')).join() === wanted.join(), Boolean, 1_000)
    expect(await put(path, [])).toBe(200)
  })

  it.each([
    ['synonyms', [{ terms: ['alone'] }]],
    ['synonyms', [{ terms: [] }]],
    ['synonyms', [{ terms: ['--', 'x'] }]],
    ['synonyms', [{ terms: ['a', 'b'], weight: 2 }]],
    ['curations', [{ query: '!!', pins: [] }]],
    ['curations', [{ query: 'a', pins: ['prod_1'] }]],
    ['curations', [{ query: 'a' }, { query: 'A!' }]],
  ])('refuses %s %j', async (path, data) => {
    expect(await put(`/v1/admin/search/${path}`, data)).toBe(400)
  })

  it('refuses more rules than it can hold', async () => {
    const many = Array.from({ length: 1_001 }, () => ({ terms: ['a', 'b'] }))
    expect(await put('/v1/admin/search/synonyms', many)).toBe(400)
  })

  it.each(['synonyms', 'curations'])('%s of a version that is gone are refused', async (path) => {
    const address = `/v1/admin/search/${path}`
    expect((await api.call('put', address, { key, body: { data: [] } })).status).toBe(428)
    expect((await api.call('put', address, { key, body: { data: [] }, headers: { 'if-match': '"0"' } })).status).toBe(
      412,
    )
    expect((await api.call('put', address, { body: { data: [] } })).status).toBe(401)
    const readonly = await api.key('readonly')
    expect((await api.call('put', address, { key: readonly, body: { data: [] } })).status).toBe(403)
  })

  it('a rebuild is begun once, and its progress can be read', async () => {
    const reindex = (asked: object = {}) =>
      api.call('post', '/v1/admin/search/reindex', { key, body: asked, idempotencyKey: 'rebuild' })
    const held = await holdTable(api.database.pool, 'idempotency')
    const first = reindex()
    await held.waitedForBy(1)
    expect(await reindex()).toMatchObject({ status: 409, body: { code: 'request_in_progress' } })
    await held.release()
    const { status, body } = await first
    expect(status).toBe(202)
    expect(await reindex()).toMatchObject({ status: 202, body })
    expect(await reindex({ engine: 'postgres' })).toMatchObject({ status: 422 })
    expect(body.data).toMatchObject([{ engine: 'postgres', state: 'requested' }])
    const again = await api.call('post', '/v1/admin/search/reindex', { key, body: { engine: 'postgres' } })
    expect(again.status).toBe(202)
    expect((await api.call('get', '/v1/admin/search/reindex', { key })).body.data).toHaveLength(1)
    expect((await api.call('post', '/v1/admin/search/reindex', { key, body: { engine: 'solr' } })).status).toBe(404)
    await api.deps.temporal.workflow.getHandle(reindexWorkflowId('postgres')).terminate()
  })

  it('rebuilds that are asked for at once are one, and take no connection while Temporal is asked', async () => {
    const small = await startApi({ DATABASE_POOL_MAX: '2' })
    try {
      const key = await small.key('catalog')
      const reindex = () => small.call('post', '/v1/admin/search/reindex', { key, body: {} })
      const began = Date.now()
      const answers = await Promise.all(Array.from({ length: 50 }, reindex))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202))
      expect(new Set(answers.map(({ body }) => body.data[0].build)).size).toBe(1)
      expect(Date.now() - began).toBeLessThan(5_000)
      const { body } = await small.call('get', '/v1/admin/search/reindex', { key })
      expect(body.data).toMatchObject([{ state: 'requested', build: answers[0]?.body.data[0].build }])
      await small.deps.temporal.workflow.getHandle(reindexWorkflowId('postgres')).terminate()
    } finally {
      await small.close()
    }
  })

  it('a rebuild is accepted while Temporal is away: its request is kept', async () => {
    const alone = await startApi({ TEMPORAL_ADDRESS: '127.0.0.1:1' })
    try {
      const key = await alone.key('catalog')
      const { status, body } = await alone.call('post', '/v1/admin/search/reindex', { key, body: {} })
      expect(status).toBe(202)
      expect(await listRebuildRequests(alone.database.pool)).toEqual([
        { engine: 'postgres', build: body.data[0].build },
      ])
    } finally {
      await alone.close()
    }
  })
})

describe('search in Typesense', () => {
  let stub: TypesenseStub
  let api: TestApi
  beforeAll(async () => {
    stub = await startTypesenseStub({ apiKey: 'secret' })
    api = await startApi({ TYPESENSE_URL: stub.url, TYPESENSE_API_KEY: 'secret', SEARCH_TIMEOUT_MS: '300' })
    const engine = api.deps.search.engines[0]
    await engine?.beginRebuild('first')
    await engine?.swap('first')
    await fill(api)
  })
  afterAll(async () => {
    await api.close()
    await stub.stop()
  })

  const get = async (query: string) => (await api.call('get', `/v1/store/search?${query}`)).body
  const health = async () => (await api.call('get', '/readyz')).body

  it('answers the same', async () => {
    expect(await get('q=hangnig+heart+&attr.color=')).toMatchObject({ code: 'validation_failed' })
    expect(await get('q=lunch+bag+&attr.color=red')).toMatchObject({
      data: [
        { title: 'Lunch Bag Red Retrospot', highlight: { title: '<mark>Lunch</mark> <mark>Bag</mark> Red Retrospot' } },
      ],
      facets: {
        'attr.color': [
          { value: 'blue', label: 'Blue', count: 1 },
          { value: 'red', label: 'Red', count: 1 },
        ],
      },
      engine: 'typesense',
      total: 1,
    })
    expect(await health()).toMatchObject({ status: 'ready', dependencies: { search: { status: 'up' } } })
  })

  it.each(['`) || id:!=x || (category:=`bags', '[1..2]', 'x` && in_stock:=false', '"lunch bag"', '-lunch'])(
    'Typesense filter injection: %j is a value',
    async (hostile) => {
      const text = encodeURIComponent(hostile)
      for (const query of [`q=${text}`, `category=${text}`, `brand=${text}`, `attr.color=${text}`]) {
        expect((await get(query)).engine).toBe('typesense')
      }
    },
  )

  it('falls back to Postgres at once when it is away, leaves it alone, and comes back to it', async () => {
    await stub.kill()
    for (let n = 0; n < 60; n++) expect(await get('q=lunch+bag+red+')).toMatchObject({ engine: 'postgres', total: 1 })
    const before = performance.now()
    expect((await api.call('get', '/v1/store/search/suggest?q=lun')).body).toMatchObject({ engine: 'postgres' })
    expect(performance.now() - before).toBeLessThan(300)
    await pause(600)
    expect(await api.call('get', '/readyz')).toMatchObject({
      status: 200,
      body: { status: 'degraded', dependencies: { search: { status: 'degraded' } } },
    })
    await stub.revive()
    await until('Typesense answers again', async () => (await get('q=lunch')).engine === 'typesense', Boolean, 15_000)
  }, 30_000)

  it('answers from Postgres when it is slow', async () => {
    stub.slowDown(5_000)
    const before = performance.now()
    expect(await get('q=lunch+bag+red+')).toMatchObject({ engine: 'postgres', total: 1 })
    expect(performance.now() - before).toBeLessThan(1_500)
    stub.slowDown(0)
    await until('Typesense answers again', async () => (await get('q=lunch')).engine === 'typesense', Boolean, 15_000)
  }, 30_000)
})

it('answers everything that its routes list', async () => {
  const api = await startApi()
  expect([...api.unseen('Search'), ...api.unseen('Search rules')]).toEqual([])
  await api.close()
})
