import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { startApi, type Answer, type TestApi } from '../../support/http'
import { testNamespace } from '../../support/temporal'
import { WarehouseStub } from '../../support/warehouse-stub'
import { orderStatements } from '../../support/order-statements'

let api: TestApi
let key: string
let stub: WarehouseStub
let warehouse: string
let secret: string
beforeAll(async () => {
  const { namespace } = await testNamespace()
  api = await startApi({ TEMPORAL_NAMESPACE: namespace })
  key = await api.key()
  stub = await WarehouseStub.start()
  ;({ id: warehouse, secret } = await made())
  stub.secret = secret
}, 60_000)
afterAll(async () => {
  await stub?.stop()
  await api?.close()
}, 30_000)

const statements = orderStatements(() => api.database.pool)

async function made(): Promise<{ id: string; secret: string }> {
  const body = { name: randomUUID(), country: 'GB', operation: 'external', endpoint: 'https://warehouse.example.com/' }
  return (await api.call('post', '/v1/admin/warehouses', { key, body })).body
}

/** A shipment of a confirmed order that lies in this warehouse. */
async function shipmentIn(place: string = warehouse): Promise<{ shipment: string; sku: string; orderId: string }> {
  const order = await statements.placed()
  await statements.confirm(order)
  const { pool } = api.database
  await pool.query('insert into stock_level (sku, warehouse_id, on_hand, reserved) values ($1, $2, 5, 2)', [
    order.sku,
    place,
  ])
  await pool.query('update stock_level set reserved = 0 where sku = $1 and warehouse_id <> $2', [order.sku, place])
  await pool.query('update reservation set warehouse_id = $2 where owner_id = $1', [order.orderId, place])
  const { rows } = await pool.query(
    `update shipment set warehouse_id = $2, operation = 'external', due_at = now() where order_id = $1 returning id`,
    [order.orderId, place],
  )
  return { shipment: rows[0].id, sku: order.sku, orderId: order.orderId }
}

const send = (sent: { raw: string; headers: Record<string, string> }, to: string = warehouse): Promise<Answer> =>
  api.call('post', `/webhooks/warehouses/${to}`, sent)
const tell = (event: object, signedBy?: string): Promise<Answer> => send(stub.event(event, signedBy))
const statusOf = async (id: string): Promise<string> =>
  (await api.call('get', `/v1/admin/shipments/${id}`, { key })).body.status
const kept = async (id: string): Promise<number> =>
  (await api.database.pool.query('select from warehouse_event where shipment_id = $1', [id])).rows.length

it('takes what its warehouse has signed, once', async () => {
  const { shipment } = await shipmentIn()
  const packed = stub.event({ type: 'shipment.packed', shipment_id: shipment })
  const answers = await Promise.all([send(packed), send(packed), send(packed)])
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
  expect(await statusOf(shipment)).toBe('packed')
  expect(await kept(shipment)).toBe(1)
  expect(await tell({ type: 'shipment.picked', shipment_id: shipment })).toMatchObject({ status: 204 })
  expect(await statusOf(shipment)).toBe('packed')
})

it('keeps nothing of what it refuses', async () => {
  const { shipment } = await shipmentIn()
  const event = { type: 'shipment.packed', shipment_id: shipment }
  const other = await made()
  const sent = stub.event(event)
  const old = { ...sent, headers: { ...sent.headers, 'webhook-timestamp': '1700000000' } }
  const unsigned = { raw: sent.raw, headers: { 'content-type': 'application/json' } }
  const changed = { ...sent, raw: sent.raw.replace('packed', 'picked') }
  for (const bad of [old, unsigned, changed, stub.event(event, other.secret)])
    expect(await send(bad)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
  expect(await send(stub.event(event, other.secret), other.id)).toMatchObject({
    status: 404,
    body: { code: 'not_found' },
  })
  expect(await tell({ ...event, shipment_id: newId('shipment') })).toMatchObject({ status: 404 })
  expect([await statusOf(shipment), await kept(shipment)]).toEqual(['allocated', 0])
})

const withoutIds = ({ status, body: { request_id: _, ...body } }: Answer) => ({ status, body })

it('enumeration: without the secret nobody hears which warehouses there are', async () => {
  const plain = await api.call('post', '/v1/admin/warehouses', { key, body: { name: randomUUID(), country: 'GB' } })
  const { shipment } = await shipmentIn()
  const sent = stub.event({ type: 'shipment.packed', shipment_id: shipment }, (await made()).secret)
  const answers: ReturnType<typeof withoutIds>[] = []
  for (const to of [warehouse, plain.body.id, newId('warehouse')]) answers.push(withoutIds(await send(sent, to)))
  expect(answers[0]).toMatchObject({ status: 401, body: { code: 'unauthenticated' } })
  expect(answers).toEqual(answers.map(() => answers[0]))
})

it('a former external warehouse is believed no more, and again once it is one', async () => {
  const own = await made()
  const { shipment } = await shipmentIn(own.id)
  const become = (operation: string) =>
    api.call('patch', `/v1/admin/warehouses/${own.id}`, { key, body: { operation }, headers: { 'if-match': '*' } })
  const packed = { type: 'shipment.packed', shipment_id: shipment }
  for (const operation of ['manual', 'automatic']) {
    expect((await become(operation)).status).toBe(200)
    expect(await send(stub.event(packed, own.secret), own.id)).toMatchObject({ status: 401 })
  }
  expect([await statusOf(shipment), await kept(shipment)]).toEqual(['allocated', 0])
  expect(await become('external')).toMatchObject({ status: 200, body: { endpoint: expect.any(String) } })
  expect(await send(stub.event(packed, own.secret), own.id)).toMatchObject({ status: 204 })
})

describe('attacks by who has the secret', () => {
  let shipment: string
  beforeAll(async () => {
    ;({ shipment } = await shipmentIn())
  })
  const sendRaw = (raw: string) => send({ raw, headers: stub.sign(raw) })
  const textOf = (more: string) =>
    `{"id":"${randomUUID()}","type":"shipment.picked","shipment_id":"${shipment}"${more === '' ? '' : `,${more}`}}`

  it('JSON depth bomb: half a million levels are refused and nothing dies of it', async () => {
    const deep = [
      '['.repeat(500_000) + ']'.repeat(500_000),
      textOf(`"lines":${'['.repeat(200_000)}${']'.repeat(200_000)}`),
    ]
    for (const raw of deep) {
      const begun = performance.now()
      expect(await sendRaw(raw)).toMatchObject({ status: 400 })
      expect(performance.now() - begun).toBeLessThan(4_000)
    }
    expect((await api.call('get', '/livez')).status).toBe(200)
  })

  it.each([
    '"__proto__":{"polluted":1}',
    '"constructor":{"prototype":{"polluted":1}}',
    '"lines":[{"__proto__":{"polluted":1}}]',
  ])('prototype pollution: %s changes no object', async (more) => {
    expect([204, 400]).toContain((await sendRaw(textOf(more))).status)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
    const { rows } = await api.database.pool.query(`select from warehouse_event where body::text like '%polluted%'`)
    expect(rows).toEqual([])
  })

  it.each([
    ['a long code', '"code":"', '!'],
    ['spaces in a tracking number', '"tracking_number":"a', ' '],
    ['a long SKU', '"lines":[{"quantity":1,"sku":"', 'A-'],
  ])('parser DoS and ReDoS: %s is refused as fast as sense', async (_what, begin, piece) => {
    const begun = performance.now()
    const end = begin.includes('lines') ? '"}]' : '"'
    expect(await sendRaw(textOf(begin + piece.repeat(300_000 / piece.length) + end))).toMatchObject({ status: 400 })
    expect(performance.now() - begun).toBeLessThan(2_000)
  })

  it.each([`x'); drop table warehouse_event; --`, "' or '1'='1", '$1', '"><img src=x onerror=alert(1)>'])(
    'SQL injection and stored XSS: %s is kept as text',
    async (text) => {
      const own = await shipmentIn()
      const event = {
        id: `${randomUUID()} ${text}`,
        shipment_id: own.shipment,
        carrier: text,
        tracking_number: `${randomUUID()}${text}`,
      }
      expect(await tell({ ...event, type: 'shipment.shipped' })).toMatchObject({ status: 204 })
      const refused = await shipmentIn()
      expect(await tell({ type: 'shipment.refused', shipment_id: refused.shipment, code: text })).toMatchObject({
        status: 204,
      })
      const read = (id: string) => api.call('get', `/v1/admin/shipments/${id}`, { key })
      const answer = await read(own.shipment)
      expect(answer.body).toMatchObject({ carrier: text, tracking_number: event.tracking_number, tracking_url: null })
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      const { events } = (await read(refused.shipment)).body
      expect(events.at(-1)).toMatchObject({ type: 'refused', detail: text })
      expect(await kept(own.shipment)).toBe(1)
    },
  )

  it('mass assignment: what it may not tell changes nothing, and is not kept', async () => {
    const own = await shipmentIn()
    const more = {
      status: 'delivered',
      order_id: newId('order'),
      warehouse_id: newId('warehouse'),
      released_at: '2020-01-01T00:00:00Z',
    }
    expect(await tell({ type: 'shipment.picked', shipment_id: own.shipment, is_leaving: true, ...more })).toMatchObject(
      { status: 204 },
    )
    const { rows } = await api.database.pool.query('select body from warehouse_event where shipment_id = $1', [
      own.shipment,
    ])
    expect(Object.keys(rows[0].body).sort()).toEqual(['at', 'id', 'shipment_id', 'type'])
    const { body } = await api.call('get', `/v1/admin/shipments/${own.shipment}`, { key })
    expect(body).toMatchObject({ status: 'picking', warehouse_id: warehouse, order_id: own.orderId })
  })
})

describe('garbage that it has signed', () => {
  let shipment: string
  beforeAll(async () => {
    ;({ shipment } = await shipmentIn())
  })
  afterAll(async () => expect([await statusOf(shipment), await kept(shipment)]).toEqual(['allocated', 0]))

  const line = (quantity: unknown) => ({ lines: [{ sku: 'A', quantity }] })
  it.each<[string, object]>([
    ['another type', { type: 'shipment.eaten' }],
    ['no type', { type: undefined }],
    ['no id', { id: undefined }],
    ['an empty id', { id: '' }],
    ['an id that cannot be stored', { id: 'a\u0000b' }],
    ['a long id', { id: 'x'.repeat(201) }],
    ['no shipment', { shipment_id: undefined }],
    ['an id of something else', { shipment_id: 'order_1' }],
    ['a negative quantity', line(-1)],
    ['half a unit', line(0.5)],
    ['a huge quantity', line(1e15)],
    ['a quantity in words', line('2')],
    ['too many lines', { lines: Array.from({ length: 1_001 }, () => ({ sku: 'A', quantity: 1 })) }],
    ['no boxes', { boxes: [] }],
    ['a box without weight', { boxes: [{ weight_grams: 0, length_mm: 1, width_mm: 1, height_mm: 1 }] }],
    ['a tracking number that cannot be printed', { tracking_number: '\u202e123' }],
    ['revision 0', { revision: 0 }],
    ['a time that is none', { at: 'yesterday' }],
  ])('%s', async (_, more) => {
    const sent = stub.event({ type: 'shipment.packed', shipment_id: shipment, ...more })
    expect(await send(sent)).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
  })

  it.each(['null', '[]', '"a"', '12', '{}'])('%s', async (raw) => {
    expect(await send({ raw, headers: stub.sign(raw) })).toMatchObject({ status: 400 })
  })

  it('what is no JSON', async () => {
    const raw = '{"id":'
    expect(await send({ raw, headers: stub.sign(raw) })).toMatchObject({ status: 401 })
  })

  it('a huge body', async () => {
    const sent = stub.event({ type: 'shipment.packed', shipment_id: shipment, more: 'x'.repeat(2_000_000) })
    expect(await send(sent)).toMatchObject({ status: 413 })
  })
})

it('knows no SKU by other words, and takes none that is not in the shipment', async () => {
  const { shipment, sku } = await shipmentIn()
  const lines = [
    { sku: sku.toLowerCase(), quantity: 9 },
    { sku: 'STRANGE', quantity: 1 },
  ]
  expect(await tell({ type: 'shipment.packed', shipment_id: shipment, lines })).toMatchObject({ status: 204 })
  const { body } = await api.call('get', `/v1/admin/shipments/${shipment}`, { key })
  expect(body).toMatchObject({ status: 'packed', lines: [{ sku, quantity: 2 }] })
})

it('takes a tracking number of another parcel for none', async () => {
  const [first, second] = [await shipmentIn(), await shipmentIn()]
  const shipped = { type: 'shipment.shipped', carrier: 'courier', tracking_number: `T${randomUUID()}` }
  for (const { shipment } of [first, second])
    expect(await tell({ ...shipped, shipment_id: shipment })).toMatchObject({ status: 204 })
  const { rows } = await api.database.pool.query(
    `select tracking_number from label where shipment_id = any ($1) and status = 'live' order by id`,
    [[first.shipment, second.shipment]],
  )
  expect(rows.map((row) => row.tracking_number)).toEqual([shipped.tracking_number, null])
})
