import type { ProductId, Sku } from './ids'
import { type Currency, formatMajor, sum } from './money'
import { type AttemptStatus, holdsMoney, isUnresolved } from './payment/attempt'
import { type CatalogEntry, type Priced, priceCart, type TaxRates } from './pricing/price'

/** The life of an order. Payment, fulfillment and return statuses stand beside it, never in it. */
export const ORDER_STATUSES = [
  'pending',
  'inventory_reserved',
  'payment_pending',
  'confirmed',
  'processing',
  'shipped',
  'delivered',
  'completed',
  'on_hold',
  'cancelled',
] as const
export type OrderStatus = (typeof ORDER_STATUSES)[number]

/** Where each status may go. Same to same is a no-op; whatever is not listed is illegal (409). */
export const ORDER_TRANSITIONS: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  pending: ['inventory_reserved', 'cancelled'],
  inventory_reserved: ['payment_pending', 'cancelled'],
  payment_pending: ['confirmed', 'cancelled'],
  confirmed: ['processing', 'on_hold', 'cancelled'],
  processing: ['shipped', 'on_hold', 'cancelled'],
  shipped: ['delivered'],
  delivered: ['completed'],
  completed: [],
  on_hold: ['confirmed', 'processing', 'cancelled'],
  cancelled: [],
}

const NUMBER_PREFIX = 'HF-'

/** The number of an order as people type it: ` hf-100045 `, `#100045`, `100045`. Null: nothing was typed. */
export function numberIn(typed: string): string | null {
  const number = typed.trim().replace(/^#/, '').trim().toUpperCase()
  if (number === '') return null
  return /^\d+$/.test(number) ? NUMBER_PREFIX + number : number
}

/** Open: from `pending` to `payment_pending`. Its checkout is still at work. */
export const OPEN_STATUSES = [
  'pending',
  'inventory_reserved',
  'payment_pending',
] as const satisfies readonly OrderStatus[]

/** What may keep an order on hold: staff wanted it, a dispute waits for its end, or the fraud check asks for a person. */
export const HOLD_CAUSES = ['staff', 'dispute', 'fraud'] as const
export type HoldCause = (typeof HOLD_CAUSES)[number]

/** What a fraud check says of an order: send it, let a person look first, or do not send it. */
export const FRAUD_ANSWERS = ['ok', 'review', 'refuse'] as const
export type FraudAnswer = (typeof FRAUD_ANSWERS)[number]

export const CANCEL_REASONS = [
  'out_of_stock',
  'price_changed',
  'payment_failed',
  'expired',
  'fraud',
  'customer',
  'merchant',
  'unavailable',
] as const
export type CancelReason = (typeof CANCEL_REASONS)[number]

export function mayBecome(from: OrderStatus, to: OrderStatus): boolean {
  return ORDER_TRANSITIONS[from].includes(to)
}

export function isOpen(status: OrderStatus): boolean {
  return (OPEN_STATUSES as readonly OrderStatus[]).includes(status)
}

/** True once nothing more happens to the order itself. */
export function isOver(status: OrderStatus): boolean {
  return ORDER_TRANSITIONS[status].length === 0
}

/** True once the order has won: it can no longer be undone by its checkout. */
export function isCompleted(status: OrderStatus): boolean {
  return !isOpen(status) && status !== 'cancelled'
}

/** True while an attempt holds money of a cancelled order. An order that has won keeps its money. */
export function hasMoneyToReturn(order: OrderStatus, attempt: AttemptStatus): boolean {
  return order === 'cancelled' && holdsMoney(attempt)
}

/** True while an attempt of an order that is over is unresolved, or its money has not gone back yet. */
export function needsSettlement(order: OrderStatus, attempt: AttemptStatus): boolean {
  return !isOpen(order) && (isUnresolved(attempt) || hasMoneyToReturn(order, attempt))
}

export const ORDER_ACTIONS = ['cancel', 'change_address'] as const
export type OrderAction = (typeof ORDER_ACTIONS)[number]

/** An order by what may be asked for of it. */
export interface ActionableOrder {
  readonly status: OrderStatus
  readonly lines: readonly Pick<OrderUnits, 'quantity' | 'cancelled' | 'shipped'>[]
  /** A label bears its address, or may. */
  readonly isLabelled: boolean
}

/** What may be asked for of an order now. */
export function actionsOf(order: ActionableOrder): OrderAction[] {
  const actions: OrderAction[] = []
  if (isOpen(order.status) || (isAnyLeft(order) && ORDER_TRANSITIONS[order.status].includes('cancelled')))
    actions.push('cancel')
  if (addressFixedBy(order) === null) actions.push('change_address')
  return actions
}

/** Why the address of an order cannot change now; null when it can. */
export type AddressFixedBy = 'checkout_in_progress' | 'already_labelled' | 'invalid_state'

export function addressFixedBy(order: ActionableOrder): AddressFixedBy | null {
  const { status, isLabelled } = order
  if (isOpen(status)) return 'checkout_in_progress'
  if (status === 'cancelled') return 'invalid_state'
  // What has left has had its label.
  return isLabelled || !isAnyLeft(order) ? 'already_labelled' : null
}

/** Some unit has neither left nor been cancelled. */
function isAnyLeft({ lines }: Pick<ActionableOrder, 'lines'>): boolean {
  return lines.some(({ quantity, cancelled, shipped }) => quantity > cancelled + shipped)
}

/** A line of an order as it was sold. `unitPrice` in minor units. */
export interface SoldLine {
  readonly sku: Sku
  readonly quantity: number
  readonly unitPrice: number
}

/**
 * Whether an order would cost the same by either rates, to the last minor unit: its shipping, and the tax of each line. Prices
 * stay those of the sale; only what depends on where the goods go is computed anew, as a checkout does it.
 */
export function costsTheSame(
  sold: {
    readonly currency: Currency
    readonly shippingMethod: string
    readonly lines: readonly SoldLine[]
    readonly taxInclusive: boolean
  },
  before: TaxRates,
  after: TaxRates,
): boolean {
  const [was, is] = [before, after].map((tax) => priceSold(sold, tax)) as [Priced, Priced]
  const sameLines = was.lines.every(({ tax, total }, n) => is.lines[n]?.tax === tax && is.lines[n]?.total === total)
  return (
    sameLines &&
    was.totals.shipping === is.totals.shipping &&
    was.totals.total === is.totals.total &&
    was.totals.tax === is.totals.tax
  )
}

function priceSold({ lines, ...sold }: Parameters<typeof costsTheSame>[0], tax: TaxRates): Priced {
  const catalog = new Map(
    lines.map((line): [Sku, CatalogEntry] => [
      line.sku,
      {
        sku: line.sku,
        skuWritten: line.sku,
        productId: NO_PRODUCT,
        title: '',
        sellerId: '',
        active: true,
        price: line.unitPrice,
        available: line.quantity,
      },
    ]),
  )
  return priceCart({ ...sold, lines: lines.map((line) => ({ ...line, priceAtAdd: line.unitPrice })), catalog, tax })
}

/** A price does not ask of which product it is. */
const NO_PRODUCT: ProductId = 'prod_'

/** A line of an order, by its units. `total` in minor units. */
export interface OrderUnits {
  readonly sku: Sku
  readonly quantity: number
  readonly total: number
  readonly cancelled: number
  readonly shipped: number
}

/**
 * What units `first` to `last` of a line are worth, in minor units: unit k of q is worth ⌊k·total/q⌋ − ⌊(k−1)·total/q⌋, so
 * that all of them together are worth the line (design §5, payment).
 */
export function valueOfUnits(
  { total, quantity }: Pick<OrderUnits, 'total' | 'quantity'>,
  first: number,
  last: number,
): number {
  const upTo = (unit: number): number => Number((BigInt(unit) * BigInt(total)) / BigInt(quantity))
  return upTo(last) - upTo(first - 1)
}

/** Units of an order that somebody wants cancelled; null: all that have not left. */
export type WantedUnits = readonly { readonly sku: Sku; readonly quantity: number }[] | null

export type UnitsDecision =
  | {
      readonly outcome: 'cancel'
      readonly units: readonly { readonly sku: Sku; readonly quantity: number }[]
      /** Their value in minor units. */
      readonly amount: number
      /** Nothing is left, and nothing has left: the whole order ends, with its fee. */
      readonly isAll: boolean
    }
  /** Of these more is wanted than can still be cancelled. */
  | { readonly outcome: 'refused'; readonly lines: readonly { sku: Sku; requested: number; available: number }[] }

/**
 * Which units a cancellation takes. They go from the back of a line; what was shipped went from the front. An order of which
 * nothing but shipped units is left cannot be cancelled.
 */
export function decideUnits(lines: readonly OrderUnits[], wanted: WantedUnits): UnitsDecision {
  const left = ({ quantity, cancelled, shipped }: OrderUnits): number => quantity - cancelled - shipped
  const wantedOf = (line: OrderUnits): number =>
    wanted === null ? left(line) : sum(wanted.filter(({ sku }) => sku === line.sku).map(({ quantity }) => quantity))
  if (wanted === null && lines.some(({ shipped }) => shipped > 0) && lines.every((line) => left(line) === 0))
    return {
      outcome: 'refused',
      lines: lines
        .filter(({ shipped }) => shipped > 0)
        .map(({ sku, shipped }) => ({ sku, requested: shipped, available: 0 })),
    }
  const tooMany = lines.filter((line) => wantedOf(line) > left(line))
  const unknown = (wanted ?? []).filter(({ sku }) => !lines.some((line) => line.sku === sku))
  if (tooMany.length + unknown.length > 0) {
    return {
      outcome: 'refused',
      lines: [
        ...tooMany.map((line) => ({ sku: line.sku, requested: wantedOf(line), available: left(line) })),
        ...unknown.map(({ sku, quantity }) => ({ sku, requested: quantity, available: 0 })),
      ],
    }
  }
  const units = lines
    .map((line) => ({ sku: line.sku, quantity: wantedOf(line) }))
    .filter(({ quantity }) => quantity > 0)
  const amount = sum(
    lines.map((line) => {
      const last = line.quantity - line.cancelled
      return valueOfUnits(line, last - wantedOf(line) + 1, last)
    }),
  )
  const isAll = lines.every((line) => line.shipped === 0 && wantedOf(line) === left(line))
  return { outcome: 'cancel', units, amount, isAll }
}

const LABEL_LINES_MAX = 15

/** What a label says of an order. `total` and those of the lines in minor units. */
export interface LabelledOrder {
  readonly number: string
  readonly currency: Currency
  readonly total: number
  readonly cartId: string
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly total: number }[]
}

/** What support sees first: "HF-100001 · GBP 5.10 · 2 lines", and the lines as Markdown. */
export function orderLabel({ number, currency, total, cartId, lines }: LabelledOrder): {
  summary: string
  details: string
} {
  const major = (amount: number): string => `${currency} ${formatMajor({ amount, currency })}`
  const rows = lines
    .slice(0, LABEL_LINES_MAX)
    .map((line) => `- ${line.quantity} × \`${line.sku}\`, ${major(line.total)}`)
  const more = lines.length - rows.length
  return {
    summary: `${number} · ${major(total)} · ${lines.length} ${lines.length === 1 ? 'line' : 'lines'}`,
    details: [
      `**Order ${number}** of \`${cartId}\`, ${major(total)} when it was accepted.`,
      '',
      ...rows,
      ...(more > 0 ? [`- and ${more} more`] : []),
    ].join('\n'),
  }
}
