import type { CaptureId, CommandId, LabelId, OrderId, ShipmentId, Sku, WarehouseId, WarehouseMessageId } from '../ids'
import { sum } from '../money'
import {
  type CancelReason,
  decideUnits,
  type HoldCause,
  type OrderStatus,
  type OrderUnits,
  type UnitsDecision,
  valueOfUnits,
  type WantedUnits,
} from '../order'
import type { Books, CaptureBook } from '../payment/books'
import {
  type Box,
  type CommandKind,
  type CommandState,
  type FulfillmentStatus,
  hasLeft,
  isInside,
  type LabelStatus,
  SHIPMENT_TRANSITIONS,
  type ShipmentStatus,
  type TrackingType,
  type Units,
  type WarehouseEventType,
  type WarehouseOperation,
  type WarehouseTrouble,
} from './shipment'
import { type MessageBook, WarehouseMessages } from './warehouse-messages'

export type { Units }

/**
 * The goods of one order: which units lie where, which have left, and what is to be done next. All rules about it are here:
 * `db/fulfillment/goods.ts` locks the order, loads its rows, lets these methods decide, and saves what changed in the same
 * transaction. What they do to stock they say in {@link Goods.stock}, what it means for money they ask of the order's books.
 */

export interface GoodsOrder {
  readonly id: OrderId
  status: OrderStatus
  heldFrom: 'confirmed' | 'processing' | null
  heldFor: readonly HoldCause[]
  cancelReason: CancelReason | null
  readonly total: number
  readonly tax: number
  readonly addressVersion: number
  fulfillmentStatus: FulfillmentStatus
  /** RFC 3339, as all times here. When its workflow has to look by itself; null: only when it is told. */
  lookAt: string | null
  deliveredAt: string | null
  completesAt: string | null
}

export interface GoodsLine extends OrderUnits {
  readonly sku: Sku
  readonly tax: number
  cancelled: number
  shipped: number
  delivered: number
}

export interface ShipmentBook {
  readonly id: ShipmentId
  readonly number: number
  readonly warehouseId: WarehouseId
  readonly operation: WarehouseOperation
  status: ShipmentStatus
  lines: readonly Units[]
  readonly replaces: ShipmentId | null
  boxes: readonly Box[] | null
  isLeaving: boolean
  captureId: CaptureId | null
  dueAt: string | null
  askAt: string | null
  needsDecision: boolean
  /** When its money was there, and the warehouse's own system was to be told to let it leave. */
  releasedAt: string | null
  /** When it left without that. */
  leftAt: string | null
  trouble: WarehouseTrouble | null
  expectedAt: string | null
  shippedAt: string | null
  endedAt: string | null
}

export interface LabelBook {
  readonly id: LabelId
  readonly shipmentId: ShipmentId
  readonly number: number
  readonly key: string
  readonly carrier: string | null
  readonly service: string | null
  readonly addressVersion: number
  status: LabelStatus
  atWork: boolean
  readonly wasSent: boolean
  reference: string | null
  trackingNumber: string | null
  trackingUrl: string | null
  documentUrl: string | null
  /** Minor units of `currency`. */
  cost: number | null
  currency: string | null
  failureCode: string | null
}

export interface CommandBook {
  readonly id: CommandId
  readonly shipmentId: ShipmentId | null
  readonly kind: CommandKind
  state: CommandState
  code: string | null
  readonly detail: CancelDetail | null
  readonly actor: string | null
}

/** What a cancellation that waits wants. */
export interface CancelDetail {
  readonly units: readonly Units[]
  readonly reason: CancelReason
  readonly reason_code: string
  /** The payment provider takes multiples of so many minor units. */
  readonly step: number
}

export interface GoodsRows {
  readonly order: GoodsOrder
  readonly lines: readonly GoodsLine[]
  readonly shipments: readonly ShipmentBook[]
  readonly labels: readonly LabelBook[]
  readonly commands: readonly CommandBook[]
  readonly messages: readonly MessageBook[]
  readonly backOrders: readonly Units[]
}

/** What happens to stock that is reserved for the order: it leaves, is not there, or is given back. */
export interface StockMove extends Units {
  readonly kind: 'ship' | 'short' | 'give'
  readonly warehouseId: WarehouseId
  readonly shipmentId: ShipmentId | null
}

/** An event of the order, as `domain/events.ts` names it. */
export interface GoodsEvent {
  readonly type: string
  readonly from: OrderStatus | null
  readonly to: OrderStatus | null
  readonly data: Readonly<Record<string, unknown>>
}

export interface GoodsContext {
  readonly now: Date
  readonly newIds: {
    shipment(): ShipmentId
    label(): LabelId
    command(): CommandId
    message(): WarehouseMessageId
  }
  readonly returnWindowDays: number
  readonly shortPick: 'back_order' | 'cancel'
  /** The payment provider takes multiples of so many minor units. */
  readonly step: number
}

/** Why a step cannot be. */
export interface StepRefusal {
  readonly refused: 'invalid_state' | 'order_on_hold' | 'already_shipped'
}
/** `unchanged`: it was done before. */
export type StepOutcome = 'done' | 'unchanged' | StepRefusal

/** `waiting`: some of them are in a parcel that may be leaving. `nothing_left`: all was cancelled before, or it is over. */
export type CancelledUnits =
  | { readonly outcome: 'cancelled' | 'waiting' | 'nothing_left' }
  | Extract<UnitsDecision, { outcome: 'refused' }>

/** What a warehouse's own system tells of a shipment. */
export interface WarehouseNews {
  readonly type: WarehouseEventType
  /** Of the `pack` that it follows; null: the last one. */
  readonly revision: number | null
  /** What was found of each SKU; null: all. */
  readonly lines: readonly Units[] | null
  readonly boxes: readonly Box[] | null
  /** When its own label is on the parcel. */
  readonly carrier: string | null
  readonly trackingNumber: string | null
  readonly code: string | null
}

/** So long a warehouse that people, or a system of its own, run may take; then a person is asked. */
export const WAREHOUSE_PATIENCE_HOURS = 72
/** What a parcel's carrier says of the day, and this much more. Then a person is asked. */
export const PARCEL_PATIENCE_DAYS = 14

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export class Goods {
  readonly order: GoodsOrder
  readonly lines: readonly GoodsLine[]
  readonly shipments: ShipmentBook[]
  readonly labels: LabelBook[]
  readonly commands: CommandBook[]
  readonly messages: WarehouseMessages
  backOrders: readonly Units[]
  /** What was caused since the rows were loaded. */
  readonly events: GoodsEvent[] = []
  readonly stock: StockMove[] = []
  private readonly context: GoodsContext

  constructor({ order, lines, shipments, labels, commands, messages, backOrders }: GoodsRows, context: GoodsContext) {
    this.order = order
    this.lines = lines
    this.shipments = [...shipments]
    this.labels = [...labels]
    this.commands = [...commands]
    this.messages = new WarehouseMessages(messages, order.id, context.newIds.message)
    this.backOrders = backOrders
    this.context = context
  }

  get isHeld(): boolean {
    return this.order.status === 'on_hold'
  }

  /** The order goes on: something may still be sent. */
  get isAlive(): boolean {
    return this.order.status !== 'cancelled' && this.order.status !== 'completed'
  }

  /**
   * Units were taken from their shelves; fewer than asked: the rest is not there, and leaves the books of the warehouse.
   * Answers what is short: it is found elsewhere, waits, or is cancelled.
   * @param picked null: all of it. No more than the shipment has of a SKU.
   */
  pick(id: ShipmentId, picked: readonly Units[] | null): { outcome: StepOutcome; short: readonly Units[] } {
    const shipment = this.shipment(id)
    if (shipment.status === 'cancelled' || !this.isAlive) return { outcome: { refused: 'invalid_state' }, short: [] }
    if (shipment.status !== 'allocated') return { outcome: 'unchanged', short: [] }
    const found = (sku: Sku, wanted: number): number =>
      picked === null ? wanted : sum(picked.filter((each) => each.sku === sku).map(({ quantity }) => quantity))
    const short = shipment.lines
      .map(({ sku, quantity }) => ({ sku, quantity: quantity - found(sku, quantity) }))
      .filter(({ quantity }) => quantity > 0)
    for (const { sku, quantity } of short)
      this.stock.push({ kind: 'short', sku, quantity, warehouseId: shipment.warehouseId, shipmentId: id })
    shipment.lines = without(shipment.lines, short)
    this.begin()
    if (shipment.lines.length === 0) this.end(shipment, 'short')
    else this.move(shipment, 'picking', 'shipment.picked', short.length > 0 ? { short } : {})
    return { outcome: 'done', short }
  }

  /** What was picked was put into boxes; null: nobody says which. */
  pack(id: ShipmentId, boxes: readonly Box[] | null): StepOutcome {
    const shipment = this.shipment(id)
    if (shipment.status === 'allocated' || shipment.status === 'cancelled' || !this.isAlive)
      return { refused: 'invalid_state' }
    if (shipment.status !== 'picking') return 'unchanged'
    shipment.boxes = boxes
    this.move(shipment, 'packed', 'shipment.packed')
    return 'done'
  }

  /** A label is to be bought; null: by which carrier and service is chosen then. */
  claimLabel(id: ShipmentId, { carrier, service }: { carrier: string | null; service: string | null }): StepOutcome {
    const shipment = this.shipment(id)
    if (shipment.status === 'labelled' || hasLeft(shipment.status)) return 'unchanged'
    if (shipment.status !== 'packed' || !this.isAlive) return { refused: 'invalid_state' }
    if (this.liveLabelOf(shipment)) return 'unchanged'
    if (this.isHeld) return { refused: 'order_on_hold' }
    // Whoever asks anew has decided about the one that was refused.
    for (const label of this.labelsOf(shipment)) if (label.status === 'refused') label.atWork = false
    const number = nextNumber(this.labels)
    this.labels.push({
      id: this.context.newIds.label(),
      shipmentId: id,
      number,
      key: labelKey(this.order.id, number),
      carrier,
      service,
      addressVersion: this.order.addressVersion,
      status: 'claimed',
      atWork: true,
      wasSent: false,
      reference: null,
      trackingNumber: null,
      trackingUrl: null,
      documentUrl: null,
      cost: null,
      currency: null,
      failureCode: null,
    })
    return 'done'
  }

  /** The carrier has sold it. One that nobody wants any more is still to be voided. */
  takeLabel(
    id: LabelId,
    {
      expectedAt,
      ...bought
    }: Pick<LabelBook, 'reference' | 'trackingNumber' | 'trackingUrl' | 'documentUrl' | 'cost' | 'currency'> & {
      expectedAt: string | null
    },
  ): void {
    const label = this.label(id)
    if (label.status === 'voided') return
    Object.assign(label, bought)
    if (label.status !== 'claimed') return
    this.shipment(label.shipmentId).expectedAt = expectedAt
    label.status = 'live'
    label.atWork = false
    const { carrier, service, trackingNumber } = label
    this.move(this.shipment(label.shipmentId), 'labelled', 'shipment.labelled', {
      label_id: id,
      carrier,
      service,
      tracking_number: trackingNumber,
    })
    this.answer('label', label.shipmentId, null)
  }

  /** The order was put on hold before its carrier was asked: it is not bought now. */
  withdrawLabel(id: LabelId): void {
    const label = this.label(id)
    if (label.status !== 'claimed' || label.wasSent) return
    this.endLabel(label, 'voided')
    this.answer('label', label.shipmentId, 'order_on_hold')
  }

  /** The carrier will never sell it. Whoever asked for it hears that; else a person has to decide. */
  refuseLabel(id: LabelId, code: string): void {
    const label = this.label(id)
    if (label.status === 'voiding') this.endLabel(label, 'voided')
    if (label.status !== 'claimed') return
    label.status = 'refused'
    label.failureCode = code
    label.atWork = !this.answer('label', label.shipmentId, code)
    this.tell('shipment.label_refused', { shipment_id: label.shipmentId, label_id: id, code })
  }

  /** The carrier has taken it back; or keeps it (`refusal`), and a person has to decide. */
  answerVoid(id: LabelId, refusal: string | null): void {
    const label = this.label(id)
    if (label.status !== 'voiding') return
    if (refusal === null) return this.endLabel(label, 'voided')
    label.failureCode = refusal
  }

  /** A person has decided about a label that the carrier refused to sell, or to take back. */
  decideLabel(id: LabelId, decision: 'retry' | 'leave'): void {
    const label = this.label(id)
    if (!label.atWork || label.failureCode === null) return
    if (label.status === 'voiding') {
      label.failureCode = null
      if (decision === 'leave') this.endLabel(label, 'voided')
      return
    }
    if (label.status !== 'refused') return
    const claimed =
      decision === 'retry' ? this.claimLabel(label.shipmentId, { carrier: null, service: null }) : 'unchanged'
    // While the order is on hold the decision is still to come.
    label.atWork = typeof claimed !== 'string' && claimed.refused === 'order_on_hold'
    if (decision === 'leave') this.postpone(this.shipment(label.shipmentId))
  }

  /** The parcel is to leave: what it costs is captured first. */
  wantToShip(id: ShipmentId): StepOutcome {
    const shipment = this.shipment(id)
    if (hasLeft(shipment.status)) return 'unchanged'
    if (shipment.status !== 'labelled' || !this.isAlive) return { refused: 'invalid_state' }
    if (shipment.isLeaving) return 'unchanged'
    if (this.isHeld) return { refused: 'order_on_hold' }
    this.letLeave(shipment)
    return 'done'
  }

  /** Takes the money of a parcel before it is to leave. `nothing_due`: what was captured covers it. */
  captureFor(id: ShipmentId, books: Books): CaptureBook | 'nothing_due' | 'held' | 'nothing_authorized' | StepRefusal {
    const shipment = this.shipment(id)
    if (!isInside(shipment.status) || shipment.replaces !== null || !this.isAlive) return { refused: 'invalid_state' }
    const covers = this.worthWith(shipment, books)
    const claim = books.claimShipment({ shipmentId: id, covers, step: this.context.step })
    return claim === 'waiting' ? 'nothing_due' : claim
  }

  /** Undoes a shipment that has not left: its units give their stock back, and wait for another one. */
  cancelShipment(id: ShipmentId, books: Books): StepOutcome {
    const shipment = this.shipment(id)
    if (shipment.status === 'cancelled') return 'unchanged'
    if (!isInside(shipment.status) || this.isLocked(shipment, books)) return { refused: 'already_shipped' }
    const { lines, warehouseId, replaces } = shipment
    for (const { sku, quantity } of lines) this.stock.push({ kind: 'give', sku, quantity, warehouseId, shipmentId: id })
    if (replaces === null) this.backOrder(lines)
    this.end(shipment, 'cancelled')
    return 'done'
  }

  /** Undoes a shipment, and cancels its units. */
  cancelParcel(id: ShipmentId, books: Books): void {
    const shipment = this.shipment(id)
    const { lines, replaces } = shipment
    if (this.cancelShipment(id, books) !== 'done' || replaces !== null) return
    const why = { reason: 'merchant', reason_code: 'parcel_cancelled', step: this.context.step } as const
    this.cancelFree(lines, why, books)
  }

  /** A lost or returned parcel that nobody has sent once more. */
  mayReplace(id: ShipmentId): boolean {
    const { status, needsDecision } = this.shipment(id)
    return this.isAlive && needsDecision && (status === 'lost' || status === 'returned')
  }

  /** Sends the units of a lost or returned parcel once more, from stock that was committed to the order for it. */
  replace(id: ShipmentId, { warehouseId, operation }: Pick<ShipmentBook, 'warehouseId' | 'operation'>): void {
    const lost = this.shipment(id)
    lost.needsDecision = false
    const replacement: ShipmentBook = {
      id: this.context.newIds.shipment(),
      number: nextNumber(this.shipments),
      warehouseId,
      operation,
      status: 'allocated',
      lines: lost.lines,
      replaces: lost.replaces ?? id,
      boxes: null,
      isLeaving: false,
      captureId: null,
      dueAt: operation === 'manual' ? this.inHours(WAREHOUSE_PATIENCE_HOURS) : this.context.now.toISOString(),
      askAt: null,
      needsDecision: false,
      releasedAt: null,
      leftAt: null,
      trouble: null,
      expectedAt: null,
      shippedAt: null,
      endedAt: null,
    }
    this.shipments.push(replacement)
    const data = { warehouse_id: warehouseId, lines: lost.lines, replaces: id }
    this.move(replacement, 'allocated', 'shipment.allocated', data)
    this.order.lookAt = this.nextLook()
  }

  /** What somebody asked for that is not done at once. */
  command(
    kind: CommandKind,
    shipmentId: ShipmentId | null,
    detail: CancelDetail | null,
    actor: string | null,
  ): CommandBook {
    const command: CommandBook = {
      id: this.context.newIds.command(),
      shipmentId,
      kind,
      state: 'pending',
      code: null,
      detail,
      actor,
    }
    this.commands.push(command)
    return command
  }

  /**
   * Cancels units of a confirmed order; null: all that have not left. Units of a parcel whose capture was claimed wait for what
   * becomes of it: then that is a command, which ends by itself. The last unit ends the order, unless something has left.
   */
  cancelUnits(
    wanted: WantedUnits,
    why: Omit<CancelDetail, 'units'> & { actor: string | null },
    books: Books,
  ): CancelledUnits {
    const decision = decideUnits(this.lines, wanted)
    if (decision.outcome === 'refused') return decision
    if (!this.isAlive || decision.units.length === 0) return { outcome: 'nothing_left' }
    const waiting = without(decision.units, this.cancelFree(decision.units, why, books))
    if (waiting.length === 0) return { outcome: 'cancelled' }
    const { actor, reason, reason_code, step } = why
    this.command('cancel', null, { units: waiting, reason, reason_code, step }, actor)
    return { outcome: 'waiting' }
  }

  /** Cancels those that nothing keeps, and answers them. */
  private cancelFree(
    wanted: readonly Units[],
    { reason, reason_code, step }: Omit<CancelDetail, 'units'>,
    books: Books,
  ): readonly Units[] {
    const free = this.lines
      .map((line) => ({ sku: line.sku, quantity: Math.min(countOf(wanted, line.sku), this.cancellable(line, books)) }))
      .filter(({ quantity }) => quantity > 0)
    const decision = decideUnits(this.lines, free)
    if (decision.outcome === 'refused' || free.length === 0) return []
    const { amount, isAll, units } = decision
    this.takeOut(free, books)
    if (isAll) {
      this.order.cancelReason = reason
      this.order.heldFor = []
      this.order.heldFrom = null
      this.become('cancelled', 'order.cancelled', { reason, reason_code })
    } else this.tell('order.units_cancelled', { units, amount, reason_code })
    books.cancel({ amount, isAll, step })
    this.moveOn()
    return free
  }

  /** How many units of a line can be cancelled now: they have not left, and no capture was claimed so that they may. */
  cancellable(line: GoodsLine, books: Books): number {
    const locked = this.originals.filter((shipment) => this.isLocked(shipment, books))
    return (
      line.quantity - line.cancelled - line.shipped - sum(locked.map((shipment) => countOf(shipment.lines, line.sku)))
    )
  }

  /**
   * Takes units that will not be sent out of what waits for stock and out of shipments, those first that are least far. No
   * more than {@link cancellable} of each. A parcel that loses units is packed, and labelled, anew.
   */
  private takeOut(units: readonly Units[], books: Books): void {
    for (const { sku, quantity } of units) {
      const line = required(
        this.lines.find((each) => each.sku === sku),
        sku,
      )
      line.cancelled += quantity
      let left = quantity - this.takeFromBackOrder(sku, quantity)
      const open = this.originals
        .filter((shipment) => isInside(shipment.status) && !this.isLocked(shipment, books))
        .sort((a, b) => progressOf(a) - progressOf(b) || b.number - a.number)
      for (const shipment of open) {
        const taken = Math.min(left, countOf(shipment.lines, sku))
        if (taken === 0) continue
        left -= taken
        this.stock.push({
          kind: 'give',
          sku,
          quantity: taken,
          warehouseId: shipment.warehouseId,
          shipmentId: shipment.id,
        })
        shipment.lines = without(shipment.lines, [{ sku, quantity: taken }])
        if (shipment.lines.length === 0) this.end(shipment, 'cancelled')
        else {
          if (shipment.status === 'packed' || shipment.status === 'labelled') this.openAgain(shipment)
          if (this.messages.revisionOf(shipment.id) > 0) this.messages.pack(shipment)
        }
      }
    }
  }

  /** Units that lie nowhere wait for stock. */
  backOrder(units: readonly Units[]): void {
    if (units.length > 0) this.backOrders = joined([...this.backOrders, ...units])
  }

  /** What no warehouse has goes on waiting, or is cancelled, as the shop wants it. */
  settleShort(books: Books): void {
    if (this.backOrders.length === 0) return
    if (this.context.shortPick === 'back_order') return this.tell('order.back_ordered', { units: this.backOrders })
    const why = { reason: 'out_of_stock', reason_code: 'out_of_stock', step: this.context.step } as const
    this.cancelFree(this.backOrders, why, books)
  }

  /**
   * Does all that can be done now without asking anybody outside: the demo's warehouses work, parcels whose money was
   * captured leave, an order whose return window is over is complete.
   */
  advance(books: Books): void {
    if (this.isAlive) {
      for (const shipment of this.shipments) if (shipment.operation !== 'manual') this.work(shipment, books)
      for (const shipment of this.shipments) if (shipment.isLeaving) this.leave(shipment, books)
      for (const shipment of this.shipments) this.noteSilence(shipment)
      this.moveOn()
    } else if (this.order.status === 'cancelled')
      for (const shipment of this.originals) if (isInside(shipment.status)) this.end(shipment, 'cancelled')
    this.endCommands(books)
    this.order.lookAt = this.nextLook()
  }

  /** What its carrier tells of a parcel, whatever the order in which it does. False: it has not left yet, as far as we know. */
  observe(
    id: ShipmentId,
    events: readonly { type: TrackingType; happenedAt: string; expectedAt: string | null }[],
  ): boolean {
    const shipment = this.shipment(id)
    if (isInside(shipment.status)) {
      // It has left without being asked for: its money is taken at once.
      if (shipment.status === 'labelled' && this.isAlive && !shipment.isLeaving) {
        this.tell('shipment.left_unasked', { shipment_id: id })
        this.letLeave(shipment)
      }
      return false
    }
    for (const { type, happenedAt, expectedAt } of [...events].sort((a, b) => compare(a.happenedAt, b.happenedAt))) {
      shipment.expectedAt = expectedAt ?? shipment.expectedAt
      if (type === 'delivered' || type === 'lost' || type === 'returned') this.arrive(shipment, type, happenedAt)
    }
    this.moveOn()
    this.order.lookAt = this.nextLook()
    return true
  }

  /** A person has decided about a parcel that is lost, came back or does not move. */
  decideShipment(id: ShipmentId): void {
    const shipment = this.shipment(id)
    if (isInside(shipment.status) && this.isAlive) this.askAgain(shipment)
    shipment.needsDecision = false
    shipment.trouble = null
    this.postpone(shipment)
    this.moveOn()
    this.order.lookAt = this.nextLook()
  }

  /** A warehouse's own system that is silent, or has refused, hears once more what it is to do. */
  private askAgain(shipment: ShipmentBook): void {
    if (shipment.leftAt !== null) this.letLeave(shipment)
    else if (shipment.releasedAt !== null) this.messages.release(shipment)
    else if (this.messages.revisionOf(shipment.id) > 0 && shipment.status !== 'labelled') this.messages.pack(shipment)
  }

  /**
   * What a warehouse's own system tells of a shipment, whatever the order in which it does: what comes after a step that nobody
   * told of says that this was done too. Answers what is short.
   */
  hear(id: ShipmentId, news: WarehouseNews, books: Books): readonly Units[] {
    const shipment = this.shipment(id)
    if (news.type === 'shipment.refused') this.hearRefusal(shipment, news.code)
    if (news.type === 'shipment.shipped') this.hearLeft(shipment, news, books)
    const isOld = news.revision !== null && news.revision < this.messages.revisionOf(id)
    if (isOld || (news.type !== 'shipment.picked' && news.type !== 'shipment.packed')) return []
    const { short } = this.pick(id, news.lines)
    if (news.type === 'shipment.packed') this.pack(id, news.boxes)
    return short
  }

  /** It will not send it: a person decides. */
  private hearRefusal(shipment: ShipmentBook, code: string | null): void {
    if (!isInside(shipment.status) || shipment.leftAt !== null || !this.isAlive) return
    this.messages.withdraw(shipment.id)
    if (shipment.releasedAt !== null) this.unlock(shipment)
    this.trouble(shipment, 'refused')
    this.tell('shipment.refused', { shipment_id: shipment.id, code: code ?? 'refused' })
  }

  /** It does not wait for its release any more. */
  private unlock(shipment: ShipmentBook): void {
    shipment.releasedAt = null
    shipment.isLeaving = false
    this.answer('ship', shipment.id, 'shipment_changed')
  }

  /** It has left: as it should, or unasked, and then its money is taken at once. */
  private hearLeft(shipment: ShipmentBook, news: WarehouseNews, books: Books): void {
    if (hasLeft(shipment.status) || shipment.leftAt !== null) return
    const isExpected = shipment.releasedAt !== null && this.isAlive
    if (isInside(shipment.status) && this.isAlive) {
      this.pick(shipment.id, null)
      this.pack(shipment.id, null)
      this.keepTheirLabel(shipment, news)
    }
    if (isExpected) return this.ship(shipment, books)
    shipment.leftAt = this.context.now.toISOString()
    this.trouble(shipment, 'left')
    this.tell('shipment.left_unasked', { shipment_id: shipment.id })
    if (shipment.status === 'labelled' && !shipment.isLeaving) this.letLeave(shipment)
    this.messages.end(shipment.id)
  }

  /** Its carrier has it. One that was released has left, although its warehouse has not said so yet. */
  noticeLeft(id: ShipmentId, books: Books): void {
    const shipment = this.shipment(id)
    if (isInside(shipment.status) && shipment.releasedAt !== null && this.isAlive) this.ship(shipment, books)
  }

  private trouble(shipment: ShipmentBook, trouble: WarehouseTrouble): void {
    shipment.trouble = trouble
    shipment.needsDecision = true
  }

  /** The label that the warehouse itself has put on the parcel, in the place of ours. */
  private keepTheirLabel(shipment: ShipmentBook, { carrier, trackingNumber }: WarehouseNews): void {
    const ours = this.liveLabelOf(shipment)
    if (ours?.status === 'live' && (trackingNumber === null || trackingNumber === ours.trackingNumber)) return
    this.voidLabel(shipment)
    const number = nextNumber(this.labels)
    const label: LabelBook = {
      id: this.context.newIds.label(),
      shipmentId: shipment.id,
      number,
      key: labelKey(this.order.id, number),
      carrier: carrier ?? UNKNOWN_CARRIER,
      service: THEIR_SERVICE,
      addressVersion: this.order.addressVersion,
      status: 'live',
      atWork: false,
      wasSent: false,
      reference: null,
      trackingNumber,
      trackingUrl: null,
      documentUrl: null,
      cost: null,
      currency: null,
      failureCode: null,
    }
    this.labels.push(label)
    this.move(shipment, 'labelled', 'shipment.labelled', {
      label_id: label.id,
      carrier: label.carrier,
      service: label.service,
      tracking_number: trackingNumber,
    })
    this.answer('label', shipment.id, null)
  }

  /** A message that its system does not take: a person decides about the shipment. */
  refuseMessage(id: WarehouseMessageId, code: string): void {
    const message = this.message(id)
    if (message.state !== 'pending') return
    message.state = 'refused'
    const shipment = this.shipment(message.shipmentId)
    if (message.kind !== 'cancel') return this.hearRefusal(shipment, code)
    // It does not keep back what nobody wants any more: it may have left.
    this.trouble(shipment, 'refused')
    this.tell('shipment.refused', { shipment_id: shipment.id, code })
  }

  /** Its system has taken it, or (`withdrawn`) a person has decided that it need not hear it. */
  endMessage(id: WarehouseMessageId, state: 'told' | 'withdrawn'): void {
    const message = this.message(id)
    if (message.state === 'pending') message.state = state
  }

  /** Whether the parcel was sent for, and its money claimed: nobody can stop it any more. */
  isLocked(shipment: ShipmentBook, books: Books): boolean {
    if (isInside(shipment.status) && (shipment.releasedAt !== null || shipment.leftAt !== null)) return true
    const status = shipment.isLeaving ? captureOf(shipment, books)?.status : undefined
    return status === 'pending' || status === 'succeeded'
  }

  /** The value of units of the order, the first `count` of each line, in minor units; and the tax in it. */
  private valueOf(count: (line: GoodsLine) => number, of: (line: GoodsLine) => number = ({ total }) => total): number {
    return sum(this.lines.map((line) => valueOfUnits({ total: of(line), quantity: line.quantity }, 1, count(line))))
  }

  /** What shipping costs, its tax inside: what the lines do not say of the total. */
  private get fee(): number {
    return this.order.total - sum(this.lines.map(({ total }) => total))
  }

  private get feeTax(): number {
    return this.order.tax - sum(this.lines.map(({ tax }) => tax))
  }

  /** Those that are not sent in the place of another one. */
  private get originals(): readonly ShipmentBook[] {
    return this.shipments.filter(({ replaces }) => replaces === null)
  }

  /**
   * The demo's warehouse picks and packs all at once, and hands the parcel over as soon as it may. A system of the warehouse's own
   * is told to pack, and tells what it did; its parcels are labelled and paid in between.
   */
  private work(shipment: ShipmentBook, books: Books): void {
    if (!isInside(shipment.status) || shipment.trouble !== null) return
    if (shipment.operation === 'external') {
      if (shipment.status === 'allocated' && !this.isHeld && this.messages.revisionOf(shipment.id) === 0) {
        this.messages.pack(shipment)
        this.postpone(shipment)
      }
    } else if (shipment.status === 'allocated') {
      if (!this.isDue(shipment.dueAt)) return
      this.pick(shipment.id, null)
    }
    if (shipment.status === 'picking' && shipment.operation === 'automatic') this.pack(shipment.id, null)
    const wasRefused = this.labelsOf(shipment).at(-1)?.status === 'refused'
    if (shipment.status === 'packed' && !wasRefused) this.claimLabel(shipment.id, { carrier: null, service: null })
    // After a refused capture a person decides, and it goes on once the money is there.
    if (shipment.status !== 'labelled' || shipment.isLeaving || this.isHeld) return
    const isUndecided = shipment.captureId !== null || shipment.needsDecision
    if (!isUndecided || this.isCovered(shipment, books)) this.letLeave(shipment)
  }

  private letLeave(shipment: ShipmentBook): void {
    shipment.isLeaving = true
    shipment.captureId = null
  }

  /** Sends it once its money was captured; claims that first. */
  private leave(shipment: ShipmentBook, books: Books): void {
    if (shipment.releasedAt !== null) return
    if (shipment.replaces === null && !this.isCovered(shipment, books)) {
      const claimed = captureOf(shipment, books)
      if (claimed?.status === 'failed') return this.stay(shipment)
      if (claimed?.status === 'pending') return
      const covers = this.worthWith(shipment, books)
      const claim = books.claimShipment({ shipmentId: shipment.id, covers, step: this.context.step })
      if (claim === 'held' || claim === 'waiting') return
      if (claim === 'nothing_authorized') {
        this.stay(shipment)
        // Nobody waits for an answer there: a person is asked.
        shipment.needsDecision ||= shipment.operation === 'automatic'
        return
      }
      shipment.captureId = claim.id
      return
    }
    if (shipment.operation !== 'external' || shipment.leftAt !== null) this.ship(shipment, books)
    else if (shipment.trouble === 'refused') shipment.isLeaving = false
    else this.release(shipment)
  }

  /** The warehouse's own system may let it leave, and says when it has. */
  private release(shipment: ShipmentBook): void {
    if (shipment.releasedAt !== null) return
    shipment.releasedAt = this.context.now.toISOString()
    shipment.dueAt = this.inHours(WAREHOUSE_PATIENCE_HOURS)
    this.messages.release(shipment)
    this.tell('shipment.released', { shipment_id: shipment.id })
  }

  /** The money is not to be had: the parcel stays. */
  private stay(shipment: ShipmentBook): void {
    shipment.isLeaving = false
    shipment.dueAt = this.inHours(WAREHOUSE_PATIENCE_HOURS)
    this.answer('ship', shipment.id, 'capture_failed')
    // It is gone, and not paid for.
    if (shipment.leftAt !== null) this.trouble(shipment, 'left')
    this.tell('shipment.kept', { shipment_id: shipment.id })
  }

  private ship(shipment: ShipmentBook, books: Books): void {
    for (const { sku, quantity } of shipment.lines)
      this.stock.push({ kind: 'ship', sku, quantity, warehouseId: shipment.warehouseId, shipmentId: shipment.id })
    if (shipment.replaces === null) this.recognize(shipment, books)
    shipment.isLeaving = false
    shipment.needsDecision = shipment.trouble !== null
    this.messages.end(shipment.id)
    shipment.shippedAt = this.context.now.toISOString()
    // Its carrier is asked at once whether it has it, and ever more rarely afterwards, unless it tells.
    shipment.askAt = this.context.now.toISOString()
    shipment.dueAt = this.parcelDue(shipment)
    this.begin()
    this.move(shipment, 'shipped', 'shipment.shipped', { lines: shipment.lines })
    this.answer('ship', shipment.id, null)
    this.moveOn()
  }

  /** Its units have left: what they cost is earned, the fee with the first of them. */
  private recognize(shipment: ShipmentBook, books: Books): void {
    const isFirst = this.lines.every(({ shipped }) => shipped === 0)
    const before = { value: this.valueOf(({ shipped }) => shipped), tax: this.taxOf(({ shipped }) => shipped) }
    for (const line of this.lines) line.shipped += countOf(shipment.lines, line.sku)
    books.recognize({
      shipmentNumber: shipment.number,
      goods: this.valueOf(({ shipped }) => shipped) - before.value,
      goodsTax: this.taxOf(({ shipped }) => shipped) - before.tax,
      fee: isFirst ? this.fee : 0,
      feeTax: isFirst ? this.feeTax : 0,
    })
  }

  private taxOf(count: (line: GoodsLine) => number): number {
    return this.valueOf(count, ({ tax }) => tax)
  }

  /** What has been captured covers all that has left, and this parcel. */
  private isCovered(shipment: ShipmentBook, books: Books): boolean {
    const gone = this.originals.filter(
      ({ id, status, releasedAt }) => id === shipment.id || (isInside(status) && releasedAt !== null),
    )
    const worth =
      this.fee + this.valueOf((line) => line.shipped + sum(gone.map(({ lines }) => countOf(lines, line.sku))))
    return books.captured >= Math.min(worth, books.owed)
  }

  /** What has to be captured for all that has left, for those that wait for their capture, and for this one. */
  private worthWith(shipment: ShipmentBook, books: Books): number {
    const leaving = this.originals.filter((each) => each.id === shipment.id || this.isLocked(each, books))
    return this.fee + this.valueOf((line) => line.shipped + sum(leaving.map(({ lines }) => countOf(lines, line.sku))))
  }

  private arrive(shipment: ShipmentBook, to: 'delivered' | 'lost' | 'returned', at: string): void {
    if (!SHIPMENT_TRANSITIONS[shipment.status].includes(to)) return
    shipment.endedAt = at
    shipment.askAt = to === 'lost' ? this.inHours(7 * 24) : null
    shipment.dueAt = null
    if (to !== 'delivered') shipment.trouble = null
    shipment.needsDecision = to !== 'delivered' || shipment.trouble !== null
    this.move(shipment, to, ARRIVED[to])
    if (to !== 'delivered') return
    const of = shipment.replaces ?? shipment.id
    for (const line of this.lines) {
      const others = this.shipments.filter(
        (each) => each.status === 'delivered' && each.id !== shipment.id && (each.replaces ?? each.id) === of,
      )
      if (others.length === 0) line.delivered += countOf(shipment.lines, line.sku)
    }
  }

  /** The order follows its units, one event a step. */
  private moveOn(): void {
    const { order } = this
    const shipped = sum(this.lines.map((line) => line.shipped))
    const left = sum(this.lines.map((line) => line.quantity - line.cancelled - line.shipped))
    order.fulfillmentStatus = this.fulfillmentStatus(shipped, left)
    if (shipped === 0 || left > 0) return
    if (order.status === 'on_hold') {
      const [cause] = order.heldFor
      order.heldFor = []
      order.heldFrom = null
      this.become('processing', 'order.resumed', { cause, reason_code: 'all_shipped' })
    }
    if (order.status === 'confirmed') this.become('processing', 'order.processing')
    if (order.status === 'processing') this.become('shipped', 'order.shipped')
    if (order.status === 'shipped' && this.isAllThere()) {
      const { now, returnWindowDays } = this.context
      order.deliveredAt = now.toISOString()
      order.completesAt = new Date(now.getTime() + returnWindowDays * DAY_MS).toISOString()
      this.become('delivered', 'order.delivered')
    }
    if (order.status === 'delivered' && this.isDue(order.completesAt) && this.isAllThere())
      this.become('completed', 'order.completed')
  }

  /** Nothing is on its way, and nobody has to decide about what is lost or came back. */
  private isAllThere(): boolean {
    const isReplaced = (id: ShipmentId): boolean =>
      this.shipments.some(({ replaces, status }) => replaces === id && status !== 'cancelled')
    return this.shipments.every(({ id, status, needsDecision }) => {
      if (status === 'delivered' || status === 'cancelled') return true
      return (status === 'lost' || status === 'returned') && (isReplaced(id) || !needsDecision)
    })
  }

  private fulfillmentStatus(shipped: number, left: number): FulfillmentStatus {
    const delivered = sum(this.lines.map((line) => line.delivered))
    const sent = this.shipments.filter(({ status }) => hasLeft(status))
    if (shipped === 0) return 'unfulfilled'
    if (delivered === shipped) return left === 0 ? 'delivered' : 'partially_delivered'
    if (delivered > 0) return 'partially_delivered'
    if (sent.length > 0 && sent.every(({ status }) => status === 'returned')) return 'returned'
    return left === 0 ? 'fulfilled' : 'partially_fulfilled'
  }

  /** Work has begun in a warehouse. */
  private begin(): void {
    if (this.order.status === 'confirmed') this.become('processing', 'order.processing')
    if (this.order.status === 'on_hold') this.order.heldFrom = 'processing'
  }

  private become(to: OrderStatus, type: string, data: GoodsEvent['data'] = {}): void {
    this.events.push({ type, from: this.order.status, to, data })
    this.order.status = to
  }

  private move(shipment: ShipmentBook, to: ShipmentStatus, type: string, data: GoodsEvent['data'] = {}): void {
    shipment.status = to
    // It moves: whoever has it may take their time again.
    if (isInside(to) && to !== 'allocated') {
      shipment.dueAt = this.inHours(WAREHOUSE_PATIENCE_HOURS)
      shipment.needsDecision = false
    }
    this.tell(type, { shipment_id: shipment.id, ...data })
  }

  /** Nothing of it is sent. */
  private end(shipment: ShipmentBook, why: 'cancelled' | 'short'): void {
    shipment.isLeaving = false
    shipment.dueAt = null
    shipment.needsDecision = false
    shipment.trouble = null
    this.messages.cancel(shipment)
    this.voidLabel(shipment)
    this.move(shipment, 'cancelled', 'shipment.cancelled', { reason: why })
    for (const kind of ['label', 'ship'] as const) this.answer(kind, shipment.id, 'shipment_cancelled')
  }

  /** What was in it has changed. */
  private openAgain(shipment: ShipmentBook): void {
    shipment.isLeaving = false
    shipment.boxes = null
    this.voidLabel(shipment)
    this.move(shipment, 'picking', 'shipment.reopened')
    for (const kind of ['label', 'ship'] as const) this.answer(kind, shipment.id, 'shipment_changed')
  }

  /** One that the carrier cannot know of, or that is not ours, is simply over. */
  private voidLabel(shipment: ShipmentBook): void {
    for (const label of this.labelsOf(shipment)) {
      if (label.status === 'refused') label.atWork = false
      if (label.status !== 'claimed' && label.status !== 'live') continue
      if (!label.wasSent) this.endLabel(label, 'voided')
      else {
        label.status = 'voiding'
        label.atWork = true
        label.failureCode = null
      }
    }
  }

  private endLabel(label: LabelBook, status: 'voided'): void {
    label.status = status
    label.atWork = false
    this.tell('shipment.label_voided', { shipment_id: label.shipmentId, label_id: label.id })
  }

  /** A warehouse or a carrier that is late becomes a case. */
  private noteSilence(shipment: ShipmentBook): void {
    if (shipment.dueAt === null || !this.isDue(shipment.dueAt) || shipment.needsDecision) return
    if (shipment.operation === 'automatic' && shipment.status === 'allocated') return
    if (isInside(shipment.status) && this.isHeld) return
    shipment.needsDecision = true
  }

  /** It is waited for again. */
  private postpone(shipment: ShipmentBook): void {
    if (isInside(shipment.status)) shipment.dueAt = this.inHours(WAREHOUSE_PATIENCE_HOURS)
    else if (shipment.status === 'shipped') shipment.dueAt = this.parcelDue(shipment)
  }

  private parcelDue({ expectedAt }: ShipmentBook): string {
    const from = Math.max(this.context.now.getTime(), expectedAt === null ? 0 : Date.parse(expectedAt))
    return new Date(from + PARCEL_PATIENCE_DAYS * DAY_MS).toISOString()
  }

  /** What was asked for and depends on others is answered once they are done. */
  private endCommands(books: Books): void {
    for (const command of this.commands) {
      if (command.state !== 'pending') continue
      if (command.detail !== null) this.cancelLater(command, command.detail, books)
      if (command.shipmentId === null) continue
      const { status } = this.shipment(command.shipmentId)
      if (command.kind === 'ship' && hasLeft(status)) this.settle(command, null)
      else if (command.kind !== 'cancel' && (status === 'cancelled' || !this.isAlive))
        this.settle(command, 'shipment_cancelled')
    }
  }

  /** A cancellation that met a parcel on its way out goes through once that stays. */
  private cancelLater(command: CommandBook, { units, ...why }: CancelDetail, books: Books): void {
    const isKept = this.isAlive && this.originals.some((shipment) => this.isLocked(shipment, books))
    if (isKept) return
    const left = this.lines.map(({ sku, quantity, cancelled, shipped }) => ({
      sku,
      quantity: Math.min(countOf(units, sku), quantity - cancelled - shipped),
    }))
    const wanted = left.filter(({ quantity }) => quantity > 0)
    const done = this.isAlive ? this.cancelFree(wanted, why, books) : []
    this.settle(command, this.order.status === 'cancelled' || done.length > 0 ? null : 'already_shipped')
  }

  /** True when somebody waited for it. */
  private answer(kind: CommandKind, shipmentId: ShipmentId, code: string | null): boolean {
    const waiting = this.commands.filter(
      (command) => command.state === 'pending' && command.kind === kind && command.shipmentId === shipmentId,
    )
    for (const command of waiting) this.settle(command, code)
    return waiting.length > 0
  }

  settle(command: CommandBook, code: string | null): void {
    command.state = code === null ? 'done' : 'refused'
    command.code = code
  }

  /** When the next thing is due that nobody tells of. */
  private nextLook(): string | null {
    if (!this.isAlive) return null
    const times = this.shipments
      .filter(({ needsDecision, status }) => !needsDecision && !(isInside(status) && this.isHeld))
      .map(({ dueAt }) => dueAt)
      .concat(this.order.status === 'delivered' && this.isAllThere() ? [this.order.completesAt] : [])
    return times.reduce((first, at) => (first === null || (at !== null && at < first) ? at : first), null)
  }

  private takeFromBackOrder(sku: Sku, wanted: number): number {
    const taken = Math.min(wanted, countOf(this.backOrders, sku))
    this.backOrders = without(this.backOrders, [{ sku, quantity: taken }])
    return taken
  }

  private liveLabelOf(shipment: ShipmentBook): LabelBook | undefined {
    return this.labelsOf(shipment).find(({ status }) => status === 'claimed' || status === 'live')
  }

  private labelsOf({ id }: ShipmentBook): readonly LabelBook[] {
    return this.labels.filter(({ shipmentId }) => shipmentId === id)
  }

  private isDue(at: string | null): boolean {
    return at !== null && Date.parse(at) <= this.context.now.getTime()
  }

  private inHours(hours: number): string {
    return new Date(this.context.now.getTime() + hours * HOUR_MS).toISOString()
  }

  private tell(type: string, data: GoodsEvent['data']): void {
    this.events.push({ type, from: null, to: null, data })
  }

  shipment(id: ShipmentId): ShipmentBook {
    return required(
      this.shipments.find((shipment) => shipment.id === id),
      id,
    )
  }

  message(id: WarehouseMessageId): MessageBook {
    return required(
      this.messages.rows.find((message) => message.id === id),
      id,
    )
  }

  label(id: LabelId): LabelBook {
    return required(
      this.labels.find((label) => label.id === id),
      id,
    )
  }
}

/** What was claimed for it, or what was tried again in its place. */
function captureOf({ captureId }: ShipmentBook, { captures }: Books): CaptureBook | undefined {
  let capture = captures.find(({ id }) => id === captureId)
  for (;;) {
    const again = capture && captures.find(({ retries }) => retries === capture?.id)
    if (!again) return capture
    capture = again
  }
}

/** On a parcel that a warehouse has labelled itself. */
const UNKNOWN_CARRIER = 'unknown'
const THEIR_SERVICE = 'own'

const ARRIVED = { delivered: 'shipment.delivered', lost: 'shipment.lost', returned: 'shipment.returned' } as const

/** `<orderId>/label/<n>` */
export function labelKey(orderId: OrderId, number: number): string {
  return `${orderId}/label/${number}`
}

const PROGRESS: readonly ShipmentStatus[] = ['allocated', 'picking', 'packed', 'labelled']

function progressOf({ status }: ShipmentBook): number {
  return PROGRESS.indexOf(status)
}

export function countOf(units: readonly Units[], sku: Sku): number {
  return sum(units.filter((each) => each.sku === sku).map(({ quantity }) => quantity))
}

function without(units: readonly Units[], taken: readonly Units[]): readonly Units[] {
  return units
    .map(({ sku, quantity }) => ({ sku, quantity: quantity - countOf(taken, sku) }))
    .filter(({ quantity }) => quantity > 0)
}

function joined(units: readonly Units[]): readonly Units[] {
  return [...new Set(units.map(({ sku }) => sku))].map((sku) => ({ sku, quantity: countOf(units, sku) }))
}

function nextNumber(rows: readonly { readonly number: number }[]): number {
  return Math.max(0, ...rows.map(({ number }) => number)) + 1
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function required<T>(row: T | undefined, id: string): T {
  if (row === undefined) throw new Error(`The goods do not have ${id}`)
  return row
}
