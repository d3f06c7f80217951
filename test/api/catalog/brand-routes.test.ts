import { startApi, type TestApi } from '../../support/http'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key('catalog')
  for (const [sku, brand] of [
    ['A', 'Hearts & Co'],
    ['B', 'Acme'],
    ['C', 'ACME'],
  ]) {
    const body = { title: `Product ${sku}`, brand, variants: [{ sku, price: { amount: 100, currency: 'GBP' } }] }
    await api.call('post', '/v1/admin/products', { key, body })
  }
})
afterAll(() => api.close())

it('lists the brands that products have named, each once', async () => {
  const first = await api.call('get', '/v1/store/brands?limit=1')
  expect(first.body.data).toEqual([{ slug: 'acme', name: 'Acme', description: '' }])
  const next = await api.call('get', `/v1/store/brands?cursor=${first.body.next_cursor}`)
  expect(next.body).toEqual({
    data: [{ slug: 'hearts-co', name: 'Hearts & Co', description: '' }],
    has_more: false,
    next_cursor: null,
  })
  expect(await api.call('get', '/v1/store/brands?cursor=x')).toMatchObject({ status: 400 })
  const { body } = await api.call('get', '/v1/store/products?brand=acme')
  expect(body.data.map(({ brand }: { brand: string }) => brand)).toEqual(['Acme', 'Acme'])
})

it('changes one with the ETag that was read, and its products with it', async () => {
  const read = await api.call('get', '/v1/admin/brands/acme', { key })
  expect(read).toMatchObject({ status: 200, body: { name: 'Acme', version: 1 } })
  expect(await patch('acme', undefined, { name: 'x' })).toMatchObject({ status: 428 })
  const changed = await patch('acme', read.headers.get('etag') ?? '', { name: 'Apex', description: 'Once Acme.' })
  expect(changed).toMatchObject({ status: 200, body: { slug: 'acme', name: 'Apex', version: 2 } })
  expect(changed.headers.get('etag')).toBe('"2"')
  expect(await patch('acme', '"1"', { name: 'x' })).toMatchObject({ status: 412 })
  const { body } = await api.call('get', '/v1/store/products?brand=acme')
  expect(body.data.map(({ brand }: { brand: string }) => brand)).toEqual(['Apex', 'Apex'])
  expect(await patch('acme', '"2"', { slug: 'apex' })).toMatchObject({ status: 200, body: { slug: 'apex' } })
  expect(await api.call('get', '/v1/admin/brands/acme', { key })).toMatchObject({ status: 404 })
})

it('refuses what another brand has, in any case', async () => {
  const name = await patch('apex', '*', { name: 'HEARTS & CO' })
  expect(name).toMatchObject({ status: 409, body: { code: 'name_taken' } })
  const slug = await patch('apex', '*', { slug: 'hearts-co' })
  expect(slug).toMatchObject({ status: 409, body: { code: 'slug_taken' } })
  expect(await patch('nobody', '*', { name: 'x' })).toMatchObject({ status: 404 })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Brands')).toEqual([])
})

function patch(slug: string, etag: string | undefined, body: object) {
  const headers: Record<string, string> = etag === undefined ? {} : { 'if-match': etag }
  return api.call('patch', `/v1/admin/brands/${slug}`, { key, body, headers })
}
