import { withTransaction } from '../../db/pool'
import { createProduct } from '../../db/product'
import { seedProducts } from '../support/catalog'
import { startApi, type TestApi } from '../support/http'

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
    expect(seen).toEqual(['Heart', 'Nearly gone', 'Gone', 'Tea Set'])
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
  ])('refuses ?%s', async (query) => {
    const { status, body } = await api.call('get', `/v1/store/products?${query}`)
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'validation_failed' })
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

it('lists the categories', async () => {
  const { body } = await api.call('get', '/v1/store/categories')
  expect(body.data).toEqual([
    { id: expect.stringMatching(/^cat_/), slug: 'kitchen', title: 'Kitchen', parent_id: null, position: 0 },
  ])
  expect(await api.call('get', '/v1/store/categories?cursor=x')).toMatchObject({ status: 400 })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Catalog')).toEqual([])
})

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}
