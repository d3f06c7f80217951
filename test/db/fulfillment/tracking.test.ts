import { randomUUID } from 'node:crypto'
import {
  endTracking,
  receiveTracking,
  takeDueTracking,
  takeSilentShipments,
  type ToldTracking,
  type TrackingRow,
} from '../../../db/fulfillment/tracking'
import { testDatabase, type TestDatabase } from '../../support/database'
import { orderStatements } from '../../support/order-statements'
import { insertShipment } from '../../support/shipments'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
beforeEach(() => database.pool.query('delete from tracking_event'))
afterAll(() => database.drop())

const { placed } = orderStatements(() => database.pool)

const told = (change: Partial<ToldTracking> = {}): ToldTracking => ({
  ...{ eventId: randomUUID(), trackingNumber: '77001', type: 'in_transit', happenedAt: '2026-01-02T03:04:05.678Z' },
  ...{ detail: null, expectedAt: null },
  ...change,
})
const receive = (...events: ToldTracking[]) => receiveTracking(database.pool, 'sandbox', events)
const take = () => takeDueTracking(database.pool, 100)
const makeDue = () => database.pool.query('update tracking_event set due_at = now() where done_at is null')
const rows = async () => (await database.pool.query('select * from tracking_event order by event_id, carrier')).rows

describe('what carriers tell', () => {
  it('is kept once, however often it comes and however many at once', async () => {
    const event = told()
    const received = await Promise.all(Array.from({ length: 10 }, () => receive(event, told({ eventId: 'evt_2' }))))
    expect(received.reduce((sum, one) => sum + one, 0)).toBe(2)
    expect(await receive(event, event)).toBe(0)
    expect(await rows()).toHaveLength(2)
  })

  it('is kept as it was told first, by each carrier for itself', async () => {
    await receive(told({ eventId: 'evt_1', detail: 'first', expectedAt: '2026-02-03T00:00:00Z' }))
    await receive(told({ eventId: 'evt_1', detail: 'second', type: 'delivered' }))
    await receiveTracking(database.pool, 'easypost', [told({ eventId: 'evt_1', detail: 'third' })])
    expect((await rows()).map(({ carrier, detail, type }) => [carrier, detail, type])).toEqual([
      ['easypost', 'third', 'in_transit'],
      ['sandbox', 'first', 'in_transit'],
    ])
  })

  it.each([
    ['no id', { eventId: '' }],
    ['no number', { trackingNumber: '' }],
    ['a NUL in its number', { trackingNumber: '77\u00001' }],
    ['a NUL in its id', { eventId: 'evt\u0000' }],
    ['a number without an end', { trackingNumber: '7'.repeat(201) }],
    ['no time', { happenedAt: 'soon' }],
    ['a time that Postgres does not know', { happenedAt: '0000-01-01T00:00:00Z' }],
    ['a year of five digits', { happenedAt: '+010000-01-01T00:00:00Z' }],
    ['a time that is in such a year', { happenedAt: '9999-12-31T23:59:59-12:00' }],
  ])('with %s is left out, and the others are kept', async (_, change) => {
    expect(await receive(told(change), told({ eventId: 'evt_good' }))).toBe(1)
    expect((await rows()).map(({ event_id }) => event_id)).toEqual(['evt_good'])
  })

  it.each([
    [{ detail: 'a\u0000b\nc' }, { detail: 'a b c' }],
    [{ detail: 'x'.repeat(5_000) }, { detail: 'x'.repeat(200) }],
    [{ detail: '\ud800' }, { detail: '\ufffd' }],
    [{ expectedAt: 'never' }, { expected_at: null }],
    [{ happenedAt: '2026-02-30T00:00:00Z' }, { happened_at: new Date('2026-03-02T00:00:00Z') }],
  ])('is written so that it can be kept: %j', async (change, expected) => {
    expect(await receive(told(change))).toBe(1)
    expect(await rows()).toMatchObject([expected])
  })
})

describe('events that are due', () => {
  it('are those of whose label we know, and of whose label we do not', async () => {
    const order = await placed()
    const { shipmentId, labelId, trackingNumber } = await insertShipment(database.pool, order)
    await receive(told({ eventId: 'a', trackingNumber }), told({ eventId: 'b', trackingNumber: 'another' }))
    const taken = await take()
    const owner = { labelId, orderId: order.orderId, shipmentId, orderStatus: expect.any(String) }
    expect(taken).toHaveLength(2)
    expect(taken).toContainEqual({
      ...{
        carrier: 'sandbox',
        eventId: 'a',
        trackingNumber,
        type: 'in_transit',
        detail: null,
        expectedAt: null,
        owner,
      },
      ...{ happenedAt: new Date('2026-01-02T03:04:05.678Z'), receivedAt: expect.any(Date) },
    })
    expect(taken).toContainEqual(expect.objectContaining({ eventId: 'b', owner: null }))
  })

  it('are of the newest label that has the number: carriers use them again after years', async () => {
    const { trackingNumber } = await insertShipment(database.pool, { ...(await placed()), status: 'delivered' })
    const newest = await insertShipment(database.pool, { ...(await placed()), trackingNumber })
    await database.pool.query(`update label set created_at = now() + interval '1 second' where id = $1`, [
      newest.labelId,
    ])
    await receive(told({ trackingNumber }))
    expect(await take()).toMatchObject([{ owner: { labelId: newest.labelId, shipmentId: newest.shipmentId } }])
  })

  it('of another carrier with the same number are none of this label', async () => {
    const { trackingNumber } = await insertShipment(database.pool, await placed())
    await receiveTracking(database.pool, 'easypost', [told({ trackingNumber })])
    expect(await take()).toMatchObject([{ owner: null }])
  })

  it('come again ever more rarely until they are ended, and find a label that came later', async () => {
    const waits: number[] = []
    await receive(told({ trackingNumber: '77late' }))
    for (let time = 0; time < 14; time++) {
      await makeDue()
      expect(await take()).toMatchObject([{ owner: null }])
      const { rows: found } = await database.pool.query(
        'select round(extract(epoch from due_at - now()))::int as wait from tracking_event',
      )
      waits.push(found[0].wait)
    }
    expect(waits.slice(0, 6)).toEqual([2, 4, 8, 16, 32, 64])
    expect(waits.slice(-2)).toEqual([3_600, 3_600])
    expect(await take()).toEqual([])
    const { shipmentId } = await insertShipment(database.pool, { ...(await placed()), trackingNumber: '77late' })
    await makeDue()
    const [event] = await take()
    expect(event?.owner?.shipmentId).toBe(shipmentId)
    await endTracking(database.pool, [event as TrackingRow], shipmentId)
    await makeDue()
    expect(await take()).toEqual([])
    expect(await rows()).toMatchObject([{ shipment_id: shipmentId, done_at: expect.any(Date) }])
  })

  it('are taken by one of many at a time', async () => {
    await receive(...Array.from({ length: 30 }, () => told()))
    const taken = (await Promise.all(Array.from({ length: 6 }, () => takeDueTracking(database.pool, 10)))).flat()
    expect(taken).toHaveLength(30)
    expect(new Set(taken.map(({ eventId }) => eventId)).size).toBe(30)
  })

  it('come in the order in which they happened', async () => {
    await receive(
      told({ eventId: 'late', happenedAt: '2026-01-03T00:00:00Z' }),
      told({ eventId: 'early', happenedAt: '2026-01-01T00:00:00Z' }),
    )
    expect((await take()).map(({ eventId }) => eventId)).toEqual(['early', 'late'])
  })

  it('end once: what ended one shipment is not another’s', async () => {
    const [one, other] = [
      await insertShipment(database.pool, await placed()),
      await insertShipment(database.pool, await placed()),
    ]
    await receive(told({ trackingNumber: one.trackingNumber }))
    const taken = await take()
    await endTracking(database.pool, taken, one.shipmentId)
    await endTracking(database.pool, taken, other.shipmentId)
    await endTracking(database.pool, [], one.shipmentId)
    expect(await rows()).toMatchObject([{ shipment_id: one.shipmentId }])
  })
})

describe('silent parcels', () => {
  beforeEach(() => database.pool.query('update shipment set ask_at = null'))

  const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000)
  const silent = () => takeSilentShipments(database.pool, 10)
  const waitOf = async (shipmentId: string) => {
    const { rows: found } = await database.pool.query(
      'select round(extract(epoch from ask_at - now()))::int as wait from shipment where id = $1',
      [shipmentId],
    )
    return found[0].wait
  }

  it('are taken when they are due, once', async () => {
    const due = await insertShipment(database.pool, { ...(await placed()), askAt: ago(1) })
    await insertShipment(database.pool, { ...(await placed()), askAt: ago(-60) })
    await insertShipment(database.pool, { ...(await placed()), askAt: null })
    const taken = (await Promise.all([silent(), silent(), silent()])).flat()
    expect(taken).toEqual([
      {
        ...{ shipmentId: due.shipmentId, orderId: due.orderId, carrier: 'sandbox', trackingNumber: due.trackingNumber },
        reference: expect.stringMatching(/^lb_/),
      },
    ])
  })

  it.each([
    [0, 30],
    [600, 300],
    [86_400 * 30, 43_200],
  ])('that left %p s ago are asked about again in %p s', async (left, wait) => {
    const { shipmentId } = await insertShipment(database.pool, {
      ...(await placed()),
      askAt: ago(1),
      shippedAt: ago(left),
    })
    await silent()
    expect(Math.abs((await waitOf(shipmentId)) - wait)).toBeLessThanOrEqual(2)
  })

  it.each([
    [10, 43_200],
    [100, null],
  ])('that have been lost for %p days are asked about again in %p s', async (days, wait) => {
    const { shipmentId } = await insertShipment(database.pool, {
      ...(await placed()),
      status: 'lost',
      askAt: ago(1),
      shippedAt: ago(86_400 * 200),
    })
    await database.pool.query('update shipment set ended_at = $2 where id = $1', [shipmentId, ago(86_400 * days)])
    expect(await silent()).toHaveLength(1)
    expect(await waitOf(shipmentId)).toBe(wait)
  })

  it('without a label to ask about are asked about no more', async () => {
    const { shipmentId } = await insertShipment(database.pool, {
      ...(await placed()),
      askAt: ago(1),
      labelStatus: 'voided',
    })
    expect(await silent()).toEqual([])
    expect(await waitOf(shipmentId)).toBeNull()
  })
})
