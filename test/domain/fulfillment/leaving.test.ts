import { addCommand } from '../../../domain/fulfillment/commands'
import { handOver, wantToShip } from '../../../domain/fulfillment/leaving'
import { decideShipment } from '../../../domain/fulfillment/parcel-decisions'
import type { WarehouseOperation } from '../../../domain/fulfillment/shipment'
import { captureFor } from '../../../domain/fulfillment/parcel-money'
import type { CaptureId } from '../../../domain/ids'
import { workOf } from '../../../domain/fulfillment/work'
import { cups, FIRST, type GoodsWorld, label, saucers, SECOND, TOTAL, worldAt } from '../../support/goods-world'

const casesOf = ({ goods }: GoodsWorld) => workOf(goods).items.filter(({ kind }) => kind === 'parcel')

/** It is labelled, and no payment can pay for it any more. */
function unpaid(operation: WarehouseOperation): GoodsWorld {
  const world = worldAt('labelled', { operation })
  world.do((_, books) => void Object.assign(books.payments[0] as object, { status: 'voided', released: TOTAL }))
  return world
}

describe('a parcel that nothing is authorized for', () => {
  it.each(['automatic', 'external'] as const)('of a warehouse that is %s becomes a case at once', (operation) => {
    const world = unpaid(operation)
    world.advance()
    expect(casesOf(world)).toMatchObject([{ object: FIRST, status: 'labelled' }])
    // However long nobody decides: it is the same case, and nothing is told again.
    for (let day = 0; day < 30; day++) {
      world.pass(24)
      world.advance()
    }
    expect(casesOf(world)).toHaveLength(1)
    expect(world.events.filter((type) => type === 'shipment.kept')).toHaveLength(1)
  })

  it('that nobody waits for, of people’s warehouse, becomes one too', () => {
    const world = unpaid('manual')
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    expect(casesOf(world)).toHaveLength(1)
  })

  it('that somebody sends: they are told, and it is late in its time', () => {
    const world = unpaid('manual')
    world.pass(50)
    world.do((goods) => {
      wantToShip(goods, FIRST)
      addCommand(goods, 'ship', { shipmentId: FIRST, detail: null, actor: 'key_1' })
    })
    world.do((goods) => expect(goods.commands).toHaveLength(1))
    world.advance()
    expect([world.goods.commands, casesOf(world)]).toEqual([[], []])
    world.pass(71)
    world.advance()
    expect(casesOf(world)).toEqual([])
    world.pass(1)
    world.advance()
    expect(casesOf(world)).toHaveLength(1)
  })

  it('is a case again when a person waits on, and leaves once there is money', () => {
    const world = unpaid('external')
    world.advance()
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.advance()
    expect(casesOf(world)).toHaveLength(1)
    world.do((_, books) => {
      Object.assign(books.payments[0] as object, { status: 'authorized', released: 0, captured: 0 })
    })
    world.do((goods) => decideShipment(goods, FIRST, 'wait'))
    world.advance()
    world.payAll()
    world.advance()
    expect(world.goods.shipment(FIRST).releasedAt).not.toBeNull()
  })
})

describe('a parcel whose money staff have taken before', () => {
  const claimed = (operation: WarehouseOperation): GoodsWorld => {
    const world = worldAt('packed', { operation })
    world.do((goods, books) => captureFor(goods, FIRST, books))
    return world
  }

  it.each(['automatic', 'external'] as const)('is not asked for it once more when that is refused: %s', (operation) => {
    const world = claimed(operation)
    world.askProvider(0, 'refuses')
    label(world)
    for (let day = 0; day < 5; day++) {
      world.advance()
      world.pass(24)
    }
    expect(world.books.captures).toMatchObject([{ status: 'failed', atWork: true }])
    world.do((_, books) => books.decideCapture(world.goods.shipment(FIRST).captureId as CaptureId, 'retry'))
    world.payAll()
    world.advance()
    expect(world.goods.shipment(FIRST)).toMatchObject(
      operation === 'automatic' ? { status: 'shipped' } : { releasedAt: expect.any(String) },
    )
  })

  it('leaves by itself once it is there', () => {
    const world = claimed('automatic')
    label(world)
    world.advance()
    expect(world.goods.shipment(FIRST).status).toBe('labelled')
    world.payAll()
    world.advance()
    expect([world.goods.shipment(FIRST).status, world.books.captures.length]).toEqual(['shipped', 1])
  })

  it('asks for the rest when another parcel has taken it', () => {
    const world = worldAt('packed', { operation: 'automatic', parcels: [[cups(3)], [saucers(2)]] })
    world.do((goods, books) => captureFor(goods, FIRST, books))
    world.payAll()
    world.send(SECOND)
    label(world)
    world.advance()
    world.payAll()
    world.advance()
    expect([world.goods.shipment(FIRST).status, world.books.captured]).toEqual(['shipped', TOTAL])
  })
})

describe('a parcel that was released, and whose warehouse never says that it has left', () => {
  const released = (): GoodsWorld => {
    const world = worldAt('labelled', { operation: 'external' })
    world.advance()
    world.payAll()
    world.advance()
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'labelled', releasedAt: expect.any(String) })
    return world
  }

  it.each(['at once', 'when it is late'])('has left when staff say so, %s', (when) => {
    const world = released()
    if (when === 'when it is late') {
      world.pass(73)
      world.advance()
      expect(casesOf(world)).toHaveLength(1)
    }
    expect(world.do((goods, books) => handOver(goods, FIRST, books))).toBe('done')
    world.advance()
    expect([world.goods.order.status, casesOf(world)]).toEqual(['shipped', []])
    expect(world.goods.messages.due).toEqual([])
    expect(world.do((goods, books) => handOver(goods, FIRST, books))).toBe('unchanged')
  })

  it('has left also while the order is on hold: that was claimed before', () => {
    const world = released()
    world.hold()
    expect(world.do((goods, books) => handOver(goods, FIRST, books))).toBe('done')
    expect(world.goods.order.status).toBe('shipped')
  })

  it('is not said to have left before it was released', () => {
    const world = worldAt('labelled', { operation: 'external' })
    world.do((goods, books) => handOver(goods, FIRST, books))
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'labelled', isLeaving: true })
  })
})
