import { cancelUnits } from '../../../domain/fulfillment/cancelling'
import { claimLabel } from '../../../domain/fulfillment/labels'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { pack, pick } from '../../../domain/fulfillment/picking'
import { workOf } from '../../../domain/fulfillment/work'
import type { ShipmentId } from '../../../domain/ids'
import { cups, GoodsWorld, MAIN, RETURN_WINDOW_DAYS, saucers } from '../../support/goods-world'

const SHIPMENT = 'shp_1' as ShipmentId
const NOBODY_SAYS = { carrier: null, service: null } as const
const CANCELLED = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const

const first = ({ goods }: GoodsWorld) => goods.labels[0] as (typeof goods.labels)[number]
const PARCEL = 'shipment 1 (`shp_1`, 3 × `CUP`, 2 × `SAUCER`)'

/** What is done one after the other, and what is to be done then, and waited for. */
const STEPS: readonly (readonly [
  what: string,
  step: (world: GoodsWorld) => unknown,
  items: readonly object[],
  waitsFor: string,
])[] = [
  ['is allocated', () => {}, [], `warehouse \`${MAIN}\` to pick ${PARCEL}.`],
  [
    'is picked',
    (world) => world.do((goods) => pick(goods, SHIPMENT, null)),
    [],
    `warehouse \`${MAIN}\` to pack ${PARCEL}.`,
  ],
  ['is packed', (world) => world.do((goods) => pack(goods, SHIPMENT, null)), [], `a label for ${PARCEL}.`],
  [
    'has a label to come',
    (world) => world.do((goods) => claimLabel(goods, SHIPMENT, NOBODY_SAYS)),
    [{ kind: 'buy', object: 'lbl_1', shipmentId: SHIPMENT }],
    `a label for ${PARCEL}.`,
  ],
  [
    'is refused its label',
    (world) => world.askCarrier(first(world), 'refuses'),
    [{ kind: 'label', object: 'lbl_1', shipmentId: SHIPMENT, status: 'refused', code: 'refused' }],
    `a label for ${PARCEL}.`,
  ],
  [
    'has another label to come',
    (world) => world.decideLabel(first(world), 'retry'),
    [{ kind: 'buy', object: 'lbl_2', shipmentId: SHIPMENT }],
    `a label for ${PARCEL}.`,
  ],
  [
    'is labelled',
    (world) => world.askCarrier(world.goods.labels[1] as (typeof world.goods.labels)[number], 'well'),
    [],
    `warehouse \`${MAIN}\` to hand over ${PARCEL}.`,
  ],
  [
    'is to leave',
    (world) => world.do((goods) => wantToShip(goods, SHIPMENT)),
    [],
    `the money of ${PARCEL}, which then leaves.`,
  ],
  [
    'has left',
    (world) => {
      world.advance()
      world.payAll()
      world.advance()
    },
    [],
    `the carrier to deliver ${PARCEL}.`,
  ],
  [
    'is lost',
    (world) => world.track(SHIPMENT, 'lost'),
    [{ kind: 'parcel', object: SHIPMENT, status: 'lost', trouble: null }],
    'the next thing to do with the goods or the money of this order.',
  ],
  [
    'has arrived',
    (world) => world.track(SHIPMENT, 'delivered'),
    [],
    'the end of the return window: all of it has arrived.',
  ],
]

it.each(STEPS.map(([what, , items, waitsFor], index) => ({ what, items, waitsFor, index })))(
  'of a parcel that $what',
  ({ items, waitsFor, index }) => {
    const world = new GoodsWorld()
    for (const [, step] of STEPS.slice(0, index + 1)) step(world)
    expect(workOf(world.goods)).toMatchObject({ isOver: false, items, waitsFor })
  },
)

it('looks again when the next thing is due, and ends with the order', () => {
  const world = new GoodsWorld()
  world.send(SHIPMENT)
  world.track(SHIPMENT, 'delivered')
  expect(workOf(world.goods).lookAt).toBe(world.now + RETURN_WINDOW_DAYS * 86_400_000)
  world.pass(RETURN_WINDOW_DAYS * 24)
  world.advance()
  expect(workOf(world.goods)).toMatchObject({ isOver: true, items: [], lookAt: null })
})

it('has a label of a cancelled order taken back, and asks a person when its carrier keeps it', () => {
  const world = new GoodsWorld()
  world.do((goods) => pick(goods, SHIPMENT, null))
  world.do((goods) => pack(goods, SHIPMENT, null))
  world.do((goods) => claimLabel(goods, SHIPMENT, NOBODY_SAYS))
  world.askCarrier(first(world), 'well')
  world.do((goods, books) => cancelUnits(goods, null, CANCELLED, books))
  expect(workOf(world.goods)).toMatchObject({ isOver: true, items: [{ kind: 'void', object: 'lbl_1' }] })
  world.askCarrier(first(world), 'refuses')
  expect(workOf(world.goods)).toMatchObject({ items: [{ kind: 'label', status: 'voiding', code: 'used' }] })
})

it('names what waits: somebody to resume the order, stock, and warehouses', () => {
  const world = new GoodsWorld({ parcels: [[cups(1)]] })
  world.hold()
  expect(workOf(world.goods).waitsFor).toBe(
    'somebody to resume the order: it is on hold, and nothing is labelled or captured meanwhile; ' +
      `and for stock: no warehouse has ${'2 × `CUP`, 2 × `SAUCER`'}; and for warehouse \`${MAIN}\` to pick shipment 1 (\`shp_1\`, 1 × \`CUP\`).`,
  )
})

it('names no more than five SKUs', () => {
  const world = new GoodsWorld({ parcels: [[cups(3), saucers(2)]] })
  world.goods.backOrders = Array.from({ length: 7 }, (_, n) => ({ ...cups(1), sku: `SKU-${n}` as never }))
  expect(workOf(world.goods).waitsFor).toContain('1 × `SKU-4`, 2 more;')
})
