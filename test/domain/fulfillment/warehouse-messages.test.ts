import fc from 'fast-check'
import { advance } from '../../../domain/fulfillment/advance'
import { cancelShipment, cancelUnits } from '../../../domain/fulfillment/cancelling'
import { decideShipment } from '../../../domain/fulfillment/parcel-decisions'
import { endMessage, hear, refuseMessage, type WarehouseNews } from '../../../domain/fulfillment/warehouse-news'
import type { WarehouseEventType, WarehouseMessageKind } from '../../../domain/fulfillment/shipment'
import type { MessageBook } from '../../../domain/fulfillment/warehouse-messages'
import { workOf } from '../../../domain/fulfillment/work'
import type { ShipmentId } from '../../../domain/ids'
import { cups, GoodsWorld, saucers, TOTAL, type WorldSetup } from '../../support/goods-world'

const FIRST = 'shp_1' as ShipmentId
const SECOND = 'shp_2' as ShipmentId
const WHY = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const
const NOTHING_SAID = {
  revision: null,
  lines: null,
  boxes: null,
  carrier: null,
  trackingNumber: null,
  code: null,
} as const

/** An order whose warehouse, with a system of its own, is to be told to pack. */
function begun(setup: WorldSetup = {}): GoodsWorld {
  const world = new GoodsWorld({ operation: 'external', ...setup })
  world.advance()
  return world
}

/** What the system does with each message that it gets. */
function hearAll(world: GoodsWorld, answer: 'told' | 'lost' | 'refused' = 'told'): void {
  for (const { id } of world.goods.messages.due) {
    Object.assign(world.goods.message(id), { wasSent: true })
    if (answer === 'told') world.do((goods) => endMessage(goods, id, 'told'))
    if (answer === 'refused') world.do((goods) => refuseMessage(goods, id, 'no_such_goods'))
  }
}

function tell(world: GoodsWorld, type: WarehouseEventType, more: Partial<WarehouseNews> = {}, id = FIRST): void {
  world.do((goods, books) => {
    goods.backOrder(hear(goods, id, { ...NOTHING_SAID, type, ...more }, books))
    advance(goods, books)
  })
}

/** Carriers and the payment provider do what they are asked. */
function serve(world: GoodsWorld): void {
  for (let round = 0; round < 3; round++) {
    for (const label of world.goods.labels.filter(({ atWork }) => atWork)) world.askCarrier(label, 'well')
    world.advance()
    world.payAll()
    world.advance()
  }
}

/** It was packed, paid and released. */
function released(setup?: WorldSetup): GoodsWorld {
  const world = begun(setup)
  hearAll(world)
  tell(world, 'shipment.packed')
  serve(world)
  return world
}

const told = ({ goods }: GoodsWorld, id = FIRST): string[] =>
  goods.messages.rows
    .filter(({ shipmentId, state }) => shipmentId === id && state !== 'withdrawn')
    .map(({ kind }) => kind)
const due = ({ goods }: GoodsWorld): readonly WarehouseMessageKind[] =>
  goods.messages.due.map(({ kind }: MessageBook) => kind)
const statusOf = ({ goods }: GoodsWorld, id = FIRST): string => goods.shipment(id).status
const captured = ({ books }: GoodsWorld): number => books.captured

describe('what a warehouse with a system of its own is told', () => {
  it('to pack at once, once', () => {
    const world = begun()
    expect(due(world)).toEqual(['pack'])
    expect(world.goods.messages.due[0]).toMatchObject({
      key: 'order_1/warehouse/1',
      revision: 1,
      lines: [cups(3), saucers(2)],
    })
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'tell', message: 'pack', shipmentId: FIRST }])
  })

  it('nothing while the order is on hold, and then at once', () => {
    const world = new GoodsWorld({ operation: 'external' })
    world.hold()
    world.advance()
    expect(told(world)).toEqual([])
    world.resume()
    world.advance()
    expect(told(world)).toEqual(['pack'])
  })

  it('to let it leave once its money is captured, and not before', () => {
    const world = begun()
    hearAll(world)
    tell(world, 'shipment.packed')
    for (const label of world.goods.labels) world.askCarrier(label, 'well')
    world.advance()
    expect([told(world), captured(world)]).toEqual([['pack'], 0])
    serve(world)
    expect([told(world), captured(world), statusOf(world)]).toEqual([['pack', 'release'], TOTAL, 'labelled'])
  })

  it('in turn: nothing more before it has taken what it was told first', () => {
    const world = begun()
    hearAll(world, 'lost')
    tell(world, 'shipment.packed')
    serve(world)
    expect(due(world)).toEqual(['pack'])
    hearAll(world)
    expect(due(world)).toEqual(['release'])
  })

  it.each([
    ['that heard nothing: nothing', () => begun(), []],
    [
      'that may have heard: that it is not wanted',
      () => {
        const world = begun()
        hearAll(world, 'lost')
        return world
      },
      ['pack', 'cancel'],
    ],
    [
      'that has packed',
      () => {
        const world = begun()
        hearAll(world)
        tell(world, 'shipment.packed')
        return world
      },
      ['pack', 'cancel'],
    ],
  ])('when the order is cancelled, of one %s', (_, make, expected) => {
    const world = make()
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    expect(told(world)).toEqual(expected)
    expect(world.goods.order.status).toBe('cancelled')
  })

  it('what is left of it, when units are cancelled; what it packed before counts no more', () => {
    const world = begun()
    hearAll(world)
    world.do((goods, books) => cancelUnits(goods, [cups(1)], WHY, books))
    expect(world.goods.messages.due[0]).toMatchObject({ revision: 2, lines: [cups(2), saucers(2)] })
    tell(world, 'shipment.packed', { revision: 1 })
    expect(statusOf(world)).toBe('allocated')
    tell(world, 'shipment.packed', { revision: 2 })
    expect(statusOf(world)).toBe('packed')
  })

  it('nothing of a cancellation once it was released: that waits for the parcel', () => {
    const world = released()
    expect(world.do((goods, books) => cancelUnits(goods, null, WHY, books))).toMatchObject({ outcome: 'waiting' })
    hearAll(world)
    tell(world, 'shipment.shipped')
    expect([statusOf(world), told(world)]).toEqual(['shipped', ['pack', 'release']])
  })
})

describe('what it tells', () => {
  const STEPS: readonly WarehouseEventType[] = ['shipment.picked', 'shipment.packed']

  it.each([[STEPS], [[...STEPS].reverse()], [['shipment.packed', 'shipment.packed', 'shipment.picked'] as const]])(
    'of %s: it is packed once',
    (order) => {
      const world = begun()
      hearAll(world)
      for (const type of order) tell(world, type)
      expect(statusOf(world)).toBe('packed')
      expect(world.events.filter((type) => type === 'shipment.packed')).toHaveLength(1)
    },
  )

  it('of fewer units than it was asked for: the rest waits for stock', () => {
    const world = begun()
    hearAll(world)
    tell(world, 'shipment.packed', { lines: [cups(1), saucers(9)] })
    expect(world.goods.shipment(FIRST).lines).toEqual([cups(1), saucers(2)])
    expect(world.goods.backOrders).toEqual([cups(2)])
  })

  it('of a parcel that it released: it has left, and another time changes nothing', () => {
    const world = released()
    tell(world, 'shipment.shipped')
    tell(world, 'shipment.shipped')
    expect(world.goods.order.status).toBe('shipped')
    expect(world.events.filter((type) => type === 'shipment.shipped')).toHaveLength(1)
    expect(workOf(world.goods).items).toEqual([])
  })

  it.each([
    ['allocated', begun],
    [
      'packed',
      () => {
        const world = begun()
        tell(world, 'shipment.packed')
        return world
      },
    ],
  ])('that one that is %s has left: it is captured, then sent, and a case', (_, make) => {
    const world = make()
    tell(world, 'shipment.shipped', { carrier: 'courier', trackingNumber: 'T1' })
    expect([statusOf(world), captured(world)]).toEqual(['labelled', 0])
    expect(world.do((goods, books) => cancelUnits(goods, null, WHY, books))).toMatchObject({ outcome: 'waiting' })
    serve(world)
    expect([statusOf(world), captured(world)]).toEqual(['shipped', TOTAL])
    expect(workOf(world.goods).items).toEqual([
      { kind: 'parcel', object: FIRST, status: 'shipped', trouble: 'left', plight: 'over' },
    ])
    expect(world.goods.labels.filter(({ status }) => status === 'live')).toMatchObject([{ trackingNumber: 'T1' }])
    world.track(FIRST, 'delivered')
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', trouble: 'left' }])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    expect(workOf(world.goods).items).toEqual([])
  })

  it('that one has left whose money is refused: it stays a case, and is captured once a person wants it', () => {
    const world = begun()
    tell(world, 'shipment.shipped')
    world.askProvider(0, 'refuses')
    world.advance()
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'labelled', needsDecision: true, isLeaving: false })
    for (const { id } of world.books.captures) world.do((_, books) => void books.decideCapture(id, 'retry'))
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    serve(world)
    expect([statusOf(world), captured(world)]).toEqual(['shipped', TOTAL])
  })

  it('that what was cancelled has left: a case', () => {
    const world = begun()
    hearAll(world)
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    tell(world, 'shipment.shipped')
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', status: 'cancelled', trouble: 'left' }])
  })

  it('that it refuses: a case; who waits on tells it once more', () => {
    const world = begun()
    hearAll(world)
    tell(world, 'shipment.refused', { code: 'damaged' })
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', trouble: 'refused' }])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.advance()
    expect(due(world)).toEqual(['pack'])
  })

  it('that it refuses what it was to let leave: another warehouse may send it', () => {
    const world = released()
    hearAll(world)
    tell(world, 'shipment.refused')
    expect(world.do((goods, books) => cancelShipment(goods, FIRST, books))).toBe('done')
    expect(told(world)).toEqual(['pack', 'release', 'cancel'])
  })

  it('by refusing a message likewise; a refused cancellation too', () => {
    const world = begun()
    hearAll(world, 'refused')
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', status: 'allocated', trouble: 'refused' }])
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    hearAll(world, 'refused')
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', status: 'cancelled', trouble: 'refused' }])
  })

  it('by its carrier alone: what was released has left', () => {
    const world = released()
    expect(world.track(FIRST, 'in_transit')).toBe(true)
    expect(statusOf(world)).toBe('shipped')
  })
})

it('is silent: a case, and who waits on tells it again what it waits for', () => {
  for (const [make, message] of [
    [begun, 'pack'],
    [released, 'release'],
  ] as const) {
    const world = make()
    hearAll(world)
    hearAll(world)
    world.pass(73)
    world.advance()
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', trouble: null }])
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.advance()
    expect(due(world)).toEqual([message])
  }
})

it('captures for each parcel, also for one that is released while another waits', () => {
  const world = released({ parcels: [[cups(3)], [saucers(2)]] })
  tell(world, 'shipment.packed', {}, SECOND)
  serve(world)
  expect(captured(world)).toBe(TOTAL)
  expect([told(world), told(world, SECOND)]).toEqual([
    ['pack', 'release'],
    ['pack', 'release'],
  ])
})

it('keeps the goods and the money sound, whatever it tells and whoever does what', () => {
  const step = fc.record({
    do: fc.constantFrom(
      'tell',
      'hear',
      'refuse',
      'lose',
      'carrier',
      'provider',
      'cancel',
      'hold',
      'resume',
      'decide',
      'reroute',
      'pass',
    ),
    type: fc.constantFrom<WarehouseEventType[]>(
      'shipment.picked',
      'shipment.packed',
      'shipment.shipped',
      'shipment.refused',
    ),
    shipment: fc.nat(3),
    count: fc.nat(3),
    revision: fc.option(fc.integer({ min: 1, max: 3 }), { nil: null }),
    answer: fc.constantFrom<('well' | 'refuses' | 'lost')[]>('well', 'well', 'refuses', 'lost'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, isApart) => {
      const world = begun(isApart ? { parcels: [[cups(3)], [saucers(2)]] } : {})
      for (const { do: what, type, shipment, count, revision, answer } of steps) {
        const { goods } = world
        const id = goods.shipments[shipment % goods.shipments.length]?.id ?? FIRST
        if (what === 'tell') tell(world, type, { revision, ...(count < 3 && { lines: [cups(count), saucers(2)] }) }, id)
        else if (what === 'hear') hearAll(world)
        else if (what === 'refuse') hearAll(world, 'refused')
        else if (what === 'lose') hearAll(world, 'lost')
        else if (what === 'carrier')
          for (const label of goods.labels.filter(({ atWork }) => atWork)) world.askCarrier(label, answer)
        else if (what === 'provider') world.askProvider(count, answer)
        else if (what === 'cancel')
          world.do((each, books) => cancelUnits(each, count === 0 ? null : [cups(1)], WHY, books))
        else if (what === 'hold') world.hold()
        else if (what === 'resume') world.resume()
        else if (what === 'decide') world.do((each) => decideShipment(each, id, 'wait'))
        else if (what === 'reroute') world.do((each, books) => cancelShipment(each, id, books))
        else world.pass(40)
        world.advance()
        for (const { id: one, status, releasedAt } of world.goods.shipments)
          if (releasedAt === null && status === 'labelled') expect(told(world, one).at(-1)).not.toBe('release')
      }
    }),
    { numRuns: 300 },
  )
})
