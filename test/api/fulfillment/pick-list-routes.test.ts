import { newId } from '../../../db/id'
import { planShipments } from '../../../db/fulfillment/plan'
import { holdOrder } from '../../../db/order/hold'
import { withTransaction } from '../../../db/pool'
import type { OrderId, WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { type Answer, startApi, type TestApi } from '../../support/http'
import { pastOrders } from '../../support/orders'

let api: TestApi
let key: string
let main: WarehouseId
beforeAll(async () => {
  api = await startApi()
  key = await api.key('readonly')
  main = await seedProducts(
    api.database.pool,
    ['A-1', 'B-2', 'C-3'].map((sku) => ({ sku, title: `Product ${sku}`, prices: { GBP: 100 }, stock: 100 })),
  )
})
afterAll(() => api.close())

/** A confirmed order whose units are in a shipment. */
async function planned(skus: readonly string[]): Promise<{ orderId: OrderId; shipment: string }> {
  const { pool } = api.database
  const [orderId] = (await pastOrders(pool, [{ skus }])) as [OrderId]
  await pool.query(
    `with kept as (
       insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, state)
       select new_id('rsv'), 'hard', order_id, sku, $2, quantity, 'committed' from order_line where order_id = $1
       returning sku, quantity
     ),
     stock as (
       update stock_level s set reserved = s.reserved + kept.quantity from kept where s.sku = kept.sku and s.warehouse_id = $2
     )
     update orders set planned_at = null where id = $1`,
    [orderId, main],
  )
  await planShipments(pool, [orderId])
  const { rows } = await pool.query('select id from shipment where order_id = $1', [orderId])
  return { orderId, shipment: rows[0].id }
}

const list = (query = '', warehouse: string = main): Promise<Answer> =>
  api.call('get', `/v1/admin/warehouses/${warehouse}/pick-list${query}`, { key })

it('is what is to be picked, by SKU, with the shipments; page by page and by wave', async () => {
  const [one, two] = [await planned(['A-1', 'B-2']), await planned(['B-2', 'C-3'])]
  const { status, body } = await list()
  expect([status, body.has_more]).toEqual([200, false])
  const quantityOf = (sku: string, shipment: string): number =>
    body.data
      .find((line: { sku: string }) => line.sku === sku)
      .shipments.find(({ id }: { id: string }) => id === shipment).quantity
  expect(body.data.map(({ sku }: { sku: string }) => sku)).toEqual(['A-1', 'B-2', 'C-3'])
  const both = quantityOf('B-2', one.shipment) + quantityOf('B-2', two.shipment)
  expect(body.data[1]).toMatchObject({ sku: 'B-2', quantity: both })
  const first = (await list('?limit=2')).body
  expect(first).toMatchObject({ data: [{ sku: 'A-1' }, { sku: 'B-2' }], has_more: true })
  expect((await list(`?limit=2&cursor=${first.next_cursor}`)).body.data).toMatchObject([{ sku: 'C-3' }])
  const today = new Date().toISOString().slice(0, 10)
  expect((await list(`?wave=${today}`)).body.data).toHaveLength(3)
  expect((await list('?wave=2020-01-01')).body.data).toEqual([])
})

it('lists what is sent once more of an order that has all left', async () => {
  const { orderId, shipment } = await planned(['A-1'])
  const { pool } = api.database
  await pool.query(`update shipment set status = 'lost' where id = $1`, [shipment])
  await pool.query('update order_line set shipped = quantity where order_id = $1', [orderId])
  const again = newId('shipment')
  await pool.query(`insert into shipment (id, order_id, number, warehouse_id, replaces) values ($1, $2, 2, $3, $4)`, [
    again,
    orderId,
    main,
    shipment,
  ])
  await pool.query(`insert into shipment_line (shipment_id, sku, quantity) values ($1, 'A-1', 1)`, [again])
  for (const status of ['processing', 'shipped', 'delivered']) {
    await pool.query('update orders set status = $2 where id = $1', [orderId, status])
    expect([status, JSON.stringify((await list()).body)]).toEqual([status, expect.stringContaining(again)])
  }
  await pool.query(`update orders set status = 'completed' where id = $1`, [orderId])
  expect(JSON.stringify((await list()).body)).not.toContain(again)
})

it('leaves out what is picked, on hold or cancelled', async () => {
  const { orderId, shipment } = await planned(['A-1'])
  const isListed = async (): Promise<boolean> => JSON.stringify((await list()).body).includes(shipment)
  const { pool } = api.database
  expect(await isListed()).toBe(true)
  await withTransaction(pool, (tx) => holdOrder(tx, orderId, { cause: 'staff', reasonCode: 'look' }))
  expect(await isListed()).toBe(false)
  const other = await planned(['A-1'])
  expect(JSON.stringify((await list()).body)).toContain(other.shipment)
  await pool.query(`update shipment set status = 'picking' where id = $1`, [other.shipment])
  expect(JSON.stringify((await list()).body)).not.toContain(other.shipment)
})

it.each([`1'--`, `'or'1'='1`, '$1', `x');drop` + '%20table', '__proto__'])(
  'SQL injection, first order: the wave %s is a value, or none',
  async (wave) => {
    const { shipment } = await planned(['A-1'])
    const { status, body } = await list(`?wave=${encodeURIComponent(decodeURIComponent(wave))}`)
    expect([200, 400]).toContain(status)
    expect(status === 400 || body.data.length === 0).toBe(true)
    expect(JSON.stringify((await list()).body)).toContain(shipment)
  },
)

it('answers 404 for no warehouse, 400 for what it does not take, and those alone who may see orders', async () => {
  expect((await list('', newId('warehouse'))).status).toBe(404)
  expect((await list('', 'Main')).status).toBe(404)
  for (const query of ['?wave=', '?wave=a%20b', `?wave=${'x'.repeat(41)}`, '?limit=0', '?cursor=x', '?sku=A-1'])
    expect([query, (await list(query)).status]).toEqual([query, 400])
  const path = `/v1/admin/warehouses/${main}/pick-list`
  expect((await api.call('get', path)).status).toBe(401)
  expect((await api.call('get', path, { key: await api.key('catalog') })).status).toBe(403)
})
