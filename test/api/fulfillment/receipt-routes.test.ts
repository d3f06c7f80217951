import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import type { OrderId } from '../../../domain/ids'
import { fulfillmentWorkflowId } from '../../../domain/workflow-id'
import { seedProducts } from '../../support/catalog'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { holdTable } from '../../support/lock'
import { pastOrders } from '../../support/orders'
import { testNamespace } from '../../support/temporal'

const PATH = '/v1/admin/inventory/receipts'

let api: TestApi
let key: string
let main: string
beforeAll(async () => {
  const { namespace } = await testNamespace()
  api = await startApi({ TEMPORAL_NAMESPACE: namespace })
  key = await api.key('catalog')
  main = await seedProducts(api.database.pool, [
    { sku: 'Tea', title: 'Tea', prices: { GBP: 250 }, stock: 10 },
    { sku: 'Cup', title: 'Cup', prices: { GBP: 400 }, stock: 0 },
    { sku: 'Jug', title: 'Jug', prices: { GBP: 400 }, stock: 0 },
    { sku: 'Many', title: 'Many', prices: { GBP: 400 }, stock: 999_999_999 },
  ])
})
afterAll(() => api.close())

const post = (body: object, idempotencyKey?: string): Promise<Answer> =>
  api.call('post', PATH, { key, body: { warehouse_id: main, ...body }, ...(idempotencyKey && { idempotencyKey }) })
const levelOf = async (sku: string) => (await api.call('get', `/v1/admin/inventory/${sku}`, { key })).body.levels[0]

it('raises what is on hand, and answers the levels', async () => {
  const lines = [
    { sku: 'tea', quantity: 5 },
    { sku: 'CUP', quantity: 2 },
  ]
  const answer = await post({ reference: ' DN-1 ', lines })
  expect(answer).toMatchObject({
    status: 201,
    body: {
      warehouse_id: main,
      reference: 'DN-1',
      lines: [
        { sku: 'Cup', quantity: 2 },
        { sku: 'Tea', quantity: 5 },
      ],
      levels: [
        { sku: 'Cup', warehouse_id: main, on_hand: 2, reserved: 0, available: 2 },
        { sku: 'Tea', warehouse_id: main, on_hand: 15, reserved: 0, available: 15 },
      ],
    },
  })
  const movements = await api.call('get', '/v1/admin/inventory/cup/movements?limit=1', { key })
  expect(movements.body.data).toMatchObject([{ delta: 2, on_hand: 2, cause: 'receipt', reference: 'DN-1' }])
})

it('books what is the same once: by its key, else by its reference and lines', async () => {
  const lines = [{ sku: 'Tea', quantity: 1 }]
  const before = (await levelOf('tea')).on_hand
  const [reference, idempotencyKey] = [randomUUID(), randomUUID()]
  const answers = await Promise.all(Array.from({ length: 20 }, () => post({ reference, lines })))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  expect(await post({ reference, lines: [{ sku: 'TEA', quantity: 1 }] })).toMatchObject({
    status: 201,
    body: { reference, lines, levels: [{ on_hand: before + 1 }] },
  })
  for (const replayed of [null, 'true']) {
    const keyed = await post({ reference, lines }, idempotencyKey)
    expect(keyed).toMatchObject({ status: 201, body: { reference, lines, levels: [{ on_hand: before + 2 }] } })
    expect(keyed.headers.get('idempotent-replayed')).toBe(replayed)
  }
  expect(await post({ reference, lines: [{ sku: 'Tea', quantity: 2 }] }, idempotencyKey)).toMatchObject({ status: 422 })
  expect(await post({ reference, lines: [{ sku: 'Tea', quantity: 2 }] })).toMatchObject({
    status: 201,
    body: { levels: [{ on_hand: before + 4 }] },
  })
})

it('says so while the same key is at work', async () => {
  const [body, idempotencyKey] = [{ reference: randomUUID(), lines: [line('Cup')] }, randomUUID()]
  const held = await holdTable(api.database.pool, 'idempotency')
  const waiting = post(body, idempotencyKey)
  await held.waitedForBy(1)
  expect(await post(body, idempotencyKey)).toMatchObject({ status: 409, body: { code: 'request_in_progress' } })
  await held.release()
  expect((await waiting).status).toBe(201)
})

describe('SQL injection, second order: what was stored is a value', () => {
  it.each([`DN'); drop table receipt; --`, "' or '1'='1", '$1', String.raw`\'; --`])(
    'the reference %s',
    async (reference) => {
      const [lines, before] = [[line('Cup')], (await levelOf('cup')).on_hand]
      for (let tries = 0; tries < 2; tries++)
        expect(await post({ reference, lines })).toMatchObject({ status: 201, body: { reference } })
      const movements = await api.call('get', '/v1/admin/inventory/cup/movements?limit=1', { key })
      expect(movements.body.data).toMatchObject([{ reference, on_hand: before + 1 }])
    },
  )

  it("a warehouse's name", async () => {
    const name = `W'); update stock_level set on_hand = 0; --`
    const body = { name, country: 'GB' }
    const { id } = (await api.call('post', '/v1/admin/warehouses', { key, body })).body
    const before = await levelOf('tea')
    const booked = await post({ warehouse_id: id, reference: name, lines: [line('Tea', 2)] })
    expect(booked).toMatchObject({ status: 201, body: { levels: [{ warehouse_id: id, on_hand: 2 }] } })
    expect(await levelOf('tea')).toEqual(before)
    expect((await api.call('get', `/v1/admin/warehouses/${id}`, { key })).body).toMatchObject({ name })
  })
})

it.each([
  ['id', '1'],
  ['actor', 'key_1'],
  ['created_at', '2020-01-01T00:00:00Z'],
  ['levels', []],
  ['is_keyed', false],
])('mass assignment: %s of a receipt is refused by name', async (name, value) => {
  const before = await levelOf('cup')
  const answer = await post({ reference: randomUUID(), lines: [line('Cup')], [name]: value })
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: `/${name}` }] } })
  const inLine = await post({ reference: randomUUID(), lines: [{ ...line('Cup'), [name]: value }] })
  expect(inLine).toMatchObject({ status: 400, body: { errors: [{ pointer: `/lines/0/${name}` }] } })
  expect(await levelOf('cup')).toEqual(before)
})

it('answers 404 for a warehouse and for SKUs that are not there, and books nothing', async () => {
  const before = await levelOf('tea')
  const lines = [line('Nix'), line('Tea'), line('😀')]
  const unknown = await post({ reference: randomUUID(), lines })
  expect(unknown).toMatchObject({ status: 404, body: { code: 'sku_not_found', sku: 'NIX' } })
  expect(unknown.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
    '/lines/0/sku',
    '/lines/2/sku',
  ])
  expect(await post({ warehouse_id: newId('warehouse'), reference: randomUUID(), lines: [line('Tea')] })).toMatchObject(
    {
      status: 404,
      body: { code: 'not_found' },
    },
  )
  expect(await levelOf('tea')).toEqual(before)
})

it('keeps what an order waits for, and tells its workflow', async () => {
  const [id] = (await pastOrders(api.database.pool, [{ skus: ['JUG'] }])) as [OrderId]
  await api.database.pool.query(
    `insert into back_order (order_id, sku, quantity, confirmed_at) select id, 'JUG', 3, confirmed_at from orders where id = $1`,
    [id],
  )
  expect(await post({ reference: randomUUID(), lines: [{ sku: 'Jug', quantity: 4 }] })).toMatchObject({
    status: 201,
    body: { levels: [{ sku: 'Jug', on_hand: 4, reserved: 3, available: 1 }] },
  })
  const support = await api.key('support')
  const { body } = await api.call('get', `/v1/admin/orders/${id}`, { key: support })
  expect(body.reservations).toMatchObject([{ sku: 'Jug', warehouse_id: main, quantity: 3, state: 'committed' }])
  const workflow = await api.deps.temporal.workflow.getHandle(fulfillmentWorkflowId(id)).describe()
  expect(workflow.status.name).toBe('RUNNING')
})

const line = (sku: string, quantity: unknown = 1) => ({ sku, quantity })
it.each<[string, object, string[]]>([
  ['no line', { lines: [] }, ['/lines']],
  ['nothing of it', { lines: [line('Tea', 0)] }, ['/lines/0/quantity']],
  ['less than nothing', { lines: [line('Tea', -1)] }, ['/lines/0/quantity']],
  ['a part of a unit', { lines: [line('Tea', 0.5)] }, ['/lines/0/quantity']],
  ['more than there can be', { lines: [line('Tea', 1_000_000_001)] }, ['/lines/0/quantity']],
  ['more than fits', { lines: [line('Tea'), line('Many', 2)] }, ['/lines/1/quantity']],
  ['a SKU twice', { lines: [line('Tea'), line('Cup'), line('TEA')] }, ['/lines/2/sku']],
  ['no warehouse', { warehouse_id: 'Main', lines: [line('Tea')] }, ['/warehouse_id']],
  ['no reference', { reference: '  ', lines: [line('Tea')] }, ['/reference']],
  ['a long reference', { reference: 'x'.repeat(101), lines: [line('Tea')] }, ['/reference']],
  ['too many lines', { lines: Array.from({ length: 1_001 }, (_, n) => line(`S${n}`)) }, ['/lines']],
])('refuses %s, and keeps the reference free', async (_what, body, pointers) => {
  const reference = randomUUID()
  const before = await levelOf('tea')
  const answer = await post({ reference, ...body })
  expect(answer.status).toBe(400)
  expect(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(pointers)
  expect(await levelOf('tea')).toEqual(before)
  expect(await post({ reference, lines: [line('Cup')] })).toMatchObject({ status: 201 })
})

it('is for who may change stock', async () => {
  const body = { warehouse_id: main, reference: randomUUID(), lines: [line('Tea')] }
  const support = await api.key('support')
  expect(await api.call('post', PATH, { key: support, body })).toMatchObject({ status: 403 })
})

it('has been seen to answer all that is listed', () => {
  expect(api.unseen('Receipts')).toEqual([])
})
