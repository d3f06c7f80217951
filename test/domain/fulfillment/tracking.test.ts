import { cancelUnits } from '../../../domain/fulfillment/cancelling'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { decideShipment } from '../../../domain/fulfillment/parcel-decisions'
import { hear } from '../../../domain/fulfillment/warehouse-news'
import type { TrackingType } from '../../../domain/fulfillment/shipment'
import { workOf } from '../../../domain/fulfillment/work'
import type { LabelId } from '../../../domain/ids'
import { cups, FIRST, type GoodsWorld, label, PAYMENT, ship, TOTAL, worldAt } from '../../support/goods-world'

const [OLD, NEW] = ['lbl_1' as LabelId, 'lbl_2' as LabelId]
const WHY = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const

const casesOf = ({ goods }: GoodsWorld) => workOf(goods).items.filter(({ kind }) => kind === 'parcel')
const leftUnasked = ({ events }: GoodsWorld): number => events.filter((type) => type === 'shipment.left_unasked').length
const cancelAll = (world: GoodsWorld) => world.do((goods, books) => cancelUnits(goods, null, WHY, books))

describe('a parcel that travels by a label that is not live', () => {
  const TOLD: TrackingType[] = ['accepted', 'in_transit', 'delivered', 'returned', 'exception']

  it.each(TOLD)('of a cancelled shipment (%s) is a case, once, and no delivery', (type) => {
    const world = worldAt('labelled')
    cancelAll(world)
    expect(world.trackLabel(OLD, type)).toBe(true)
    expect(casesOf(world)).toMatchObject([{ kind: 'parcel', object: FIRST, status: 'cancelled', trouble: 'left' }])
    expect(leftUnasked(world)).toBe(1)
    expect(world.books.captures).toEqual([])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    // What else is told of it changes nothing: somebody has looked at it.
    for (const again of TOLD) world.trackLabel(OLD, again)
    expect([casesOf(world), leftUnasked(world)]).toEqual([[], 1])
  })

  it('of a shipment that was opened again is a case, and nothing of the parcel that is sent in the end', () => {
    const world = worldAt('labelled')
    world.do((goods, books) => cancelUnits(goods, [cups(1)], WHY, books))
    expect(world.trackLabel(OLD, 'in_transit')).toBe(true)
    expect(casesOf(world)).toMatchObject([{ status: 'picking', trouble: 'left' }])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.send(FIRST)
    expect(world.goods.label(NEW)).toMatchObject({ status: 'live', shipmentId: FIRST })
    world.trackLabel(OLD, 'delivered')
    expect(world.goods.shipment(FIRST).status).toBe('shipped')
    world.trackLabel(NEW, 'delivered')
    expect(world.goods.shipment(FIRST).status).toBe('delivered')
  })

  it('stays a case while its shipment is packed and labelled anew', () => {
    const world = worldAt('labelled')
    world.do((goods, books) => cancelUnits(goods, [cups(1)], WHY, books))
    world.trackLabel(OLD, 'accepted')
    world.send(FIRST)
    expect(casesOf(world)).toMatchObject([{ status: 'shipped', trouble: 'left' }])
  })
})

describe('a labelled parcel that travels, and that nobody sent', () => {
  it('cannot be cancelled any more', () => {
    const world = worldAt('labelled')
    world.track(FIRST, 'accepted')
    expect(cancelAll(world)).toMatchObject({ outcome: 'waiting' })
    world.advance()
    world.payAll()
    world.advance()
    expect([world.goods.shipment(FIRST).status, world.books.captured]).toEqual(['shipped', TOTAL])
  })

  it.each(['manual', 'external'] as const)(
    'of a warehouse that is %s: a refused capture is claimed once, however often it is told',
    (operation) => {
      const world = worldAt('labelled', { operation })
      for (let hour = 0; hour < 100; hour++) {
        world.track(FIRST, 'in_transit')
        world.advance()
        world.askProvider(0, 'refuses')
        world.advance()
        world.pass(1)
      }
      expect(world.books.captures).toHaveLength(1)
      expect(casesOf(world)).toMatchObject([{ object: FIRST, status: 'labelled', trouble: 'left' }])
      expect(leftUnasked(world)).toBe(1)
      // A person has it tried again: nothing more is needed.
      world.do((_, books) => books.decideCapture(books.captures[0]?.id as never, 'retry'))
      world.payAll()
      world.advance()
      expect([world.goods.shipment(FIRST).status, world.books.captured]).toEqual(['shipped', TOTAL])
    },
  )

  it('after its capture was refused asks a person, and not the customer’s bank once more', () => {
    const world = worldAt('labelled')
    sendWith(world, 'refuses')
    world.track(FIRST, 'in_transit')
    world.advance()
    expect(world.books.captures).toHaveLength(1)
    expect(casesOf(world)).toMatchObject([{ object: FIRST, trouble: 'left' }])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.advance()
    expect(world.books.captures).toHaveLength(2)
  })

  it('of which its warehouse tells so likewise', () => {
    const world = worldAt('labelled', { operation: 'external' })
    world.advance()
    world.askProvider(0, 'refuses')
    world.advance()
    const shipped = { type: 'shipment.shipped', revision: null, lines: null, boxes: null, code: null } as const
    world.do((goods, books) => hear(goods, FIRST, { ...shipped, carrier: null, trackingNumber: null }, books))
    world.advance()
    expect(world.books.captures).toHaveLength(1)
    expect(casesOf(world)).toMatchObject([{ object: FIRST, trouble: 'left' }])
  })

  it('of a warehouse with a system of its own is a case, and the system is not told to let it leave', () => {
    const world = worldAt('labelled', { operation: 'external' })
    world.track(FIRST, 'accepted')
    world.advance()
    world.payAll()
    world.advance()
    expect(casesOf(world)).toMatchObject([{ object: FIRST, status: 'shipped', trouble: 'left' }])
    expect(world.goods.messages.rows.filter(({ kind }) => kind === 'release')).toEqual([])
  })

  it('and that nothing is authorized for becomes a case at once, and once', () => {
    const world = worldAt('labelled')
    nothingAuthorized(world)
    for (let hour = 0; hour < 100; hour++) {
      world.track(FIRST, 'in_transit')
      world.advance()
      world.pass(1)
    }
    expect(casesOf(world)).toMatchObject([{ object: FIRST, trouble: 'left' }])
    expect(world.events.filter((type) => type === 'shipment.kept')).toHaveLength(1)
  })

  it('is sent in its turn: what was asked for is not unasked', () => {
    const world = worldAt('labelled')
    label(world)
    sendWith(world, 'lost')
    expect(world.track(FIRST, 'accepted')).toBe(false)
    expect([leftUnasked(world), casesOf(world)]).toEqual([0, []])
    world.payAll()
    ship(world)
    expect(world.track(FIRST, 'accepted')).toBe(true)
  })
})

function nothingAuthorized(world: GoodsWorld): void {
  world.do((_, books) => {
    Object.assign(books.payments.find(({ id }) => id === PAYMENT) ?? {}, { status: 'voided', released: TOTAL })
  })
}

/** Somebody sends it, and the provider answers like this. */
function sendWith(world: GoodsWorld, answer: 'refuses' | 'lost'): void {
  world.do((goods) => wantToShip(goods, FIRST))
  world.advance()
  world.askProvider(0, answer)
  world.advance()
}
