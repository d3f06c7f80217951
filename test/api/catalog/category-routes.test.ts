import { startApi, type TestApi } from '../../support/http'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key('catalog')
})
afterAll(() => api.close())

const ADMIN = '/v1/admin/categories'
const STORE = '/v1/store/categories'

describe('a category', () => {
  it('is made, read by id and slug, and listed, with its way from the root', async () => {
    const kitchen = await make({ title: 'Kitchen', description: 'Pots and pans.' })
    expect(kitchen).toMatchObject({ slug: 'kitchen', parent_id: null, position: 0, version: 1 })
    const mugs = await make({ title: 'Mugs & Cups', parent_id: kitchen.id, position: 2 })
    const bowls = await make({ title: 'Bowls', parent_id: kitchen.id, position: 1, slug: 'bowls' })
    expect(mugs).toMatchObject({
      slug: 'kitchen-mugs-cups',
      breadcrumbs: [
        { slug: 'kitchen', title: 'Kitchen' },
        { slug: 'kitchen-mugs-cups', title: 'Mugs & Cups' },
      ],
    })
    const bySlug = await api.call('get', `${STORE}/kitchen`)
    expect(bySlug).toMatchObject({
      status: 200,
      body: {
        description: 'Pots and pans.',
        children: [{ slug: 'bowls' }, { slug: 'kitchen-mugs-cups' }],
        attributes: [],
        breadcrumbs: [{ id: kitchen.id }],
      },
    })
    expect((await api.call('get', `${STORE}/${kitchen.id}`)).body).toEqual(bySlug.body)
    const { body } = await api.call('get', `${STORE}?limit=2`)
    expect(body.data.map(({ slug }: { slug: string }) => slug)).toEqual(['kitchen', 'kitchen-mugs-cups'])
    const next = await api.call('get', `${STORE}?cursor=${body.next_cursor}`)
    expect(next.body.data).toEqual([
      {
        id: bowls.id,
        slug: 'bowls',
        title: 'Bowls',
        parent_id: kitchen.id,
        position: 1,
        breadcrumbs: [
          { id: kitchen.id, slug: 'kitchen', title: 'Kitchen' },
          { id: bowls.id, slug: 'bowls', title: 'Bowls' },
        ],
      },
    ])
    const listed = await api.call('get', ADMIN, { key })
    expect(listed).toMatchObject({ status: 200, body: { data: [{ version: 1 }, { version: 1 }, { version: 1 }] } })
  })

  it('is known to nobody when it is not there', async () => {
    for (const id of ['nothing', 'cat_01h455vb4pex5vsknk084sn02q', 'a_b', '%20'])
      expect(await api.call('get', `${STORE}/${id}`)).toMatchObject({ status: 404 })
    expect(await api.call('get', `${STORE}?cursor=x`)).toMatchObject({ status: 400 })
  })

  it('is made once for a key', async () => {
    const body = { title: 'Once' }
    const first = await api.call('post', ADMIN, { key, body, idempotencyKey: 'once' })
    const again = await api.call('post', ADMIN, { key, body, idempotencyKey: 'once' })
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
    expect(again.headers.get('etag')).toBe('"1"')
    expect(again.headers.get('location')).toBe(`${ADMIN}/${first.body.id}`)
    const other = await api.call('post', ADMIN, { key, body: { title: 'Other' }, idempotencyKey: 'once' })
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
  })

  it('is changed with the ETag that was read', async () => {
    const { id } = await make({ title: 'Changed' })
    expect(await patch(id, undefined, { title: 'x' })).toMatchObject({ status: 428 })
    const changed = await patch(id, '"1"', { title: 'Other title', description: 'd', position: -1 })
    expect(changed).toMatchObject({ status: 200, body: { version: 2, title: 'Other title', slug: 'changed' } })
    expect(changed.headers.get('etag')).toBe('"2"')
    expect(await patch(id, '"1"', { title: 'x' })).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    const read = await api.call('get', `${ADMIN}/${id}`, { key })
    expect(read.headers.get('etag')).toBe('"2"')
    expect(await patch(id, '"2"', { slug: 'kitchen' })).toMatchObject({ status: 409, body: { code: 'slug_taken' } })
    const taken = await api.call('post', ADMIN, { key, body: { title: 'Changed' } })
    expect(taken).toMatchObject({ status: 409, body: { code: 'slug_taken' } })
  })

  it('moves, but never below itself', async () => {
    const top = await make({ title: 'Top' })
    const low = await make({ title: 'Low', parent_id: top.id })
    const cycle = await patch(top.id, '"1"', { parent_id: low.id })
    expect(cycle).toMatchObject({ status: 409, body: { code: 'category_cycle' } })
    expect(await patch(low.id, '"1"', { parent_id: null })).toMatchObject({ body: { parent_id: null } })
    expect(await patch(top.id, '"1"', { parent_id: low.id })).toMatchObject({
      body: { parent_id: low.id, breadcrumbs: [{ id: low.id }, { id: top.id }] },
    })
    const nowhere = await patch(top.id, '*', { parent_id: 'cat_01h455vb4pex5vsknk084sn02q' })
    expect(nowhere).toMatchObject({ status: 400, body: { errors: [{ pointer: '/parent_id' }] } })
  })

  it('is deleted when it is empty', async () => {
    const { id } = await make({ title: 'Gone soon' })
    const child = await make({ title: 'Child', parent_id: id })
    const remove = (one: string, etag?: string) =>
      api.call('delete', `${ADMIN}/${one}`, { key, headers: etag === undefined ? {} : { 'if-match': etag } })
    expect(await remove(id)).toMatchObject({ status: 428 })
    expect(await remove(id, '"9"')).toMatchObject({ status: 412 })
    expect(await remove(id, '"1"')).toMatchObject({ status: 409, body: { code: 'category_not_empty' } })
    expect(await remove(child.id, '"1"')).toMatchObject({ status: 204 })
    expect(await remove(id, '"1"')).toMatchObject({ status: 204 })
    expect(await remove(id, '"1"')).toMatchObject({ status: 404 })
  })

  it.each([
    [{}, '/title'],
    [{ title: ' ' }, '/title'],
    [{ title: 'x', slug: 'A B' }, '/slug'],
    [{ title: 'x', parent_id: 'prod_01h455vb4pex5vsknk084sn02q' }, '/parent_id'],
    [{ title: 'x', parent_id: 'cat_01h455vb4pex5vsknk084sn02q' }, '/parent_id'],
    [{ title: 'x', position: 1.5 }, '/position'],
    [{ title: 'x', path: [] }, '/path'],
  ])('refuses %j', async (body, pointer) => {
    const answer = await api.call('post', ADMIN, { key, body })
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ pointer }] } })
  })
})

describe('the attributes of a category', () => {
  const size = { name: 'size', label: 'Size', type: 'enum', options: ['S', 'L'], filterable: true }

  it('are set with its ETag, inherited, and shown to storefronts', async () => {
    const top = await make({ title: 'Clothes' })
    const low = await make({ title: 'Shirts', parent_id: top.id })
    const weight = { name: 'weight', label: 'Weight', type: 'number', unit: 'g' }
    expect(await put(top.id, undefined, [size])).toMatchObject({ status: 428 })
    expect(await put(top.id, '"7"', [size])).toMatchObject({ status: 412 })
    const set = await put(top.id, '"1"', [size, weight])
    expect(set).toMatchObject({ status: 200, body: { attributes: [size, weight], inherited: [] } })
    expect(set.headers.get('etag')).toBe('"2"')
    await put(low.id, '"1"', [{ ...size, options: ['XL'] }])
    const read = await api.call('get', `${ADMIN}/${low.id}/attributes`, { key })
    expect(read).toMatchObject({ body: { attributes: [{ options: ['XL'] }], inherited: [{ name: 'weight' }] } })
    expect((await api.call('get', `${STORE}/${low.id}`)).body.attributes).toEqual([
      { name: 'weight', label: 'Weight', type: 'number', unit: 'g', required: false, filterable: false, options: [] },
      { name: 'size', label: 'Size', type: 'enum', unit: null, required: false, filterable: true, options: ['XL'] },
    ])
  })

  it('cannot be changed so that a stored product no longer fits, nor can its place', async () => {
    const hats = await make({ title: 'Hats' })
    const body = {
      title: 'Hat',
      categories: ['hats'],
      attributes: { size: 7 },
      variants: [{ sku: 'HAT', price: gbp(1) }],
    }
    const product = await api.call('post', '/v1/admin/products', { key, body })
    const refused = await put(hats.id, '"1"', [size])
    expect(refused).toMatchObject({ status: 409, body: { code: 'attributes_in_use' } })
    expect(refused.body.products).toEqual([
      {
        id: product.body.id,
        errors: [expect.objectContaining({ pointer: '/attributes/size', code: 'attribute_type' })],
      },
    ])
    expect((await api.call('get', `${ADMIN}/${hats.id}/attributes`, { key })).body.attributes).toEqual([])
    const sized = await make({ title: 'Sized' })
    await put(sized.id, '"1"', [size])
    const moved = await patch(hats.id, '"1"', { parent_id: sized.id })
    expect(moved).toMatchObject({ status: 409, body: { code: 'attributes_in_use' } })
  })

  it.each([
    [[{ ...size, name: 'Size' }], '/attributes/0/name'],
    [[{ ...size, type: 'list' }], '/attributes/0/type'],
    [[{ ...size, options: [] }], '/attributes/0/options'],
    [[{ ...size, type: 'text' }], '/attributes/0/options'],
    [[{ ...size, options: ['S', 'S'] }], '/attributes/0/options'],
    [[size, size], '/attributes'],
    [[{ ...size, colour: 1 }], '/attributes/0/colour'],
  ])('refuses %j', async (attributes, pointer) => {
    const { id } = (await api.call('get', `${STORE}/kitchen`)).body
    const answer = await put(id, '*', attributes)
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
  })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Categories')).toEqual([])
})

async function make(body: object) {
  const answer = await api.call('post', ADMIN, { key, body })
  expect(answer.status).toBe(201)
  return answer.body
}

function patch(id: string, etag: string | undefined, body: object) {
  return api.call('patch', `${ADMIN}/${id}`, { key, body, headers: etag === undefined ? {} : { 'if-match': etag } })
}

function put(id: string, etag: string | undefined, attributes: readonly object[]) {
  const headers: Record<string, string> = etag === undefined ? {} : { 'if-match': etag }
  return api.call('put', `${ADMIN}/${id}/attributes`, { key, body: { attributes }, headers })
}

function gbp(amount: number) {
  return { amount, currency: 'GBP' }
}
