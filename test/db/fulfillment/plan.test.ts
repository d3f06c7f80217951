import { planShipments } from '../../../db/fulfillment/plan'
import { holdOrder } from '../../../db/order/hold'
import { readEvents, readOrder } from '../../../db/order/read'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import { cancelUnits } from '../../../domain/fulfillment/cancelling'
import type { WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
let crowd: Pool
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
  ;[main, other, demo] = [await warehouse(), await warehouse(), await warehouse('automatic')]
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})

const { inGoods, isSound, pick, shipmentsOf, sold, stock, warehouse } = goodsStatements(() => database.pool)
let [main, other, demo]: WarehouseId[] = []
const at = () => ({ main: main as WarehouseId, other: other as WarehouseId, demo: demo as WarehouseId })

const plan = (orders: readonly SoldOrder[], pool = database.pool) =>
  planShipments(
    pool,
    orders.map(({ orderId }) => orderId),
  )

const planned = async ({ orderId }: SoldOrder) =>
  (
    await database.pool.query(
      `select s.number, s.warehouse_id as warehouse, s.seller_id as seller, s.status,
              extract(epoch from s.due_at - s.created_at)::int as patience,
              (select json_agg(json_build_array(sku, quantity) order by sku) from shipment_line where shipment_id = s.id) as lines
       from shipment s where s.order_id = $1 order by s.number`,
      [orderId],
    )
  ).rows

const eventsOf = async ({ orderId }: SoldOrder) =>
  (await readEvents(database.pool, orderId)).filter(({ type }) => type === 'shipment.allocated')

it('makes one shipment of what lies in one warehouse, told once, however often and from wherever it is asked', async () => {
  const order = await sold([{ from: [[at().main, 2]] }, { from: [[at().main, 1]] }])
  const [cup, saucer] = order.skus
  await Promise.all(Array.from({ length: 20 }, () => plan([order], crowd)))
  await plan([order])
  const lines = [
    [cup, 2],
    [saucer, 1],
  ].sort()
  expect(await planned(order)).toEqual([
    { number: 1, warehouse: at().main, seller: 'house', status: 'allocated', patience: 72 * 3_600, lines },
  ])
  const [event, ...more] = await eventsOf(order)
  expect(more).toEqual([])
  expect(event?.data).toMatchObject({
    warehouse_id: at().main,
    lines: lines.map(([sku, quantity]) => ({ sku, quantity })),
  })
  await isSound()
})

it('makes one of each warehouse and seller', async () => {
  const order = await sold([
    {
      from: [
        [at().main, 1],
        [at().other, 2],
      ],
    },
    { from: [[at().main, 1]], seller: 'artisan' },
    { from: [[at().other, 1]], seller: 'artisan' },
  ])
  await plan([order])
  const parcels = await planned(order)
  expect(parcels.map(({ warehouse: place, seller }) => `${place} ${seller}`).sort()).toEqual(
    [`${at().main} artisan`, `${at().main} house`, `${at().other} artisan`, `${at().other} house`].sort(),
  )
  expect(parcels.map(({ number }) => number)).toEqual([1, 2, 3, 4])
  const units = parcels.flatMap(({ lines }) => lines.map(([, quantity]: [string, number]) => quantity))
  expect(units.reduce((sum: number, quantity: number) => sum + quantity, 0)).toBe(5)
  await isSound()
})

it('lets the demo’s warehouses begin at once, and says when to look', async () => {
  const order = await sold([{ from: [[at().demo, 1]] }])
  await plan([order])
  expect(await planned(order)).toMatchObject([{ patience: 2 }])
  const { rows } = await database.pool.query(
    'select o.look_at = s.due_at as same from orders o join shipment s on s.order_id = o.id where o.id = $1',
    [order.orderId],
  )
  expect(rows).toEqual([{ same: true }])
})

it('plans many at once, and an order on hold with them; whoever opens the goods of an order plans it', async () => {
  const orders = [await sold([{ from: [[at().main, 1]] }]), await sold([{ from: [[at().other, 1]] }])]
  const [first] = orders as [SoldOrder]
  await withTransaction(database.pool, (tx) => holdOrder(tx, first.orderId, { cause: 'staff', reasonCode: 'look' }))
  await plan(orders)
  for (const order of orders) expect(await planned(order)).toHaveLength(1)
  const opened = await sold([{ from: [[at().main, 1]] }])
  expect(await shipmentsOf(opened)).toHaveLength(1)
  await isSound()
})

it('makes nothing of an order that is over', async () => {
  const order = await sold([{ from: [[at().main, 1]] }])
  await inGoods(order, (goods, books) =>
    cancelUnits(goods, null, { reason: 'customer', reason_code: 'x', step: 1, actor: null }, books),
  )
  const before = await planned(order)
  await database.pool.query('update orders set planned_at = null where id = $1', [order.orderId])
  await plan([order])
  expect([(await readOrder(database.pool, order.orderId))?.status, await planned(order)]).toEqual(['cancelled', before])
})

it('gives what came later another shipment, and leaves those that are there', async () => {
  const order = await sold([{ from: [[at().main, 2]] }])
  const [sku] = order.skus
  const [shipment] = await shipmentsOf(order)
  if (!shipment || !sku) throw new Error('Nothing was planned')
  await stock(sku, at().other, 1)
  await pick(order, shipment.id, [{ sku, quantity: 1 }])
  await plan([order])
  expect(await planned(order)).toMatchObject([
    { number: 1, warehouse: at().main, status: 'picking', lines: [[sku, 1]] },
    { number: 2, warehouse: at().other, status: 'allocated', lines: [[sku, 1]] },
  ])
  await isSound()
})
