import { pick } from '../../../domain/fulfillment/picking'
import { hear, type WarehouseNews } from '../../../domain/fulfillment/warehouse-news'
import { workOf } from '../../../domain/fulfillment/work'
import type { ShipmentStatus, Units } from '../../../domain/fulfillment/shipment'
import { cups, FIRST, type GoodsWorld, saucers, TOTAL, worldAt } from '../../support/goods-world'

/** Three cups and two saucers are counted. */
function count(world: GoodsWorld, picked: readonly Units[] | null) {
  return world.do((goods) => {
    const { outcome, short } = pick(goods, FIRST, picked)
    goods.backOrder(short)
    return { outcome, short }
  })
}

describe('a second count', () => {
  const UNCHANGED = { outcome: 'unchanged', short: [] }
  const REFUSED = { outcome: { refused: 'invalid_state' }, short: [] }
  const FEWER = [cups(2), saucers(2)]

  it.each<[ShipmentStatus, picked: readonly Units[] | null, expected: object]>([
    ['allocated', FEWER, { outcome: 'done', short: [cups(1)] }],
    ['picking', null, UNCHANGED],
    ['picking', [cups(3), saucers(2)], UNCHANGED],
    ['picking', FEWER, { outcome: 'done', short: [cups(1)] }],
    ['picking', [cups(3)], { outcome: 'done', short: [saucers(2)] }],
    ['packed', null, UNCHANGED],
    ['packed', [saucers(2), cups(3)], UNCHANGED],
    ['packed', FEWER, REFUSED],
    ['labelled', FEWER, REFUSED],
    ['shipped', null, UNCHANGED],
    ['shipped', FEWER, REFUSED],
    ['cancelled', null, REFUSED],
  ])('of one that is %s: %j', (status, picked, expected) => {
    const world = worldAt(status)
    const waiting = world.goods.backOrders
    const { outcome, short } = count(world, picked)
    expect({ outcome, short }).toEqual(expected)
    expect(world.goods.backOrders).toEqual([...waiting, ...short])
  })

  it('that is repeated changes nothing more', () => {
    const world = worldAt('picking')
    for (const _ of [1, 2, 3]) count(world, [cups(1), saucers(2)])
    expect([world.goods.shipment(FIRST).lines, world.goods.backOrders]).toEqual([[cups(1), saucers(2)], [cups(2)]])
  })

  it('of nothing at all ends the shipment', () => {
    const world = worldAt('picking')
    count(world, [])
    expect([world.goods.shipment(FIRST).status, world.goods.backOrders]).toEqual(['cancelled', [cups(3), saucers(2)]])
  })
})

describe('a warehouse with a system of its own that counts once more', () => {
  const told = { revision: null, lines: null, boxes: null, carrier: null, trackingNumber: null, code: null } as const
  const tell = (world: GoodsWorld, news: Partial<WarehouseNews> & Pick<WarehouseNews, 'type'>) =>
    world.do((goods, books) => goods.backOrder(hear(goods, FIRST, { ...told, ...news }, books)))
  const FEWER = [cups(2), saucers(2)]

  it.each(['picking', 'packed', 'labelled'] as const)('of one that is %s packs what is there', (status) => {
    const world = worldAt(status, { operation: 'external' })
    tell(world, { type: 'shipment.packed', lines: FEWER })
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'packed', lines: FEWER })
    expect(world.goods.backOrders).toEqual([cups(1)])
    expect(world.goods.labels.filter((label) => label.status === 'live')).toEqual([])
    // The same again, and what it told of before, late.
    tell(world, { type: 'shipment.packed', lines: FEWER })
    tell(world, { type: 'shipment.picked', lines: [cups(1)] })
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'packed', lines: FEWER })
  })

  it('of one whose money is being taken asks a person', () => {
    const world = worldAt('labelled', { operation: 'external' })
    world.advance()
    expect(world.books.captures).toMatchObject([{ amount: TOTAL, status: 'pending' }])
    tell(world, { type: 'shipment.packed', lines: FEWER })
    expect(workOf(world.goods).items).toMatchObject([{ kind: 'parcel', object: FIRST, trouble: 'refused' }])
  })
})
