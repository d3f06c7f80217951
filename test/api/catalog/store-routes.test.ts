import { withTransaction } from '../../../db/pool'
import { createProduct } from '../../../db/catalog/product'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
  await seedProducts(api.database.pool, [
    { sku: '85123a', title: 'Heart', prices: { GBP: 255, EUR: 300 }, stock: 40 },
    { sku: 'LOW', title: 'Nearly gone', prices: { GBP: 100 }, stock: 5 },
    { sku: 'GONE', title: 'Gone', prices: { GBP: 100 }, stock: 0 },
  ])
  await withTransaction(api.database.pool, (tx) =>
    createProduct(tx, {
      title: 'Tea Set',
      description: 'For two.',
      attributes: { material: 'bone china' },
      categories: ['Kitchen'],
      variants: [
        { sku: 'TEA-S', title: 'Small', prices: [{ amount: 900, currency: 'GBP' }] },
        { sku: 'TEA-L', title: 'Large', prices: [{ amount: 1_500, currency: 'GBP' }] },
        { sku: 'TEA-X', title: 'Not here', prices: [{ amount: 1, currency: 'USD' }] },
      ],
    }),
  )
  await withTransaction(api.database.pool, (tx) =>
    createProduct(tx, {
      title: 'Mug',
      brand: 'Acme',
      categories: ['Kitchen/Mugs'],
      variants: [
        { sku: 'MUG', prices: [{ amount: 400, currency: 'GBP' }], costs: [{ amount: 123_457, currency: 'GBP' }] },
      ],
    }),
  )
})
afterAll(() => api.close())

describe('GET /products', () => {
  it('lists what is sold in the currency, with hints of what is there', async () => {
    const { body } = await api.call('get', '/v1/store/products?currency=GBP')
    expect(body).toMatchObject({ has_more: false, next_cursor: null })
    const [heart, low, gone, tea] = body.data
    expect(heart).toEqual({
      id: expect.stringMatching(/^prod_/),
      slug: expect.any(String),
      title: 'Heart',
      brand: null,
      seller_id: 'house',
      categories: [],
      image_urls: [],
      rating: null,
      price_range: { min: gbp(255), max: gbp(255) },
      available: true,
      variants: [
        {
          sku: '85123a',
          title: 'Heart',
          attributes: {},
          available: true,
          available_hint: 'in_stock',
          price: gbp(255),
          list_price: gbp(255),
        },
      ],
    })
    expect(low.variants[0]).toMatchObject({ available: true, available_hint: 'low', available_quantity: 5 })
    expect(gone).toMatchObject({ available: false, variants: [{ available: false, available_hint: 'out_of_stock' }] })
    expect(tea).toMatchObject({
      price_range: { min: gbp(900), max: gbp(1_500) },
      categories: [{ slug: 'kitchen', title: 'Kitchen' }],
      variants: [{ sku: 'TEA-S' }, { sku: 'TEA-L' }],
    })
  })

  it('goes page by page through all of them, each once', async () => {
    const seen: string[] = []
    let cursor = ''
    do {
      const { status, body } = await api.call('get', `/v1/store/products?limit=1${cursor && `&cursor=${cursor}`}`)
      expect(status).toBe(200)
      seen.push(...body.data.map((product: { title: string }) => product.title))
      cursor = body.next_cursor
      expect(body.has_more).toBe(cursor !== null)
    } while (cursor !== null)
    expect(seen).toEqual(['Heart', 'Nearly gone', 'Gone', 'Tea Set', 'Mug'])
  })

  it.each([
    'limit=0',
    'limit=101',
    'limit=x',
    'currency=gbp',
    'currency=XXX',
    'cursor=nonsense',
    'cursor=MQ',
    'color=red',
    'limit=1&limit=2',
    'sort=rating',
    'price_min=-1',
    'price_min=1.5',
    'price_max=x',
    'price_min=200&price_max=100',
    'in_stock=maybe',
    'category=',
    'brand[]=a',
    "sort=price_asc' or '1'='1",
  ])('refuses ?%s', async (query) => {
    const { status, body } = await api.call('get', `/v1/store/products?${query}`)
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'validation_failed' })
    expect(body.errors[0].pointer).toBe(`/${/&(price_max)/.exec(query)?.[1] ?? /^[\w[\]]+/.exec(query)?.[0]}`)
  })

  it.each([
    ['category=kitchen', ['Tea Set', 'Mug']],
    ['category=kitchen-mugs', ['Mug']],
    ['category=nothing', []],
    ['brand=acme', ['Mug']],
    ['brand=acme&category=kitchen', ['Mug']],
    ["brand=acme' or true --", []],
    ['price_min=200&price_max=255', ['Heart']],
    ['in_stock=true', ['Heart', 'Nearly gone']],
    ['in_stock=false&category=kitchen', ['Tea Set', 'Mug']],
    ['sort=newest', ['Mug', 'Tea Set', 'Gone', 'Nearly gone', 'Heart']],
    ['sort=price_asc&price_min=101', ['Heart', 'Mug', 'Tea Set']],
    ['sort=price_desc&price_min=101', ['Tea Set', 'Mug', 'Heart']],
    ['currency=EUR&sort=price_desc', ['Heart']],
  ])('?%s finds %j', async (query, titles) => {
    const { status, body } = await api.call('get', `/v1/store/products?${encodeURI(query)}`)
    expect(status).toBe(200)
    expect(body.data.map(({ title }: { title: string }) => title)).toEqual(titles)
  })

  it('takes a cursor for the list only that it was answered for', async () => {
    const first = await api.call('get', '/v1/store/products?sort=price_asc&limit=1&category=kitchen')
    const cursor = first.body.next_cursor
    const next = await api.call('get', `/v1/store/products?sort=price_asc&limit=5&category=kitchen&cursor=${cursor}`)
    expect(next.body.data.map(({ title }: { title: string }) => title)).toEqual(['Tea Set'])
    for (const other of [
      'sort=price_desc&category=kitchen',
      'sort=price_asc',
      'sort=price_asc&category=kitchen&in_stock=true',
    ]) {
      const { status, body } = await api.call('get', `/v1/store/products?${other}&cursor=${cursor}`)
      expect({ status, pointer: body.errors?.[0]?.pointer }).toEqual({ status: 400, pointer: '/cursor' })
    }
  })

  it('never shows what a unit costs the merchant', async () => {
    for (const path of ['/v1/store/products', '/v1/store/products/mug', '/v1/store/products?brand=acme']) {
      const { body } = await api.call('get', path)
      expect(JSON.stringify(body)).not.toMatch(/cost|123457/)
    }
  })
})

describe('GET /products/{id or slug}', () => {
  it('answers one product by both, with its description and attributes', async () => {
    const bySlug = await api.call('get', '/v1/store/products/tea-set?currency=GBP')
    expect(bySlug).toMatchObject({
      status: 200,
      body: { title: 'Tea Set', description: 'For two.', attributes: { material: 'bone china' } },
    })
    const byId = await api.call('get', `/v1/store/products/${bySlug.body.id}`)
    expect(byId.body).toEqual(bySlug.body)
  })

  it('is without what has no price in the currency', async () => {
    expect((await api.call('get', '/v1/store/products/tea-set?currency=USD')).body.variants).toMatchObject([
      { sku: 'TEA-X' },
    ])
    expect(await api.call('get', '/v1/store/products/tea-set?currency=EUR')).toMatchObject({ status: 404 })
  })

  it.each(['nothing', 'prod_01h455vb4pex5vsknk084sn02q', '%20', 'a_b', '%C3%A4', '%F0%9F%98%80'])(
    'knows no %s',
    async (id) => {
      expect(await api.call('get', `/v1/store/products/${id}`)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
    },
  )
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Catalog')).toEqual([])
})

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}
