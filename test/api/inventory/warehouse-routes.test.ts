import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { type Answer, startApi, type TestApi } from '../../support/http'

let api: TestApi
let key: string
beforeAll(async () => {
  api = await startApi()
  key = await api.key('catalog')
})
afterAll(() => api.close())

const make = async (body: object = {}): Promise<Answer['body']> =>
  (await api.call('post', '/v1/admin/warehouses', { key, body: { name: randomUUID(), country: 'GB', ...body } })).body
const get = (id: string) => api.call('get', `/v1/admin/warehouses/${id}`, { key })
const patch = (id: string, body: unknown, ifMatch?: string | null) =>
  api.call('patch', `/v1/admin/warehouses/${id}`, {
    key,
    body,
    ...(ifMatch === null ? {} : { headers: { 'if-match': ifMatch ?? '*' } }),
  })

describe('warehouses', () => {
  it('are made and listed', async () => {
    const body = {
      name: 'Dublin',
      country: 'IE',
      postal_code: 'D12 H6K8',
      coordinates: { latitude: 53.3, longitude: -6.3 },
      priority: 5,
    }
    await make({ name: 'Leeds Main' })
    const made = await api.call('post', '/v1/admin/warehouses', { key, body })
    expect(made).toMatchObject({ status: 201, body: { ...body, id: expect.stringMatching(/^wh_/) } })
    const plain = await api.call('post', '/v1/admin/warehouses', { key, body: { name: 'Cork', country: 'IE' } })
    expect(plain.body).toMatchObject({ postal_code: null, coordinates: null, priority: 100 })
    const page = await api.call('get', '/v1/admin/warehouses?limit=2', { key })
    expect(page.body.data.map(({ name }: { name: string }) => name)).toEqual(['Leeds Main', 'Dublin'])
    const rest = await api.call('get', `/v1/admin/warehouses?cursor=${page.body.next_cursor}`, { key })
    expect(rest.body).toMatchObject({ data: [plain.body], has_more: false })
  })

  it('have names of their own, and are made once per key', async () => {
    const taken = await api.call('post', '/v1/admin/warehouses', { key, body: { name: 'Leeds Main', country: 'GB' } })
    expect(taken).toMatchObject({ status: 409, body: { code: 'name_taken' } })
    const once = (name: string) =>
      api.call('post', '/v1/admin/warehouses', { key, body: { name, country: 'GB' }, idempotencyKey: 'once' })
    const first = await once('Leeds')
    expect(await once('Leeds')).toMatchObject({ status: 201, body: first.body })
    expect(await once('York')).toMatchObject({ status: 422 })
  })

  it.each([
    [{ name: ' ', country: 'GB' }, '/name'],
    [{ name: 'x', country: 'gb' }, '/country'],
    [{ name: 'x', country: 'GB', coordinates: { latitude: 91, longitude: 0 } }, '/coordinates/latitude'],
  ])('refuse %j', async (body, pointer) => {
    const answer = await api.call('post', '/v1/admin/warehouses', { key, body })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
  })
})

it('is manual unless it says otherwise', async () => {
  expect(await make()).toMatchObject({ operation: 'manual', version: 1 })
  expect(await make({ operation: 'automatic' })).toMatchObject({ operation: 'automatic' })
  const refused = await api.call('post', '/v1/admin/warehouses', {
    key,
    body: { name: randomUUID(), country: 'GB', operation: 'robots' },
  })
  expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '/operation' }] } })
})

it('is read with its tag, and changed in what is named', async () => {
  const made = await make({ postal_code: 'LS1 4DY', coordinates: { latitude: 53.8, longitude: -1.5 }, priority: 3 })
  const read = await get(made.id)
  expect(read).toMatchObject({ status: 200, body: made })
  const tag = read.headers.get('etag') as string
  const name = randomUUID()
  const changed = await patch(made.id, { name, operation: 'automatic', priority: 0 }, tag)
  expect(changed).toMatchObject({
    status: 200,
    body: { ...made, name, operation: 'automatic', priority: 0, version: 2 },
  })
  expect(changed.headers.get('etag')).toBe('"2"')
  const emptied = await patch(made.id, { postal_code: null, coordinates: null, country: 'IE' }, '"2"')
  expect(emptied.body).toMatchObject({ name, postal_code: null, coordinates: null, country: 'IE', version: 3 })
  expect((await get(made.id)).body).toEqual(emptied.body)
})

it('needs the tag of what was read', async () => {
  const { id, name } = await make()
  expect(await patch(id, { priority: 1 }, null)).toMatchObject({
    status: 428,
    body: { code: 'precondition_required' },
  })
  const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => patch(id, { priority: n }, '"1"')))
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)])
  expect((await get(id)).body).toMatchObject({ name, version: 2 })
})

it('keeps its name to itself', async () => {
  const [one, other] = [await make(), await make()]
  expect(await patch(one.id, { name: other.name })).toMatchObject({ status: 409, body: { code: 'name_taken' } })
  expect(await patch(one.id, { name: one.name })).toMatchObject({ status: 200 })
})

it.each([
  [{ name: ' ' }, '/name'],
  [{ country: 'gb' }, '/country'],
  [{ priority: -1 }, '/priority'],
  [{ operation: null }, '/operation'],
  [{ coordinates: { latitude: 0 } }, '/coordinates/longitude'],
  [{ coordinates: { latitude: 0, longitude: 181 } }, '/coordinates/longitude'],
  [{ id: 'wh_x' }, '/id'],
])('refuses %j', async (body, pointer) => {
  const { id } = await make()
  expect(await patch(id, body)).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
  expect((await get(id)).body.version).toBe(1)
})

it('is there, or 404, and is changed by who may', async () => {
  const { id } = await make()
  expect(await get(newId('warehouse'))).toMatchObject({ status: 404 })
  expect(await patch(newId('warehouse'), { priority: 1 })).toMatchObject({ status: 404 })
  const support = await api.key('support')
  const call = { key: support, body: { priority: 1 }, headers: { 'if-match': '*' } }
  expect(await api.call('patch', `/v1/admin/warehouses/${id}`, call)).toMatchObject({ status: 403 })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Warehouses')).toEqual([])
})

describe('a warehouse with a system of its own', () => {
  const EXTERNAL = { operation: 'external', endpoint: 'https://warehouse.example.com/holdfast' }

  it('is answered with its secret once, and again to the same request', async () => {
    const idempotencyKey = randomUUID()
    const body = { name: randomUUID(), country: 'GB', ...EXTERNAL }
    const made = await api.call('post', '/v1/admin/warehouses', { key, body, idempotencyKey })
    expect(made).toMatchObject({ status: 201, body: { ...EXTERNAL, secret: expect.stringMatching(/^whsec_.{40,}/) } })
    const again = await api.call('post', '/v1/admin/warehouses', { key, body, idempotencyKey })
    expect(again.body).toEqual(made.body)
    const { id, secret } = made.body
    for (const { body: read } of [
      await get(id),
      await patch(id, { priority: 7 }),
      await api.call('get', '/v1/admin/warehouses?limit=100', { key }),
    ])
      expect(JSON.stringify(read)).not.toContain('whsec_')
    const rotated = (await patch(id, { rotate_secret: true })).body.secret
    expect(rotated).toMatch(/^whsec_/)
    expect(rotated).not.toBe(secret)
  })

  it('needs no endpoint: then it reads its pick list', async () => {
    const secret = expect.stringMatching(/^whsec_/)
    for (const endpoint of [undefined, null, ' ']) {
      const body = { name: randomUUID(), country: 'GB', operation: 'external', endpoint }
      const made = await api.call('post', '/v1/admin/warehouses', { key, body })
      expect(made).toMatchObject({ status: 201, body: { operation: 'external', endpoint: null, secret } })
    }
    const { id } = await make()
    expect(await patch(id, { operation: 'external' })).toMatchObject({ status: 200, body: { endpoint: null, secret } })
    expect(await patch(id, EXTERNAL)).toMatchObject({ status: 200, body: EXTERNAL })
    expect((await patch(id, { priority: 3 })).body).toMatchObject(EXTERNAL)
    expect(await patch(id, { endpoint: null })).toMatchObject({ status: 200, body: { endpoint: null } })
  })

  it.each([
    'http://warehouse.example.com/',
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://2130706433/',
    'https://localhost:5432/',
    'https://redis.internal/',
    'https://user:password@warehouse.example.com/',
    'ftp://warehouse.example.com/',
    'warehouse',
  ])('is not told at %j', async (endpoint) => {
    const body = { name: randomUUID(), country: 'GB', operation: 'external', endpoint }
    expect(await api.call('post', '/v1/admin/warehouses', { key, body })).toMatchObject({ status: 400 })
  })
})
