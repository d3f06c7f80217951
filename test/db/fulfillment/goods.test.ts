import { readEvents, readOrder } from '../../../db/order/read'
import { orderOfShipment } from '../../../db/fulfillment/goods'
import { cancelUnits } from '../../../db/fulfillment/cancel'
import { keepLabelReference, keepRequest, readLabel } from '../../../db/fulfillment/label'
import { newId } from '../../../db/id'
import { holdOrder } from '../../../db/order/hold'
import { createPool, type Pool, withTransaction } from '../../../db/pool'
import { advance as advanceGoods } from '../../../domain/fulfillment/advance'
import { answerVoid, claimLabel, takeLabel } from '../../../domain/fulfillment/labels'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { pack } from '../../../domain/fulfillment/picking'
import type { LabelId, ShipmentId, WarehouseId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { goodsStatements, type SoldOrder } from '../../support/goods-statements'
import { ADDRESS } from '../../support/shop'

let database: TestDatabase
let crowd: Pool
let main: WarehouseId
let other: WarehouseId
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: 20 }, { name: 'crowd' })
  main = await warehouse()
  other = await warehouse()
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})
afterEach(() => isSound())

const {
  advance,
  inGoods,
  isSound,
  labelled,
  ledger,
  levels,
  movements,
  onlyShipment,
  pay,
  pick,
  reroute,
  reservations,
  sent,
  shipmentsOf,
  sold,
  warehouse,
} = goodsStatements(() => database.pool)

const cancelAll = ({ orderId }: SoldOrder, pool = database.pool) =>
  withTransaction(pool, (tx) =>
    cancelUnits(tx, { orderId, wanted: null, reason: 'customer', reasonCode: 'changed_mind', actor: null, step: 1 }),
  )
const statusOf = async ({ orderId }: SoldOrder) => (await readOrder(database.pool, orderId))?.status

describe('a parcel that leaves', () => {
  it('takes its stock, earns its money, and tells it once', async () => {
    const order = await sold([{ from: [[main, 2]], spare: [[main, 3]] }])
    const [sku] = order.skus
    const id = await onlyShipment(order)
    expect((await levels(sku as never))[main]).toEqual([5, 2])
    await sent(order, id)
    expect((await levels(sku as never))[main]).toEqual([3, 0])
    expect(await reservations(order)).toEqual([[main, 'shipped', 2]])
    expect(await movements(id)).toEqual([['shipment', -2]])
    // 1,000 of goods with 166 of tax in them, a fee of 99 with 16.
    expect(await ledger(order)).toEqual({
      psp_clearing: 1_099,
      revenue: 166 - 1_000,
      shipping_revenue: 16 - 99,
      tax_payable: -166 - 16,
    })
    for (let times = 0; times < 2; times++) await advance(order)
    const told = (await readEvents(database.pool, order.orderId)).map(({ type }) => type)
    expect(told.slice(told.indexOf('shipment.allocated'))).toEqual([
      'shipment.allocated',
      'order.processing',
      'shipment.picked',
      'shipment.packed',
      'shipment.labelled',
      'payment.capture_requested',
      'payment.captured',
      'shipment.shipped',
      'order.shipped',
    ])
    expect(await readOrder(database.pool, order.orderId)).toMatchObject({
      status: 'shipped',
      fulfillmentStatus: 'fulfilled',
      paymentStatus: 'captured',
    })
    expect(await orderOfShipment(database.pool, id)).toBe(order.orderId)
    expect(await orderOfShipment(database.pool, newId('shipment'))).toBeNull()
  })

  it('leaves the units of another warehouse where they are', async () => {
    const order = await sold([
      {
        from: [
          [main, 1],
          [other, 2],
        ],
      },
      { from: [[main, 1]] },
    ])
    const [cup, saucer] = order.skus
    const shipments = await shipmentsOf(order)
    const from = (place: WarehouseId) => shipments.find(({ warehouseId }) => warehouseId === place)?.id as ShipmentId
    await sent(order, from(main))
    expect(await levels(cup as never)).toEqual({ [main]: [0, 0], [other]: [2, 2] })
    expect(await levels(saucer as never)).toEqual({ [main]: [0, 0] })
    expect(await statusOf(order)).toBe('processing')
    // Two of four units, and the fee.
    expect((await ledger(order)).psp_clearing).toBe(1_099)
    await sent(order, from(other))
    expect(await statusOf(order)).toBe('shipped')
    expect(await ledger(order)).toMatchObject({ psp_clearing: 2_099, revenue: 4 * 83 - 2_000 })
    expect(await ledger(order)).not.toHaveProperty('customer_deposits')
  })

  it('goes on as its warehouse was run when it was given to it', async () => {
    const place = await warehouse('external')
    const order = await sold([{ from: [[place, 1]] }, { from: [[place, 2]] }])
    const id = await onlyShipment(order)
    await labelled(order, id)
    await advance(order)
    await pay(order)
    await advance(order)
    await database.pool.query(`update warehouse set operation = 'manual' where id = $1`, [place])
    await advance(order)
    expect(await shipmentsOf(order)).toMatchObject([{ id, operation: 'external', releasedAt: expect.any(String) }])
    // What is given to it from then on is led by people.
    expect(await reroute(order, id)).toEqual({ refused: 'already_shipped' })
    const later = await sold([{ from: [[place, 1]] }])
    expect(await shipmentsOf(later)).toMatchObject([{ operation: 'manual' }])
  })

  it('that is sent from elsewhere goes on as that is run', async () => {
    const [theirs, ours] = [await warehouse('external'), await warehouse('manual')]
    const order = await sold([{ from: [[theirs, 1]], spare: [[ours, 1]] }])
    await reroute(order, await onlyShipment(order))
    expect(await shipmentsOf(order)).toMatchObject([
      { status: 'cancelled', operation: 'external' },
      { status: 'allocated', operation: 'manual' },
    ])
  })

  it('waits for its money', async () => {
    const order = await sold([{ from: [[main, 1]] }])
    const id = await onlyShipment(order)
    await labelled(order, id)
    await inGoods(order, (goods) => wantToShip(goods, id))
    await advance(order)
    await advance(order)
    expect(await inGoods(order, (goods, books) => [goods.shipment(id).status, books.captures.length])).toEqual([
      'labelled',
      1,
    ])
    await pay(order)
    await advance(order)
    expect(await inGoods(order, (goods) => goods.shipment(id).status)).toBe('shipped')
  })
})

describe('of a parcel that is to leave and of its cancellation', () => {
  it.each([1, 2, 3, 4])('exactly one wins, at once: %i', async () => {
    const order = await sold([{ from: [[main, 2]] }])
    const id = await onlyShipment(order)
    await labelled(order, id)
    const [, cancelled] = await Promise.all([
      inGoods(
        order,
        (goods, books) => {
          wantToShip(goods, id)
          advanceGoods(goods, books)
        },
        crowd,
      ),
      cancelAll(order, crowd),
    ])
    await advance(order)
    await pay(order)
    await advance(order)
    await advance(order)
    const { status, lines } = await inGoods(order, (goods) => ({ status: goods.order.status, lines: goods.lines }))
    expect(status).toBe(cancelled.outcome === 'cancelled' ? 'cancelled' : 'shipped')
    expect(lines.map((line) => line.cancelled + line.shipped)).toEqual([2])
    const { rows } = await database.pool.query('select state, code from order_command where order_id = $1', [
      order.orderId,
    ])
    expect(rows).toEqual(cancelled.outcome === 'cancelled' ? [] : [{ state: 'refused', code: 'already_shipped' }])
    expect(await ledger(order)).toEqual(
      status === 'cancelled'
        ? { authorized: 1_099, authorized_contra: -1_099 }
        : expect.objectContaining({ psp_clearing: 1_099 }),
    )
  })

  it('twenty cancellations, and twenty of the same, cancel each unit once', async () => {
    const order = await sold([
      {
        from: [
          [main, 2],
          [other, 1],
        ],
      },
    ])
    await shipmentsOf(order)
    await Promise.all(Array.from({ length: 20 }, () => cancelAll(order, crowd)))
    expect(await statusOf(order)).toBe('cancelled')
    expect((await reservations(order)).map(([, state]) => state)).toEqual(['released', 'released'])
    const events = await readEvents(database.pool, order.orderId)
    expect(events.filter(({ type }) => type === 'order.cancelled')).toHaveLength(1)
  })

  it('of a part of it gives that back, and its label with it', async () => {
    const order = await sold([{ from: [[main, 3]] }])
    const [sku] = order.skus
    const id = await onlyShipment(order)
    await labelled(order, id)
    await withTransaction(database.pool, (tx) =>
      cancelUnits(tx, {
        orderId: order.orderId,
        wanted: [{ sku: sku as never, quantity: 1 }],
        reason: 'customer',
        reasonCode: 'changed_mind',
        actor: null,
        step: 1,
      }),
    )
    expect(await levels(sku as never)).toEqual({ [main]: [3, 2] })
    expect(await reservations(order)).toEqual([[main, 'committed', 2]])
    expect(
      await inGoods(order, (goods) => [goods.shipment(id).status, goods.labels.map(({ status }) => status)]),
    ).toEqual(['picking', ['voiding']])
    await sent(order, id)
    expect(await statusOf(order)).toBe('shipped')
    expect(await ledger(order)).toMatchObject({ psp_clearing: 1_099 })
    expect(await ledger(order)).not.toHaveProperty('customer_deposits')
  })
})

describe('the label of a parcel', () => {
  const REQUEST = { from: ADDRESS, to: ADDRESS, boxes: [], value: { amount: 500, currency: 'GBP' } } as never

  async function claimed(): Promise<{ order: SoldOrder; labelId: LabelId }> {
    const order = await sold([{ from: [[main, 1]] }])
    const id = await onlyShipment(order)
    await pick(order, id)
    const labelId = await inGoods(order, (goods) => {
      pack(goods, id, null)
      claimLabel(goods, id, { carrier: null, service: null })
      return goods.labels[0]?.id as LabelId
    })
    return { order, labelId }
  }
  const ask = (labelId: LabelId, pool = database.pool) =>
    keepRequest(pool, { labelId, carrier: 'sandbox', service: 'standard', request: REQUEST })

  it('is asked for in words that are kept once', async () => {
    const { labelId } = await claimed()
    const asked = await Promise.all(Array.from({ length: 10 }, () => ask(labelId, crowd)))
    expect(asked.filter((isKept) => isKept)).toHaveLength(1)
    expect(await readLabel(database.pool, labelId)).toMatchObject({ carrier: 'sandbox', request: REQUEST })
  })

  it('is not asked for once its order is on hold', async () => {
    const { order, labelId } = await claimed()
    await withTransaction(database.pool, (tx) => holdOrder(tx, order.orderId, { cause: 'staff', reasonCode: 'x' }))
    expect(await ask(labelId)).toBeNull()
    expect(await readLabel(database.pool, labelId)).toMatchObject({ request: null, isHeld: true })
  })

  it.each([1, 2, 3, 4])(
    'that is asked for while its order is cancelled is either not asked for, or taken back: %i',
    async () => {
      const { order, labelId } = await claimed()
      const [isAsked] = await Promise.all([ask(labelId, crowd), cancelAll(order, crowd)])
      expect((await readLabel(database.pool, labelId))?.status).toBe(isAsked ? 'voiding' : 'voided')
    },
  )

  it('keeps the carrier’s own id, which is known before it is bought', async () => {
    const { order, labelId } = await claimed()
    await ask(labelId)
    await Promise.all([keepLabelReference(crowd, labelId, 'shp_carrier'), cancelAll(order, crowd)])
    expect(await readLabel(database.pool, labelId)).toMatchObject({ status: 'voiding', reference: 'shp_carrier' })
    await inGoods(order, (goods) => answerVoid(goods, labelId, { outcome: 'voided' }))
    expect(await keepLabelReference(database.pool, labelId, 'another')).toBe(false)
  })

  it('that its carrier thinks about is kept with when it is asked again', async () => {
    const { order, labelId } = await claimed()
    await ask(labelId)
    await cancelAll(order)
    await inGoods(order, (goods) => answerVoid(goods, labelId, { outcome: 'pending' }))
    const label = await inGoods(order, (goods) => goods.label(labelId))
    expect(label).toMatchObject({ status: 'voiding', atWork: true, voidSentAt: expect.any(String) })
    expect(Date.parse(label.checkAt ?? '')).toBeGreaterThan(Date.parse(label.voidSentAt ?? ''))
    expect((await readLabel(database.pool, labelId))?.voidSentAt?.toISOString()).toBe(label.voidSentAt)
    await inGoods(order, (goods) => answerVoid(goods, labelId, { outcome: 'voided' }))
    expect(await inGoods(order, (goods) => goods.label(labelId))).toMatchObject({ status: 'voided', checkAt: null })
  })

  it('may have a number that a parcel had years ago', async () => {
    const before = await sold([{ from: [[main, 1]] }])
    await sent(before, await onlyShipment(before))
    const { order, labelId } = await claimed()
    await ask(labelId)
    const number = await inGoods(before, ({ labels }) => labels[0]?.trackingNumber ?? '')
    const bought = { reference: 'ref', trackingNumber: number, trackingUrl: null, documentUrl: null }
    await inGoods(order, (goods) =>
      takeLabel(goods, labelId, { ...bought, cost: 350, currency: 'GBP', expectedAt: null }),
    )
    expect((await readLabel(database.pool, labelId))?.status).toBe('live')
  })

  it('is one that is live, of any number of claims at once', async () => {
    const order = await sold([{ from: [[main, 1]] }])
    const id = await onlyShipment(order)
    await pick(order, id)
    await inGoods(order, (goods) => pack(goods, id, null))
    const claims = await Promise.all(
      Array.from({ length: 10 }, () =>
        inGoods(order, (goods) => claimLabel(goods, id, { carrier: null, service: null }), crowd),
      ),
    )
    expect(claims.sort()).toEqual(['done', ...Array(9).fill('unchanged')])
  })
})
