import type { CommandId, LabelId, ShipmentId, Sku, WarehouseId, WarehouseMessageId } from '../ids'
import type { OrderStatus } from '../order'
import { warehouseDue } from './patience'
import type { CommandBook, GoodsLine, GoodsOrder, GoodsRows, LabelBook, ShipmentBook } from './rows'
import { isInside, type ShipmentStatus, type Units, type WarehouseTrouble } from './shipment'
import { countOf, joined, without } from './units'
import { type MessageBook, WarehouseMessages } from './warehouse-messages'

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

/**
 * The goods of one order: which units lie where, and which have left. The rules about them are the functions of this folder, a
 * file for each subject: `db/fulfillment/goods.ts` locks the order, loads its rows, lets some of these decide, and saves what
 * changed in the same transaction. What they do to stock they say in {@link Goods.stock}, what it means for money they ask of
 * the order's books.
 */
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
  readonly context: GoodsContext

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

  /** Those that are not sent in the place of another one. */
  get originals(): readonly ShipmentBook[] {
    return this.shipments.filter(({ replaces }) => replaces === null)
  }

  isDue(at: string | null): boolean {
    return at !== null && Date.parse(at) <= this.context.now.getTime()
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

  line(sku: Sku): GoodsLine {
    return required(
      this.lines.find((line) => line.sku === sku),
      sku,
    )
  }

  /** Units that lie nowhere wait for stock. */
  backOrder(units: readonly Units[]): void {
    if (units.length > 0) this.backOrders = joined([...this.backOrders, ...units])
  }

  /** They wait no more. Answers how many of those that are wanted did. */
  takeFromBackOrder(sku: Sku, wanted: number): number {
    const taken = Math.min(wanted, countOf(this.backOrders, sku))
    this.backOrders = without(this.backOrders, [{ sku, quantity: taken }])
    return taken
  }

  /** All of these units of a shipment leave its warehouse, are not there, or are given back. */
  moveStock(kind: StockMove['kind'], { id: shipmentId, warehouseId }: ShipmentBook, units: readonly Units[]): void {
    for (const { sku, quantity } of units) this.stock.push({ kind, sku, quantity, warehouseId, shipmentId })
  }

  /** Work has begun in a warehouse. While the order is on hold it is said once that goes on: see `advance`. */
  begin(): void {
    if (this.order.status === 'confirmed') this.become('processing', 'order.processing')
  }

  become(to: OrderStatus, type: string, data: GoodsEvent['data'] = {}): void {
    this.events.push({ type, from: this.order.status, to, data })
    this.order.status = to
  }

  move(shipment: ShipmentBook, to: ShipmentStatus, type: string, data: GoodsEvent['data'] = {}): void {
    shipment.status = to
    // It moves: whoever has it may take their time again.
    if (isInside(to) && to !== 'allocated') {
      shipment.dueAt = warehouseDue(this.context.now)
      shipment.needsDecision = shipment.trouble !== null
    }
    this.tell(type, { shipment_id: shipment.id, ...data })
  }

  tell(type: string, data: GoodsEvent['data']): void {
    this.events.push({ type, from: null, to: null, data })
  }
}

/** A person has to decide about the shipment. */
export function trouble(shipment: ShipmentBook, what: WarehouseTrouble): void {
  shipment.trouble = what
  shipment.needsDecision = true
}

export function nextNumber(rows: readonly { readonly number: number }[]): number {
  return Math.max(0, ...rows.map(({ number }) => number)) + 1
}

function required<T>(row: T | undefined, id: string): T {
  if (row === undefined) throw new Error(`The goods do not have ${id}`)
  return row
}
