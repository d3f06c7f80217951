import fc from 'fast-check'
import { advance } from '../../../domain/fulfillment/advance'
import { cancelParcel, cancelShipment, cancelUnits } from '../../../domain/fulfillment/cancelling'
import { addCommand } from '../../../domain/fulfillment/commands'
import type { Goods, StepOutcome } from '../../../domain/fulfillment/goods'
import {
  answerVoid,
  claimLabel,
  decideLabel,
  refuseLabel,
  takeLabel,
  withdrawLabel,
} from '../../../domain/fulfillment/labels'
import { wantToShip } from '../../../domain/fulfillment/leaving'
import { decideShipment, mayReplace, settleRefunded } from '../../../domain/fulfillment/parcel-decisions'
import { captureFor } from '../../../domain/fulfillment/parcel-money'
import { decideShort, pack, pick, settleShort } from '../../../domain/fulfillment/picking'
import { observe } from '../../../domain/fulfillment/tracking'
import { workOf } from '../../../domain/fulfillment/work'
import { SHIPMENT_STATUSES, type ShipmentStatus, type TrackingType } from '../../../domain/fulfillment/shipment'
import type { CaptureId, LabelId, ShipmentId } from '../../../domain/ids'
import type { Books } from '../../../domain/payment/books'
import {
  cups,
  FIRST,
  goodsSetup,
  goodsStep,
  GoodsWorld,
  label,
  PAYMENT,
  RETURN_WINDOW_DAYS,
  saucers,
  SECOND,
  ship,
  takeStep,
  TOTAL,
  type WorldSetup,
  worldAt as at,
  WORTH,
} from '../../support/goods-world'

const THIRD = 'shp_3' as ShipmentId
const LABEL = 'lbl_1' as LabelId
const WHY = { reason: 'customer', reason_code: 'changed_mind', step: 1, actor: null } as const
const NOBODY_SAYS = { carrier: null, service: null } as const
const INVALID = { refused: 'invalid_state' } as const
const HELD = { refused: 'order_on_hold' } as const
const LEFT = { refused: 'already_shipped' } as const
/** Cups in one parcel, saucers in the other. */
const APART: WorldSetup = { parcels: [[cups(3)], [saucers(2)]] }

const decide = (world: GoodsWorld, decision: 'wait' | 'settled', id = FIRST): void =>
  world.do((goods) => decideShipment(goods, id, decision))
const statusOf = ({ goods }: GoodsWorld, id = FIRST): ShipmentStatus => goods.shipment(id).status
const amounts = ({ books }: GoodsWorld): number[] => books.captures.map(({ amount }) => amount)

describe('each step, from each status', () => {
  type Step = (goods: Goods, books: Books) => StepOutcome
  const STEPS: Record<
    string,
    { step: Step; from: Partial<Record<ShipmentStatus, StepOutcome>>; else: StepOutcome; to: ShipmentStatus }
  > = {
    pick: {
      step: (goods) => pick(goods, FIRST, null).outcome,
      from: { allocated: 'done', cancelled: INVALID },
      else: 'unchanged',
      to: 'picking',
    },
    pack: {
      step: (goods) => pack(goods, FIRST, null),
      from: { picking: 'done', allocated: INVALID, cancelled: INVALID },
      else: 'unchanged',
      to: 'packed',
    },
    label: {
      step: (goods) => claimLabel(goods, FIRST, NOBODY_SAYS),
      from: { packed: 'done', allocated: INVALID, picking: INVALID, cancelled: INVALID },
      else: 'unchanged',
      to: 'packed',
    },
    ship: {
      step: (goods) => wantToShip(goods, FIRST),
      from: { labelled: 'done', allocated: INVALID, picking: INVALID, packed: INVALID, cancelled: INVALID },
      else: 'unchanged',
      to: 'labelled',
    },
    cancel: {
      step: (goods, books) => cancelShipment(goods, FIRST, books),
      from: { allocated: 'done', picking: 'done', packed: 'done', labelled: 'done', cancelled: 'unchanged' },
      else: LEFT,
      to: 'cancelled',
    },
  }

  it.each(
    Object.entries(STEPS).flatMap(([name, each]) => SHIPMENT_STATUSES.map((status) => ({ name, status, ...each }))),
  )('$name of one that is $status', ({ status, step, from, else: otherwise, to }) => {
    const world = at(status, APART)
    const expected = from[status] ?? otherwise
    expect(world.do(step)).toEqual(expected)
    expect(statusOf(world)).toBe(expected === 'done' ? to : status)
    // Twice is once.
    const told = world.events.length
    expect(world.do(step)).toEqual(expected === 'done' ? 'unchanged' : expected)
    expect(world.events).toHaveLength(told)
  })

  it.each<[ShipmentStatus, StepOutcome, StepOutcome]>([
    ['allocated', 'done', INVALID],
    ['picking', 'unchanged', INVALID],
    ['packed', 'unchanged', HELD],
    ['labelled', 'unchanged', 'unchanged'],
  ])('while the order is on hold, of one that is %s', (status, picked, labelled) => {
    const world = at(status)
    world.hold()
    expect(world.do((goods) => pick(goods, FIRST, null).outcome)).toEqual(picked)
    if (status !== 'allocated') expect(world.do((goods) => claimLabel(goods, FIRST, NOBODY_SAYS))).toEqual(labelled)
    if (status === 'labelled') expect(world.do((goods) => wantToShip(goods, FIRST))).toEqual(HELD)
    world.advance()
    expect(amounts(world)).toEqual([])
  })

  it('nothing is picked, packed, labelled or sent for an order that is over', () => {
    const world = at('packed')
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    for (const step of [
      (goods: Goods) => pick(goods, FIRST, null).outcome,
      (goods: Goods) => pack(goods, FIRST, null),
      (goods: Goods) => claimLabel(goods, FIRST, NOBODY_SAYS),
      (goods: Goods) => wantToShip(goods, FIRST),
    ])
      expect(world.do(step)).toEqual(INVALID)
    expect(world.do((goods, books) => captureFor(goods, FIRST, books))).toEqual(INVALID)
  })
})

describe('a pick that is short', () => {
  it('leaves what is there in the shipment, and takes the rest out of the books of the warehouse', () => {
    const world = new GoodsWorld()
    const { short } = world.do((goods) => {
      const done = pick(goods, FIRST, [cups(1), saucers(2)])
      goods.backOrder(done.short)
      return done
    })
    expect(short).toEqual([cups(2)])
    expect(world.goods.shipment(FIRST).lines).toEqual([cups(1), saucers(2)])
    expect(world.goods.backOrders).toEqual([cups(2)])
    expect(world.events).toEqual(['order.processing', 'shipment.picked'])
  })

  it('of nothing at all ends the shipment', () => {
    const world = new GoodsWorld(APART)
    world.do((goods) => goods.backOrder(pick(goods, SECOND, []).short))
    expect([statusOf(world, SECOND), statusOf(world)]).toEqual(['cancelled', 'allocated'])
    expect(world.goods.backOrders).toEqual([saucers(2)])
  })

  it.each([
    ['back_order', [cups(2)], 0, 'processing'],
    ['cancel', [], 2, 'processing'],
  ] as const)('where no warehouse has the rest: %s', (shortPick, waiting, cancelled, status) => {
    const world = new GoodsWorld({ shortPick })
    world.do((goods, books) => {
      goods.backOrder(pick(goods, FIRST, [cups(1), saucers(2)]).short)
      settleShort(goods, books)
    })
    expect(world.goods.backOrders).toEqual(waiting)
    expect(world.goods.lines[0]?.cancelled).toBe(cancelled)
    expect(world.goods.order.status).toBe(status)
    // Of 1,000 for three, the last two are worth 667.
    expect(world.books.owed).toBe(cancelled === 0 ? TOTAL : TOTAL - 667)
  })

  it('asks a person about what waits, until they have decided or it has come', () => {
    const short = (): GoodsWorld => {
      const world = new GoodsWorld()
      world.do((goods, books) => {
        goods.backOrder(pick(goods, FIRST, [cups(1), saucers(2)]).short)
        settleShort(goods, books)
      })
      world.advance()
      return world
    }
    const items = ({ goods }: GoodsWorld) => workOf(goods).items
    const [waiting, settled, cancelled, served, gone] = [short(), short(), short(), short(), short()]
    expect(items(waiting)).toEqual([{ kind: 'short', object: waiting.goods.order.id, units: [cups(2)] }])
    for (const [world, decision] of [
      [waiting, 'wait'],
      [settled, 'settled'],
      [cancelled, 'cancel'],
    ] as const)
      world.do((goods, books) => decideShort(goods, decision, books))
    served.receive()
    gone.do((goods, books) => cancelUnits(goods, null, WHY, books))
    for (const world of [waiting, settled, cancelled, served, gone]) {
      world.advance()
      expect(items(world)).toEqual([])
    }
    expect(waiting.goods.order.lookAt).not.toBeNull()
    expect([cancelled.goods.lines[0]?.cancelled, cancelled.goods.backOrders]).toEqual([2, []])
    for (const world of [waiting, settled, served]) {
      world.pass(24 * 15)
      world.advance()
    }
    expect([waiting, settled, served].map((world) => items(world).some(({ kind }) => kind === 'short'))).toEqual([
      true,
      false,
      false,
    ])
  })

  it('is no case of units that wait for stock from the beginning, or of a shop that cancels them', () => {
    const world = new GoodsWorld({ parcels: [[cups(1)]] })
    world.advance()
    expect(workOf(world.goods).items).toEqual([])
    const other = new GoodsWorld({ shortPick: 'cancel' })
    other.do((goods, books) => {
      goods.backOrder(pick(goods, FIRST, [cups(1), saucers(2)]).short)
      settleShort(goods, books)
    })
    expect(workOf(other.goods).items).toEqual([])
  })

  it('of all there is ends an order that is not to wait, with the reason', () => {
    const world = new GoodsWorld({ shortPick: 'cancel' })
    world.do((goods, books) => {
      goods.backOrder(pick(goods, FIRST, []).short)
      settleShort(goods, books)
    })
    expect(world.goods.order).toMatchObject({ status: 'cancelled', cancelReason: 'out_of_stock' })
  })
})

describe('a label', () => {
  const claimed = (): GoodsWorld => {
    const world = at('packed')
    world.do((goods) => claimLabel(goods, FIRST, NOBODY_SAYS))
    return world
  }
  const first = ({ goods }: GoodsWorld) => goods.label(LABEL)

  it('is bought once under its key', () => {
    const world = claimed()
    expect(first(world)).toMatchObject({ key: 'order_1/label/1', number: 1, status: 'claimed', atWork: true })
    world.askCarrier(first(world), 'lost')
    world.askCarrier(first(world), 'well')
    expect(first(world)).toMatchObject({ status: 'live', atWork: false, cost: 350, trackingNumber: 'order_1/label/1' })
    expect([statusOf(world), world.bought.size]).toEqual(['labelled', 1])
  })

  it('that is refused is asked about; who asked for it by a command hears it, and nobody else has to decide', () => {
    const [unasked, asked] = [claimed(), claimed()]
    asked.do((goods) => void addCommand(goods, 'label', { shipmentId: FIRST, detail: null, actor: 'key_1' }))
    const command = asked.goods.commands[0]
    for (const world of [unasked, asked]) world.askCarrier(first(world), 'refuses')
    expect([first(unasked), first(asked)]).toMatchObject([
      { status: 'refused', failureCode: 'refused', atWork: true },
      { status: 'refused', failureCode: 'refused', atWork: false },
    ])
    expect([command?.state, asked.goods.commands]).toEqual(['refused', []])
  })

  it.each(['retry', 'leave'] as const)('that is refused is decided by a person: %s', (decision) => {
    const world = claimed()
    world.askCarrier(first(world), 'refuses')
    world.hold()
    world.do((goods) => decideLabel(goods, LABEL, decision))
    // While the order is on hold nothing is labelled: who wants it tried again has to say so then.
    expect(first(world).atWork).toBe(decision === 'retry')
    world.resume()
    world.do((goods) => decideLabel(goods, LABEL, decision))
    expect(world.goods.labels.map(({ key, status, atWork }) => [key, status, atWork])).toEqual([
      ['order_1/label/1', 'refused', false],
      ...(decision === 'retry' ? [['order_1/label/2', 'claimed', true]] : []),
    ])
  })

  it('is not bought when the order is put on hold before its carrier was asked', () => {
    const world = claimed()
    world.hold()
    world.do((goods) => withdrawLabel(goods, LABEL))
    expect([first(world).status, first(world).atWork, statusOf(world)]).toEqual(['voided', false, 'packed'])
    world.resume()
    label(world)
    expect(statusOf(world)).toBe('labelled')
  })

  it('whose carrier was asked is not withdrawn', () => {
    const world = claimed()
    world.askCarrier(first(world), 'lost')
    world.do((goods) => withdrawLabel(goods, LABEL))
    expect(first(world).status).toBe('claimed')
  })

  it.each<[what: string, become: (world: GoodsWorld) => void, status: string]>([
    ['was never asked for is simply over', () => {}, 'voided'],
    ['was asked for, and may be there, is taken back', (world) => world.askCarrier(first(world), 'lost'), 'voiding'],
    ['is there is taken back', (world) => world.askCarrier(first(world), 'well'), 'voiding'],
  ])('of a cancelled order that %s', (_what, become, status) => {
    const world = claimed()
    become(world)
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    expect(first(world)).toMatchObject({ status, atWork: status === 'voiding' })
    if (status === 'voided') return
    // The carrier sells it, or refuses to take it back, once or twice; and takes it.
    world.do((goods) => takeLabel(goods, LABEL, BOUGHT))
    expect(first(world)).toMatchObject({ status: 'voiding', atWork: true, reference: 'ref' })
    for (let times = 0; times < 2; times++) {
      world.do((goods) => answerVoid(goods, LABEL, { outcome: 'refused', code: 'used' }))
      expect(first(world)).toMatchObject({ failureCode: 'used', atWork: true })
      world.decideLabel(first(world), 'retry')
      expect(first(world)).toMatchObject({ failureCode: null, atWork: true })
    }
    world.askCarrier(first(world), 'well')
    expect([first(world).status, first(world).atWork, world.bought.size]).toEqual(['voided', false, 0])
  })

  it('that is wanted no more, and that its carrier never sold, is over', () => {
    const world = claimed()
    world.askCarrier(first(world), 'lost')
    world.bought.clear()
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    world.do((goods) => refuseLabel(goods, LABEL, 'no_service'))
    expect(first(world)).toMatchObject({ status: 'voided', atWork: false, failureCode: null })
  })

  it('that is kept by its carrier is over once a person has dealt with it', () => {
    const world = at('labelled')
    world.do((goods, books) => cancelUnits(goods, null, WHY, books))
    world.do((goods) => answerVoid(goods, LABEL, { outcome: 'refused', code: 'used' }))
    world.decideLabel(first(world), 'leave')
    expect(first(world)).toMatchObject({ status: 'voided', atWork: false })
  })

  it('stays live when an answer to it comes twice or late', () => {
    const world = at('shipped')
    const before = world.events.length
    world.do((goods) => takeLabel(goods, LABEL, BOUGHT))
    world.do((goods) => refuseLabel(goods, LABEL, 'late'))
    world.do((goods) => answerVoid(goods, LABEL, { outcome: 'voided' }))
    world.do((goods) => decideLabel(goods, LABEL, 'leave'))
    expect([first(world).status, world.events.length]).toEqual(['live', before])
  })

  const BOUGHT = {
    reference: 'ref',
    trackingNumber: 'order_1/label/1',
    trackingUrl: null,
    documentUrl: null,
    cost: 350,
    currency: 'GBP',
    expectedAt: null,
  }
})

describe('what a parcel captures', () => {
  it('is the value of its units, and the fee with the first one; the last one ends the authorization', () => {
    const world = new GoodsWorld({ parcels: [[cups(1)], [cups(1), saucers(1)], [cups(1), saucers(1)]] })
    for (const id of [FIRST, SECOND, 'shp_3' as ShipmentId]) world.send(id)
    // 1,000 for three: 333, 333 and 334. 501 for two: 250 and 251.
    expect(amounts(world)).toEqual([333 + WORTH.fee, 333 + 250, 334 + 251])
    expect(world.books.captured).toBe(TOTAL)
    expect(world.totals.get('customer_deposits')).toBe(0)
    expect(world.books.captures.map(({ shipmentId, cause }) => [shipmentId, cause])).toEqual(
      ['shp_1', 'shp_2', 'shp_3'].map((id) => [id, 'shipment']),
    )
  })

  it('of two that leave at once is claimed for both, each its own part', () => {
    const world = at('labelled', APART)
    world.do((goods) => pick(goods, SECOND, null))
    world.do((goods) => pack(goods, SECOND, null))
    label(world, SECOND)
    world.do((goods) => [FIRST, SECOND].map((id) => wantToShip(goods, id)))
    world.advance()
    expect(amounts(world)).toEqual([WORTH.cups + WORTH.fee, WORTH.saucers])
    // The second one is captured first, and does not wait for the other.
    world.askProvider(1, 'well')
    world.advance()
    expect([statusOf(world), statusOf(world, SECOND)]).toEqual(['labelled', 'labelled'])
    world.payAll()
    world.advance()
    expect([statusOf(world), statusOf(world, SECOND)]).toEqual(['shipped', 'shipped'])
    expect(amounts(world)).toHaveLength(2)
  })

  it('is nothing when it was captured before; and only what is missing', () => {
    const world = at('labelled', APART)
    world.do((_, books) => books.claimCapture({ amount: WORTH.cups, actor: 'key_1' }))
    world.payAll()
    ship(world)
    expect(amounts(world)).toEqual([WORTH.cups, WORTH.fee])
    world.do((_, books) => books.claimCapture({ amount: WORTH.saucers, actor: 'key_1' }))
    world.payAll()
    world.send(SECOND)
    expect([statusOf(world, SECOND), amounts(world).length]).toEqual(['shipped', 3])
  })

  it('waits for a capture of staff that is on its way, and covers it', () => {
    const world = at('labelled')
    world.do((_, books) => books.claimCapture({ amount: TOTAL, actor: 'key_1' }))
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    expect([statusOf(world), amounts(world)]).toEqual(['labelled', [TOTAL]])
    world.payAll()
    world.advance()
    expect(statusOf(world)).toBe('shipped')
  })

  it('is all that is due, with the first parcel, where the charge allows one capture; a later cancellation is refunded', () => {
    const world = new GoodsWorld({ ...APART, capturesInParts: false })
    world.send(FIRST)
    expect(amounts(world)).toEqual([TOTAL])
    world.do((goods, books) => cancelUnits(goods, [saucers(1)], WHY, books))
    expect(world.books.refunds).toMatchObject([{ amount: 251, cause: 'cancel', returned: 0 }])
    world.payAll()
    world.send(SECOND)
    expect([amounts(world), statusOf(world, SECOND)]).toEqual([[TOTAL], 'shipped'])
    expect(world.totals.get('customer_deposits')).toBe(0)
  })

  it('is rounded up to what the provider can take, and never beyond what is owed', () => {
    const world = new GoodsWorld({ ...APART, step: 10 })
    world.send(FIRST)
    expect(amounts(world)).toEqual([1_100])
    world.send(SECOND)
    expect(amounts(world)).toEqual([1_100, 500])
  })

  it('is less what was cancelled before', () => {
    const world = new GoodsWorld(APART)
    world.do((goods, books) => cancelUnits(goods, [cups(2)], WHY, books))
    world.send(FIRST)
    expect(amounts(world)).toEqual([333 + WORTH.fee])
  })

  it('that is refused keeps the parcel, until the money is there', () => {
    const world = at('labelled')
    world.do((goods) => {
      wantToShip(goods, FIRST)
      addCommand(goods, 'ship', { shipmentId: FIRST, detail: null, actor: 'key_1' })
    })
    world.advance()
    world.askProvider(0, 'refuses')
    world.advance()
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'labelled', isLeaving: false })
    expect(world.events.slice(-1)).toEqual(['shipment.kept'])
    expect(world.goods.commands).toEqual([])
    world.do((_, books) => books.decideCapture(books.captures[0]?.id as CaptureId, 'retry'))
    world.payAll()
    ship(world)
    expect([statusOf(world), world.books.captured]).toEqual(['shipped', TOTAL])
  })

  it('that is tried again while it still wants to leave lets it leave', () => {
    const world = at('labelled', { operation: 'automatic' })
    world.advance()
    world.askProvider(0, 'refuses')
    world.advance()
    expect(statusOf(world)).toBe('labelled')
    expect(amounts(world)).toEqual([TOTAL])
    world.do((_, books) => books.decideCapture(books.captures[0]?.id as CaptureId, 'retry'))
    world.payAll()
    world.advance()
    expect([statusOf(world), amounts(world)]).toEqual(['shipped', [TOTAL, TOTAL]])
  })

  it('that is refused keeps no parcel that other money covers', () => {
    const world = at('labelled')
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    world.askProvider(0, 'refuses')
    world.do((_, books) => books.claimCapture({ amount: TOTAL, actor: 'key_1' }))
    world.payAll()
    world.advance()
    expect([statusOf(world), amounts(world)]).toEqual(['shipped', [TOTAL, TOTAL]])
  })

  it('cannot be taken without an authorization: the parcel stays', () => {
    const world = at('labelled')
    Object.assign(world.books.payments[0] as object, { status: 'voided', released: TOTAL })
    world.do((goods) => wantToShip(goods, FIRST))
    world.do((goods, books) => advance(goods, books))
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'labelled', isLeaving: false, captureId: null })
  })

  it('is claimed by staff before, for the shipment that they name', () => {
    const world = at('packed', APART)
    const claim = world.do((goods, books) => captureFor(goods, FIRST, books))
    expect(claim).toMatchObject({ amount: WORTH.cups + WORTH.fee, shipmentId: FIRST, paymentId: PAYMENT })
    expect(world.do((goods, books) => captureFor(goods, FIRST, books))).toBe('nothing_due')
    // What was captured covers either of them, whichever leaves first.
    expect(world.do((goods, books) => captureFor(goods, SECOND, books))).toBe('nothing_due')
    const held = at('packed')
    held.hold()
    expect(held.do((goods, books) => captureFor(goods, FIRST, books))).toBe('held')
  })

  it('of one that is sent in the place of another is nothing', () => {
    const world = at('lost')
    world.replace(FIRST)
    expect(world.do((goods, books) => captureFor(goods, SECOND, books))).toEqual(INVALID)
    world.send(SECOND)
    expect([statusOf(world, SECOND), amounts(world)]).toEqual(['shipped', [TOTAL]])
  })
})

describe('a cancellation', () => {
  const cancelAll = (world: GoodsWorld) => world.do((goods, books) => cancelUnits(goods, null, WHY, books))

  it.each(['allocated', 'picking', 'packed', 'labelled'] as const)(
    'of all ends an order whose shipment is %s',
    (status) => {
      const world = at(status)
      expect(cancelAll(world)).toEqual({ outcome: 'cancelled' })
      expect([world.goods.order.status, statusOf(world), world.books.owed]).toEqual(['cancelled', 'cancelled', 0])
      world.advance()
      expect(cancelAll(world)).toEqual({ outcome: 'nothing_left' })
      world.payAll()
      expect(world.books.payments[0]).toMatchObject({ status: 'voided', released: TOTAL })
    },
  )

  it('of a parcel whose capture was claimed waits, and goes through when the money is not to be had', () => {
    const world = at('labelled')
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    expect(cancelAll(world)).toMatchObject({ outcome: 'waiting' })
    world.advance()
    expect(world.goods.commands).toMatchObject([{ kind: 'cancel', state: 'pending' }])
    world.askProvider(0, 'refuses')
    world.advance()
    expect([world.goods.order.status, world.goods.commands]).toEqual(['cancelled', []])
    expect(world.goods.order.cancelReason).toBe('customer')
  })

  it('of a parcel that leaves is refused in the end', () => {
    const world = at('labelled')
    ship(world)
    expect(cancelAll(world)).toMatchObject({ outcome: 'refused' })
    const late = at('labelled')
    late.do((goods) => wantToShip(goods, FIRST))
    late.advance()
    cancelAll(late)
    const [command] = late.goods.commands
    late.payAll()
    late.do((goods, books) => {
      advance(goods, books)
      expect(goods.commands.find(({ id }) => id === command?.id)).toMatchObject({
        state: 'refused',
        code: 'already_shipped',
      })
    })
    expect([late.goods.order.status, statusOf(late)]).toEqual(['shipped', 'shipped'])
  })

  it('before the capture is claimed stops a parcel that is to leave', () => {
    const world = at('labelled')
    world.do((goods) => wantToShip(goods, FIRST))
    expect(cancelAll(world)).toEqual({ outcome: 'cancelled' })
    world.advance()
    expect([statusOf(world), amounts(world)]).toEqual(['cancelled', []])
  })

  it('of some takes what waits for stock first, then what is least far; a packed parcel is packed anew', () => {
    const world = new GoodsWorld({ parcels: [[cups(1), saucers(2)], [cups(1)]] })
    for (const id of [FIRST]) {
      world.do((goods) => pick(goods, id, null))
      world.do((goods) => pack(goods, id, null))
      label(world, id)
    }
    const cancelOne = () => world.do((goods, books) => cancelUnits(goods, [cups(1)], WHY, books))
    cancelOne()
    expect([world.goods.backOrders, statusOf(world, SECOND)]).toEqual([[], 'allocated'])
    cancelOne()
    expect([statusOf(world, SECOND), statusOf(world)]).toEqual(['cancelled', 'labelled'])
    cancelOne()
    expect([statusOf(world), world.goods.shipment(FIRST).lines]).toEqual(['picking', [saucers(2)]])
    expect(world.goods.label(LABEL).status).toBe('voiding')
    expect(world.events.slice(-2)).toEqual(['shipment.reopened', 'order.units_cancelled'])
  })

  it('of a part of what is leaving takes what is free at once, and waits with the rest', () => {
    const world = at('labelled', APART)
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    expect(world.do((goods, books) => cancelUnits(goods, [cups(1), saucers(2)], WHY, books))).toMatchObject({
      outcome: 'waiting',
    })
    expect(world.goods.lines.map(({ cancelled }) => cancelled)).toEqual([0, 2])
    expect(world.goods.commands[0]?.detail?.units).toEqual([cups(1)])
    world.payAll()
    world.advance()
    expect([world.goods.order.status, world.goods.commands]).toEqual(['shipped', []])
  })

  it('of more than is left is refused, and changes nothing', () => {
    const world = at('shipped', APART)
    const told = world.events.length
    for (const wanted of [[cups(1)], [saucers(3)]])
      expect(world.do((goods, books) => cancelUnits(goods, wanted, WHY, books))).toMatchObject({ outcome: 'refused' })
    expect(world.events).toHaveLength(told)
  })

  it('of what has not left completes what has', () => {
    const world = at('shipped', APART)
    expect(world.goods.order.status).toBe('processing')
    cancelAll(world)
    expect([world.goods.order.status, world.goods.order.fulfillmentStatus]).toEqual(['shipped', 'fulfilled'])
  })

  it('of a parcel cancels its units, one of a shipment lets them wait', () => {
    const [parcel, shipment] = [at('packed', APART), at('packed', APART)]
    parcel.do((goods, books) => cancelParcel(goods, FIRST, books))
    shipment.do((goods, books) => cancelShipment(goods, FIRST, books))
    expect([parcel, shipment].map(({ goods }) => [goods.lines[0]?.cancelled, goods.backOrders])).toEqual([
      [3, []],
      [0, [cups(3)]],
    ])
  })

  it('of a shipment that is sent in the place of another gives its stock back, and cancels nothing', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.do((goods, books) => cancelParcel(goods, SECOND, books))
    expect([statusOf(world, SECOND), world.goods.backOrders, world.goods.lines[0]?.cancelled]).toEqual([
      'cancelled',
      [],
      0,
    ])
  })
})

describe('what a carrier tells', () => {
  const ORDERS: [types: TrackingType[], status: ShipmentStatus, needsDecision: boolean][] = [
    [['accepted', 'in_transit', 'out_for_delivery', 'exception'], 'shipped', false],
    [['delivered'], 'delivered', false],
    [['lost'], 'lost', true],
    [['returned'], 'returned', true],
    [['lost', 'delivered'], 'delivered', false],
    [['lost', 'returned'], 'returned', true],
    [['delivered', 'lost'], 'delivered', false],
    [['returned', 'delivered'], 'returned', true],
    [['delivered', 'in_transit'], 'delivered', false],
  ]
  it.each(ORDERS)('%p', (types, status, needsDecision) => {
    for (const times of [1, 2]) {
      const [together, apart] = [at('shipped'), at('shipped')]
      for (let time = 0; time < times; time++) {
        together.track(FIRST, ...types)
        for (const type of types) apart.track(FIRST, type)
      }
      for (const world of [together, apart])
        expect(world.goods.shipment(FIRST)).toMatchObject({ status, needsDecision })
      expect(together.goods.lines[0]?.delivered).toBe(status === 'delivered' ? 3 : 0)
    }
  })

  it('in whatever order, counts by when it happened', () => {
    const world = at('shipped')
    world.pass(100)
    const [early, late] = ['2026-03-02T10:00:00.000Z', '2026-03-03T10:00:00.000Z']
    const told = [
      { type: 'delivered', happenedAt: late, expectedAt: null },
      { type: 'lost', happenedAt: early, expectedAt: late },
    ] as const
    world.do((goods, books) => observe(goods, LABEL, told, books))
    expect(world.goods.shipment(FIRST)).toMatchObject({ status: 'delivered', endedAt: late, expectedAt: late })
  })

  it('of one that was labelled, and that nobody sent, takes its money at once', () => {
    const world = at('labelled')
    expect(world.track(FIRST, 'in_transit')).toBe(false)
    expect(world.track(FIRST, 'in_transit')).toBe(false)
    expect(world.events.filter((type) => type === 'shipment.left_unasked')).toHaveLength(1)
    world.advance()
    world.payAll()
    world.advance()
    expect([statusOf(world), amounts(world)]).toEqual(['shipped', [TOTAL]])
    expect(world.track(FIRST, 'delivered')).toBe(true)
  })
})

describe('a lost or returned parcel', () => {
  it.each(['lost', 'returned'] as const)('that is %s is sent once more, and counts once', (status) => {
    const world = at(status)
    expect([world.goods.order.status, mayReplace(world.goods, FIRST)]).toEqual(['shipped', true])
    world.replace(FIRST)
    expect(mayReplace(world.goods, FIRST)).toBe(false)
    expect(world.goods.shipment(SECOND)).toMatchObject({
      status: 'allocated',
      replaces: FIRST,
      lines: [cups(3), saucers(2)],
    })
    world.send(SECOND)
    expect(world.goods.order.status).toBe('shipped')
    world.track(SECOND, 'delivered')
    // It turns up.
    if (status === 'lost') world.track(FIRST, 'delivered')
    expect(world.goods.order.status).toBe('delivered')
    expect(world.goods.lines.map(({ shipped, delivered }) => [shipped, delivered])).toEqual([
      [3, 3],
      [2, 2],
    ])
  })

  it('sent once more, and lost again, is sent a third time in the place of the first', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.send(SECOND)
    world.track(SECOND, 'lost')
    world.replace(SECOND)
    expect(world.goods.shipment(THIRD)).toMatchObject({ replaces: FIRST, number: 3 })
    world.send(THIRD)
    world.track(THIRD, 'delivered')
    expect(world.goods.order.status).toBe('delivered')
  })

  it.each(['lost', 'returned'] as const)(
    'that is %s is waited for: it goes on blocking, and is asked about again',
    (status) => {
      const world = at(status)
      decide(world, 'wait')
      expect([world.goods.order.status, world.goods.shipment(FIRST).needsDecision]).toEqual(['shipped', false])
      expect(world.goods.order.lookAt).toBe(world.goods.shipment(FIRST).dueAt)
      world.pass(24 * 20)
      world.advance()
      expect([world.goods.order.status, world.goods.shipment(FIRST).needsDecision]).toEqual(['shipped', true])
      decide(world, 'settled')
      expect(world.goods.order.status).toBe('delivered')
    },
  )

  it('is settled by a person: the order goes on, and its carrier is asked no more', () => {
    const world = at('lost')
    expect(world.goods.shipment(FIRST)).toMatchObject({ settledAt: null, askAt: expect.any(String) })
    decide(world, 'settled')
    expect([world.goods.order.status, mayReplace(world.goods, FIRST)]).toEqual(['delivered', false])
    expect(world.goods.shipment(FIRST)).toMatchObject({ settledAt: expect.any(String), askAt: null, dueAt: null })
    // Twice is once.
    const told = world.events.length
    decide(world, 'settled')
    expect(world.events).toHaveLength(told)
    expect(world.events.filter((type) => type === 'shipment.settled')).toHaveLength(1)
  })

  it('that comes back after it was settled, and is sent once more, keeps the order from being complete', () => {
    const world = at('lost')
    decide(world, 'settled')
    world.track(FIRST, 'returned')
    world.replace(FIRST)
    world.pass(RETURN_WINDOW_DAYS * 24)
    world.advance()
    expect(world.goods.order.status).toBe('delivered')
    world.send(SECOND)
    world.track(SECOND, 'delivered')
    world.advance()
    expect(world.goods.order.status).toBe('delivered')
    world.pass(RETURN_WINDOW_DAYS * 24)
    world.advance()
    expect(world.goods.order.status).toBe('completed')
  })

  it('that turns up closes what is asked about the one that was sent in its place', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.send(SECOND)
    world.track(SECOND, 'lost')
    expect(world.goods.shipment(SECOND).needsDecision).toBe(true)
    world.track(FIRST, 'delivered')
    expect([world.goods.shipment(SECOND).needsDecision, world.goods.order.status]).toEqual([false, 'delivered'])
  })

  it('is nothing to decide about while another one is on its way with its units', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.track(FIRST, 'returned')
    expect([world.goods.shipment(FIRST).needsDecision, mayReplace(world.goods, FIRST)]).toEqual([false, false])
    world.send(SECOND)
    world.track(SECOND, 'returned')
    expect([FIRST, SECOND].map((id) => world.goods.shipment(id).needsDecision)).toEqual([false, true])
  })
})

describe('a parcel that is to be sent in the place of a lost one, and is not', () => {
  const ENDS: [what: string, end: (goods: Goods, books: Books, id: ShipmentId) => unknown][] = [
    ['is undone', (goods, books, id) => cancelShipment(goods, id, books)],
    ['is cancelled by a person', (goods, books, id) => cancelParcel(goods, id, books)],
    ['is short', (goods, _books, id) => goods.backOrder(pick(goods, id, [cups(1), saucers(2)]).short)],
    ['is not there at all', (goods, _books, id) => goods.backOrder(pick(goods, id, []).short)],
  ]
  const SETUPS = (['back_order', 'cancel'] as const).flatMap((shortPick) =>
    // The saucers have not left when the cups are lost.
    [undefined, [[cups(3)], [saucers(2)]]].map((parcels) => ({ shortPick, ...(parcels && { parcels }) })),
  )

  it.each(ENDS.flatMap(([what, end]) => SETUPS.map((setup) => ({ what, end, setup }))))(
    '$what ($setup): a person decides about the lost one again',
    ({ end, setup }) => {
      const world = at('lost', setup)
      world.replace(FIRST)
      const { status } = world.goods.order
      const replacement = world.goods.shipments.at(-1)?.id as ShipmentId
      world.do((goods, books) => {
        end(goods, books, replacement)
        settleShort(goods, books)
      })
      world.advance()
      expect([statusOf(world, replacement), world.goods.order.status]).toEqual(['cancelled', status])
      expect([world.goods.shipment(FIRST).needsDecision, mayReplace(world.goods, FIRST)]).toEqual([true, true])
      expect([world.goods.backOrders, world.goods.lines.map(({ cancelled }) => cancelled)]).toEqual([[], [0, 0]])
      world.replace(FIRST)
      for (const { id, status: now } of world.goods.shipments)
        if (now === 'allocated') {
          world.send(id)
          world.track(id, 'delivered')
        }
      expect(world.goods.order.status).toBe('delivered')
    },
  )

  it('is nothing to decide about when the lost one has turned up meanwhile', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.track(FIRST, 'delivered')
    expect(world.goods.order.status).toBe('shipped')
    world.do((goods, books) => cancelShipment(goods, SECOND, books))
    world.advance()
    expect([world.goods.shipment(FIRST).needsDecision, world.goods.order.status]).toEqual([false, 'delivered'])
  })

  it('gives back the decision about the one that was lost last', () => {
    const world = at('lost')
    world.replace(FIRST)
    world.send(SECOND)
    world.track(SECOND, 'lost')
    world.replace(SECOND)
    world.do((goods, books) => cancelShipment(goods, THIRD, books))
    expect([FIRST, SECOND].map((id) => world.goods.shipment(id).needsDecision)).toEqual([false, true])
    decide(world, 'settled', SECOND)
    expect(world.goods.order.status).toBe('delivered')
  })
})

describe('a refund', () => {
  const refund = (world: GoodsWorld, amount: number | 'all', ...units: ReturnType<typeof cups>[]): void => {
    world.do((goods, books) => {
      books.claimRefund({ amount, cause: 'staff', reasonCode: 'lost', restock: false, actor: null })
      settleRefunded(goods, units)
    })
    world.advance()
  }

  it.each<[string, (world: GoodsWorld) => void, settled: boolean]>([
    ['of all its units', (world) => refund(world, 1_501, cups(3), saucers(2)), true],
    ['of some of its units', (world) => refund(world, 500, cups(3)), false],
    ['of all that was taken', (world) => refund(world, 'all'), true],
    ['of an amount', (world) => refund(world, 1_501), false],
    [
      'of all that was taken, in two parts',
      (world) => {
        refund(world, 1_000)
        refund(world, 'all')
      },
      true,
    ],
  ])('%s settles a lost parcel: %#', (_what, give, settled) => {
    for (const decision of [null, 'wait'] as const) {
      const world = at('lost')
      if (decision !== null) decide(world, decision)
      give(world)
      expect(world.goods.order.status).toBe(settled ? 'delivered' : 'shipped')
      expect(world.goods.shipment(FIRST).settledAt !== null).toBe(settled)
    }
  })

  it('of a unit that may be another one settles nothing', () => {
    const world = at('lost', { parcels: [[cups(1)], [cups(2), saucers(2)]] })
    world.send(SECOND)
    world.track(SECOND, 'delivered')
    refund(world, 333, cups(1))
    expect([world.goods.order.status, world.goods.shipment(FIRST).needsDecision]).toEqual(['shipped', true])
    refund(world, 1_000, cups(3))
    expect([world.goods.order.status, world.goods.shipment(FIRST).needsDecision]).toEqual(['delivered', false])
  })

  it('settles no parcel that is sent once more', () => {
    const world = at('lost')
    world.replace(FIRST)
    refund(world, 'all')
    expect([world.goods.order.status, world.goods.shipment(FIRST).settledAt]).toEqual(['shipped', null])
  })
})

describe('the return window', () => {
  const HOUR_MS = 3_600_000
  const told = (world: GoodsWorld, id: ShipmentId, type: TrackingType, hoursAgo: number): void => {
    const happenedAt = new Date(world.now - hoursAgo * HOUR_MS).toISOString()
    const label = world.goods.labels.find((each) => each.shipmentId === id)?.id as LabelId
    world.do((goods, books) => observe(goods, label, [{ type, happenedAt, expectedAt: null }], books))
  }
  const windowOf = ({ goods: { order }, now }: GoodsWorld): number[] =>
    [order.deliveredAt, order.completesAt].map((at) => (Date.parse(at ?? '') - now) / HOUR_MS)

  it.each([
    ['told late', 50, -50],
    ['told at once', 0, 0],
    ['told by a clock that is ahead', -50, 0],
  ])('counts from the last delivery: %s', (_what, hoursAgo, begins) => {
    const world = at('shipped')
    told(world, FIRST, 'delivered', hoursAgo)
    expect(windowOf(world)).toEqual([begins, begins + RETURN_WINDOW_DAYS * 24])
    world.pass(1)
    world.advance()
    expect(windowOf(world)[0]).toBe(begins - 1)
  })

  it('counts from the last of several, in whatever order they are told', () => {
    for (const order of [
      [FIRST, SECOND],
      [SECOND, FIRST],
    ] as const) {
      const world = at('shipped', APART)
      world.send(SECOND)
      for (const id of order) told(world, id, 'delivered', id === FIRST ? 30 : 70)
      expect(windowOf(world)[0]).toBe(-30)
    }
  })

  it('begins anew when a parcel that was settled turns up, and never earlier than it did', () => {
    const world = at('shipped', APART)
    world.send(SECOND)
    told(world, SECOND, 'delivered', 70)
    told(world, FIRST, 'lost', 60)
    decide(world, 'settled')
    expect(windowOf(world)[0]).toBe(-70)
    told(world, FIRST, 'delivered', 100)
    expect(windowOf(world)[0]).toBe(-70)
    const other = at('lost')
    decide(other, 'settled')
    expect(windowOf(other)[0]).toBe(0)
    other.pass(100)
    told(other, FIRST, 'delivered', 10)
    expect(windowOf(other)[0]).toBe(-10)
  })
})

describe('the order', () => {
  it('follows its units, with one event a step, and is complete when its return window is over', () => {
    const world = new GoodsWorld(APART)
    const seen: string[] = []
    const look = (): void => void seen.push(`${world.goods.order.status} ${world.goods.order.fulfillmentStatus}`)
    world.send(FIRST)
    look()
    world.track(FIRST, 'delivered')
    look()
    world.send(SECOND)
    look()
    world.track(SECOND, 'delivered')
    look()
    expect(world.goods.order.lookAt).toBe(world.goods.order.completesAt)
    world.pass(RETURN_WINDOW_DAYS * 24 - 1)
    world.advance()
    look()
    world.pass(1)
    world.advance()
    look()
    expect(seen).toEqual([
      'processing partially_fulfilled',
      'processing partially_delivered',
      'shipped partially_delivered',
      'delivered delivered',
      'delivered delivered',
      'completed delivered',
    ])
    expect(world.events.filter((type) => type.startsWith('order.'))).toEqual([
      'order.processing',
      'order.shipped',
      'order.delivered',
      'order.completed',
    ])
    expect(world.goods.order.lookAt).toBeNull()
  })

  it('that work began on while it was on hold is processing once it goes on, and says so', () => {
    for (const isAll of [false, true]) {
      const world = new GoodsWorld()
      world.hold()
      world.do((goods) => pick(goods, FIRST, null))
      expect([world.goods.order.status, world.goods.order.heldFrom]).toEqual(['on_hold', 'confirmed'])
      world.resume()
      if (isAll) world.send(FIRST)
      else world.advance()
      expect(world.goods.order.status).toBe(isAll ? 'shipped' : 'processing')
      expect(world.events.filter((type) => type === 'order.processing')).toHaveLength(1)
    }
  })

  it('that is over has no carrier asked about a parcel that was lost', () => {
    const world = at('shipped', APART)
    world.track(FIRST, 'lost')
    world.send(SECOND)
    world.track(SECOND, 'delivered')
    world.replace(FIRST)
    world.send(THIRD)
    world.track(THIRD, 'delivered')
    expect(world.goods.shipment(FIRST).askAt).not.toBeNull()
    world.pass(RETURN_WINDOW_DAYS * 24)
    world.advance()
    expect([world.goods.order.status, world.goods.shipment(FIRST).askAt]).toEqual(['completed', null])
  })

  it('on hold whose last parcel leaves, because its money was claimed before, goes on', () => {
    const world = at('labelled')
    world.do((goods) => wantToShip(goods, FIRST))
    world.advance()
    world.hold()
    world.payAll()
    world.advance()
    expect([world.goods.order.status, world.goods.order.heldFor]).toEqual(['shipped', []])
    expect(world.events.slice(-3)).toEqual(['shipment.shipped', 'order.resumed', 'order.shipped'])
  })

  it('on hold is not captured for: the parcel leaves once it goes on', () => {
    const world = at('labelled')
    world.do((goods) => wantToShip(goods, FIRST))
    world.hold()
    world.advance()
    expect(amounts(world)).toEqual([])
    world.resume()
    world.advance()
    expect(amounts(world)).toEqual([TOTAL])
  })

  it('of which all came back is returned', () => {
    expect(at('returned').goods.order.fulfillmentStatus).toBe('returned')
    expect(at('returned', APART).goods.order.fulfillmentStatus).toBe('returned')
  })
})

describe('a warehouse', () => {
  it('of the demo works by itself, from when it is due', () => {
    const world = new GoodsWorld({ operation: 'automatic' })
    world.advance()
    expect(statusOf(world)).toBe('allocated')
    world.pass(1)
    world.advance()
    expect([statusOf(world), world.goods.labels.length]).toEqual(['packed', 1])
    world.askCarrier(world.goods.label(LABEL), 'well')
    world.advance()
    world.payAll()
    world.advance()
    expect([statusOf(world), world.goods.shipment(FIRST).needsDecision]).toEqual(['shipped', false])
  })

  it('of the demo asks for no other label by itself after one was refused', () => {
    const world = new GoodsWorld({ operation: 'automatic' })
    world.pass(1)
    world.advance()
    world.askCarrier(world.goods.label(LABEL), 'refuses')
    world.advance()
    expect(world.goods.labels).toHaveLength(1)
    world.do((goods) => decideLabel(goods, LABEL, 'retry'))
    world.advance()
    expect(world.goods.labels).toHaveLength(2)
  })

  it.each(['manual', 'external'] as const)(
    'that is %s, and silent, becomes a case once; one that moves on is none',
    (operation) => {
      const world = new GoodsWorld({ operation })
      world.advance()
      world.pass(71)
      world.advance()
      expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
      world.pass(1)
      world.advance()
      expect([world.goods.shipment(FIRST).needsDecision, world.goods.order.lookAt]).toEqual([true, null])
      world.do((goods) => decideShipment(goods, FIRST, 'wait'))
      expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
      expect(world.goods.order.lookAt).not.toBeNull()
      world.pass(72)
      world.advance()
      world.do((goods) => pick(goods, FIRST, null))
      expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
    },
  )

  it('is not late while the order is on hold', () => {
    const world = new GoodsWorld()
    world.hold()
    world.pass(100)
    world.advance()
    expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
    world.resume()
    world.advance()
    expect(world.goods.shipment(FIRST).needsDecision).toBe(true)
  })
})

it('a carrier that says nothing of a parcel becomes a case, until it says something', () => {
  const world = at('shipped')
  world.pass(24 * 16 + 1)
  world.advance()
  expect(world.goods.shipment(FIRST).needsDecision).toBe(true)
  world.track(FIRST, 'delivered')
  expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
})

it('a parcel of which nobody hears is waited for again and again, or settled, and may arrive all the same', () => {
  const world = at('shipped')
  for (let times = 0; times < 2; times++) {
    world.pass(24 * 20)
    world.advance()
    expect(world.goods.shipment(FIRST).needsDecision).toBe(true)
    decide(world, 'wait')
    expect([statusOf(world), world.goods.shipment(FIRST).needsDecision]).toEqual(['shipped', false])
  }
  decide(world, 'settled')
  expect([statusOf(world), world.goods.order.status]).toEqual(['lost', 'delivered'])
  expect(world.events.slice(-3)).toEqual(['shipment.lost', 'shipment.settled', 'order.delivered'])
  world.pass(24 * 20)
  world.advance()
  expect(world.goods.shipment(FIRST).needsDecision).toBe(false)
  world.track(FIRST, 'delivered')
  expect([statusOf(world), world.goods.order.fulfillmentStatus]).toEqual(['delivered', 'delivered'])
})

it('commands about a shipment are answered when it is changed or cancelled', () => {
  const world = at('labelled')
  world.do((goods) => {
    wantToShip(goods, FIRST)
    addCommand(goods, 'ship', { shipmentId: FIRST, detail: null, actor: null })
  })
  world.do((goods, books) => {
    cancelUnits(goods, [cups(1)], WHY, books)
    expect(goods.commands).toMatchObject([{ kind: 'ship', state: 'refused', code: 'shipment_changed' }])
  })
  const other = at('labelled')
  other.do((goods) => {
    wantToShip(goods, FIRST)
    addCommand(goods, 'ship', { shipmentId: FIRST, detail: null, actor: null })
  })
  other.do((goods, books) => {
    cancelShipment(goods, FIRST, books)
    expect(goods.commands).toMatchObject([{ kind: 'ship', state: 'refused', code: 'shipment_cancelled' }])
  })
})

test('whatever warehouses, carrier, provider, staff and customer do: nothing leaves unpaid, nothing is lost, all of it ends', () => {
  fc.assert(
    fc.property(goodsSetup, fc.array(goodsStep, { maxLength: 60, size: 'max' }), (setup, steps) => {
      const world = new GoodsWorld(setup)
      for (const step of steps) takeStep(world, step)
      world.comeToRest()
      const { goods, books } = world
      expect(['completed', 'cancelled']).toContain(goods.order.status)
      expect(goods.commands).toEqual([])
      expect(goods.labels.filter(({ atWork }) => atWork)).toEqual([])
      expect(goods.lines.map(({ quantity, cancelled, shipped }) => quantity - cancelled - shipped)).toEqual([0, 0])
      expect(goods.backOrders).toEqual([])
      // What the provider cannot take in its steps nobody pays: it is earned all the same, or was given back.
      const returned = books.refunds.reduce(
        (sum, refund) => sum + (refund.status === 'failed' ? 0 : refund.returned),
        0,
      )
      const waived = books.order.stage === 'over' ? 0 : books.order.waived
      expect(world.totals.get('customer_deposits') ?? 0).toBe(waived - returned)
      expect(books.captured - (books.payments[0]?.refunded ?? 0)).toBe(books.owed)
    }),
    { numRuns: 250 },
  )
})
