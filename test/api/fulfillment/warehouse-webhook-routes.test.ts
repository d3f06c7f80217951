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
  // A stranger, another warehouse, and one that has no system of its own.
  expect(await send(sent, newId('warehouse'))).toMatchObject({ status: 404 })
  expect(await send(stub.event(event, other.secret), other.id)).toMatchObject({
    status: 404,
    body: { code: 'not_found' },
  })
  const plain = await api.call('post', '/v1/admin/warehouses', { key, body: { name: randomUUID(), country: 'GB' } })
  expect(await send(sent, plain.body.id)).toMatchObject({ status: 404 })
  expect(await tell({ ...event, shipment_id: newId('shipment') })).toMatchObject({ status: 404 })
  expect([await statusOf(shipment), await kept(shipment)]).toEqual(['allocated', 0])
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
