import { sum } from '../../domain/money'
import type { Purchase, RefusedLine } from './buyer'
import { figure, pounds } from './figure'
import type { Article, Plan, Sums } from './plan'
import type { SalesFile } from './sales'
import { describeCancellations } from './sum-report'

/** What the shop did, as its buyers and its stock tell. */
export interface Outcome {
  readonly purchases: readonly Purchase[]
  /** Baskets that got an answer nobody expected. */
  readonly failures: readonly { readonly invoice: string; readonly message: string }[]
  /** Units that can still be sold, by SKU, and how many ought to be; what is sold out is not in it. */
  readonly leftOver: ReadonlyMap<string, number>
  readonly expectedLeft: ReadonlyMap<string, number>
}

export function sumsOf(purchases: readonly Purchase[]): Sums {
  const orders = purchases.map(({ order }) => order).filter((order) => order !== null)
  return {
    orders: orders.length,
    lines: sum(orders.map(({ lines }) => lines.length)),
    units: sum(orders.flatMap(({ lines }) => lines.map(({ quantity }) => quantity))),
    money: sum(orders.map(({ total }) => total)),
    refusedLines: sum(purchases.map(({ refused }) => refused.length)),
    withoutOrder: purchases.length - orders.length,
  }
}

/** One sentence for each difference between what was computed beforehand and what happened. */
export function differencesOf(plan: Plan, { purchases, failures, leftOver, expectedLeft }: Outcome): string[] {
  const actual = sumsOf(purchases)
  const sums = FIGURES.filter(({ figure }) => actual[figure] !== plan.expected[figure]).map(
    ({ figure, name, show }) => `${name}: ${show(actual[figure])}, not ${show(plan.expected[figure])}`,
  )
  const refused = countBySku(purchases)
  const skus = [...new Set([...refused.keys(), ...plan.refusals.keys()])].sort()
  return [
    ...failures.map(({ invoice, message }) => `invoice ${invoice}: ${message}`),
    ...sums,
    ...skus
      .filter((sku) => (refused.get(sku) ?? 0) !== (plan.refusals.get(sku) ?? 0))
      .map((sku) => `${sku}: ${refused.get(sku) ?? 0} lines refused, not ${plan.refusals.get(sku) ?? 0}`),
    ...[...new Set([...leftOver.keys(), ...expectedLeft.keys()])]
      .map((sku) => ({ sku, units: leftOver.get(sku) ?? 0, expected: expectedLeft.get(sku) ?? 0 }))
      .filter(({ units, expected }) => units !== expected)
      .map(({ sku, units, expected }) => `${sku}: ${units} units can still be sold, not ${expected}`),
  ]
}

/** What the file holds and by which rules it is sold. */
export function describeFile(file: SalesFile, plan: Plan): string {
  const { lines, invoices, sales, skippedLines } = file
  const withoutSale = invoices - sales.length
  const scarce = [...plan.refusals.keys()].map((sku) => plan.articles.get(sku) as Article)
  const articles = [...plan.articles.values()]
  const none = scarce.filter(({ onHand }) => onHand === 0).length
  return [
    `${figure(lines)} lines, ${figure(invoices)} invoices: ${figure(sales.length)} sales, ${figure(withoutSale)} with nothing to sell.`,
    `Left out: ${figure(sum(skippedLines.map((one) => one.lines)))} lines.`,
    ...skippedLines.map(
      ({ reason, lines: count, codes }) => `  ${figure(count).padStart(7)}  ${reason}${namesOf(codes)}`,
    ),
    'Price: of a SKU with several, the one at which most of its units were sold in the whole file; of several, the lowest.',
    `Stock: exactly what is asked for, of ${figure(plan.articles.size)} SKUs; ${scarce.length - none} of them run out half-way (each asked for`,
    `always in the same quantity), ${none} are not there at all; ${figure(sum(articles.map(({ spare }) => spare)))} spare units for those that will be missed.`,
    describeCancellations(plan, file.otherCancellations),
    `To come: ${FIGURES.map(({ figure: key, name, show }) => `${show(plan.expected[key])} ${name}`).join(', ')}.`,
  ].join('\n')
}

/** Every refused line, and the sums beside those computed beforehand. */
export function describeOutcome(plan: Plan, { purchases }: Outcome): string {
  const actual = sumsOf(purchases)
  const refused = purchases.flatMap((purchase) => purchase.refused)
  const rows = FIGURES.map(
    ({ figure: key, name, show }) => [name, show(plan.expected[key]), show(actual[key])] as const,
  )
  return [
    `Refused lines: ${refused.length}`,
    ...refused.map(describeRefused),
    '',
    `${''.padEnd(26)}${'expected'.padStart(16)}${'happened'.padStart(16)}`,
    ...rows.map(([name, expected, happened]) => name.padEnd(26) + expected.padStart(16) + happened.padStart(16)),
  ].join('\n')
}

function describeRefused({ invoice, sku, requested, available, reason }: RefusedLine): string {
  return `  ${invoice}  ${sku.padEnd(16)}  ${reason}: ${requested} asked for, ${available} there`
}

const FIGURES: readonly { figure: keyof Sums; name: string; show: (value: number) => string }[] = [
  { figure: 'orders', name: 'orders', show: figure },
  { figure: 'withoutOrder', name: 'baskets without an order', show: figure },
  { figure: 'lines', name: 'lines', show: figure },
  { figure: 'units', name: 'units', show: figure },
  { figure: 'money', name: 'money', show: pounds },
  { figure: 'refusedLines', name: 'refused lines', show: figure },
]

function countBySku(purchases: readonly Purchase[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { sku } of purchases.flatMap(({ refused }) => refused)) counts.set(sku, (counts.get(sku) ?? 0) + 1)
  return counts
}

const CODES_NAMED_MAX = 12

function namesOf(codes: readonly (readonly [string, number])[]): string {
  if (codes.length === 0) return ''
  const named = codes.slice(0, CODES_NAMED_MAX).map(([code, lines]) => `${code} ${lines}`)
  const more = codes.length > named.length ? `, ${codes.length - named.length} more` : ''
  return ` (${named.join(', ')}${more})`
}
