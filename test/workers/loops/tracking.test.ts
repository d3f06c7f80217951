import { randomUUID } from 'node:crypto'
import { endTracking, receiveTracking, type ToldTracking } from '../../../db/fulfillment/tracking'
import { withTransaction } from '../../../db/pool'
import type { OrderId } from '../../../domain/ids'
import { createLog } from '../../../log'
import { type CarrierProvider, CarrierUnavailable, type TrackingEvent } from '../../../providers/carrier/carrier'
import { unmatchedTracking } from '../../../workers/metrics'
import { type ApplyTracking, runTracking } from '../../../workers/loops/tracking'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'
import { insertShipment } from '../../support/shipments'
import { until } from '../../support/wait'

let database: TestDatabase
let stop: AbortController
let running: Promise<unknown>
/** What the loop did, and what it finds. */
let applied: Parameters<ApplyTracking>[1][]
let told: OrderId[]
let apply: ApplyTracking
let needsPerson: boolean
let tell: (order: { orderId: OrderId; isOver: boolean }) => Promise<boolean>
let carrier: Pick<CarrierProvider, 'track' | 'handOver'>

beforeEach(async () => {
  database = await testDatabase()
  ;[applied, told, needsPerson] = [[], [], false]
  apply = async (pool, input) => {
    applied.push(input)
    await withTransaction(pool, (tx) => endTracking(tx, input.events, input.shipmentId))
    return { tell: true, needsPerson }
  }
  tell = async ({ orderId }) => told.push(orderId) > 0
  carrier = { track: async () => [] }
  stop = new AbortController()
})
afterEach(async () => {
  stop.abort()
  await running
  await database.drop()
})

const { placed } = orderStatements(() => database.pool)

function run(processes = 1): void {
  const deps = {
    settings: { DATABASE_URL: database.url },
    pool: database.pool,
    carriers: { get: (name: string) => (name === 'sandbox' ? ({ name, ...carrier } as CarrierProvider) : undefined) },
    orders: { startFulfillment: (order: Parameters<typeof tell>[0]) => tell(order) },
    apply: ((...args) => apply(...args)) as ApplyTracking,
    log: createLog('silent', 'test'),
  }
  running = Promise.all(Array.from({ length: processes }, () => runTracking(deps, stop.signal)))
}

const event = (trackingNumber: string, change: Partial<ToldTracking> = {}): ToldTracking => ({
  ...{ eventId: randomUUID(), trackingNumber, type: 'in_transit', happenedAt: new Date().toISOString() },
  ...{ detail: null, expectedAt: null },
  ...change,
})
const receive = (...events: ToldTracking[]) => receiveTracking(database.pool, 'sandbox', events)
const openEvents = async () =>
  (await database.pool.query('select event_id from tracking_event where done_at is null')).rows.length

it('books the events of a parcel together, and tells its order once', async () => {
  const { orderId, shipmentId, trackingNumber } = await insertShipment(database.pool, await placed())
  const events = [
    event(trackingNumber, { happenedAt: '2026-01-02T00:00:00Z' }),
    event(trackingNumber, { happenedAt: '2026-01-01T00:00:00Z' }),
  ]
  await receive(...events)
  run()
  await until('it is told', () => told.length > 0)
  expect(applied).toMatchObject([{ orderId, shipmentId }])
  expect(applied[0]?.events.map(({ eventId }) => eventId)).toEqual([events[1]?.eventId, events[0]?.eventId])
  expect(told).toEqual([orderId])
  expect(await openEvents()).toBe(0)
})

it('wakes up by what comes, long before its time', async () => {
  run()
  const { trackingNumber } = await insertShipment(database.pool, await placed())
  await receive(event(trackingNumber))
  await until('it is told', () => told.length > 0)
})

it('shares the work with other processes: each event is booked once', async () => {
  const shipments = await Promise.all(
    Array.from({ length: 12 }, async () => insertShipment(database.pool, await placed())),
  )
  await receive(...shipments.map(({ trackingNumber }) => event(trackingNumber)))
  run(3)
  await until('all are told', () => new Set(told).size === 12)
  expect(applied).toHaveLength(12)
})

it('one parcel that cannot be booked holds up no other, and comes again', async () => {
  const [bad, good] = [
    await insertShipment(database.pool, await placed()),
    await insertShipment(database.pool, await placed()),
  ]
  const usual = apply
  let failures = 0
  apply = async (pool, input) => {
    if (input.shipmentId === bad.shipmentId && ++failures < 2) throw new Error('the database broke')
    return usual(pool, input)
  }
  await receive(event(bad.trackingNumber), event(good.trackingNumber))
  run()
  await until('the other is told', () => told.includes(good.orderId))
  await until('so is the first, later', () => told.includes(bad.orderId))
})

it('what is left by who books it comes again', async () => {
  const { trackingNumber } = await insertShipment(database.pool, await placed())
  const usual = apply
  let times = 0
  apply = async (pool, input) => (++times < 2 ? { tell: false, needsPerson: false } : usual(pool, input))
  await receive(event(trackingNumber))
  run()
  await until('it is booked', async () => (await openEvents()) === 0)
  expect(times).toBe(2)
  expect(told).toHaveLength(1)
})

it('an order that cannot be told is told later', async () => {
  const { orderId, trackingNumber } = await insertShipment(database.pool, await placed())
  let tries = 0
  tell = async () => {
    if (++tries < 3) throw new Error('Temporal is away')
    return told.push(orderId) > 0
  }
  await receive(event(trackingNumber))
  run()
  await until('it is told', () => told.length > 0)
  expect(applied).toHaveLength(1)
})

describe('an event of no label that we know', () => {
  const receivedDaysAgo = (days: number) =>
    database.pool.query(`update tracking_event set due_at = now(), received_at = now() - make_interval(days => $1)`, [
      days,
    ])
  const unmatched = async () =>
    (await unmatchedTracking.get()).values.find(({ labels }) => labels.carrier === 'sandbox')?.value ?? 0

  it('is kept, and booked when its label is there', async () => {
    await receive(event('77soon'))
    await receivedDaysAgo(13)
    run()
    await until('it was looked at', async () => {
      const { rows } = await database.pool.query('select tries from tracking_event')
      return rows[0].tries > 0
    })
    expect(await openEvents()).toBe(1)
    const { orderId } = await insertShipment(database.pool, { ...(await placed()), trackingNumber: '77soon' })
    await database.pool.query('update tracking_event set due_at = now()')
    await until('it is told', () => told.includes(orderId))
  })

  it('is given up after two weeks, forgotten, and counted', async () => {
    const before = await unmatched()
    await receive(event('77never'), event('77never'))
    await receivedDaysAgo(15)
    run()
    await until('they are ended', async () => (await openEvents()) === 0)
    expect((await unmatched()) - before).toBe(2)
    expect(applied).toEqual([])
    expect((await database.pool.query('select from tracking_event')).rows).toEqual([])
  })
})

describe('a parcel of which nothing is heard', () => {
  const silent = async (trackingNumber?: string) =>
    insertShipment(database.pool, {
      ...(await placed()),
      ...(trackingNumber === undefined ? {} : { trackingNumber }),
      askAt: new Date(Date.now() - 1_000),
    })

  it('is asked about, and what its carrier knows is booked', async () => {
    const shipment = await silent()
    const seen: TrackingEvent = { ...event(shipment.trackingNumber), eventId: 'evt_asked', type: 'delivered' }
    const handedOver: string[] = []
    carrier = { track: async () => [seen], handOver: async (reference) => void handedOver.push(reference) }
    run()
    await until('it is told', () => told.length > 0)
    expect(applied).toMatchObject([
      { shipmentId: shipment.shipmentId, events: [{ eventId: 'evt_asked', type: 'delivered' }] },
    ])
    expect(handedOver).toEqual([expect.stringMatching(/^lb_/)])
  })

  it('whose carrier does not answer or does not know it is asked about again, and holds up no other', async () => {
    const [away, unknown, good] = [await silent('77away'), await silent('77unknown'), await silent('77good')]
    const asked: string[] = []
    carrier = {
      async track(number) {
        asked.push(number)
        if (number === away.trackingNumber) throw new CarrierUnavailable('nobody is there')
        return number === unknown.trackingNumber ? null : [{ ...event(number), eventId: 'evt_good' }]
      },
    }
    run()
    await until('the other is told', () => told.includes(good.orderId))
    expect(new Set(asked)).toEqual(new Set(['77away', '77unknown', '77good']))
    const { rows } = await database.pool.query('select ask_at > now() as later from shipment')
    expect(rows).toEqual([{ later: true }, { later: true }, { later: true }])
  })

  it('of a carrier that is not here any more is passed over', async () => {
    const { shipmentId } = await silent()
    await database.pool.query(`update label set carrier = 'gone'`)
    run()
    await until('it is passed over', async () => {
      const { rows } = await database.pool.query('select ask_at > now() as later from shipment where id = $1', [
        shipmentId,
      ])
      return rows[0].later
    })
    expect(applied).toEqual([])
  })
})
