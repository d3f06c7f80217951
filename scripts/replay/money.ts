import { createHash } from 'node:crypto'
import { Random } from '../chaos/random'

/**
 * What happens to the money of each order, by a rule that depends on its invoice and a seed alone, and what that must come
 * to: computed here from units and prices, by nothing of the shop's own.
 */

/** An order as it was bought. Money in pence. */
export interface BoughtOrder {
  readonly id: string
  readonly invoice: string
  /** Of the invoice: 2010-12-01. */
  readonly day: string
  readonly total: number
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly price: number }[]
}

export interface Units {
  readonly sku: string
  readonly quantity: number
}

/** `cancel` without units: all of the order. */
export type Command =
  | { readonly what: 'capture' | 'refund'; readonly amount: number }
  | { readonly what: 'cancel'; readonly units: Units | null }

export interface MoneySums {
  readonly captured: number
  readonly refunded: number
  /** Of the total, what will not be delivered. */
  readonly cancelled: number
}

export interface MoneyPlan {
  /** One after another. */
  readonly commands: readonly Command[]
  readonly expected: MoneySums
  /** What can be sold again. */
  readonly returned: readonly Units[]
}

/** Shares of all orders. */
const IN_TWO_PARTS = 0.25
const CANCELLED_WHOLE = 0.04
const UNITS_CANCELLED_BEFORE = 0.06
const UNITS_CANCELLED_AFTER = 0.06
const REFUNDED = 0.1

/** Every order is captured, many in two parts; of some all or some units are cancelled, and some get money back besides. */
export function planMoney(order: Pick<BoughtOrder, 'invoice' | 'total' | 'lines'>, seed: number): MoneyPlan {
  const { total } = order
  const random = new Random(createHash('sha256').update(`${seed} ${order.invoice}`).digest().readInt32BE())
  const inTwo = random.next() < IN_TWO_PARTS
  const chance = random.next()
  if (chance < CANCELLED_WHOLE) {
    const captured = inTwo ? partOf(total, random) : total
    const commands: Command[] = [
      { what: 'capture', amount: captured },
      { what: 'cancel', units: null },
    ]
    return { commands, expected: { captured, refunded: captured, cancelled: total }, returned: order.lines }
  }
  const units =
    chance < CANCELLED_WHOLE + UNITS_CANCELLED_BEFORE + UNITS_CANCELLED_AFTER ? pickUnits(order, random) : null
  const isBefore = chance < CANCELLED_WHOLE + UNITS_CANCELLED_BEFORE
  const cancel: Command[] = units ? [{ what: 'cancel', units }] : []
  const cancelled = units ? units.quantity * units.price : 0
  const captured = isBefore ? total - cancelled : total
  const excess = captured - (total - cancelled)
  const refunded = random.next() < REFUNDED && captured > excess ? random.whole(1, captured - excess) : 0
  return {
    commands: [
      ...(isBefore ? cancel : []),
      ...capturesOf(captured, inTwo, random),
      ...(isBefore ? [] : cancel),
      ...(refunded > 0 ? [{ what: 'refund' as const, amount: refunded }] : []),
    ],
    expected: { captured, refunded: excess + refunded, cancelled },
    returned: units ? [units] : [],
  }
}

function capturesOf(amount: number, inTwo: boolean, random: Random): Command[] {
  if (amount === 0) return []
  const first = inTwo ? partOf(amount, random) : amount
  const parts = first < amount ? [first, amount - first] : [first]
  return parts.map((part) => ({ what: 'capture', amount: part }))
}

/** How many units of each SKU can be sold again once all of it is done. */
export function returnedBySku(orders: readonly BoughtOrder[], seed: number): Map<string, number> {
  const units = new Map<string, number>()
  for (const order of orders)
    for (const { sku, quantity } of planMoney(order, seed).returned) units.set(sku, (units.get(sku) ?? 0) + quantity)
  return units
}

/** Some units of one line, so that others are left; null where the order has but one. */
function pickUnits({ lines }: Pick<BoughtOrder, 'lines'>, random: Random): (Units & { readonly price: number }) | null {
  const line = random.pick(lines)
  const most = lines.length > 1 ? line.quantity : line.quantity - 1
  return most < 1 ? null : { sku: line.sku, quantity: random.whole(1, most), price: line.price }
}

/** From a penny to all but one. */
function partOf(amount: number, random: Random): number {
  return amount < 2 ? amount : random.whole(1, amount - 1)
}
