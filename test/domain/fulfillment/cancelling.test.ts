import { advance } from '../../../domain/fulfillment/advance'
import { cancelShipment, cancelUnits } from '../../../domain/fulfillment/cancelling'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { captureFor } from '../../../domain/fulfillment/parcel-money'
import { pack, pick } from '../../../domain/fulfillment/picking'
import type { Units } from '../../../domain/fulfillment/shipment'
import { cups, FIRST, GoodsWorld, label, saucers, SECOND, TOTAL, worldAt } from '../../support/goods-world'

const WHY = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const
const cancel = (world: GoodsWorld, wanted: readonly Units[] | null = null) =>
  world.do((goods, books) => cancelUnits(goods, wanted, WHY, books))

/** What became of the cancellation that waits, once all is done that can be. */
function end(world: GoodsWorld): { state: string; code: string | null } | undefined {
  return world.do((goods, books) => {
    const command = goods.commands.find(({ kind }) => kind === 'cancel')
    advance(goods, books)
    return command && { state: command.state, code: command.code }
  })
}

describe('a cancellation of a parcel whose capture staff have claimed', () => {
  const claimed = (): GoodsWorld => {
    const world = worldAt('packed')
    world.do((goods, books) => captureFor(goods, FIRST, books))
    expect(world.books.captures).toMatchObject([{ status: 'pending', shipmentId: FIRST }])
    return world
  }

  it('waits while that is pending', () => {
    const world = claimed()
    expect(cancel(world)).toMatchObject({ outcome: 'waiting' })
    expect(end(world)).toEqual({ state: 'pending', code: null })
    expect(world.do((goods, books) => cancelShipment(goods, FIRST, books))).toEqual({ refused: 'already_shipped' })
    expect([world.goods.order.status, world.books.refunds]).toEqual(['processing', []])
  })

  it('goes through when it fails', () => {
    const world = claimed()
    cancel(world)
    world.askProvider(0, 'refuses')
    expect(end(world)).toEqual({ state: 'done', code: null })
    expect(world.goods.order.status).toBe('cancelled')
  })

  it('comes too late when it succeeds; another warehouse may send it all the same', () => {
    const world = claimed()
    cancel(world)
    world.payAll()
    expect(end(world)).toEqual({ state: 'refused', code: 'already_shipped' })
    expect([world.goods.shipment(FIRST).status, world.books.captured]).toEqual(['packed', TOTAL])
    expect(world.do((goods, books) => cancelShipment(goods, FIRST, books))).toBe('done')
  })
})

describe('a parcel whose money was refused', () => {
  const isAsked = (world: GoodsWorld) => world.books.captures.map(({ status, atWork }) => [status, atWork])
  function refused(): GoodsWorld {
    const world = leaving(FIRST)
    world.askProvider(0, 'refuses')
    world.advance()
    expect(isAsked(world)).toEqual([['failed', true]])
    return world
  }

  it('that is sent once more needs no decision about the first try, and takes no more than it is worth', () => {
    const world = refused()
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    expect(isAsked(world)).toEqual([
      ['failed', false],
      ['pending', true],
    ])
    world.payAll()
    world.advance()
    expect([world.goods.shipment(FIRST).status, world.goods.shipment(SECOND).status]).toEqual(['shipped', 'labelled'])
    expect(world.do((_, books) => books.decideCapture(world.books.captures[0]?.id as never, 'retry'))).toBeNull()
    expect(world.books.captured).toBeLessThan(TOTAL)
  })

  it('whose units are cancelled needs none either: nothing is taken for what is left before that leaves', () => {
    const world = refused()
    cancel(world, [cups(3)])
    world.advance()
    expect(isAsked(world)).toEqual([['failed', false]])
    expect([world.goods.shipment(FIRST).status, world.goods.order.status]).toEqual(['cancelled', 'processing'])
  })
})

/** Two labelled parcels, cups in one and saucers in the other; these are to leave, their money claimed. */
function leaving(...ids: (typeof FIRST)[]): GoodsWorld {
  const world = worldAt('labelled', { parcels: [[cups(3)], [saucers(2)]] })
  world.do((goods) => pick(goods, SECOND, null))
  world.do((goods) => pack(goods, SECOND, null))
  label(world, SECOND)
  world.do((goods) => ids.map((id) => wantToShip(goods, id)))
  world.advance()
  return world
}

describe('a cancellation that waits', () => {
  it('does not wait for a parcel that has none of its units', () => {
    const world = leaving(FIRST, SECOND)
    expect(cancel(world, [cups(1)])).toMatchObject({ outcome: 'waiting' })
    // The first is refused; the second is on its way still.
    world.askProvider(0, 'refuses')
    expect(end(world)).toEqual({ state: 'done', code: null })
    expect(world.goods.lines.map(({ cancelled }) => cancelled)).toEqual([1, 0])
    expect(world.goods.shipment(SECOND).isLeaving).toBe(true)
  })

  it('waits for all parcels that have some of them', () => {
    const world = leaving(FIRST, SECOND)
    cancel(world)
    world.askProvider(0, 'refuses')
    expect(end(world)).toEqual({ state: 'pending', code: null })
    world.askProvider(0, 'refuses')
    expect(end(world)).toEqual({ state: 'done', code: null })
    expect(world.goods.order.status).toBe('cancelled')
  })

  it('says so when only some of its units could be cancelled', () => {
    const world = leaving(FIRST, SECOND)
    cancel(world)
    world.askProvider(0, 'refuses')
    // The second takes the fee too, now that it leaves alone.
    world.payAll()
    world.advance()
    world.payAll()
    expect(end(world)).toEqual({ state: 'refused', code: 'partly_shipped' })
    expect(world.goods.lines.map(({ cancelled, shipped }) => [cancelled, shipped])).toEqual([
      [3, 0],
      [0, 2],
    ])
  })

  it.each([
    ['other units of it were cancelled at once', null, 'partly_shipped'],
    ['it was about units that leave alone', [cups(3)], 'already_shipped'],
  ])('comes too late where %s: %s', (_, wanted, code) => {
    const world = leaving(FIRST)
    expect(cancel(world, wanted ?? undefined)).toMatchObject({ outcome: 'waiting' })
    world.payAll()
    expect(end(world)).toEqual({ state: 'refused', code })
    expect(world.goods.lines.map(({ cancelled }) => cancelled)).toEqual(wanted === null ? [0, 2] : [0, 0])
  })

  it('twice for the same units is done twice', () => {
    const world = leaving(FIRST, SECOND)
    cancel(world, [cups(3)])
    cancel(world, [cups(3)])
    world.askProvider(0, 'refuses')
    const commands = world.do((goods, books) => {
      const asked = goods.commands.filter(({ kind }) => kind === 'cancel')
      advance(goods, books)
      return asked.map(({ state, code }) => ({ state, code }))
    })
    expect(commands).toEqual([
      { state: 'done', code: null },
      { state: 'done', code: null },
    ])
    expect(world.goods.lines.map(({ cancelled }) => cancelled)).toEqual([3, 0])
  })

  it('that takes units out of a parcel of the demo leaves it to go on at once', () => {
    const world = worldAt('labelled', { operation: 'automatic' })
    world.advance()
    expect(cancel(world, [cups(1)])).toMatchObject({ outcome: 'waiting' })
    world.askProvider(0, 'refuses')
    world.advance()
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'packed', lines: [cups(2), saucers(2)] })
    expect(world.goods.labels.map(({ status }) => status)).toEqual(['voiding', 'claimed'])
  })

  it('ends as too late when all of them were sent', () => {
    const world = leaving(FIRST, SECOND)
    cancel(world)
    world.payAll()
    expect(end(world)).toEqual({ state: 'refused', code: 'already_shipped' })
    expect(world.goods.order.status).toBe('shipped')
  })
})
