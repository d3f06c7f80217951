import { newId } from '../../../db/id'
import { withTransaction } from '../../../db/pool'
import { createProduct } from '../../../db/catalog/product'
import { replaceRecommendations } from '../../../db/recommendation/lists'
import type { ProductId } from '../../../domain/ids'
import { startApi, type TestApi } from '../../support/http'

let api: TestApi
const ids: ProductId[] = []
beforeAll(async () => {
  api = await startApi()
  // What a slow machine gives up is not what is looked at here.
  api.deps.load.stop()
  for (let n = 0; n < 12; n++) {
    ids.push(
      await withTransaction(api.database.pool, (tx) =>
        createProduct(tx, {
          title: `Product ${n}`,
          categories: [n % 2 === 0 ? 'Even' : 'Odd'],
          variants: [{ sku: `H${n}`, price: { amount: 100, currency: n < 10 ? 'GBP' : 'EUR' } }],
        }),
      ),
    )
  }
  await api.database.pool.query('insert into product_signal (product_id, velocity) values ($1, 5), ($2, 9)', [
    ids[3],
    ids[11],
  ])
})
afterAll(() => api.close())

const HOME = '/v1/store/pages/home'
const SESSION = 'b6f0c4de2a1947d38f51'
const names = (body: { sections: { name: string }[] }) => body.sections.map(({ name }) => name)
const titles = (section: { products: { title: string }[] }) => section.products.map(({ title }) => title)

it('shows bestsellers, the newest and categories, each with what is sold in the currency', async () => {
  const { status, body } = await api.call('get', `${HOME}?currency=GBP`)
  expect(status).toBe(200)
  expect(names(body)).toEqual(['bestsellers', 'newest', 'category', 'category'])
  const [best, newest, even, odd] = body.sections
  expect(titles(best)).toEqual(['Product 3', ...[9, 8, 7, 6, 5, 4, 2].map((n) => `Product ${n}`)])
  expect(titles(newest)[0]).toBe('Product 9')
  expect(even).toMatchObject({ title: 'Even', category: { slug: 'even' } })
  expect(titles(odd)).toEqual([9, 7, 5, 3].map((n) => `Product ${n}`))
  const euro = await api.call('get', `${HOME}?currency=EUR`)
  expect(titles(euro.body.sections[0])).toEqual(['Product 11', 'Product 10'])
  expect((await api.call('get', `${HOME}?currency=USD`)).body).toEqual({ sections: [] })
})

it('shows first what goes with what the session looked at', async () => {
  const [seen, other] = [ids[0] as ProductId, ids[7] as ProductId]
  await replaceRecommendations(api.database.pool, 'similar', new Map([[seen, [{ otherId: other, score: 0.5 }]]]))
  await api.call('post', '/v1/store/events', {
    body: { session: SESSION, events: [{ type: 'view', product_id: seen }] },
  })
  const { body } = await api.call('get', `${HOME}?session=${SESSION}`)
  expect(names(body)[0]).toBe('recommended')
  expect(titles(body.sections[0])).toEqual(['Product 7'])
  expect(names((await api.call('get', `${HOME}?session=${SESSION}x`)).body)[0]).toBe('bestsellers')
})

it('makes once what every session is shown', async () => {
  const queries = jest.spyOn(api.deps.pool, 'query')
  const currency = 'CHF'
  await Promise.all(
    Array.from({ length: 20 }, (_, n) => api.call('get', `${HOME}?currency=${currency}&session=${SESSION}${n}`)),
  )
  const made = queries.mock.calls.filter(([given]) => (given as { name?: string }).name === 'collection.bestsellers')
  queries.mockRestore()
  expect(made).toHaveLength(1)
  const shared = await api.call('get', `${HOME}?currency=${currency}`)
  const own = await api.call('get', `${HOME}?currency=${currency}&session=${SESSION}0`)
  expect(own.body).toEqual(shared.body)
})

it('gives up what may please the session before anything else', async () => {
  const load = jest.spyOn(api.deps.load, 'level').mockReturnValue(1)
  const { body } = await api.call('get', `${HOME}?session=${SESSION}`)
  load.mockRestore()
  expect(names(body)[0]).toBe('bestsellers')
  expect(names((await api.call('get', `${HOME}?session=${SESSION}`)).body)[0]).toBe('recommended')
})

it.each(['currency=gbp', 'session=short', 'session=somebody@example.com', 'section=newest'])(
  'refuses ?%s',
  async (query) => {
    expect(await api.call('get', `${HOME}?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
  },
)

it('is there without Redis', async () => {
  const without = await startApi({ REDIS_URL: 'redis://127.0.0.1:1/0' })
  expect(await without.call('get', `${HOME}?session=${SESSION}`)).toMatchObject({ status: 200 })
  const body = { session: SESSION, events: [{ type: 'view', product_id: newId('product') }] }
  expect(await without.call('post', '/v1/store/events', { body })).toMatchObject({ status: 202 })
  await without.close()
})

describe('GET …/recommendations', () => {
  it('answers them by id and slug, then what else is in the category', async () => {
    const byId = await api.call('get', `/v1/store/products/${ids[0]}/recommendations?kind=similar&limit=3`)
    expect(byId.status).toBe(200)
    expect(titles({ products: byId.body.data })).toEqual(['Product 7', 'Product 8', 'Product 6'])
    expect(await api.call('get', `/v1/store/products/product-0/recommendations?kind=similar&limit=3`)).toMatchObject({
      status: 200,
      body: byId.body,
    })
    const none = await api.call('get', `/v1/store/products/product-0/recommendations?currency=USD`)
    expect(none.body).toEqual({ data: [], has_more: false, next_cursor: null })
  })

  it.each([
    ['nothing/recommendations', 404],
    ['product-0/recommendations?kind=random', 400],
    ['product-0/recommendations?limit=17', 400],
    ["product-0'%20or%201=1/recommendations", 404],
  ])('%s is %i', async (path, status) => {
    expect(await api.call('get', `/v1/store/products/${path}`)).toMatchObject({ status })
  })
})

it('every listed status has been seen', () => expect(api.unseen('Recommendations')).toEqual([]))
