import { createCategory, deleteCategory, updateCategory } from '../../../db/catalog/category-tree'
import { type OutboxRow, readRow, RELAY_PARTITIONS } from '../../../db/platform/outbox'
import { dropPages, HOME } from '../../../db/page'
import { type Tx, withTransaction } from '../../../db/pool'
import { createProduct } from '../../../db/catalog/product'
import type { CategoryId } from '../../../domain/ids'
import { pageConsumer } from '../../../workers/consumers/page'
import { runRelay } from '../../../workers/loops/relay'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'
import { until } from '../../support/wait'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key()
  // What a slow machine gives up is not what is looked at here.
  api.deps.load.stop()
  const { pool } = api.deps
  const query = pool.query.bind(pool) as (...given: unknown[]) => unknown
  pool.query = ((...given: unknown[]) => {
    statements.push((given[0] as { name?: string }).name ?? '')
    return query(...given)
  }) as typeof pool.query
  await seedProducts(api.database.pool, [
    { sku: 'CUP-1', title: 'A blue cup', prices: { GBP: 400, EUR: 500 }, stock: 30 },
    { sku: 'CUP-2', title: 'A red cup', prices: { GBP: 300 }, stock: 0 },
  ])
})
afterAll(() => api.close())

const admin = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
  api.call(method, path, { key, body, headers })

async function product(title: string, categories: readonly string[] = []) {
  const { body, headers } = await admin('post', '/v1/admin/products', {
    title,
    categories,
    variants: [{ sku: title.toUpperCase().replaceAll(' ', '-'), prices: [{ amount: 1_000, currency: 'GBP' }] }],
  })
  return { ...body, etag: headers.get('etag') as string }
}

async function category(title: string, parentId: string | null = null) {
  const { body } = await admin('post', '/v1/admin/categories', { title, parent_id: parentId })
  return body
}

async function slugOf(sku: string): Promise<string> {
  const { rows } = await api.database.pool.query(
    'select p.slug from product p join variant v on v.product_id = p.id where v.sku = $1',
    [sku],
  )
  return rows[0].slug
}

/** How often this API has run the statement. */
const statements: string[] = []
function statementsOf(name: string): number {
  return statements.filter((one) => one === name).length
}

const price = (page: { product: { variants: { price: { amount: number } }[] } }) =>
  page.product.variants[0]?.price.amount

describe('a product page', () => {
  it('shows the product and where it stands, and costs a 304 to whoever has it', async () => {
    const kitchen = await category('Kitchen')
    const mugs = await category('Mugs', kitchen.id)
    const { slug, id } = await product('Striped mug', [mugs.slug])
    const path = `/v1/store/pages/product/${slug}`
    const first = await api.call('get', path)
    expect(first).toMatchObject({ status: 200, body: { product: { id, title: 'Striped mug' }, left_out: [] } })
    expect(first.body.breadcrumbs.map((crumb: { title: string }) => crumb.title)).toEqual(['Kitchen', 'Mugs'])
    expect(first.headers.get('surrogate-key')?.split(' ')).toEqual(expect.arrayContaining([id, mugs.id, kitchen.id]))
    expect(first.headers.get('cache-control')).toBe('public, max-age=0, s-maxage=1, must-revalidate')
    const etag = first.headers.get('etag') as string
    const again = await api.call('get', path, { headers: { 'if-none-match': etag } })
    expect(again).toMatchObject({ status: 304, body: '' })
    expect(again.headers.get('etag')).toBe(etag)
    expect((await api.call('get', path, { headers: { 'if-none-match': '"another"' } })).status).toBe(200)
  })

  it('shows a new price with the next call', async () => {
    const { id, slug, etag } = await product('Plain mug')
    const path = `/v1/store/pages/product/${slug}`
    expect(price((await api.call('get', path)).body)).toBe(1_000)
    const changed = { variants: [{ sku: 'PLAIN-MUG', prices: [{ amount: 1_200, currency: 'GBP' }] }] }
    await admin('patch', `/v1/admin/products/${id}`, changed, { 'if-match': etag })
    await until(
      'the new price is shown',
      async () => price((await api.call('get', path)).body),
      (amount) => amount === 1_200,
      1_000,
    )
  })

  it('is another one in another currency, and none where it has no price', async () => {
    const slug = await slugOf('CUP-1')
    expect(price((await api.call('get', `/v1/store/pages/product/${slug}?currency=GBP`)).body)).toBe(400)
    expect(price((await api.call('get', `/v1/store/pages/product/${slug}?currency=EUR`)).body)).toBe(500)
    expect((await api.call('get', `/v1/store/pages/product/${await slugOf('CUP-2')}?currency=EUR`)).status).toBe(404)
    expect((await api.call('get', '/v1/store/pages/product/no-such-thing')).status).toBe(404)
    expect((await api.call('get', `/v1/store/pages/product/${slug}?colour=red`)).status).toBe(400)
  })

  it('is the same for a thousand who ask for it at once when it has become old', async () => {
    const { id, slug } = await product('Popular mug')
    const path = `/v1/store/pages/product/${slug}`
    await api.call('get', path)
    const before = statementsOf('catalog.bySlug')
    await dropPages(api.deps.redis, [id])
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => api.call('get', path)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ headers }) => headers.get('etag'))).size).toBe(1)
    // Word of the change may come while it is made: who asks after that is given one that was begun later.
    expect(statementsOf('catalog.bySlug') - before).toBeLessThanOrEqual(2)
  })

  it('goes on while Redis is away, and sees changes all the same', async () => {
    const { id, slug, etag } = await product('Lonely mug')
    const lonely = await startApi({ REDIS_URL: 'redis://127.0.0.1:1/0', DATABASE_URL: api.database.url })
    try {
      const path = `/v1/store/pages/product/${slug}`
      expect((await lonely.call('get', path)).status).toBe(200)
      const changed = { variants: [{ sku: 'LONELY-MUG', prices: [{ amount: 900, currency: 'GBP' }] }] }
      await admin('patch', `/v1/admin/products/${id}`, changed, { 'if-match': etag })
      await until(
        'the new price is shown',
        async () => price((await lonely.call('get', path)).body),
        (amount) => amount === 900,
        2_000,
      )
      const archived = await api.call('get', `/v1/admin/products/${id}`, { key })
      const etagNow = archived.headers.get('etag') as string
      await admin('patch', `/v1/admin/products/${id}`, { status: 'archived' }, { 'if-match': etagNow })
      await until(
        'it is gone',
        async () => (await lonely.call('get', path)).status,
        (status) => status === 404,
        2_000,
      )
    } finally {
      await lonely.close()
    }
  })
})

it('is in the shop’s currency, however often it is asked for while that changes', async () => {
  const shop = await startApi({ CORS_ORIGINS: 'https://shop.example' })
  try {
    await seedProducts(shop.database.pool, [{ sku: 'CUP', title: 'Cup', prices: { GBP: 400, EUR: 500 }, stock: 3 }])
    const listed = await shop.call('get', '/v1/store/products')
    const path = `/v1/store/pages/product/${listed.body.data[0].slug}`
    const first = await shop.call('get', path)
    expect(price(first.body)).toBe(400)
    // From memory it says the same to caches as from its route.
    for (const { headers } of [first, await shop.call('get', path)]) expect(headers.get('vary')).toBe('Origin')
    const settings = { default_currency: 'EUR', countries: ['GB'], tax_inclusive: true }
    await shop.call('put', '/v1/admin/settings', { key: await shop.key(), body: settings })
    await until(
      'its price is in euros',
      async () => price((await shop.call('get', path)).body),
      (amount) => amount === 500,
      2_500,
    )
  } finally {
    await shop.close()
  }
})

describe('a category page', () => {
  it('shows what lies below it, the products of its branch, and how they can be narrowed', async () => {
    const garden = await category('Garden')
    const pots = await category('Pots', garden.id)
    await product('Clay pot', [pots.slug])
    await product('Spade', [garden.slug])
    const path = `/v1/store/pages/category/${garden.slug}`
    const { status, body, headers } = await api.call('get', path)
    expect(status).toBe(200)
    const etag = headers.get('etag') as string
    expect((await api.call('get', path, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect(body.children.map(({ title }: { title: string }) => title)).toEqual(['Pots'])
    expect(body.products.data.map(({ title }: { title: string }) => title)).toEqual(['Spade', 'Clay pot'])
    expect(body.facets).toMatchObject({ price: expect.any(Array), brand: expect.any(Array) })
  })

  it('shows a new product within a second', async () => {
    const toys = await category('Toys')
    const path = `/v1/store/pages/category/${toys.slug}`
    expect((await api.call('get', path)).body.products.data).toEqual([])
    const ball = await product('Ball', [toys.slug])
    await dropPages(api.deps.redis, [ball.id, toys.id])
    const shows = async () => (await api.call('get', path)).body.products.data.map(({ id }: { id: string }) => id)
    await until('it is there', shows, (ids) => ids.includes(ball.id), 1_000)
  })

  it('goes on in the list that its cursor belongs to', async () => {
    const many = await category('Many')
    for (let number = 0; number < 26; number++) await product(`Many ${number}`, [many.slug])
    const { body } = await api.call('get', `/v1/store/pages/category/${many.slug}`)
    expect(body.products).toMatchObject({ has_more: true, next_cursor: expect.any(String) })
    const query = new URLSearchParams({ category: many.slug, sort: 'newest', cursor: body.products.next_cursor })
    const next = await api.call('get', `/v1/store/products?${query}`)
    expect(next.body.data.map(({ title }: { title: string }) => title)).toEqual(['Many 1', 'Many 0'])
  })

  it('is not there for what is no category', async () => {
    expect((await api.call('get', '/v1/store/pages/category/nowhere')).status).toBe(404)
  })
})

type Changes = {
  readonly create: (title: string, parentId: CategoryId | null) => Promise<CategoryId>
  readonly update: (
    id: CategoryId,
    patch: { title?: string; position?: number; parent_id?: CategoryId | null },
  ) => Promise<unknown>
  readonly remove: (id: CategoryId) => Promise<unknown>
}

const any = { 'if-match': '*' }
const byRoute: Changes = {
  create: async (title, parentId) => (await category(title, parentId)).id,
  update: (id, patch) => admin('patch', `/v1/admin/categories/${id}`, patch, any),
  remove: (id) => admin('delete', `/v1/admin/categories/${id}`, undefined, any),
}
/** As if the API were killed once the change is committed. */
const byOutbox: Changes = {
  create: (title, parentId) => inTransaction((tx) => createCategory(tx, { title, parentId })),
  update: (id, { parent_id: parentId, ...patch }) =>
    inTransaction((tx) => updateCategory(tx, { id, mayChange: () => true, patch: { ...patch, parentId } })),
  remove: (id) => inTransaction((tx) => deleteCategory(tx, { id, mayChange: () => true })),
}

const inTransaction = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(api.database.pool, work)

const isPublished = async (): Promise<boolean> =>
  (await api.database.pool.query('select from outbox where published_at is null')).rowCount === 0

describe.each([
  ['a route', byRoute],
  ['the outbox alone', byOutbox],
])('a change of categories told by %s', (way, { create, update, remove }) => {
  const stop = new AbortController()
  const relays: Promise<void>[] = []
  beforeAll(() => {
    if (way === 'a route') return
    const consumers = [pageConsumer({ pool: api.database.pool, redis: api.deps.redis })]
    const deps = { settings: { DATABASE_URL: api.database.url }, consumers, log: api.deps.log }
    for (let partition = 0; partition < RELAY_PARTITIONS; partition++)
      relays.push(runRelay(deps, partition, stop.signal))
  })
  afterAll(async () => {
    stop.abort()
    await Promise.all(relays)
  })

  const childrenOf = async (id: CategoryId): Promise<string[]> => {
    const { rows } = await api.database.pool.query('select slug from category where id = $1', [id])
    const { body } = await api.call('get', `/v1/store/pages/category/${rows[0].slug}`)
    return body.children.map(({ title }: { title: string }) => title)
  }
  const shows = (id: CategoryId, titles: readonly string[]) =>
    until(
      'the page shows its children',
      () => childrenOf(id),
      (children) => JSON.stringify(children) === JSON.stringify(titles),
      1_000,
    )

  it('shows on the pages of its parents, the old one and the new', async () => {
    const [old, other] = [await create(`Old, by ${way}`, null), await create(`Other, by ${way}`, null)]
    expect([await childrenOf(old), await childrenOf(other)]).toEqual([[], []])
    const child = await create('Child', old)
    await shows(old, ['Child'])
    await update(child, { title: 'Renamed' })
    await shows(old, ['Renamed'])
    await update(child, { parent_id: other })
    await shows(old, [])
    await shows(other, ['Renamed'])
    await remove(child)
    await shows(other, [])
  })

  it('shows on the home page', async () => {
    const sections = async () => {
      const { body } = await api.call('get', '/v1/store/pages/home?currency=JPY')
      return body.sections.flatMap((section: { category: { title: string } | null }) => section.category?.title ?? [])
    }
    // As many as it shows.
    for (let number = 0; number < 6; number++) await create(`Top ${number}, by ${way}`, null)
    const title = `First, by ${way}`
    const first = await create(title, null)
    const variants = [{ sku: `FIRST-${way}`, price: { amount: 1, currency: 'JPY' } }]
    await inTransaction((tx) => createProduct(tx, { title, categories: [first], variants }))
    if (way !== 'a route') await until('all is told', isPublished)
    await dropPages(api.deps.redis, [HOME])
    expect(await sections()).not.toContain(title)
    await update(first, { position: -1 })
    await until('it is shown', sections, (titles) => titles.includes(title), 1_000)
    await update(first, { position: 1_000 })
    await until('it is not', sections, (titles) => !titles.includes(title), 1_000)
  })
})

describe('the home page', () => {
  it.each(['a route', 'the outbox alone'])('shows a new product within a second, told by %s', async (way) => {
    const ids = async () => {
      const { body } = await api.call('get', '/v1/store/pages/home')
      return body.sections.flatMap(({ products }: { products: { id: string }[] }) => products.map(({ id }) => id))
    }
    await ids()
    const made = async () => {
      if (way === 'a route') return (await product('New by a route')).id
      const variants = [{ sku: 'NEW', price: { amount: 1, currency: 'GBP' } }]
      const id = await inTransaction((tx) => createProduct(tx, { title: 'New', variants }))
      const { rows } = await api.database.pool.query<OutboxRow>('select * from outbox where aggregate = $1', [id])
      await pageConsumer({ pool: api.database.pool, redis: api.deps.redis }).consume(rows.map(readRow))
      return id
    }
    const id = await made()
    await until('it is shown', ids, (shown) => shown.includes(id), 1_000)
  })

  it('is kept for whoever sends no session, and shows a new price with the next call', async () => {
    const { id, etag } = await product('Doormat')
    const path = '/v1/store/pages/home'
    const mat = ({
      sections,
    }: {
      sections: { products: { id: string; price_range: { min: { amount: number } } }[] }[]
    }) => sections.flatMap(({ products }) => products).find((one) => one.id === id)?.price_range.min.amount
    const first = await api.call('get', path)
    expect(mat(first.body)).toBe(1_000)
    const known = await api.call('get', path, { headers: { 'if-none-match': first.headers.get('etag') as string } })
    expect(known.status).toBe(304)
    const changed = { variants: [{ sku: 'DOORMAT', prices: [{ amount: 700, currency: 'GBP' }] }] }
    await admin('patch', `/v1/admin/products/${id}`, changed, { 'if-match': etag })
    const shown = async () => mat((await api.call('get', path)).body)
    await until('the new price is shown', shown, (amount) => amount === 700, 1_000)
  })
})

it('answers every status that its routes list', () => {
  expect(api.unseen('Pages')).toEqual([])
})
