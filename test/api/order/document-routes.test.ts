import { newId } from '../../../db/id'
import type { OrderId, RefundId, ShipmentId, WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'
import { pdfLines } from '../../support/pdf-text'

let api: TestApi
let key: string
let warehouseId: WarehouseId
beforeAll(async () => {
  api = await startApi({ STORE_NAME: 'Тea & Co' })
  key = await api.key('readonly')
  warehouseId = await seedProducts(api.database.pool, [
    { sku: 'Tea-1', title: 'Blue china teapot', prices: { GBP: 100 }, stock: 9 },
    { sku: 'Mug-1', title: 'Red mug', prices: { GBP: 100 }, stock: 9 },
  ])
})
afterAll(() => api.close())

/** Two lines of one unit at 1.00 each, paid by one payment. */
async function paidOrder(): Promise<OrderId> {
  const { pool } = api.database
  const [id] = (await pastOrders(pool, [{ skus: ['TEA-1', 'MUG-1'] }])) as [OrderId]
  await pool.query(`update orders set subtotal = 200, shipping = 495, total = 695 where id = $1`, [id])
  await pool.query(
    `insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, outcome, captured)
     values ($1, $2, 1, gen_random_uuid(), 'sandbox', 'pm', 695, 'GBP', 'captured', 'completed', 695)`,
    [newId('payment'), id],
  )
  await pool.query(
    `insert into capture (id, order_id, payment_id, number, key, amount, currency, status, cause, at_work)
     select $1, order_id, id, 1, gen_random_uuid(), 695, 'GBP', 'succeeded', 'staff', false from payment where order_id = $2`,
    [newId('capture'), id],
  )
  return id
}

async function refund(orderId: OrderId, number: number, status: string): Promise<RefundId> {
  const id = newId('refund')
  await api.database.pool.query(
    `insert into refund (id, request_id, order_id, payment_id, number, key, amount, currency, status, cause, reason_code, at_work)
     select $1, $1, order_id, id, $3::int, gen_random_uuid(), 10 * $3::int, 'GBP', $4, 'staff', 'goodwill', false from payment where order_id = $2`,
    [id, orderId, number, status],
  )
  return id
}

async function shipment(
  orderId: OrderId,
  number: number,
  { status = 'allocated', sku = 'TEA-1' } = {},
): Promise<ShipmentId> {
  const id = newId('shipment')
  await api.database.pool.query(
    `insert into shipment (id, order_id, number, warehouse_id, status) values ($1, $2, $3, $4, $5)`,
    [id, orderId, number, warehouseId, status],
  )
  await api.database.pool.query(`insert into shipment_line (shipment_id, sku, quantity) values ($1, $2, 1)`, [id, sku])
  return id
}

const pathOf = (orderId: string, document: string) => `/v1/admin/orders/${orderId}/documents/${document}`
const ask = (orderId: string, document: string) => api.call('get', pathOf(orderId, document), { key })

async function read(orderId: string, document: string): Promise<{ headers: Headers; pages: string[][] }> {
  expect((await ask(orderId, document)).status).toBe(200)
  const response = await fetch(api.url + pathOf(orderId, document), { headers: { authorization: `Bearer ${key}` } })
  const { headers } = response
  expect(headers.get('content-type')).toBe('application/pdf')
  expect(headers.get('cache-control')).toBe('no-store')
  const bytes = Buffer.from(await response.arrayBuffer())
  expect(headers.get('content-length')).toBe(String(bytes.length))
  return { headers, pages: pdfLines(bytes) }
}

describe('the invoice of an order', () => {
  it('is a PDF of the stored figures, in the name of the store', async () => {
    const orderId = await paidOrder()
    const billing = {
      name: 'Smith & Sons',
      line1: '9 Low St',
      line2: null,
      city: 'York',
      postal_code: 'Y1',
      region: null,
      country: 'GB',
    }
    await api.database.pool.query('update orders set billing_address = $2 where id = $1', [orderId, billing])
    const { headers, pages } = await read(orderId, 'invoice.pdf')
    const { body: order } = await api.call('get', `/v1/admin/orders/${orderId}`, { key })
    expect(headers.get('content-disposition')).toBe(`inline; filename="INV-${order.number}.pdf"`)
    expect(pages[0]?.[0]).toBe('Тea & Co Invoice')
    expect(pages[0]).toEqual(
      expect.arrayContaining([
        `Invoice number INV-${order.number}`,
        'Smith & Sons Sample Buyer',
        'Blue china teapot 1 1.00 0.00 0.00 1.00',
        'Total GBP 6.95',
        'Charged GBP 6.95',
      ]),
    )
  })

  it('says the same at any time', async () => {
    const orderId = await paidOrder()
    expect(await read(orderId, 'invoice.pdf')).toMatchObject({ pages: (await read(orderId, 'invoice.pdf')).pages })
  })
})

describe('the packing slip of an order', () => {
  it('lists all that has not left', async () => {
    const orderId = await paidOrder()
    await api.database.pool.query(`update order_line set shipped = 1 where order_id = $1 and sku = 'MUG-1'`, [orderId])
    const { pages } = await read(orderId, 'packing-slip.pdf')
    expect(pages[0]).toEqual(expect.arrayContaining(['□ 1 Tea-1 Blue china teapot', 'Units in all 1']))
    expect(pages.flat().join('\n')).not.toContain('Mug-1')
  })

  it('is there once all has left', async () => {
    const orderId = await paidOrder()
    await api.database.pool.query('update order_line set shipped = quantity where order_id = $1', [orderId])
    const { pages } = await read(orderId, 'packing-slip.pdf')
    expect(pages[0]).toEqual(expect.arrayContaining(['□ 1 Tea-1 Blue china teapot', '□ 1 Mug-1 Red mug']))
  })

  it('lists one parcel, with its label', async () => {
    const orderId = await paidOrder()
    await shipment(orderId, 1)
    const second = await shipment(orderId, 2, { sku: 'MUG-1', status: 'labelled' })
    await api.database.pool.query(
      `insert into label (id, shipment_id, order_id, number, key, carrier, service, address_version, status, tracking_number)
       values ($1, $2, $3, 1, gen_random_uuid(), 'sandbox', 'express', 1, 'live', 'TRACK-1')`,
      [newId('label'), second, orderId],
    )
    const { headers, pages } = await read(orderId, `packing-slip.pdf?shipment_id=${second}`)
    expect(headers.get('content-disposition')).toMatch(/filename="packing-slip-HF-\d+-2\.pdf"/)
    expect(pages[0]).toEqual(expect.arrayContaining(['Parcel 2', '□ 1 Mug-1 Red mug', 'Units in all 1']))
    expect(pages.flat().join('\n')).toMatch(/Main[^]*sandbox express[^]*Tracking number TRACK-1/)
  })

  it('is refused for what cannot be sent', async () => {
    const orderId = await paidOrder()
    const cancelled = await shipment(orderId, 1, { status: 'cancelled' })
    expect(await ask(orderId, `packing-slip.pdf?shipment_id=${cancelled}`)).toMatchObject({
      status: 409,
      body: { code: 'nothing_to_send' },
    })
    await api.database.pool.query('update order_line set cancelled = quantity where order_id = $1', [orderId])
    expect(await ask(orderId, 'packing-slip.pdf')).toMatchObject({ status: 409, body: { code: 'nothing_to_send' } })
  })

  it("knows nothing of another order's parcel", async () => {
    const [one, other] = [await paidOrder(), await paidOrder()]
    const id = await shipment(other, 1)
    for (const wanted of [id, newId('shipment')])
      expect(await ask(one, `packing-slip.pdf?shipment_id=${wanted}`)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
    expect(await ask(one, 'packing-slip.pdf?shipment_id=2')).toMatchObject({ status: 400 })
  })
})

describe('the credit note of an order', () => {
  it('is of one refund, or of all that did not fail', async () => {
    const orderId = await paidOrder()
    await refund(orderId, 1, 'failed')
    const second = await refund(orderId, 2, 'succeeded')
    await refund(orderId, 3, 'pending')
    const one = await read(orderId, `credit-note.pdf?refund_id=${second}`)
    expect(one.pages).toHaveLength(1)
    expect(one.pages[0]).toContain('Credited GBP 0.20')
    expect(one.headers.get('content-disposition')).toMatch(/filename="CN-HF-\d+-2\.pdf"/)
    const all = await read(orderId, 'credit-note.pdf')
    expect(all.pages.map((page) => page.find((line) => line.startsWith('Credit note number'))?.slice(-2))).toEqual([
      '-2',
      '-3',
    ])
  })

  it('is refused while nothing was given back', async () => {
    const orderId = await paidOrder()
    expect(await ask(orderId, 'credit-note.pdf')).toMatchObject({ status: 409, body: { code: 'nothing_refunded' } })
    const failed = await refund(orderId, 1, 'failed')
    for (const query of ['', `?refund_id=${failed}`])
      expect(await ask(orderId, `credit-note.pdf${query}`)).toMatchObject({
        status: 409,
        body: { code: 'nothing_refunded' },
      })
  })

  it("knows nothing of another order's refund", async () => {
    const [one, other] = [await paidOrder(), await paidOrder()]
    const id = await refund(other, 1, 'succeeded')
    for (const wanted of [id, newId('refund')])
      expect(await ask(one, `credit-note.pdf?refund_id=${wanted}`)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
  })
})

describe.each(['packing-slip.pdf', 'invoice.pdf', 'credit-note.pdf'])('%s', (document) => {
  it('is refused for an order that was never confirmed', async () => {
    const [pending] = (await pastOrders(api.database.pool, [{ skus: ['TEA-1'], status: 'pending' }])) as [OrderId]
    expect(await ask(pending, document)).toMatchObject({ status: 409, body: { code: 'order_not_confirmed' } })
  })

  it('is not there for an order that is not', async () => {
    expect(await ask(newId('order'), document)).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await ask('HF-100001', document)).toMatchObject({ status: 404 })
  })

  it('needs a key that may read orders', async () => {
    const catalog = await api.key('catalog')
    const path = pathOf(newId('order'), document)
    expect(await api.call('get', path, { key: catalog })).toMatchObject({ status: 403 })
    expect(await api.call('get', path)).toMatchObject({ status: 401 })
  })
})

it('every answer of these routes was seen', () => {
  expect(api.unseen('Documents')).toEqual([])
})
