import { withGoods } from '../../../db/fulfillment/goods'
import { pickShipment, serve } from '../../../db/fulfillment/reroute'
import { readEvents, readOrder } from '../../../db/order/read'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import { decideShipment, mayReplace } from '../../../domain/fulfillment/parcel-decisions'
import { workOf } from '../../../domain/fulfillment/work'
import type { ShipmentId, Sku, WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, ONE_STEP, type SoldLine, type SoldOrder } from '../../support/goods-statements'

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
afterEach(async () => {
  await database.pool.query(`update store_settings set short_pick = 'back_order'`)
  await isSound()
})

const {
  advance,
  inGoods,
  isSound,
  levels,
  movements,
  onlyShipment,
  pick,
  replace,
  reroute,
  reservations,
  sent,
  shipmentsOf,
  sold,
  stock,
  track,
  warehouse,
} = goodsStatements(() => database.pool)

interface Sold extends SoldOrder {
  readonly sku: Sku
  readonly shipmentId: ShipmentId
}

/** Three units of one SKU in one shipment of the main warehouse. */
async function three(spare: SoldLine['spare'] = []): Promise<Sold> {
  const order = await sold([{ from: [[main, 3]], spare }])
  return { ...order, sku: order.skus[0] as Sku, shipmentId: await onlyShipment(order) }
}

const placesOf = async (order: SoldOrder) =>
  (await shipmentsOf(order)).map(({ warehouseId, status, lines }) => [
    warehouseId,
    status,
    lines.map(({ quantity }) => quantity).join(),
  ])
const waitingOf = (order: SoldOrder) => inGoods(order, (goods) => goods.backOrders.map(({ quantity }) => quantity))
const pickOne = (order: Sold, pool = database.pool) =>
  pick(order, order.shipmentId, [{ sku: order.sku, quantity: 1 }], pool)

describe('a pick that is short', () => {
  it('takes what other warehouses have, as routing chooses them, and nothing from where it was short', async () => {
    const order = await three([
      [abroad, 5],
      [near, 1],
      [far, 1],
      [main, 4],
    ])
    expect(await pickOne(order)).toEqual({ outcome: 'done', mustTell: true })
    // One that has all goes before two that are nearer, as when an order is placed.
    expect(await placesOf(order)).toEqual([
      [main, 'picking', '1'],
      [abroad, 'allocated', '2'],
    ])
    expect(await levels(order.sku)).toEqual({ [main]: [5, 1], [abroad]: [5, 2], [near]: [1, 0], [far]: [1, 0] })
    expect(await movements(order.shipmentId)).toEqual([['short_pick', -2]])
    expect(await waitingOf(order)).toEqual([])
  })

  it('lets the rest wait where no other warehouse has it', async () => {
    const order = await three([[far, 1]])
    await pickOne(order)
    expect(await waitingOf(order)).toEqual([1])
    expect(await placesOf(order)).toEqual([
      [main, 'picking', '1'],
      [far, 'allocated', '1'],
    ])
    const events = await readEvents(database.pool, order.orderId)
    expect(events.find(({ type }) => type === 'order.back_ordered')?.data).toEqual({
      units: [{ sku: order.sku, quantity: 1 }],
    })
  })

  it('has a person asked about what waits, until it has come', async () => {
    const order = await three()
    await pickOne(order)
    const lookOf = async () =>
      (
        await database.pool.query(
          'select look_at <= now() as due, short_ask_at <= now() as short from orders where id = $1',
          [order.orderId],
        )
      ).rows[0]
    // Its workflow looks even when nobody tells it.
    expect(await lookOf()).toEqual({ due: true, short: true })
    expect(await inGoods(order, (goods) => workOf(goods).items)).toMatchObject([
      { kind: 'short', object: order.orderId, units: [{ sku: order.sku, quantity: 2 }] },
    ])
    await stock(order.sku, far, 2)
    await withTransaction(database.pool, (tx) => serve(tx, order.orderId, [null], ONE_STEP))
    await advance(order)
    expect(await inGoods(order, (goods) => workOf(goods).items)).toEqual([])
    expect(await lookOf()).toMatchObject({ short: null })
  })

  it('cancels the rest, where the shop wants that', async () => {
    await database.pool.query(`update store_settings set short_pick = 'cancel'`)
    const order = await three()
    await pickOne(order)
    expect(await waitingOf(order)).toEqual([])
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({ status: 'processing', cancelled: 1_000 })
    const all = await three()
    await pick(all, all.shipmentId, [])
    expect(await readOrder(database.pool, all.orderId)).toMatchObject({
      status: 'cancelled',
      cancelReason: 'out_of_stock',
    })
    expect(await levels(all.sku)).toEqual({ [main]: [0, 0] })
    expect((await reservations(all)).map(([, state]) => state)).toEqual(['released'])
  })

  it('of nothing ends the shipment, and another one takes its place', async () => {
    const order = await three([[far, 3]])
    await pick(order, order.shipmentId, [])
    expect((await placesOf(order)).map(([place, status]) => [place, status])).toEqual([
      [main, 'cancelled'],
      [far, 'allocated'],
    ])
  })

  it('reported ten times at once is reported once', async () => {
    const order = await three([[far, 5]])
    const picks = await Promise.all(Array.from({ length: 10 }, () => pickOne(order, crowd)))
    expect(picks.filter(({ outcome }) => outcome === 'done')).toHaveLength(1)
    expect(await levels(order.sku)).toEqual({ [main]: [1, 1], [far]: [5, 2] })
  })

  it('rolled back with its transaction changes nothing', async () => {
    const order = await three([[far, 5]])
    const { orderId, shipmentId, sku } = order
    const failing = withTransaction(database.pool, async (tx) => {
      await pickShipment(tx, { orderId, shipmentId, picked: [{ sku, quantity: 1 }] }, ONE_STEP)
      throw new Error('rolled back')
    })
    await expect(failing).rejects.toThrow('rolled back')
    expect(await levels(sku)).toEqual({ [main]: [3, 3], [far]: [5, 0] })
    expect(await placesOf(order)).toEqual([[main, 'allocated', '3']])
  })
})

describe('a reroute', () => {
  it('gives the units to another warehouse, and the stock back', async () => {
    const order = await three([[far, 3]])
    expect(await reroute(order, order.shipmentId)).toBe('done')
    expect(await placesOf(order)).toEqual([
      [main, 'cancelled', '3'],
      [far, 'allocated', '3'],
    ])
    expect(await levels(order.sku)).toEqual({ [main]: [3, 0], [far]: [3, 3] })
    expect(await reroute(order, order.shipmentId)).toBe('unchanged')
  })

  it('takes from the same warehouse what no other one has', async () => {
    const order = await three([[far, 1]])
    await reroute(order, order.shipmentId)
    expect(await placesOf(order)).toEqual(
      expect.arrayContaining([
        [main, 'cancelled', '3'],
        [far, 'allocated', '1'],
        [main, 'allocated', '2'],
      ]),
    )
    expect(await levels(order.sku)).toEqual({ [main]: [3, 2], [far]: [1, 1] })
  })

  it('of one that has left is refused', async () => {
    const order = await three([[far, 3]])
    await sent(order, order.shipmentId)
    expect(await reroute(order, order.shipmentId)).toEqual({ refused: 'already_shipped' })
    expect(await levels(order.sku)).toEqual({ [main]: [0, 0], [far]: [3, 0] })
  })

  it('of one, ten times at once, is done once', async () => {
    const order = await three([[far, 9]])
    const done = await Promise.all(Array.from({ length: 10 }, () => reroute(order, order.shipmentId, crowd)))
    expect(done.filter((outcome) => outcome === 'done')).toHaveLength(1)
    expect(await levels(order.sku)).toEqual({ [main]: [3, 0], [far]: [9, 3] })
  })
})

describe('a lost parcel', () => {
  async function lost(spare: SoldLine['spare'] = []): Promise<Sold> {
    const order = await three(spare)
    await sent(order, order.shipmentId)
    await track(order, order.shipmentId, 'lost')
    return order
  }

  it('is sent once more from one warehouse that has all of it: new stock, and no money', async () => {
    const order = await lost([
      [near, 2],
      [far, 3],
    ])
    const sentOnce = await Promise.all(Array.from({ length: 5 }, () => replace(order, order.shipmentId, crowd)))
    expect(sentOnce.sort()).toEqual(['done', ...Array(4).fill('unchanged')])
    const [, replacement] = await shipmentsOf(order)
    expect(replacement).toMatchObject({ warehouseId: far, replaces: order.shipmentId, status: 'allocated' })
    await sent(order, replacement?.id as ShipmentId)
    expect(await levels(order.sku)).toEqual({ [main]: [0, 0], [near]: [2, 0], [far]: [0, 0] })
    expect(await inGoods(order, (goods, books) => [books.captures.length, goods.lines[0]?.shipped])).toEqual([1, 3])
    expect(await reservations(order)).toEqual(
      expect.arrayContaining([
        [far, 'shipped', 3],
        [main, 'shipped', 3],
      ]),
    )
  })

  it('is not sent once more when no warehouse has all of it', async () => {
    const order = await lost([
      [near, 2],
      [far, 2],
    ])
    expect(await replace(order, order.shipmentId)).toBe('out_of_stock')
    expect(await levels(order.sku)).toEqual({ [main]: [0, 0], [near]: [2, 0], [far]: [2, 0] })
    expect(await inGoods(order, (goods) => mayReplace(goods, order.shipmentId))).toBe(true)
  })

  /** It is lost, and the parcel in its place is to be sent. */
  async function replaced(spare: SoldLine['spare']): Promise<Sold & { readonly again: ShipmentId }> {
    const order = await lost(spare)
    await replace(order, order.shipmentId)
    return { ...order, again: (await shipmentsOf(order)).at(-1)?.id as ShipmentId }
  }
  const decisions = async (order: SoldOrder) =>
    (await shipmentsOf(order)).map(({ status, needsDecision }) => [status, needsDecision])

  describe.each(['back_order', 'cancel'] as const)('and what is sent in its place (short picks: %s)', (shortPick) => {
    beforeEach(() => database.pool.query('update store_settings set short_pick = $1', [shortPick]))

    it('is short: it is sent whole from elsewhere, or a person decides about the lost one again', async () => {
      for (const found of [0, 1]) {
        const order = await replaced([
          [near, 3],
          [far, 3],
        ])
        const units = [{ sku: order.sku, quantity: found }]
        expect(await pick(order, order.again, units)).toEqual({ outcome: 'done', mustTell: true })
        expect(await placesOf(order)).toEqual([
          [main, 'lost', '3'],
          [near, 'cancelled', '3'],
          [far, 'allocated', '3'],
        ])
        expect(await levels(order.sku)).toEqual({ [main]: [0, 0], [near]: [found, 0], [far]: [3, 3] })
        const third = (await shipmentsOf(order)).at(-1)?.id as ShipmentId
        await pick(order, third, units)
        expect(await decisions(order)).toEqual([
          ['lost', true],
          ['cancelled', false],
          ['cancelled', false],
        ])
        expect(await levels(order.sku)).toEqual({ [main]: [0, 0], [near]: [found, 0], [far]: [found, 0] })
        expect(await waitingOf(order)).toEqual([])
        await advance(order)
        expect(await readOrder(database.pool, order.orderId)).toMatchObject({ status: 'shipped', cancelled: 0 })
      }
    })

    it('is short while other units of the order are still to be sent: they stay as they are', async () => {
      const order = await sold([{ from: [[main, 3]], spare: [[far, 3]] }, { from: [[near, 2]] }])
      const shipments = await shipmentsOf(order)
      const first = shipments.find(({ warehouseId }) => warehouseId === main)?.id as ShipmentId
      await sent(order, first)
      await track(order, first, 'lost')
      await replace(order, first)
      const again = (await shipmentsOf(order)).at(-1)?.id as ShipmentId
      await pick(order, again, [])
      await advance(order)
      expect(await readOrder(database.pool, order.orderId)).toMatchObject({ status: 'processing', cancelled: 0 })
      expect(await waitingOf(order)).toEqual([])
      expect((await decisions(order)).filter(([, needs]) => needs)).toEqual([['lost', true]])
    })
  })

  it('and what is sent in its place is rerouted: another warehouse sends it, or the same one', async () => {
    const order = await replaced([
      [near, 3],
      [far, 3],
    ])
    expect(await reroute(order, order.again)).toBe('done')
    expect(await placesOf(order)).toEqual([
      [main, 'lost', '3'],
      [near, 'cancelled', '3'],
      [far, 'allocated', '3'],
    ])
    const only = await replaced([[far, 3]])
    await reroute(only, only.again)
    expect((await placesOf(only)).slice(1)).toEqual([
      [far, 'cancelled', '3'],
      [far, 'allocated', '3'],
    ])
    expect(await levels(only.sku)).toEqual({ [main]: [0, 0], [far]: [3, 3] })
  })

  it('that was settled is not sent once more', async () => {
    const order = await lost([[far, 3]])
    await withGoods(database.pool, order.orderId, ONE_STEP, (goods) =>
      decideShipment(goods, order.shipmentId, 'settled'),
    )
    expect(await replace(order, order.shipmentId)).toBe('unchanged')
    expect((await readOrder(database.pool, order.orderId))?.status).toBe('delivered')
  })
})
