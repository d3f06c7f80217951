import { moveOrderStock, type OrderStockMove, serveWaiting, takeWhole } from '../../../db/inventory/order-stock'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { ShipmentId, Sku, WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, type SoldLine, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
let crowd: Pool
let main: WarehouseId
let near: WarehouseId
let far: WarehouseId
/** First by its priority. */
let abroad: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
  main = await warehouse('manual', 50)
  near = await warehouse('manual', 10)
  far = await warehouse('manual', 90)
  abroad = await warehouse('manual', 1, 'FR')
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})

const { levels, movements, onlyShipment, reservations, sold, stock, warehouse } = goodsStatements(() => database.pool)

interface Sold extends SoldOrder {
  readonly sku: Sku
  readonly shipmentId: ShipmentId
}

async function four(spare: SoldLine['spare'] = []): Promise<Sold> {
  const order = await sold([{ from: [[main, 4]], spare }])
  return { ...order, sku: order.skus[0] as Sku, shipmentId: await onlyShipment(order) }
}

type Move = readonly [kind: OrderStockMove['kind'], quantity: number]
const move = (order: Sold, moves: readonly Move[], pool = database.pool) =>
  withTransaction(pool, (tx) =>
    moveOrderStock(
      tx,
      order.orderId,
      moves.map(([kind, quantity]) => ({
        kind,
        quantity,
        sku: order.sku,
        warehouseId: main,
        shipmentId: order.shipmentId,
      })),
    ),
  )

describe('what is committed to an order', () => {
  it.each<[Move[], level: number[], reserved: [string, number][], moved: [string, number][]]>([
    [[['ship', 4]], [0, 0], [['shipped', 4]], [['shipment', -4]]],
    [
      [['ship', 1]],
      [3, 3],
      [
        ['committed', 3],
        ['shipped', 1],
      ],
      [['shipment', -1]],
    ],
    [[['give', 4]], [4, 0], [['released', 4]], []],
    [[['give', 1]], [4, 3], [['committed', 3]], []],
    [[['short', 4]], [0, 0], [['released', 4]], [['short_pick', -4]]],
    [[['short', 1]], [3, 3], [['committed', 3]], [['short_pick', -1]]],
    [
      [
        ['ship', 3],
        ['short', 1],
      ],
      [0, 0],
      [
        ['released', 1],
        ['shipped', 3],
      ],
      [
        ['shipment', -3],
        ['short_pick', -1],
      ],
    ],
    [
      [
        ['give', 1],
        ['ship', 1],
        ['short', 1],
      ],
      [2, 1],
      [
        ['committed', 1],
        ['shipped', 1],
      ],
      [
        ['shipment', -1],
        ['short_pick', -1],
      ],
    ],
    [[], [4, 4], [['committed', 4]], []],
  ])('%p', async (moves, level, reserved, moved) => {
    const order = await four()
    await move(order, moves)
    expect(await levels(order.sku)).toEqual({ [main]: level })
    expect(await reservations(order)).toEqual(reserved.map(([state, quantity]) => [main, state, quantity]))
    expect(await movements(order.shipmentId)).toEqual(moved)
    // Each movement says what is on hand after it, and the last one what the level says.
    const { rows } = await database.pool.query(
      'select delta, on_hand from stock_movement where sku = $1 and warehouse_id = $2 order by id',
      [order.sku, main],
    )
    let sum = 0
    for (const { delta, on_hand } of rows) expect(on_hand).toBe((sum += delta))
    expect(sum).toBe(level[0])
  })

  it.each<[Move[]]>([
    [[['ship', 5]]],
    [
      [
        ['ship', 3],
        ['give', 2],
      ],
    ],
  ])('is not moved beyond: %p', async (moves) => {
    const order = await four([[main, 9]])
    await expect(move(order, moves)).rejects.toThrow('Less is committed')
    expect(await levels(order.sku)).toEqual({ [main]: [13, 4] })
    expect(await movements(order.shipmentId)).toEqual([])
  })

  it('is not moved from where nothing is committed', async () => {
    const order = await four([[far, 4]])
    const elsewhere = {
      kind: 'ship',
      sku: order.sku,
      quantity: 1,
      warehouseId: far,
      shipmentId: order.shipmentId,
    } as const
    await expect(
      withTransaction(database.pool, (tx) => moveOrderStock(tx, order.orderId, [elsewhere])),
    ).rejects.toThrow('Less is committed')
  })

  it('of several orders at once leaves one level that adds up', async () => {
    const orders = [await four(), await four(), await four()]
    await Promise.all(
      orders.map((order) =>
        move(
          order,
          [
            ['ship', 2],
            ['give', 2],
          ],
          crowd,
        ),
      ),
    )
    for (const order of orders) expect(await levels(order.sku)).toEqual({ [main]: [2, 0] })
  })
})

describe('what an order waits for', () => {
  async function waiting(quantity: number, spare: SoldLine['spare']): Promise<Sold> {
    const order = await four(spare)
    await database.pool.query(
      'insert into back_order (order_id, sku, quantity, confirmed_at) values ($1, $2, $3, now())',
      [order.orderId, order.sku, quantity],
    )
    return order
  }
  const serve = ({ orderId }: Sold, except: WarehouseId | null, pool = database.pool) =>
    withTransaction(pool, async (tx) => {
      await tx.query('select from orders where id = $1 for update', [orderId])
      return serveWaiting(tx, orderId, except)
    })
  const left = async ({ orderId }: Sold) =>
    (await database.pool.query('select quantity from back_order where order_id = $1', [orderId])).rows.map(
      (row) => row.quantity,
    )

  it('is given from as few warehouses as it takes, those first that routing takes first', async () => {
    const order = await waiting(5, [
      [near, 2],
      [far, 2],
      [abroad, 2],
      [main, 2],
    ])
    const whole = await waiting(5, [
      [near, 2],
      [far, 9],
    ])
    expect((await serve(whole, null)).map(({ warehouseId, quantity }) => [warehouseId, quantity])).toEqual([[far, 5]])
    const served = await serve(order, null)
    expect(served.map(({ warehouseId, quantity }) => [warehouseId, quantity])).toEqual(
      expect.arrayContaining([
        [near, 2],
        [main, 2],
        [far, 1],
      ]),
    )
    expect(await levels(order.sku)).toEqual({ [near]: [2, 2], [main]: [6, 6], [far]: [2, 1], [abroad]: [2, 0] })
    expect(await left(order)).toEqual([])
  })

  it('is not given from a warehouse that is excepted, and goes on waiting for the rest', async () => {
    const order = await waiting(5, [
      [near, 2],
      [main, 9],
    ])
    await serve(order, main)
    expect(await levels(order.sku)).toEqual({ [near]: [2, 2], [main]: [13, 4] })
    expect(await left(order)).toEqual([3])
    expect(await serve(order, main)).toEqual([])
  })

  it('is given once, of many at once, and puts the order back into what is to be planned', async () => {
    const order = await waiting(2, [[far, 9]])
    const served = await Promise.all(Array.from({ length: 10 }, () => serve(order, null, crowd)))
    expect(served.flat()).toHaveLength(1)
    expect(await levels(order.sku)).toMatchObject({ [far]: [9, 2] })
    const { rows } = await database.pool.query('select planned_at from orders where id = $1', [order.orderId])
    expect(rows).toEqual([{ planned_at: null }])
  })
})

describe('units that are taken from one warehouse', () => {
  const take = ({ orderId }: Sold, units: readonly { sku: Sku; quantity: number }[], pool = database.pool) =>
    withTransaction(pool, async (tx) => {
      await tx.query('select from orders where id = $1 for update', [orderId])
      return takeWhole(tx, orderId, units, null)
    })

  it('come from the nearest that has all of them, whatever its priority', async () => {
    const order = await four([
      [abroad, 9],
      [far, 9],
    ])
    expect(await take(order, [{ sku: order.sku, quantity: 3 }])).toMatchObject({ warehouseId: far })
    expect(await take(order, [{ sku: order.sku, quantity: 7 }])).toMatchObject({ warehouseId: abroad })
  })

  it('come from no warehouse that is excepted', async () => {
    const order = await four([[far, 9]])
    const taken = await withTransaction(database.pool, (tx) =>
      takeWhole(tx, order.orderId, [{ sku: order.sku, quantity: 3 }], far),
    )
    expect(taken).toBeNull()
    expect(await levels(order.sku)).toEqual({ [main]: [4, 4], [far]: [9, 0] })
  })

  it('come from the first by its priority that has all of them, of those that are as near', async () => {
    const [order, more] = [
      await four([
        [near, 1],
        [far, 3],
      ]),
      await four(),
    ]
    await stock(more.sku, far, 2)
    await stock(more.sku, near, 2)
    const units = [
      { sku: order.sku, quantity: 3 },
      { sku: more.sku, quantity: 2 },
    ]
    expect(await take(order, units)).toEqual({ warehouseId: far, operation: 'manual' })
    expect(await levels(order.sku)).toEqual({ [main]: [4, 4], [near]: [1, 0], [far]: [3, 3] })
    expect(await levels(more.sku)).toMatchObject({ [near]: [2, 0], [far]: [2, 2] })
    expect(await take(order, units)).toBeNull()
  })

  it('are taken by one of two that want the last ones at once', async () => {
    const [one, two] = [await four([[far, 3]]), await four()]
    const units = [{ sku: one.sku, quantity: 3 }]
    const taken = await Promise.all([take(one, units, crowd), take(two, units, crowd)])
    expect(taken.filter((place) => place !== null)).toHaveLength(1)
    expect(await levels(one.sku)).toMatchObject({ [far]: [3, 3] })
  })
})
