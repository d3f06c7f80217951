import type { BoughtOrder } from '../../../scripts/replay/money'
import { leftOverOf, orderDifferencesOf, type Story } from '../../../scripts/replay/order-report'
import type { ToldOrder } from '../../../scripts/replay/tellers'
import type { ShownShipment } from '../../../scripts/replay/warehouse'

/** One order of two lines: a cup is cancelled, a mug's parcel is lost and refunded, and the other cup's has arrived. */
const ORDER: BoughtOrder = {
  id: 'order_1',
  invoice: '501',
  day: '2010-12-01',
  customer: '17850',
  total: 1_395,
  lines: [
    { sku: 'MUG', quantity: 1, price: 600 },
    { sku: 'CUP', quantity: 2, price: 200 },
  ],
}

const SHIPMENT = { order_id: 'order_1', warehouse_id: 'wh_1', replaces: null }
const LOST: ShownShipment = {
  ...SHIPMENT,
  id: 'shp_1',
  status: 'lost',
  tracking_number: '1',
  lines: [{ sku: 'MUG', quantity: 1 }],
}
const ARRIVED: ShownShipment = {
  ...SHIPMENT,
  id: 'shp_2',
  status: 'delivered',
  tracking_number: '2',
  lines: [{ sku: 'CUP', quantity: 1 }],
}

const MOVED = { captured: 1_195, refunded: 600 }
const TOLD: ToldOrder = {
  status: 'delivered',
  total: 1_395,
  cancelled: 200,
  order: MOVED,
  ledger: MOVED,
  provider: MOVED,
  lines: [
    { sku: 'MUG', quantity: 1, cancelled: 0, shipped: 1, delivered: 0 },
    { sku: 'CUP', quantity: 2, cancelled: 1, shipped: 1, delivered: 1 },
  ],
  shipments: [LOST, ARRIVED],
}

const STORY: Story = {
  orders: [ORDER],
  refused: [],
  cancelled: new Map([['order_1', new Map([['CUP', 1]])]]),
  advance: new Map(),
  goodwill: new Map(),
  decisions: new Map([['shp_1', { decision: 'refunded', shipment: LOST, refunded: 600 }]]),
  received: new Map(),
  missed: new Map(),
  told: new Map([['order_1', TOLD]]),
  parcels: new Map([
    ['1', { orderId: 'order_1', status: 'live', wasHandedOver: true, last: 'lost' }],
    ['2', { orderId: 'order_1', status: 'live', wasHandedOver: true, last: 'delivered' }],
  ]),
  stock: {
    shipment: new Map([
      ['MUG', -1],
      ['CUP', -1],
    ]),
    short_pick: new Map(),
    receipt: new Map(),
  },
}

const telling = (told: Partial<ToldOrder>): Partial<Story> => ({ told: new Map([['order_1', { ...TOLD, ...told }]]) })

it('all that agrees is no difference', () => {
  expect(orderDifferencesOf(STORY)).toEqual([])
})

it.each<[what: string, story: Partial<Story>, told: string]>([
  ['an order that nobody knows', { told: new Map(), decisions: new Map() }, 'nobody knows the order order_1'],
  ['the ledger', telling({ ledger: { ...MOVED, captured: 1 } }), 'captured £0.01 by the ledger, not £11.95'],
  ['the provider', telling({ provider: { ...MOVED, refunded: 0 } }), 'refunded £0.00 by the provider, not £6.00'],
  ['what is cancelled', telling({ cancelled: 0 }), 'cancelled £0.00 by the order, not £2.00'],
  ['goodwill', { goodwill: new Map([['order_1', 5]]) }, 'refunded £6.00 by the order, not £6.05'],
  ['units cancelled', { cancelled: new Map() }, '1 × CUP cancelled, not 0'],
  ['an order under way', telling({ status: 'shipped' }), 'it is shipped'],
  ['an order that ended otherwise', telling({ status: 'cancelled' }), 'it is cancelled'],
  ['a parcel nobody decided about', { decisions: new Map() }, 'nobody has decided about lost shp_1'],
  ['a parcel that did not leave', telling({ shipments: [{ ...LOST, status: 'packed' }, ARRIVED] }), 'shp_1 is packed'],
  [
    'a parcel the carrier does not have',
    { parcels: new Map() },
    'shp_2 is delivered, and its carrier does not have it',
  ],
  [
    'a parcel of another fate',
    { parcels: new Map(STORY.parcels).set('2', { ...STORY.parcels.get('2')!, last: 'lost' }) },
    'shp_2 is delivered, and lost by its carrier',
  ],
  [
    'a label nobody uses',
    {
      parcels: new Map(STORY.parcels).set('3', {
        orderId: 'order_1',
        status: 'live',
        wasHandedOver: false,
        last: null,
      }),
    },
    'parcel 3 of order_1 has a label that nobody uses',
  ],
  [
    'stock that left without a parcel',
    { stock: { ...STORY.stock, shipment: new Map([...STORY.stock.shipment, ['POT', -2]]) } },
    "POT: 2 units sent by the stock's movements, not 0",
  ],
  ['what was missed', { missed: new Map([['CUP', 1]]) }, "CUP: 0 units missed by the stock's movements, not 1"],
  ['what was received', { received: new Map([['CUP', 1]]) }, "CUP: 0 units received by the stock's movements, not 1"],
])('tells of %s', (_what, changed, told) => {
  expect(orderDifferencesOf({ ...STORY, ...changed }).join('\n')).toContain(told)
})

it('which of two captures came first only the order knows; the others have to say the same', () => {
  const both = { captured: 1_395, refunded: 800 }
  const early = { ...STORY, advance: new Map([['order_1', 100]]) }
  expect(orderDifferencesOf({ ...early, ...telling({ order: both, ledger: both, provider: both }) })).toEqual([])
  expect(orderDifferencesOf({ ...early, ...telling({ order: both, ledger: both }) })).toEqual([
    'invoice 501: captured £11.95 by the provider, not £13.95',
    'invoice 501: refunded £6.00 by the provider, not £8.00',
  ])
})

it('what is left is what was spare, came back or was received, without what was missed or sent once more', () => {
  const again = { ...ARRIVED, id: 'shp_3', replaces: 'shp_1', lines: [{ sku: 'MUG', quantity: 1 }] }
  const left = leftOverOf(new Map([['CUP', 2]]), {
    ...STORY,
    ...telling({ shipments: [LOST, ARRIVED, again] }),
    received: new Map([['MUG', 1]]),
    missed: new Map([['CUP', 1]]),
  })
  expect(left).toEqual(
    new Map([
      ['CUP', 2],
      ['MUG', 0],
    ]),
  )
})
