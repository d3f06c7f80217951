import { randomUUID } from 'node:crypto'
import { applyWarehouseEvent } from '../../../db/fulfillment/warehouse-event'
import { withTransaction } from '../../../db/pool'
import { openAgain } from '../../../domain/fulfillment/cancelling'
import type { WarehouseNews } from '../../../domain/fulfillment/warehouse-news'
import type { ShipmentId, WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, ONE_STEP, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
let place: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  place = await warehouse('external')
})
afterAll(() => database?.drop())
afterEach(() => isSound())

const { advance, inGoods, isSound, labelled, onlyShipment, pay, shipmentsOf, sold, track, warehouse } = goodsStatements(
  () => database.pool,
)

interface Theirs {
  readonly order: SoldOrder
  readonly id: ShipmentId
}

async function shipment(): Promise<Theirs> {
  const order = await sold([{ from: [[place, 3]] }])
  return { order, id: await onlyShipment(order) }
}

function tell({ order, id }: Theirs, news: Partial<WarehouseNews>) {
  const said = { revision: null, lines: null, boxes: null, carrier: null, trackingNumber: null, code: null }
  return withTransaction(database.pool, (tx) =>
    applyWarehouseEvent(
      tx,
      {
        warehouseId: place,
        eventId: randomUUID(),
        orderId: order.orderId,
        shipmentId: id,
        news: { type: 'shipment.shipped', ...said, ...news },
        body: {},
      },
      ONE_STEP,
    ),
  )
}

const liveNumber = ({ order }: Theirs) =>
  inGoods(order, ({ labels }) => labels.find(({ status }) => status === 'live')?.trackingNumber)

/** Its money is taken, and it arrives. */
async function deliver({ order, id }: Theirs): Promise<void> {
  await pay(order)
  await advance(order)
  await track(order, id, 'delivered')
}

describe('a tracking number that a warehouse names', () => {
  it.each([null, 'courier'])('and that another parcel has says nothing of this one: carrier %p', async (carrier) => {
    const [one, two] = [await shipment(), await shipment()]
    const trackingNumber = randomUUID()
    for (const each of [one, two])
      expect(await tell(each, { carrier, trackingNumber })).toMatchObject({ isNew: true, needsPerson: true })
    expect([await liveNumber(one), await liveNumber(two)]).toEqual([trackingNumber, null])
  })

  it.each([null, 'courier'])('may be one of years ago: carrier %p', async (carrier) => {
    const [one, two] = [await shipment(), await shipment()]
    const trackingNumber = randomUUID()
    await tell(one, { carrier, trackingNumber })
    await deliver(one)
    await tell(two, { carrier, trackingNumber })
    expect(await liveNumber(two)).toBe(trackingNumber)
  })

  it('may be the one that the shipment itself had before', async () => {
    const one = await shipment()
    await labelled(one.order, one.id)
    const number = await liveNumber(one)
    await inGoods(one.order, (goods) => openAgain(goods, goods.shipment(one.id)))
    await tell(one, { carrier: 'sandbox', trackingNumber: number ?? '' })
    expect(await liveNumber(one)).toBe(number)
  })
})

it('what a warehouse counts once more, and finds less of, is waited for, and not paid for', async () => {
  const one = await shipment()
  const [sku] = one.order.skus
  const found = (quantity: number) => ({ lines: [{ sku: sku as never, quantity }] })
  await tell(one, { type: 'shipment.picked' })
  await tell(one, { type: 'shipment.packed', ...found(2) })
  await tell(one, { type: 'shipment.packed', ...found(1) })
  expect(await shipmentsOf(one.order)).toMatchObject([{ status: 'packed', ...found(1) }])
  expect(await inGoods(one.order, ({ backOrders }) => backOrders)).toEqual([{ sku, quantity: 2 }])
})
