import { startApi, type TestApi } from '../../support/http'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key('catalog')
})
afterAll(() => api.close())

const PRODUCTS = '/v1/admin/products'

describe('POST /products', () => {
  it('makes a product that is on sale at once', async () => {
    const made = await api.call('post', PRODUCTS, {
      key,
      body: {
        title: 'White Hanging Heart',
        brand: 'Hearts & Co',
        description: 'It hangs.',
        categories: ['Home', 'Gifts'],
        attributes: { color: 'white', sizes: ['s', 'l'] },
        variants: [
          { sku: 'heart-1', prices: [gbp(255), { amount: 300, currency: 'EUR' }], weight_grams: 120 },
          { sku: 'heart-2', title: 'Two hearts', price: gbp(455) },
        ],
      },
    })
    expect(made).toMatchObject({
      status: 201,
      body: {
        slug: 'white-hanging-heart',
        status: 'active',
        version: 1,
        seller_id: 'house',
        categories: [{ slug: 'home' }, { slug: 'gifts' }],
        variants: [
          { sku: 'heart-1', title: 'White Hanging Heart', weight_grams: 120, prices: [{ currency: 'EUR' }, gbp(255)] },
          { sku: 'heart-2', title: 'Two hearts', weight_grams: null, prices: [gbp(455)] },
        ],
      },
    })
    expect(made.headers.get('etag')).toBe('"1"')
    expect(made.headers.get('location')).toBe(`${PRODUCTS}/${made.body.id}`)
    const read = await api.call('get', `${PRODUCTS}/${made.body.id}`, { key })
    expect(read).toMatchObject({ status: 200, body: made.body })
    expect(read.headers.get('etag')).toBe('"1"')
    expect(await api.call('get', '/v1/store/products/white-hanging-heart')).toMatchObject({ status: 200 })
  })

  it('answers a repeated key with the product as it stands now', async () => {
    const body = { title: 'Once', variants: [{ sku: 'ONCE', price: gbp(1) }] }
    const first = await api.call('post', PRODUCTS, { key, body, idempotencyKey: 'once' })
    await patch(first.body.id, '"1"', { title: 'Once more' })
    const again = await api.call('post', PRODUCTS, { key, body, idempotencyKey: 'once' })
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id, title: 'Once more' } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const other = await api.call('post', PRODUCTS, { key, body: { ...body, title: 'x' }, idempotencyKey: 'once' })
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  it('refuses a SKU and a slug that are taken', async () => {
    await api.call('post', PRODUCTS, { key, body: product({ sku: 'Taken', slug: 'taken' }) })
    expect(await api.call('post', PRODUCTS, { key, body: product({ sku: 'TAKEN' }) })).toMatchObject({
      status: 409,
      body: { code: 'sku_taken', sku: 'TAKEN' },
    })
    expect(await api.call('post', PRODUCTS, { key, body: product({ sku: 'other', slug: 'taken' }) })).toMatchObject({
      status: 409,
      body: { code: 'slug_taken' },
    })
  })

  it.each([
    ['no title', { variants: [{ sku: 'BAD', price: gbp(1) }] }, '/title'],
    ['no variants', { title: 'x', variants: [] }, '/variants'],
    ['a SKU with a newline', product({ sku: 'a\nb' }), '/variants/0/sku'],
    [
      'a SKU twice',
      {
        title: 'x',
        variants: [
          { sku: 'bad', price: gbp(1) },
          { sku: 'BAD', price: gbp(1) },
        ],
      },
      '/variants',
    ],
    ['no price', { title: 'x', variants: [{ sku: 'BAD' }] }, '/variants/0'],
    ['price and prices', { title: 'x', variants: [{ sku: 'BAD', price: gbp(1), prices: [gbp(1)] }] }, '/variants/0'],
    ['a currency twice', { title: 'x', variants: [{ sku: 'BAD', prices: [gbp(1), gbp(2)] }] }, '/variants/0/prices'],
    ['a negative price', { title: 'x', variants: [{ sku: 'BAD', price: gbp(-1) }] }, '/variants/0/price/amount'],
    ['half a penny', { title: 'x', variants: [{ sku: 'BAD', price: gbp(0.5) }] }, '/variants/0/price/amount'],
    [
      'a price beyond all bounds',
      { title: 'x', variants: [{ sku: 'BAD', price: gbp(1e13) }] },
      '/variants/0/price/amount',
    ],
    [
      'an unknown currency',
      { title: 'x', variants: [{ sku: 'BAD', price: { amount: 1, currency: 'XXX' } }] },
      '/variants/0/price/currency',
    ],
    ['a slug with capitals', product({ sku: 'BAD', slug: 'Bad' }), '/slug'],
    ['an unknown field', { ...product({ sku: 'BAD' }), colour: 'red' }, '/colour'],
    [
      'an unknown category id',
      { ...product({ sku: 'BAD' }), categories: ['cat_01h455vb4pex5vsknk084sn02q'] },
      '/categories/0',
    ],
  ])('refuses %s', async (_name, body, pointer) => {
    const answer = await api.call('post', PRODUCTS, { key, body })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer)
    const inventory = await api.call('get', '/v1/admin/inventory/BAD', { key })
    expect(inventory.status).toBe(404)
  })
})

describe('a variant', () => {
  it('has measures, a place, and costs that are replaced as a whole', async () => {
    const made = await api.call('post', PRODUCTS, {
      key,
      body: {
        title: 'Measured',
        variants: [
          { sku: 'MEASURED-2', price: gbp(2), position: 7, length_mm: 100, width_mm: 50, height_mm: 0 },
          { sku: 'MEASURED-1', price: gbp(1), position: 3, costs: [gbp(40), { amount: 50, currency: 'EUR' }] },
        ],
      },
    })
    expect(made).toMatchObject({
      status: 201,
      body: {
        variants: [
          { sku: 'MEASURED-1', position: 3, length_mm: null, costs: [{ currency: 'EUR' }, gbp(40)] },
          { sku: 'MEASURED-2', position: 7, length_mm: 100, width_mm: 50, height_mm: 0, costs: [] },
        ],
      },
    })
    const variants = [
      { sku: 'MEASURED-1', costs: [gbp(45)] },
      { sku: 'MEASURED-2', position: 1, length_mm: null },
      { sku: 'MEASURED-3', price: gbp(3) },
    ]
    expect(await patch(made.body.id, '"1"', { variants })).toMatchObject({
      status: 200,
      body: {
        variants: [
          { sku: 'MEASURED-2', position: 1, length_mm: null, width_mm: 50 },
          { sku: 'MEASURED-1', position: 3, costs: [gbp(45)], prices: [gbp(1)] },
          { sku: 'MEASURED-3', position: 10 },
        ],
      },
    })
  })

  it.each([
    ['length_mm', 100_001],
    ['width_mm', -1],
    ['height_mm', 1.5],
    ['position', -1],
    ['costs', [gbp(-1)]],
    ['costs', [gbp(1), gbp(2)]],
  ])('refuses %s of %j', async (field, value) => {
    const body = { title: 'x', variants: [{ sku: 'BAD', price: gbp(1), [field]: value }] }
    const answer = await api.call('post', PRODUCTS, { key, body })
    expect(answer.status).toBe(400)
    expect(answer.body.errors[0].pointer).toMatch(new RegExp(`^/variants/0/${field}`))
  })
})

describe('the attributes of a product', () => {
  beforeAll(async () => {
    const shirts = await api.call('post', '/v1/admin/categories', { key, body: { title: 'Shirts' } })
    const attributes = [
      { name: 'size', label: 'Size', type: 'enum', options: ['S', 'L'], required: true },
      { name: 'weight', label: 'Weight', type: 'number', unit: 'g' },
      { name: 'washable', label: 'Washable', type: 'boolean' },
    ]
    const path = `/v1/admin/categories/${shirts.body.id}/attributes`
    await api.call('put', path, { key, body: { attributes }, headers: { 'if-match': '*' } })
  })

  it('must fit its categories and those above them; each that does not is named', async () => {
    const wrong = shirt({ washable: 'yes', weight: '120', free: 'anything' }, [{ size: 'XL' }, {}])
    const answer = await api.call('post', PRODUCTS, { key, body: wrong })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(answer.body.errors.map(({ pointer, code }: any) => [pointer, code])).toEqual([
      ['/attributes/size', 'attribute_required'],
      ['/variants/0/attributes/size', 'attribute_option'],
      ['/attributes/weight', 'attribute_type'],
      ['/attributes/washable', 'attribute_type'],
    ])
    const right = shirt({ washable: true, weight: 120, free: 'anything' }, [{ size: 'S' }, { size: 'L' }])
    expect(await api.call('post', PRODUCTS, { key, body: right })).toMatchObject({ status: 201 })
  })

  it('are checked with every change, of the categories too', async () => {
    const { body } = await api.call('post', PRODUCTS, { key, body: { ...shirt({}, [{}]), categories: [] } })
    const moved = await patch(body.id, '"1"', { categories: ['shirts'] })
    expect(moved).toMatchObject({ status: 400, body: { errors: [{ pointer: '/attributes/size' }] } })
    const both = { categories: ['Shirts/Long sleeves'], attributes: { size: ['S', 'L'] } }
    expect(await patch(body.id, '"1"', both)).toMatchObject({ status: 200 })
    const worse = await patch(body.id, '"2"', { attributes: { size: 'M' } })
    expect(worse).toMatchObject({ status: 400, body: { errors: [{ pointer: '/attributes/size' }] } })
    const variant = { sku: `${body.variants[0].sku}-B`, price: gbp(1), attributes: { weight: 'heavy' } }
    expect(await patch(body.id, '"2"', { variants: [variant] })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/variants/0/attributes/weight' }] },
    })
  })

  it('refuses a path of categories that is none', async () => {
    const answer = await api.call('post', PRODUCTS, {
      key,
      body: { ...product({ sku: 'BAD' }), categories: ['a', 'b//c'] },
    })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/categories/1' }] } })
  })
})

describe('PATCH /products/{id}', () => {
  it('changes what is named, with the ETag that was read', async () => {
    const { id } = await make({ sku: 'patch-1' })
    const changed = await patch(id, '"1"', { title: 'New', variants: [{ sku: 'PATCH-1', price: gbp(999) }] })
    expect(changed).toMatchObject({
      status: 200,
      body: { version: 2, title: 'New', variants: [{ sku: 'patch-1', prices: [gbp(999)] }] },
    })
    expect(changed.headers.get('etag')).toBe('"2"')
    expect(await patch(id, 'W/"1", "2"', { brand: null })).toMatchObject({ status: 200, body: { version: 3 } })
    expect(await patch(id, '*', { brand: 'b' })).toMatchObject({ status: 200, body: { version: 4 } })
  })

  it('refuses without one, with an old one, and with a weak one', async () => {
    const { id } = await make({ sku: 'patch-2' })
    expect(await patch(id, undefined, { title: 'x' })).toMatchObject({
      status: 428,
      body: { code: 'precondition_required' },
    })
    await patch(id, '"1"', { title: 'First' })
    for (const stale of ['"1"', 'W/"2"', '2', 'nonsense']) {
      expect(await patch(id, stale, { title: 'x' })).toMatchObject({
        status: 412,
        body: { code: 'precondition_failed' },
      })
    }
    expect((await api.call('get', `${PRODUCTS}/${id}`, { key })).body.title).toBe('First')
  })

  it('takes a product off sale and brings it back', async () => {
    const { id, slug } = await make({ sku: 'patch-3', slug: 'patch-3' })
    await patch(id, '"1"', { status: 'archived' })
    expect(await api.call('get', `/v1/store/products/${slug}`)).toMatchObject({ status: 404 })
    expect(await api.call('get', `${PRODUCTS}/${id}`, { key })).toMatchObject({ body: { status: 'archived' } })
    await patch(id, '"2"', { status: 'active' })
    expect(await api.call('get', `/v1/store/products/${slug}`)).toMatchObject({ status: 200 })
  })

  it('refuses what belongs to another product, and does then nothing', async () => {
    await make({ sku: 'patch-4', slug: 'patch-4' })
    const { id } = await make({ sku: 'patch-5' })
    expect(await patch(id, '"1"', { slug: 'patch-4' })).toMatchObject({ status: 409, body: { code: 'slug_taken' } })
    const stolen = await patch(id, '"1"', { title: 'x', variants: [{ sku: 'PATCH-4', price: gbp(1) }] })
    expect(stolen).toMatchObject({ status: 409, body: { code: 'sku_taken' } })
    expect((await api.call('get', `${PRODUCTS}/${id}`, { key })).body).toMatchObject({ version: 1, title: 'A product' })
  })

  it('knows no other product', async () => {
    expect(await patch('prod_01h455vb4pex5vsknk084sn02q', '"1"', { title: 'x' })).toMatchObject({ status: 404 })
    expect(await patch('nothing', '"1"', { title: 'x' })).toMatchObject({ status: 404 })
    expect(await api.call('get', `${PRODUCTS}/nothing`, { key })).toMatchObject({ status: 404 })
  })
})

it('lets only keys in that may write the catalog', async () => {
  expect(await api.call('post', PRODUCTS, { body: product({ sku: 'x' }) })).toMatchObject({ status: 401 })
  const readonly = await api.key('readonly')
  expect(await api.call('post', PRODUCTS, { key: readonly, body: product({ sku: 'x' }) })).toMatchObject({
    status: 403,
  })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Products')).toEqual([])
})

async function make(options: { sku: string; slug?: string }): Promise<{ id: string; slug: string }> {
  const { status, body } = await api.call('post', PRODUCTS, { key, body: product(options) })
  expect(status).toBe(201)
  return body
}

function patch(id: string, etag: string | undefined, body: unknown) {
  return api.call('patch', `${PRODUCTS}/${id}`, { key, body, headers: etag === undefined ? {} : { 'if-match': etag } })
}

function product({ sku, slug }: { sku: string; slug?: string }) {
  return { title: 'A product', ...(slug && { slug }), variants: [{ sku, price: gbp(100) }] }
}

let shirts = 0

/** A product in a category below `Shirts`, with a variant for each of these attributes. */
function shirt(attributes: object, variants: readonly object[]) {
  shirts++
  return {
    title: 'Shirt',
    categories: ['Shirts/Short sleeves'],
    attributes,
    variants: variants.map((own, index) => ({ sku: `SHIRT-${shirts}-${index}`, price: gbp(100), attributes: own })),
  }
}

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}
