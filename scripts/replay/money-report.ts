import { formatMajor, sum } from '../../domain/money'
import type { Days, MoneyByDay, Told } from './day'
import type { MoneySums } from './money'
import { CURRENCY } from './plan'
import type { Reconciled } from './reconciliation'

type Teller = keyof MoneyByDay['told']

interface Figure {
  readonly name: string
  readonly of: (sums: MoneySums) => number
  /** Who knows of it. */
  readonly tellers: readonly Teller[]
}

const ALL: readonly Teller[] = ['orders', 'ledger', 'provider']
const FIGURES: readonly Figure[] = [
  { name: 'captured', of: ({ captured }) => captured, tellers: ALL },
  { name: 'refunded', of: ({ refunded }) => refunded, tellers: ALL },
  { name: 'cancelled', of: ({ cancelled }) => cancelled, tellers: ['orders'] },
  { name: 'net', of: ({ captured, refunded }) => captured - refunded, tellers: ALL },
]
const NOTHING: MoneySums = { captured: 0, refunded: 0, cancelled: 0 }

/** One sentence for each figure of a day that somebody tells otherwise than computed, and for what the shop itself found. */
export function moneyDifferencesOf({ computed, told }: MoneyByDay, reconciled: Reconciled): string[] {
  const days = [...computed].flatMap(([day, sums]) =>
    FIGURES.flatMap(({ name, of, tellers }) =>
      tellers
        .map((who) => ({ who, happened: of(sumsOf(told[who].get(day))) }))
        .filter(({ happened }) => happened !== of(sums))
        .map(({ who, happened }) => `${day}: ${name} ${pounds(happened)} by the ${who}, not ${pounds(of(sums))}`),
    ),
  )
  const { state, failure, difference_count: count } = reconciled
  return [
    ...days,
    ...(state === 'completed' ? [] : [`the reconciliation ${state}: ${failure ?? ''}`]),
    ...(count > 0 ? [`the reconciliation has found ${count} differences`] : []),
  ]
}

/** Sums of all days, as computed and as each one tells them. */
export function describeMoney({ computed, told }: MoneyByDay, { compared, waiting }: Reconciled): string {
  const columns = ['computed', ...ALL]
  const rows = FIGURES.map(({ name, of, tellers }) => [
    name,
    pounds(totalOf(computed, of)),
    ...ALL.map((who) => (tellers.includes(who) ? pounds(totalOf(told[who], of)) : '')),
  ])
  return [
    `Money, on ${computed.size} days`,
    ...[['', ...columns], ...rows].map(([name = '', ...cells]) => name.padEnd(12) + cells.map(padded).join('')),
    `The shop's own reconciliation compared ${Object.entries(compared)
      .map(([what, count]) => `${count} ${what.replaceAll('_', ' ')}`)
      .join(', ')}; ${waiting} wait for the next one.`,
  ].join('\n')
}

function sumsOf(told: Told | undefined): MoneySums {
  return { ...NOTHING, ...told }
}

function totalOf(days: Days, of: Figure['of']): number {
  return sum([...days.values()].map((told) => of(sumsOf(told))))
}

function padded(cell: string): string {
  return cell.padStart(18)
}

function pounds(amount: number): string {
  return `£${formatMajor({ amount, currency: CURRENCY }).replace(/\B(?=(\d{3})+\.)/g, ',')}`
}
