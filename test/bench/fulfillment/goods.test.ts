import { type Parcel, writeGoods } from '../../../bench/fulfillment/goods'
import { orderIdOf, writePaidOrders } from '../../../bench/payment/history'
import { takeDueTracking, takeSilentShipments } from '../../../db/fulfillment/tracking'
import { withGoods } from '../../../db/fulfillment/goods'
import { listOrdersAtWork } from '../../../db/order/sweep'
import { check } from '../../../db/support/invariant'
import { LEDGER_INVARIANTS } from '../../../db/support/invariant/ledger'
import { ORDER_INVARIANTS } from '../../../db/support/invariant/order'
import { SHIPMENT_INVARIANTS } from '../../../db/support/invariant/shipment'
import { STOCK_INVARIANTS } from '../../../db/support/invariant/stock'
import { withTransaction } from '../../../db/pool'
import { advance } from '../../../domain/fulfillment/advance'
import { workOf } from '../../../domain/fulfillment/work'
import { testDatabase, type TestDatabase } from '../../support/database'

const numbers = { from: 0, to: 20, hoursAgo: 48 }
const parcels = Array.from({ length: 20 }, (_, n): Parcel => ({ reference: `lb_${n}`, trackingNumber: `77${n}` }))

/** What has happened to them before nobody has written down. */
const WITHOUT_EVENTS = ['events_have_no_gaps', 'every_status_change_is_legal', 'events_add_up_to_the_status']
const HELD = [...STOCK_INVARIANTS, ...ORDER_INVARIANTS, ...SHIPMENT_INVARIANTS, ...LEDGER_INVARIANTS].filter(
  ({ name }) => !WITHOUT_EVENTS.includes(name),
)

let database: TestDatabase
beforeEach(async () => {
  database = await testDatabase()
  await writePaidOrders(database.url, { ...numbers, isMatched: true })
})
afterEach(() => database.drop())

describe.each([
  ['wait for their warehouse', null, 'warehouse `wh_'],
  ['wait for their delivery', parcels, 'the carrier to deliver'],
] as const)('orders that %s', (_, given, waitsFor) => {
  beforeEach(() => writeGoods(database.url, numbers, given))

  it('break no invariant', async () => {
    const checks = await withTransaction(database.pool, async (tx) => {
      const all = []
      for (const invariant of HELD) all.push(await check(tx, invariant))
      return all
    })
    expect(checks.filter(({ violations }) => violations > 0)).toEqual([])
  })

  it('want nothing, and stay as they are when their workflow looks', async () => {
    const rows = () =>
      database.pool.query('select o.*, s.* from orders o join shipment s on s.order_id = o.id order by o.id')
    const before = (await rows()).rows
    const work = await withGoods(database.pool, orderIdOf(7), { stepOf: () => 1 }, (goods, books) => {
      advance(goods, books)
      return { ...workOf(goods), hasClaimedMoney: books.events.length > 0 }
    })
    expect(work).toMatchObject({ isOver: false, items: [], hasClaimedMoney: false })
    expect(work.waitsFor).toContain(waitsFor)
    expect(work.lookAt).toBeGreaterThan(Date.now())
    expect((await rows()).rows).toEqual(before)
    const sweep = { shard: 0, shards: 1, limit: 100, after: '', holdSeconds: 900, overdueSeconds: 120 }
    expect(await listOrdersAtWork(database.pool, sweep)).toEqual([])
  })
})

it('parcels on their way are those that the carrier knows, and it is asked about a few at a time', async () => {
  await writeGoods(database.url, numbers, parcels)
  expect(await takeDueTracking(database.pool, 10)).toEqual([])
  expect(await takeSilentShipments(database.pool, 100)).toEqual([])
  await database.pool.query(`update shipment set ask_at = ask_at - interval '4 hours'`)
  const asked = await takeSilentShipments(database.pool, 100)
  expect(asked.length).toBeGreaterThan(3)
  expect(asked.length).toBeLessThan(10)
  expect(asked).toContainEqual(
    expect.objectContaining({ orderId: orderIdOf(2), carrier: 'sandbox', reference: 'lb_2', trackingNumber: '772' }),
  )
})
