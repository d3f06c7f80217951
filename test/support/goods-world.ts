import fc from 'fast-check'
import { advance } from '../../domain/fulfillment/advance'
import { cancelParcel, cancelShipment, cancelUnits } from '../../domain/fulfillment/cancelling'
import { addCommand } from '../../domain/fulfillment/commands'
import { Goods } from '../../domain/fulfillment/goods'
import { answerVoid, claimLabel, decideLabel, refuseLabel, takeLabel } from '../../domain/fulfillment/labels'
import { handOver, wantToShip } from '../../domain/fulfillment/leaving'
import { decideShipment, mayReplace, replace } from '../../domain/fulfillment/parcel-decisions'
import { captureFor } from '../../domain/fulfillment/parcel-money'
import { pack, pick, settleShort } from '../../domain/fulfillment/picking'
import { isGone, isMadeGood } from '../../domain/fulfillment/replacement'
import type { GoodsOrder, GoodsRows, LabelBook, ShipmentBook } from '../../domain/fulfillment/rows'
import {
  hasLeft,
  isInside,
  SHIPMENT_TRANSITIONS,
  type TrackingType,
  type Units,
} from '../../domain/fulfillment/shipment'
import { observe } from '../../domain/fulfillment/tracking'
import { countOf } from '../../domain/fulfillment/units'
import type {
  CaptureId,
  CommandId,
  LabelId,
  OrderId,
  PaymentId,
  RefundId,
  ShipmentId,
  Sku,
  WarehouseId,
  WarehouseMessageId,
} from '../../domain/ids'
import { mayBecome, valueOfUnits } from '../../domain/order'
import { Books, type BooksRows, capturableOf, type SeenPayment } from '../../domain/payment/books'
import { expectBounds } from './money-world'

/**
 * The goods of one order and its money, each step as a transaction of its own, with warehouses, a carrier and a payment provider
 * that do and answer what they like. It has two lines, three units of `CUP` and two of `SAUCER`, and a fee.
 */

const [CUP, SAUCER] = ['CUP' as Sku, 'SAUCER' as Sku]
export const MAIN = 'wh_main' as WarehouseId
const OTHER = 'wh_other' as WarehouseId
export const PAYMENT = 'pay_1' as PaymentId
const ORDER = 'order_1' as OrderId
/** Of the cups, the saucers, and the fee; taxes inside. They cannot be divided by their units. */
export const WORTH = { cups: 1_000, saucers: 501, fee: 99 } as const
export const TOTAL = WORTH.cups + WORTH.saucers + WORTH.fee
const TAX = { cups: 167, saucers: 83, fee: 16 } as const
const START = Date.parse('2026-03-01T10:00:00Z')
const HOUR_MS = 3_600_000
export const RETURN_WINDOW_DAYS = 30

export interface WorldSetup {
  readonly operation?: ShipmentBook['operation']
  readonly shortPick?: 'back_order' | 'cancel'
  readonly step?: number
  readonly capturesInParts?: boolean
  /** The units of each shipment; what is in none waits for stock. */
  readonly parcels?: readonly (readonly Units[])[]
}

export const cups = (quantity: number): Units => ({ sku: CUP, quantity })
export const saucers = (quantity: number): Units => ({ sku: SAUCER, quantity })
const ALL = [cups(3), saucers(2)]

export class GoodsWorld {
  goods: Goods
  books: Books
  now = START
  /** What each account of the ledger comes to. */
  readonly totals = new Map<string, number>()
  /** Committed to the order, by warehouse and SKU; and what has left, or was not there. */
  readonly committed = new Map<string, number>()
  readonly events: string[] = []
  /** Labels that are paid for at the carrier, by their key. */
  readonly bought = new Set<string>()
  readonly setup: Required<WorldSetup>
  private made = 0
  private statuses = new Map<ShipmentId, ShipmentBook['status']>()
  private status: GoodsOrder['status'] = 'confirmed'
  private captures = 0

  constructor({
    operation = 'manual',
    shortPick = 'back_order',
    step = 1,
    capturesInParts = true,
    parcels = [ALL],
  }: WorldSetup = {}) {
    this.setup = { operation, shortPick, step, capturesInParts, parcels }
    const order: GoodsOrder = {
      id: ORDER,
      status: 'confirmed',
      heldFrom: null,
      heldFor: [],
      cancelReason: null,
      total: TOTAL,
      tax: TAX.cups + TAX.saucers + TAX.fee,
      addressVersion: 1,
      fulfillmentStatus: 'unfulfilled',
      lookAt: null,
      deliveredAt: null,
      completesAt: null,
      shortAskAt: null,
    }
    const none = { cancelled: 0, shipped: 0, delivered: 0 }
    const lines = [
      { sku: CUP, quantity: 3, total: WORTH.cups, tax: TAX.cups, ...none },
      { sku: SAUCER, quantity: 2, total: WORTH.saucers, tax: TAX.saucers, ...none },
    ]
    const shipments = parcels.map((units, index) => this.allocate(index + 1, index % 2 === 0 ? MAIN : OTHER, units))
    const backOrders = ALL.map(({ sku, quantity }) => ({
      sku,
      quantity: quantity - parcels.reduce((sum, units) => sum + countOf(units, sku), 0),
    })).filter(({ quantity }) => quantity > 0)
    this.goods = this.loadGoods({ order, lines, shipments, labels: [], commands: [], messages: [], backOrders })
    this.books = this.loadBooks({
      order: {
        id: ORDER,
        total: TOTAL,
        cancelled: 0,
        waived: 0,
        recognized: 0,
        recognizedTax: 0,
        stage: 'won',
        isHeld: false,
      },
      payments: [
        {
          id: PAYMENT,
          attempt: 1,
          pays: true,
          status: 'authorized',
          amount: TOTAL,
          reference: null,
          capturesInParts,
          captureBefore: null,
          captured: 0,
          capturing: 0,
          released: 0,
          refunded: 0,
          refunding: 0,
          disputed: 0,
          releasing: false,
        },
      ],
      captures: [],
      refunds: [],
      disputes: [],
    })
    this.note()
  }

  private allocate(number: number, warehouseId: WarehouseId, lines: readonly Units[]): ShipmentBook {
    for (const { sku, quantity } of lines) this.commit(warehouseId, sku, quantity)
    return {
      id: `shp_${number}` as ShipmentId,
      number,
      warehouseId,
      operation: this.setup.operation,
      status: 'allocated',
      lines,
      replaces: null,
      boxes: null,
      isLeaving: false,
      captureId: null,
      dueAt: new Date(
        this.now + { automatic: 2_000, manual: 72 * HOUR_MS, external: 0 }[this.setup.operation],
      ).toISOString(),
      askAt: null,
      needsDecision: false,
      releasedAt: null,
      leftAt: null,
      trouble: null,
      expectedAt: null,
      shippedAt: null,
      endedAt: null,
      settledAt: null,
    }
  }

  private commit(warehouseId: WarehouseId, sku: Sku, quantity: number): void {
    const key = `${warehouseId}/${sku}`
    const left = (this.committed.get(key) ?? 0) + quantity
    if (left < 0) throw new Error(`Less of ${key} is committed than is moved`)
    this.committed.set(key, left)
  }

  private loadGoods(rows: GoodsRows): Goods {
    const { shortPick, step } = this.setup
    return new Goods(rows, {
      now: new Date(this.now),
      returnWindowDays: RETURN_WINDOW_DAYS,
      shortPick,
      step,
      newIds: {
        shipment: () => `shp_${this.goods.shipments.length + 1}` as ShipmentId,
        label: () => `lbl_${this.goods.labels.length + 1}` as LabelId,
        command: () => `cmd_${++this.made}` as CommandId,
        message: () => `whm_${++this.made}` as WarehouseMessageId,
      },
    })
  }

  private loadBooks(rows: BooksRows): Books {
    return new Books(rows, {
      capture: () => `cap_${++this.made}` as CaptureId,
      refund: () => `ref_${++this.made}` as RefundId,
    })
  }

  /** One transaction: what `work` decides is saved, and loaded anew. */
  do<T>(work: (goods: Goods, books: Books) => T): T {
    const result = work(this.goods, this.books)
    for (const { kind, sku, quantity, warehouseId } of this.goods.stock) {
      if (!['ship', 'short', 'give'].includes(kind)) throw new Error(kind)
      this.commit(warehouseId, sku, -quantity)
    }
    this.expectSteps()
    for (const { account, amount } of this.books.postings)
      this.totals.set(account, (this.totals.get(account) ?? 0) + amount)
    expectBounds(this.books)
    this.reload()
    this.expectSound()
    return result
  }

  /** As it goes through the database between two transactions. */
  private reload(): void {
    const { order, lines, shipments, labels, commands, backOrders } = this.goods
    const messages = this.goods.messages.rows
    const pending = commands.filter(({ state }) => state === 'pending')
    const { order: money, payments, captures, refunds, disputes } = this.books
    const stage = order.status === 'cancelled' ? ('over' as const) : ('won' as const)
    this.goods = this.loadGoods(
      structuredClone({ order, lines, shipments, labels, commands: pending, messages, backOrders }),
    )
    this.books = this.loadBooks(
      structuredClone({
        order: { ...money, stage, isHeld: order.status === 'on_hold' },
        payments,
        captures,
        refunds,
        disputes,
      }),
    )
    this.note()
  }

  private note(): void {
    this.statuses = new Map(this.goods.shipments.map(({ id, status }) => [id, status]))
    this.status = this.goods.order.status
    this.captures = this.books.captures.length
  }

  /** Time passes. */
  pass(hours: number): void {
    this.now += hours * HOUR_MS
    this.reload()
  }

  advance(): void {
    this.do((goods, books) => advance(goods, books))
    // Nothing can be done now that was not done: else it would be looked at without end.
    const before = JSON.stringify([this.goods.shipments, this.goods.labels, this.goods.order, this.books.captures])
    const told = this.events.length
    this.do((goods, books) => advance(goods, books))
    const after = JSON.stringify([this.goods.shipments, this.goods.labels, this.goods.order, this.books.captures])
    if (before !== after || told !== this.events.length) throw new Error(`It advances twice:\n${before}\n${after}`)
    const { lookAt } = this.goods.order
    if (lookAt !== null && Date.parse(lookAt) <= this.now) throw new Error(`It is looked at for ever: ${after}`)
  }

  hold(): void {
    const { order } = this.goods
    if (order.status !== 'confirmed' && order.status !== 'processing') return
    order.heldFrom = order.status
    order.heldFor = ['staff']
    order.status = 'on_hold'
    this.reload()
  }

  resume(): void {
    const { order } = this.goods
    if (order.status !== 'on_hold' || order.heldFrom === null) return
    order.status = order.heldFrom
    order.heldFrom = null
    order.heldFor = []
    this.reload()
  }

  /** What the carrier does when it is asked for a label that is at work. */
  askCarrier(label: LabelBook, answer: 'well' | 'refuses' | 'lost'): void {
    const { id, key } = label
    if (label.status === 'claimed') {
      Object.assign(label, { wasSent: true, carrier: 'sandbox', service: 'standard' })
      if (answer !== 'refuses' || this.bought.has(key)) this.bought.add(key)
      if (answer === 'lost') return this.reload()
      this.do((goods) => {
        if (!this.bought.has(key)) return refuseLabel(goods, id, 'refused')
        const bought = {
          reference: key,
          trackingNumber: key,
          trackingUrl: null,
          documentUrl: null,
          cost: 350,
          currency: 'GBP',
        }
        takeLabel(goods, id, { ...bought, expectedAt: new Date(this.now + 48 * HOUR_MS).toISOString() })
      })
    } else if (label.status === 'voiding' && label.failureCode === null) {
      if (answer !== 'refuses') this.bought.delete(key)
      if (answer !== 'lost')
        this.do((goods) =>
          answerVoid(goods, id, answer === 'refuses' ? { outcome: 'refused', code: 'used' } : { outcome: 'voided' }),
        )
    }
  }

  /** Who leaves a label that its carrier keeps, or does not answer for, has dealt with it there. */
  decideLabel({ id, key, status }: LabelBook, decision: 'retry' | 'leave'): void {
    if (status === 'voiding' && decision === 'leave') this.bought.delete(key)
    this.do((goods) => decideLabel(goods, id, decision))
  }

  /** What the provider does when it is asked for what is to be done with the money. */
  askProvider(pick: number, answer: 'well' | 'refuses' | 'lost'): void {
    const { captures, refunds, payments } = this.books
    const work = [
      ...captures.filter(({ status }) => status === 'pending'),
      ...refunds.filter(({ status }) => status === 'pending'),
      ...payments.filter(({ releasing, capturing }) => releasing && capturing === 0),
    ]
    const item = work[pick % Math.max(1, work.length)]
    if (!item) return
    this.do((_, books) => {
      if (!('key' in item)) return books.observe(PAYMENT, seen(books, item.released + capturableOf(item)))
      const said =
        answer === 'refuses'
          ? ({ outcome: 'failed', code: 'refused', reference: null } as const)
          : ({ outcome: 'succeeded', reference: item.key } as const)
      if (item.id.startsWith('ref_')) return books.answerRefund(item.id as RefundId, said)
      if (books.sendCapture(item.id as CaptureId) && answer !== 'lost') books.answerCapture(item.id as CaptureId, said)
    })
  }

  /** A warehouse has what the order waits for. */
  receive(): void {
    if (!this.goods.isAlive || this.goods.backOrders.length === 0) return
    const units = this.goods.backOrders
    this.goods.backOrders = []
    this.goods.shipments.push(this.allocate(this.goods.shipments.length + 1, OTHER, units))
    this.reload()
  }

  replace(id: ShipmentId): void {
    this.do((goods) => {
      if (!mayReplace(goods, id)) return
      for (const { sku, quantity } of goods.shipment(id).lines) this.commit(OTHER, sku, quantity)
      replace(goods, id, { warehouseId: OTHER, operation: this.setup.operation })
    })
  }

  /** What its carrier tells of the last label of a shipment. True: it is taken; false: it comes again; or there is none. */
  track(id: ShipmentId, ...types: TrackingType[]): boolean {
    const label = this.goods.labels.findLast(({ shipmentId }) => shipmentId === id)
    return label !== undefined && this.trackLabel(label.id, ...types)
  }

  trackLabel(id: LabelId, ...types: TrackingType[]): boolean {
    const told = types.map((type, index) => ({
      type,
      happenedAt: new Date(this.now + index).toISOString(),
      expectedAt: null,
    }))
    return this.do((goods, books) => observe(goods, id, told, books))
  }

  /** What everybody does with one shipment, until it has left. */
  send(id: ShipmentId): void {
    this.do((goods) => pick(goods, id, null))
    this.do((goods) => pack(goods, id, null))
    this.do((goods) => claimLabel(goods, id, { carrier: null, service: null }))
    for (const label of this.goods.labels)
      if (label.atWork && label.failureCode === null) this.askCarrier(label, 'well')
    this.do((goods) => wantToShip(goods, id))
    this.advance()
    this.payAll()
    this.advance()
    // A system of the warehouse's own was told that it may leave now.
    if (this.goods.shipment(id).releasedAt !== null) this.do((goods, books) => handOver(goods, id, books))
  }

  payAll(): void {
    for (let turn = 0; turn < 20; turn++) this.askProvider(0, 'well')
  }

  /** The value of what has left, and the fee with it. */
  get earned(): number {
    const { lines } = this.goods
    const isAny = lines.some(({ shipped }) => shipped > 0)
    return lines.reduce((sum, line) => sum + valueOfUnits(line, 1, line.shipped), isAny ? WORTH.fee : 0)
  }

  private expectSteps(): void {
    let status = this.status
    for (const { type, from, to } of this.goods.events) {
      this.events.push(type)
      if (to === null) continue
      if (from !== status || from === null || !mayBecome(from, to))
        throw new Error(`${type}: ${from} to ${to} of ${status}`)
      status = to
    }
    if (status !== this.goods.order.status) throw new Error(`No event says that it is ${this.goods.order.status}`)
    for (const { id, status: now } of this.goods.shipments) {
      const before = this.statuses.get(id)
      if (before !== undefined && before !== now && !reaches(before, now)) throw new Error(`${id}: ${before} to ${now}`)
    }
    const [payment] = this.books.payments
    if (payment && this.books.captures.length > this.captures && payment.captured + payment.capturing > this.books.owed)
      throw new Error('More is captured than is owed')
  }

  /** Holds between any two transactions. */
  private expectSound(): void {
    const { order, lines, shipments, labels, backOrders, isAlive } = this.goods
    const wrong: string[] = []
    const must = (holds: boolean, what: string): void => void (holds || wrong.push(what))
    const unitsIn = (sku: Sku, of: (shipment: ShipmentBook) => boolean): number =>
      shipments.filter(of).reduce((sum, { lines: units }) => sum + countOf(units, sku), 0)
    for (const { sku, quantity, cancelled, shipped, delivered } of lines) {
      const [inside, sent] = [isInside, hasLeft].map((is) =>
        unitsIn(sku, (one) => one.replaces === null && is(one.status)),
      )
      must(shipped === sent, `${sku}: what has left`)
      must(shipped + cancelled + (inside ?? 0) + countOf(backOrders, sku) === quantity, `${sku}: where its units lie`)
      must(delivered <= shipped, `${sku}: delivered`)
      for (const warehouse of [MAIN, OTHER]) {
        const held = unitsIn(sku, (one) => isInside(one.status) && one.warehouseId === warehouse)
        must((this.committed.get(`${warehouse}/${sku}`) ?? 0) === held, `${sku}: stock of ${warehouse}`)
      }
    }
    for (const label of labels) {
      const { status } = this.goods.shipment(label.shipmentId)
      const isLive = label.status === 'claimed' || label.status === 'live'
      must(!isLive || (status !== 'cancelled' && order.status !== 'cancelled'), 'a live label of what is cancelled')
      must(
        !this.bought.has(label.key) ||
          ['claimed', 'live', 'voiding'].includes(label.status) ||
          label.failureCode !== null,
        'a label that nobody voids',
      )
    }
    for (const { id, status, isLeaving } of shipments) {
      const live = labels.filter((one) => one.shipmentId === id && (one.status === 'claimed' || one.status === 'live'))
      must(live.length <= 1, 'two live labels')
      const isLabelled = status === 'labelled' || hasLeft(status)
      must(!isLabelled || live[0]?.status === 'live', `${status} without a label`)
      must(!isLeaving || status === 'labelled', 'it leaves without a label')
    }
    const isLed = (one: ShipmentBook): boolean =>
      isInside(one.status) ||
      one.status === 'shipped' ||
      one.needsDecision ||
      (isGone(one.status) && one.dueAt !== null)
    must(order.status !== 'shipped' || shipments.some(isLed), 'nothing leads the order on')
    if (order.status === 'delivered' || order.status === 'completed')
      for (const one of shipments)
        must(
          !isGone(one.status) || isLed(one) || isMadeGood(this.goods, one) || one.settledAt !== null,
          `${one.id} is forgotten`,
        )
    must(this.books.order.recognized === this.earned, 'what is earned')
    must(this.earned === 0 || this.books.captured >= Math.min(this.earned, this.books.owed), 'it has left uncaptured')
    must(isAlive || shipments.every(({ status }) => !isInside(status)), 'something is kept for an order that is over')
    const sums = [...this.totals.values()].reduce((sum, amount) => sum + amount, 0)
    must(sums === 0, 'the ledger')
    if (wrong.length > 0) throw new Error(`${wrong.join('; ')}: ${JSON.stringify(this.goods)}`)
  }

  /** Everybody does well what is to be done, until the order is over. */
  comeToRest(): void {
    for (let round = 0; round < ROUNDS_MAX && this.goods.isAlive; round++) {
      this.resume()
      this.receive()
      for (const { id } of this.goods.labels) this.do((goods) => decideLabel(goods, id, 'retry'))
      for (const { id } of this.books.captures) this.do((_, books) => void books.decideCapture(id, 'retry'))
      for (const { id } of this.books.refunds) this.do((_, books) => void books.decideRefund(id, 'retry'))
      for (const { id, needsDecision } of this.goods.shipments)
        if (needsDecision) this.do((goods) => decideShipment(goods, id, 'settled'))
      for (const { id, status } of this.goods.shipments) {
        if (isInside(status)) this.send(id)
        else if (status === 'shipped') this.track(id, 'delivered')
      }
      this.payAll()
      this.pass(RETURN_WINDOW_DAYS * 24)
      this.advance()
    }
    this.advance()
    for (const label of this.goods.labels) {
      this.do((goods) => decideLabel(goods, label.id, 'retry'))
      this.askCarrier(this.goods.label(label.id), 'well')
    }
    for (const { id } of this.books.refunds) this.do((_, books) => void books.decideRefund(id, 'retry'))
    this.payAll()
  }
}

const ROUNDS_MAX = 12

export const FIRST = 'shp_1' as ShipmentId
export const SECOND = 'shp_2' as ShipmentId

/** A world in which the first shipment has come so far. */
export function worldAt(status: ShipmentBook['status'], setup: WorldSetup = {}): GoodsWorld {
  const world = new GoodsWorld(setup)
  const { goods } = world
  if (goods.shipment(FIRST).status === status) return world
  if (status === 'cancelled') {
    world.do((each, books) => cancelShipment(each, FIRST, books))
    return world
  }
  const steps: Partial<Record<ShipmentBook['status'], () => void>> = {
    picking: () => void world.do((each) => pick(each, FIRST, null)),
    packed: () => void world.do((each) => pack(each, FIRST, null)),
    labelled: () => label(world),
    shipped: () => ship(world),
    delivered: () => void world.track(FIRST, 'delivered'),
    lost: () => void world.track(FIRST, 'lost'),
    returned: () => void world.track(FIRST, 'returned'),
  }
  for (const before of ['picking', 'packed', 'labelled', 'shipped'] as const) {
    steps[before]?.()
    if (before === status) return world
  }
  steps[status]?.()
  return world
}

/** Its carrier sells a label. */
export function label(world: GoodsWorld, id = FIRST): void {
  world.do((goods) => claimLabel(goods, id, { carrier: null, service: null }))
  const claimed = world.goods.labels.find((each) => each.shipmentId === id && each.status === 'claimed')
  if (claimed) world.askCarrier(claimed, 'well')
}

/** Somebody sends it, and its money is there. */
export function ship(world: GoodsWorld, id = FIRST): void {
  world.do((goods) => wantToShip(goods, id))
  world.advance()
  world.payAll()
  world.advance()
}

/** By one step or by several: a transaction may take more than one. */
function reaches(from: ShipmentBook['status'], to: ShipmentBook['status']): boolean {
  const seenBefore = new Set([from])
  for (const status of seenBefore) for (const next of SHIPMENT_TRANSITIONS[status]) seenBefore.add(next)
  return seenBefore.has(to)
}

function seen({ payments }: Books, released: number): SeenPayment {
  return {
    reference: 'ch_1',
    amount: TOTAL,
    state: 'captured',
    released,
    capturesInParts: payments[0]?.capturesInParts ?? true,
    captureBefore: null,
    captures: [],
    refunds: [],
    disputes: [],
  }
}

type GoodsStep =
  | { readonly do: 'advance' | 'hold' | 'resume' | 'receive' | 'cancel_all' }
  | { readonly do: 'pass'; readonly hours: number }
  | { readonly do: 'pick'; readonly which: number; readonly short: number }
  | {
      readonly do:
        | 'pack'
        | 'label'
        | 'ship'
        | 'cancel_shipment'
        | 'cancel_parcel'
        | 'replace'
        | 'settle'
        | 'wait'
        | 'capture'
      readonly which: number
    }
  | { readonly do: 'carrier' | 'provider'; readonly which: number; readonly answer: 'well' | 'refuses' | 'lost' }
  | { readonly do: 'decide_label' | 'decide_money'; readonly which: number; readonly retry: boolean }
  | { readonly do: 'track' | 'track_label'; readonly which: number; readonly types: readonly TrackingType[] }
  | { readonly do: 'cancel'; readonly sku: Sku; readonly quantity: number }
  | { readonly do: 'staff_capture'; readonly amount: number }

const which = fc.nat(5)
/** Something that happens to the goods of an order. */
export const goodsStep: fc.Arbitrary<GoodsStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('advance', 'advance', 'advance', 'hold', 'resume', 'receive', 'cancel_all'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass'), hours: fc.constantFrom(1, 80, 24 * 20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pick'), which, short: fc.constantFrom(0, 0, 0, 1, 2) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'pack',
        'pack',
        'label',
        'label',
        'ship',
        'ship',
        'cancel_shipment',
        'cancel_parcel',
        'replace',
        'settle',
        'wait',
        'capture',
      ),
      which,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('carrier', 'provider'),
      which,
      answer: fc.constantFrom('well', 'well', 'well', 'refuses', 'lost'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('decide_label', 'decide_money'), which, retry: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('track', 'track', 'track_label'),
      which,
      types: fc.array(fc.constantFrom<TrackingType>('accepted', 'delivered', 'lost', 'returned', 'exception'), {
        minLength: 1,
        maxLength: 2,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('cancel'),
      sku: fc.constantFrom(CUP, SAUCER),
      quantity: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('staff_capture'),
      amount: fc.integer({ min: 1, max: 80 }).map((n) => n * 10),
    }),
  },
) as fc.Arbitrary<GoodsStep>

/** Orders of any kind: who runs the warehouses, how its units are split, what the payment provider can do. */
export const goodsSetup: fc.Arbitrary<WorldSetup> = fc.record({
  operation: fc.constantFrom('automatic', 'manual', 'external'),
  shortPick: fc.constantFrom('back_order', 'cancel'),
  step: fc.constantFrom(1, 1, 10),
  capturesInParts: fc.boolean(),
  parcels: fc.constantFrom<readonly (readonly Units[])[]>(
    [ALL],
    [[cups(3)], [saucers(2)]],
    [[cups(2), saucers(1)], [cups(1)], [saucers(1)]],
    [[cups(1)], [saucers(1)]],
    [],
  ),
})

/** Takes one step, as far as there is anything to take it with. */
export function takeStep(world: GoodsWorld, step: GoodsStep): void {
  const { shipments, labels } = world.goods
  const shipment = 'which' in step ? shipments[step.which % Math.max(1, shipments.length)] : undefined
  const why = { reason: 'customer', reason_code: 'changed_mind', step: world.setup.step, actor: null } as const
  switch (step.do) {
    case 'advance':
      return world.advance()
    case 'hold':
      return world.hold()
    case 'resume':
      return world.resume()
    case 'receive':
      return world.receive()
    case 'pass':
      return world.pass(step.hours)
    case 'cancel_all':
      return world.do((goods, books) => void cancelUnits(goods, null, why, books))
    case 'cancel':
      return world.do((goods, books) => void cancelUnits(goods, [step], why, books))
    case 'carrier': {
      const atWork = labels.filter((label) => label.atWork)
      const label = atWork[step.which % Math.max(1, atWork.length)]
      return label && world.askCarrier(label, step.answer)
    }
    case 'provider':
      return world.askProvider(step.which, step.answer)
    case 'track_label': {
      const any = labels[step.which % Math.max(1, labels.length)]
      return any && void world.trackLabel(any.id, ...step.types)
    }
    case 'decide_label': {
      const label = labels[step.which % Math.max(1, labels.length)]
      return label && world.decideLabel(label, step.retry ? 'retry' : 'leave')
    }
    case 'decide_money': {
      const { captures, refunds } = world.books
      const capture = captures[step.which % Math.max(1, captures.length)]
      if (capture) world.do((_, books) => void books.decideCapture(capture.id, step.retry ? 'retry' : 'leave'))
      const refund = refunds[step.which % Math.max(1, refunds.length)]
      return refund && world.do((_, books) => void books.decideRefund(refund.id, 'retry'))
    }
    case 'staff_capture':
      return world.do((_, books) => void books.claimCapture({ amount: step.amount, actor: 'key_1' }))
    default:
      return shipment && moveShipment(world, step, shipment)
  }
}

function moveShipment(world: GoodsWorld, step: GoodsStep, { id, lines }: ShipmentBook): void {
  switch (step.do) {
    case 'pick':
      return world.do((goods, books) => {
        let missing = step.short
        const picked = lines.map(({ sku, quantity }) => {
          const lost = Math.min(missing, quantity)
          missing -= lost
          return { sku, quantity: quantity - lost }
        })
        const { short } = pick(goods, id, picked)
        goods.backOrder(short)
        settleShort(goods, books)
      })
    case 'pack':
      return void world.do((goods) => pack(goods, id, null))
    case 'label':
      return world.do((goods) => {
        if (claimLabel(goods, id, { carrier: null, service: null }) === 'done')
          addCommand(goods, 'label', { shipmentId: id, detail: null, actor: null })
      })
    case 'ship':
      return world.do((goods, books) => {
        if (handOver(goods, id, books) === 'done')
          addCommand(goods, 'ship', { shipmentId: id, detail: null, actor: null })
      })
    case 'cancel_shipment':
      return void world.do((goods, books) => cancelShipment(goods, id, books))
    case 'cancel_parcel':
      return world.do((goods, books) => cancelParcel(goods, id, books))
    case 'replace':
      return world.replace(id)
    case 'settle':
      return world.do((goods) => decideShipment(goods, id, 'settled'))
    case 'wait':
      return world.do((goods) => decideShipment(goods, id, 'wait'))
    case 'capture':
      return void world.do((goods, books) => captureFor(goods, id, books))
    case 'track':
      return void world.track(id, ...step.types)
    default:
      throw new Error(step.do)
  }
}
