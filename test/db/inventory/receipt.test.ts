import { randomUUID } from 'node:crypto'
import { addLines, hashToken, insertCart } from '../../../db/cart/cart'
import { newId } from '../../../db/id'
import { type Booked, bookReceipt } from '../../../db/inventory/receipt'
import { holdCart } from '../../../db/inventory/reservation'
import { listMovements } from '../../../db/inventory/stock'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { OrderId, Sku, WarehouseId } from '../../../domain/ids'
import { seedProducts } from '../../support/catalog'
import { testDatabase, type TestDatabase } from '../../support/database'
import { pastOrders } from '../../support/orders'

let database: TestDatabase
let crowd: Pool
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})

let warehouseId: WarehouseId

async function product(stock = 0): Promise<Sku> {
  const sku = `R-${randomUUID().slice(0, 8).toUpperCase()}`
  warehouseId = await seedProducts(database.pool, [{ sku, title: sku, prices: { GBP: 100 }, stock }])
  return sku
}

const book = (
  reference: string,
  lines: readonly { sku: Sku; quantity: number }[],
  { pool = database.pool, at = warehouseId, isKeyed = false } = {},
): Promise<Booked> =>
  withTransaction(pool, (tx) => bookReceipt(tx, { warehouseId: at, reference, lines, actor: 'key_1', isKeyed }))
const levelsOf = async (sku: Sku) =>
  (
    await database.pool.query('select on_hand, reserved from stock_level where sku = $1 and warehouse_id = $2', [
      sku,
      warehouseId,
    ])
  ).rows[0]

it('raises what is on hand, with a movement of each line, and makes levels', async () => {
  const [there, elsewhere] = [await product(5), await product(0)]
  await database.pool.query('delete from stock_level where sku = $1', [elsewhere])
  const reference = randomUUID()
  const lines = [
    { sku: there, quantity: 3 },
    { sku: elsewhere, quantity: 2 },
  ]
  expect(await book(reference, lines)).toEqual({ outcome: 'booked', id: expect.any(String), served: [] })
  expect(await Promise.all([there, elsewhere].map(levelsOf))).toEqual([
    { on_hand: 8, reserved: 0 },
    { on_hand: 2, reserved: 0 },
  ])
  const [movement] = await listMovements(database.pool, { sku: there, before: null, limit: 1 })
  expect(movement).toMatchObject({ delta: 3, onHand: 8, cause: 'receipt', reference, actor: 'key_1' })
  const { rows } = await database.pool.query(
    `select payload from outbox where aggregate = $1 and type = 'stock.adjusted'`,
    [`${warehouseId}/${elsewhere}`],
  )
  expect(rows).toEqual([{ payload: { sku: elsewhere, warehouse_id: warehouseId, on_hand: 2 } }])
})

it('books the same once per warehouse, also of twenty at once, whatever the order of the lines', async () => {
  const [one, two] = [await product(), await product()]
  const lines = [
    { sku: one, quantity: 1 },
    { sku: two, quantity: 2 },
  ]
  const booked = await Promise.all(
    Array.from({ length: 20 }, (_, n) => book('once', n % 2 ? lines : [...lines].reverse(), { pool: crowd })),
  )
  expect(booked.map(({ outcome }) => outcome).sort()).toEqual(['booked', ...Array(19).fill('repeated')])
  expect(new Set(booked.map((each) => 'id' in each && each.id)).size).toBe(1)
  expect(await Promise.all([one, two].map(levelsOf))).toMatchObject([{ on_hand: 1 }, { on_hand: 2 }])
  // Another part of the same delivery, and one that its caller tells apart.
  expect(await book('once', lines.slice(1))).toMatchObject({ outcome: 'booked' })
  expect(await book('once', lines, { isKeyed: true })).toMatchObject({ outcome: 'booked' })
  expect(await Promise.all([one, two].map(levelsOf))).toMatchObject([{ on_hand: 2 }, { on_hand: 6 }])
  const other = newId('warehouse')
  await database.pool.query(`insert into warehouse (id, name, country) values ($1, $2, 'GB')`, [other, other])
  expect(await book('once', lines.slice(1), { at: other })).toMatchObject({ outcome: 'booked' })
})

it('knows its warehouse, its SKUs and their limit', async () => {
  const sku = await product(999_999_999)
  const lines = [{ sku, quantity: 2 }]
  expect(await book('x', lines, { at: newId('warehouse') })).toEqual({ outcome: 'unknown_warehouse' })
  expect(await book('x', [...lines, { sku: 'NO-SUCH', quantity: 1 }])).toEqual({
    outcome: 'unknown_skus',
    skus: ['NO-SUCH'],
  })
  const tooMany = withTransaction(database.pool, async (tx) => {
    const booked = await bookReceipt(tx, { warehouseId, reference: 'full', lines, actor: 'key_1', isKeyed: false })
    throw Object.assign(new Error('rolled back'), { booked })
  })
  await expect(tooMany).rejects.toMatchObject({ booked: { outcome: 'too_many', skus: [sku] } })
  expect(await levelsOf(sku)).toEqual({ on_hand: 999_999_999, reserved: 0 })
  expect(await book('full', [{ sku, quantity: 1 }])).toMatchObject({ outcome: 'booked' })
})

it('keeps what orders wait for, before any of twenty carts that want it at the same time', async () => {
  const sku = await product(0)
  const orders = await pastOrders(database.pool, [
    { skus: [sku], daysAgo: 1 },
    { skus: [sku], daysAgo: 2 },
  ])
  await database.pool.query(
    `insert into back_order (order_id, sku, quantity, confirmed_at)
     select id, $2, 2, confirmed_at from orders where id = any ($1::text[])`,
    [orders, sku],
  )
  const [younger, older] = orders as [OrderId, OrderId]
  const carts = await Promise.all(Array.from({ length: 20 }, () => cartOf(sku)))
  const hold = (cartId: Awaited<ReturnType<typeof cartOf>>) =>
    withTransaction(crowd, (tx) => holdCart(tx, { cartId, lines: [{ sku, quantity: 1 }], country: 'GB', seconds: 60 }))
  const [booked, ...held] = await Promise.all([book(randomUUID(), [{ sku, quantity: 5 }]), ...carts.map(hold)])
  expect(booked).toMatchObject({
    outcome: 'booked',
    served: [
      { orderId: older, sku, quantity: 2 },
      { orderId: younger, sku, quantity: 2 },
    ],
  })
  expect((held as { held: boolean }[]).filter((one) => one.held).length).toBeLessThanOrEqual(1)
  const rest = await Promise.all(carts.map(hold))
  expect(rest.filter((one) => one.held)).toHaveLength(1)
  expect(await levelsOf(sku)).toEqual({ on_hand: 5, reserved: 5 })
})

async function cartOf(sku: Sku) {
  const key = { cartId: newId('cart'), tokenHash: hashToken(newId('cart')) }
  await insertCart(database.pool, { ...key, currency: 'GBP' })
  await addLines(database.pool, key, [{ sku, quantity: 1 }])
  return key.cartId
}
