import { randomUUID } from 'node:crypto'
import { readCarrierRecords } from '../../../db/fulfillment/carrier-record'
import { readShipment } from '../../../db/fulfillment/read'
import { applyTracking } from '../../../db/fulfillment/tracking-apply'
import { receiveTracking, takeDueTracking, type TrackingRow } from '../../../db/fulfillment/tracking'
import { readEvents, readOrder } from '../../../db/order/read'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import type { TrackingType } from '../../../domain/fulfillment/shipment'
import type { ShipmentId, Sku, WarehouseId } from '../../../domain/ids'
import type { WantedUnits } from '../../../domain/order'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, type SoldOrder } from '../../support/goods-statements'

let database: TestDatabase
let crowd: Pool
let main: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
  main = await warehouse()
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})
afterEach(() => isSound())

const { advance, inGoods, isSound, labelled, onlyShipment, pay, sent, shipmentsOf, sold, warehouse } = goodsStatements(
  () => database.pool,
)

interface Parcel {
  readonly order: SoldOrder
  readonly id: ShipmentId
}

async function parcel({ hasLeft = true } = {}): Promise<Parcel> {
  const order = await sold([{ from: [[main, 2]] }])
  const id = await onlyShipment(order)
  await (hasLeft ? sent(order, id) : labelled(order, id))
  return { order, id }
}

/** Ten hours ago. */
const NOON = Date.now() - 10 * 3_600_000

/** What the carrier tells, kept and taken as by the process that listens. */
async function tell(
  { id }: Parcel,
  ...told: readonly [TrackingType, hour: number, expectedHour?: number][]
): Promise<TrackingRow[]> {
  const { rows } = await database.pool.query('select tracking_number from label where shipment_id = $1', [id])
  const at = (hour: number): string => new Date(NOON + hour * 3_600_000).toISOString()
  await receiveTracking(
    database.pool,
    'sandbox',
    told.map(([type, hour, expected]) => ({
      eventId: randomUUID(),
      trackingNumber: rows[0].tracking_number,
      type,
      happenedAt: at(hour),
      detail: null,
      expectedAt: expected === undefined ? null : at(expected),
    })),
  )
  return take()
}

async function take(): Promise<TrackingRow[]> {
  await database.pool.query('update tracking_event set due_at = now() where done_at is null')
  return takeDueTracking(database.pool, 100)
}

const apply = ({ order, id }: Parcel, events: readonly TrackingRow[], pool = database.pool) =>
  applyTracking(pool, { orderId: order.orderId, shipmentId: id, events })
const shipmentOf = async ({ order, id }: Parcel) => (await shipmentsOf(order)).find((each) => each.id === id)
const open = async () => (await database.pool.query('select from tracking_event where done_at is null')).rowCount
const toldOf = async ({ order }: Parcel) =>
  (await readEvents(database.pool, order.orderId))
    .map(({ type }) => type)
    .filter((type) => /delivered|lost|returned/.test(type))

it('delivers the parcel, and its order with the last one, and says so once', async () => {
  const one = await parcel()
  const events = await tell(one, ['in_transit', 1], ['delivered', 5])
  expect(await apply(one, events)).toMatchObject({ tell: true })
  expect(await shipmentOf(one)).toMatchObject({
    status: 'delivered',
    endedAt: new Date(NOON + 5 * 3_600_000).toISOString(),
  })
  expect(await readOrder(database.pool, one.order.orderId)).toMatchObject({
    status: 'delivered',
    fulfillmentStatus: 'delivered',
  })
  expect(await apply(one, events)).toMatchObject({ tell: false })
  expect(await toldOf(one)).toEqual(['shipment.delivered', 'order.delivered'])
  expect(await open()).toBe(0)
})

/** What there is to be seen of an order, and of its row. */
const stateOf = async ({ order }: Parcel) => {
  const { rows } = await database.pool.query('select updated_at, event_seq, look_at from orders where id = $1', [
    order.orderId,
  ])
  return [rows, await shipmentsOf(order)]
}

it.each(['sent', 'lost', 'delivered'] as const)(
  'that only says that a parcel travels, which was %s, is kept and moves nothing',
  async (state) => {
    const one = await parcel()
    if (state !== 'sent') await apply(one, await tell(one, [state, 1]))
    const before = await stateOf(one)
    const events = await tell(one, ['in_transit', 2], ['exception', 3], ['out_for_delivery', 4])
    expect(await apply(one, events)).toEqual({ tell: false, needsPerson: false })
    expect(await apply(one, events)).toEqual({ tell: false, needsPerson: false })
    expect(await stateOf(one)).toEqual(before)
    expect(await open()).toBe(0)
    const shown = (await readShipment(database.pool, one.id))?.events ?? []
    expect(shown.map(({ type }) => type)).toEqual(expect.arrayContaining(events.map(({ type }) => type)))
  },
)

it('that says when a parcel is expected, anew, moves that', async () => {
  const one = await parcel()
  await apply(one, await tell(one, ['in_transit', 1, 20], ['out_for_delivery', 2, 20]))
  await apply(one, await tell(one, ['exception', 3, 40]))
  await apply(one, await tell(one, ['in_transit', 4]))
  expect(await shipmentOf(one)).toMatchObject({ expectedAt: new Date(NOON + 40 * 3_600_000).toISOString() })
  expect(await open()).toBe(0)
})

it('is shown as its carrier told it, when it happened, beside the steps of its warehouse', async () => {
  const one = await parcel()
  const { rows } = await database.pool.query('select tracking_number from label where shipment_id = $1', [one.id])
  const told = (type: TrackingType, hour: number, detail: string) => ({
    ...{ eventId: randomUUID(), trackingNumber: rows[0].tracking_number, type, detail, expectedAt: null },
    happenedAt: new Date(NOON + hour * 3_600_000).toISOString(),
  })
  const events = [told('lost', 1, 'not_scanned'), told('delivered', 5, 'left_at_door')]
  await receiveTracking(database.pool, 'sandbox', events)
  await apply(one, await take())
  const shown = (await readShipment(database.pool, one.id))?.events ?? []
  const carriers = shown.filter(({ type }) => type === 'lost' || type === 'delivered')
  expect(carriers.map(({ at, ...event }) => ({ ...event, at: new Date(at).toISOString() }))).toEqual(
    events.map(({ happenedAt, type, detail }) => ({ at: happenedAt, type, detail })),
  )
  expect(shown.map(({ type }) => type)).toEqual(expect.arrayContaining(['allocated', 'picked', 'labelled', 'shipped']))
})

it('takes the same of twenty at once once', async () => {
  const one = await parcel()
  const events = await tell(one, ['delivered', 5])
  const told = await Promise.all(Array.from({ length: 20 }, () => apply(one, events, crowd)))
  expect(told.filter((each) => each.tell)).toHaveLength(1)
  expect(await toldOf(one)).toEqual(['shipment.delivered', 'order.delivered'])
})

it.each<[what: string, rounds: [TrackingType, number][][], status: string]>([
  ['later news first', [[['delivered', 9]], [['in_transit', 1]]], 'delivered'],
  ['lost, and found', [[['lost', 1]], [['delivered', 9]]], 'delivered'],
  ['found, and only then told as lost', [[['delivered', 9]], [['lost', 1]]], 'delivered'],
  [
    'lost, and come back',
    [
      [
        ['lost', 1],
        ['returned', 9],
      ],
    ],
    'returned',
  ],
  [
    'all at once, in no order',
    [
      [
        ['delivered', 9],
        ['lost', 3],
        ['accepted', 1],
      ],
    ],
    'delivered',
  ],
  ['kept by something', [[['exception', 1]]], 'shipped'],
])('%s', async (_what, rounds, status) => {
  const one = await parcel()
  for (const round of rounds) await apply(one, await tell(one, ...round))
  expect((await shipmentOf(one))?.status).toBe(status)
  expect(await open()).toBe(0)
})

it('asks a person about a parcel that is lost, and no more once it is found', async () => {
  const one = await parcel()
  expect(await apply(one, await tell(one, ['lost', 1]))).toMatchObject({ tell: true })
  expect(await shipmentOf(one)).toMatchObject({ status: 'lost', needsDecision: true })
  expect((await readOrder(database.pool, one.order.orderId))?.status).toBe('shipped')
  expect(await apply(one, await tell(one, ['delivered', 2]))).toMatchObject({ tell: true })
  expect(await shipmentOf(one)).toMatchObject({ status: 'delivered', needsDecision: false })
})

it('keeps what comes before the parcel has left, takes its money, and counts it afterwards', async () => {
  const one = await parcel({ hasLeft: false })
  const events = await tell(one, ['in_transit', 1], ['delivered', 5])
  expect(await apply(one, events)).toMatchObject({ tell: true })
  expect([await open(), (await shipmentOf(one))?.isLeaving]).toEqual([2, true])
  expect(await apply(one, events)).toMatchObject({ tell: false })
  await advance(one.order)
  await pay(one.order)
  await advance(one.order)
  expect((await shipmentOf(one))?.status).toBe('shipped')
  await apply(one, await take())
  expect([(await shipmentOf(one))?.status, await open()]).toEqual(['delivered', 0])
  expect(await inGoods(one.order, (_, books) => books.captures.length)).toBe(1)
})

it('takes it as news that a parcel travels which nobody has sent', async () => {
  const one = await parcel({ hasLeft: false })
  expect(await apply(one, await tell(one, ['in_transit', 1]))).toMatchObject({ tell: true })
  expect([await open(), (await shipmentOf(one))?.isLeaving]).toEqual([1, true])
  await advance(one.order)
  await pay(one.order)
  await advance(one.order)
  await apply(one, await take())
  expect([(await shipmentOf(one))?.status, await open()]).toEqual(['shipped', 0])
})

describe('a parcel that travels by a label that is not live', () => {
  const cancel = ({ orderId }: SoldOrder, wanted: WantedUnits) =>
    withTransaction(database.pool, (tx) =>
      cancelUnits(tx, { orderId, wanted, reason: 'customer', reasonCode: 'changed_mind', actor: null, step: 1 }),
    )

  it('of an order that was cancelled is a case, for which its workflow begins again, and nothing is delivered', async () => {
    const one = await parcel({ hasLeft: false })
    expect(await cancel(one.order, null)).toEqual({ outcome: 'cancelled' })
    const events = await tell(one, ['in_transit', 1], ['delivered', 5])
    expect(await apply(one, events)).toEqual({ tell: true, needsPerson: true })
    expect(await shipmentOf(one)).toMatchObject({ status: 'cancelled', needsDecision: true, trouble: 'left' })
    expect([await open(), await toldOf(one)]).toEqual([0, []])
    expect(await apply(one, await tell(one, ['delivered', 6]))).toEqual({ tell: false, needsPerson: true })
    const told = (await readEvents(database.pool, one.order.orderId)).map(({ type }) => type)
    expect(told.filter((type) => type === 'shipment.left_unasked')).toHaveLength(1)
  })

  it('of a shipment that was opened again is none of the parcel that is sent in the end', async () => {
    const one = await parcel({ hasLeft: false })
    const [sku] = one.order.skus as [Sku]
    await cancel(one.order, [{ sku, quantity: 1 }])
    await sent(one.order, one.id)
    const { rows } = await database.pool.query(
      'select tracking_number, status from label where shipment_id = $1 order by number',
      [one.id],
    )
    expect(rows.map(({ status }) => status)).toEqual(['voiding', 'live'])
    const told = { type: 'delivered', happenedAt: new Date().toISOString(), detail: null, expectedAt: null } as const
    const deliveredBy = async (trackingNumber: string): Promise<void> => {
      await receiveTracking(database.pool, 'sandbox', [{ ...told, eventId: randomUUID(), trackingNumber }])
      await apply(one, await take())
    }
    await deliveredBy(rows[0].tracking_number)
    expect(await shipmentOf(one)).toMatchObject({ status: 'shipped', needsDecision: true, trouble: 'left' })
    await deliveredBy(rows[1].tracking_number)
    expect((await shipmentOf(one))?.status).toBe('delivered')
  })
})

it('counts each delivery once for its carrier, in time or late', async () => {
  const before = await recordOf()
  for (const [told, onTime] of [
    [
      [
        ['in_transit', 1, 6],
        ['delivered', 5],
      ],
      1,
    ],
    [
      [
        ['in_transit', 1, 4],
        ['delivered', 5],
      ],
      0,
    ],
  ] as const) {
    const one = await parcel()
    const [delivered, late] = await recordOf()
    const events = await tell(one, ...(told as never as [TrackingType, number, number?][]))
    for (let times = 0; times < 2; times++) await apply(one, events)
    expect(await recordOf()).toEqual([(delivered ?? 0) + 1, (late ?? 0) + onTime])
  }
  expect((await recordOf())[0]).toBe((before[0] ?? 0) + 2)
})

async function recordOf(): Promise<number[]> {
  const records = (await readCarrierRecords(database.pool, 'GB')).filter(({ carrier }) => carrier === 'sandbox')
  return [
    records.reduce((sum, { delivered }) => sum + Number(delivered), 0),
    records.reduce((sum, { onTime }) => sum + Number(onTime), 0),
  ]
}

it('has its order looked at when nobody has to decide about the parcel any more, even if nobody tells its workflow', async () => {
  const one = await parcel()
  await apply(one, await tell(one, ['lost', 1]))
  await advance(one.order)
  await database.pool.query('update orders set look_at = null where id = $1', [one.order.orderId])
  await apply(one, await tell(one, ['delivered', 2]))
  const { rows } = await database.pool.query('select look_at <= now() as due from orders where id = $1', [
    one.order.orderId,
  ])
  expect(rows).toEqual([{ due: true }])
})
