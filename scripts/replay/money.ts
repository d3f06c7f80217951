import { sum } from '../../domain/money'
import { chanceOf } from './chance'

/**
 * What is to become of the money of each order: computed here from units and prices, by nothing of the shop's own. Parcels
 * capture what they are worth as they leave, so that in the end all is captured that was not cancelled. Of some orders staff take
 * a part in advance, by a rule that depends on the invoice and the seed alone: what a cancellation leaves too much of that goes back.
 * So does what a lost or returned parcel was worth, unless it was sent once more. And some customers get a little back besides.
 */

/** An order as it was bought. Money in pence. */
export interface BoughtOrder {
  readonly id: string
  /** Of the sale. */
  readonly invoice: string
  /** Of the invoice: 2010-12-01. */
  readonly day: string
  /** '' for who has no account. */
  readonly customer: string
  readonly total: number
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly price: number }[]
}

/** Units by SKU. */
export type UnitsBySku = ReadonlyMap<string, number>

/** Shares of all orders. */
const IN_ADVANCE = 0.1
const GOODWILL = 0.08

/**
 * What staff capture before anything leaves, in pence; 0: nothing. No more than what lies in the warehouse that people run:
 * that can be captured whatever the other one has sent by then.
 */
export function advanceOf(
  { invoice, lines }: Pick<BoughtOrder, 'invoice' | 'lines'>,
  seed: number,
  isSouthOnly: (sku: string) => boolean,
): number {
  const random = chanceOf(seed, 'advance', invoice)
  const most = sum(lines.filter(({ sku }) => isSouthOnly(sku)).map(({ quantity, price }) => quantity * price))
  return random.next() < IN_ADVANCE && most > 0 ? random.whole(1, most) : 0
}

/** What a customer gets back in the end, of `left` pence; 0: nothing. */
export function goodwillOf(invoice: string, seed: number, left: number): number {
  const random = chanceOf(seed, 'goodwill', invoice)
  return random.next() < GOODWILL && left > 0 ? random.whole(1, left) : 0
}

/** Pence, of so many units of an order. */
export function worthOf({ lines }: Pick<BoughtOrder, 'lines'>, units: UnitsBySku): number {
  return sum(lines.map(({ sku, price }) => price * (units.get(sku) ?? 0)))
}

export interface Happened {
  /** Of which the file has cancelled units. */
  readonly cancelled: UnitsBySku
  readonly advance: number
  /** What staff have given back for parcels and as goodwill, in pence. */
  readonly givenBack: number
}

/**
 * What the order's money must come to. Null for `captured`: that depends on which of two came first, a parcel or what was taken
 * in advance; what stays with the shop does not.
 */
export function computeMoney(
  order: Pick<BoughtOrder, 'total' | 'lines'>,
  { cancelled, advance, givenBack }: Happened,
): { readonly cancelled: number; readonly captured: number | null; readonly net: number } {
  const isAll = order.lines.every(({ sku, quantity }) => (cancelled.get(sku) ?? 0) === quantity)
  const amount = isAll ? order.total : worthOf(order, cancelled)
  const owed = order.total - amount
  const captured = isAll ? advance : advance > 0 && amount > 0 ? null : owed
  return { cancelled: amount, captured, net: owed - givenBack }
}
