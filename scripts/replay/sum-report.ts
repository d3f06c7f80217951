import { sum } from '../../domain/money'
import { CANCELLATION_KINDS, type CancellationKind } from './cancellations'
import { figure, pounds } from './figure'
import type { Story } from './order-report'
import type { Basket, Plan } from './plan'
import { add } from './warehouse'

/** What was played, summed by customer and by month, beside the file's own sums. Units and pence. */
export interface Sum {
  orders: number
  /** By the file: units, and pence at its own prices. */
  fileUnits: number
  fileMoney: number
  refusedUnits: number
  boughtUnits: number
  boughtMoney: number
  cancelledUnits: number
  cancelledMoney: number
  shippedUnits: number
  captured: number
  refunded: number
}

/** Who has no account. */
const GUESTS = 'guests'

/** As the shop tells, by customer (an account, or all `guests` together). */
export function sumByCustomer(plan: Plan, story: Story): Map<string, Sum> {
  return sumBy(plan, story, customerOf)
}

/** As the shop tells, by the month of the sale: 2010-12. */
export function sumByMonth(plan: Plan, story: Story): Map<string, Sum> {
  return sumBy(plan, story, ({ day }) => monthOf(day))
}

function sumBy(
  { baskets }: Plan,
  { orders, refused, told }: Story,
  keyOf: (basket: Basket) => string,
): Map<string, Sum> {
  const sums = new Map<string, Sum>()
  const keys = new Map(baskets.map((basket) => [basket.invoice, keyOf(basket)]))
  const of = (key: string): Sum => {
    const known = sums.get(key) ?? emptySum()
    sums.set(key, known)
    return known
  }
  for (const basket of baskets) {
    const one = of(keyOf(basket))
    one.fileUnits += basket.inFile.units
    one.fileMoney += basket.inFile.money
  }
  for (const { invoice, requested } of refused) of(keys.get(invoice) ?? '').refusedUnits += requested
  for (const { id, invoice } of orders) {
    const one = of(keys.get(invoice) ?? '')
    const order = told.get(id)
    if (!order) continue
    const unitsOf = (count: 'quantity' | 'cancelled' | 'shipped'): number => sum(order.lines.map((line) => line[count]))
    one.orders++
    one.boughtUnits += unitsOf('quantity')
    one.boughtMoney += order.total
    one.cancelledUnits += unitsOf('cancelled')
    one.cancelledMoney += order.cancelled
    one.shippedUnits += unitsOf('shipped')
    one.captured += order.order.captured
    one.refunded += order.order.refunded
  }
  return new Map([...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function emptySum(): Sum {
  return {
    orders: 0,
    fileUnits: 0,
    fileMoney: 0,
    refusedUnits: 0,
    boughtUnits: 0,
    boughtMoney: 0,
    cancelledUnits: 0,
    cancelledMoney: 0,
    shippedUnits: 0,
    captured: 0,
    refunded: 0,
  }
}

/** One sentence for each customer and each month of which the file's own sums say something else than the shop. */
export function sumDifferencesOf(plan: Plan, story: Story): string[] {
  const differ = (name: string, sums: ReadonlyMap<string, Sum>): string[] =>
    [...sums].flatMap(([key, { fileUnits, boughtUnits, refusedUnits, cancelledUnits, shippedUnits }]) => [
      ...(fileUnits === boughtUnits + refusedUnits
        ? []
        : [`${name} ${key}: ${boughtUnits} units bought and ${refusedUnits} refused, ${fileUnits} in the file`]),
      ...(boughtUnits === cancelledUnits + shippedUnits
        ? []
        : [`${name} ${key}: ${boughtUnits} units bought, ${cancelledUnits} cancelled and ${shippedUnits} sent`]),
    ])
  const played = sum([...story.cancelled.values()].flatMap((units) => [...units.values()]))
  const inFile = sum(plan.cancellations.map(({ line, kind }) => (kind === 'before_shipment' ? line.quantity : 0)))
  return [
    ...differ('customer', sumByCustomer(plan, story)),
    ...differ('month', sumByMonth(plan, story)),
    ...(played === inFile ? [] : [`${played} units cancelled, ${inFile} in the file before their goods left`]),
  ]
}

/** What became of the file's cancellations, by kind: lines, units, and pence at the file's own prices. */
export function describeCancellations({ cancellations }: Plan, otherCancellations: number): string {
  const kinds = Object.keys(CANCELLATION_KINDS) as CancellationKind[]
  const rows = kinds.map((kind) => {
    const lines = cancellations.filter((one) => one.kind === kind).map(({ line }) => line)
    const units = sum(lines.map(({ quantity }) => quantity))
    return `  ${figure(lines.length).padStart(7)} lines ${figure(units).padStart(9)} units  ${CANCELLATION_KINDS[kind]}`
  })
  return [
    `${figure(cancellations.length + otherCancellations)} lines cancel (C…). Each takes back units of the latest sale before it to the same`,
    'customer, of the same stock code, that has so many left:',
    ...rows,
    `  ${figure(otherCancellations).padStart(7)} lines                  cancel no goods: postage, charges, discounts`,
  ].join('\n')
}

/** By month: sales by the month of the sale, the file's cancellations by their own. */
export function describeMonths(plan: Plan, story: Story): string {
  const cancelled = new Map<string, number>()
  const later = new Map<string, number>()
  for (const { line, kind } of plan.cancellations) {
    if (kind === 'before_shipment') add(cancelled, monthOf(line.day), line.quantity)
    if (kind === 'after_shipment') add(later, monthOf(line.day), line.quantity)
  }
  const rows = [...sumByMonth(plan, story)].map(([month, one]) => [
    month,
    figure(one.fileUnits),
    figure(one.boughtUnits),
    figure(one.refusedUnits),
    figure(one.shippedUnits),
    figure(one.cancelledUnits),
    figure(cancelled.get(month) ?? 0),
    figure(later.get(month) ?? 0),
    pounds(one.fileMoney),
    pounds(one.boughtMoney),
    pounds(one.captured),
    pounds(one.refunded),
  ])
  const heads = ['month', 'file', 'bought', 'refused', 'sent', 'cancelled', 'C before', 'C after']
  const money = ['file', 'bought', 'captured', 'refunded']
  return [
    'By month. Units: in the file, bought, refused, sent and cancelled of its sales; cancelled in it, before and after goods left.',
    'Money: the file at its own prices, without shipping; bought, captured and refunded by the shop.',
    ...[[...heads, ...money], ...rows].map((cells) => rowOf(cells, heads.length)),
  ].join('\n')
}

const SHOWN_CUSTOMERS = 10
/** Columns of units, the name before them. */
const UNITS_OF_CUSTOMER = 5

/** The customers who bought for most. */
export function describeCustomers(plan: Plan, story: Story): string {
  const sums = [...sumByCustomer(plan, story)]
  const most = sums.toSorted(([, a], [, b]) => b.boughtMoney - a.boughtMoney).slice(0, SHOWN_CUSTOMERS)
  const heads = ['customer', 'orders', 'bought', 'cancelled', 'sent', 'bought', 'cancelled', 'captured', 'refunded']
  const rows = most.map(([customer, one]) => [
    customer,
    figure(one.orders),
    figure(one.boughtUnits),
    figure(one.cancelledUnits),
    figure(one.shippedUnits),
    pounds(one.boughtMoney),
    pounds(one.cancelledMoney),
    pounds(one.captured),
    pounds(one.refunded),
  ])
  return [
    `${figure(sums.length)} customers; those who bought for most:`,
    ...[heads, ...rows].map((cells) => rowOf(cells, UNITS_OF_CUSTOMER)),
  ].join('\n')
}

/** All customers, as CSV: units, and money in pounds. */
export function customersFile(plan: Plan, story: Story): string {
  const inPounds = (amount: number): string => (amount / 100).toFixed(2)
  const heads =
    'customer,orders,units_in_file,units_refused,units_bought,units_cancelled,units_shipped,bought,cancelled,captured,refunded'
  const rows = [...sumByCustomer(plan, story)].map(([customer, one]) =>
    [
      customer,
      one.orders,
      one.fileUnits,
      one.refusedUnits,
      one.boughtUnits,
      one.cancelledUnits,
      one.shippedUnits,
      ...[one.boughtMoney, one.cancelledMoney, one.captured, one.refunded].map(inPounds),
    ].join(','),
  )
  return `${[heads, ...rows].join('\n')}\n`
}

/** @param narrow so many columns hold no money */
function rowOf(cells: readonly string[], narrow: number): string {
  return cells
    .map((cell, n) => (n === 0 ? cell.padEnd(10) : cell.padStart(n < narrow ? 10 : 16)))
    .join('')
    .trimEnd()
}

function customerOf({ customer }: Basket): string {
  return customer === '' ? GUESTS : customer
}

function monthOf(day: string): string {
  return day.slice(0, 'YYYY-MM'.length)
}
