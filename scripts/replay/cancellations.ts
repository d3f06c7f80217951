import type { Cancellation, Sale } from './sales'

/**
 * Which sale a line of a cancellation (`C…`) takes back. The file does not say, so a rule does:
 *
 * It is the latest sale to the same customer, of the same stock code, at or before the time of the cancellation, of which so many
 * units are not cancelled yet. All units of a line are taken back from one sale.
 *
 * A cancellation whose goods have not left cancels units of the order. One that comes later is a return: it is counted, and
 * waits for returns to be played. What matches nothing is counted by its kind.
 */

/** What became of lines that cancel goods, by kind. */
export const CANCELLATION_KINDS = {
  before_shipment: 'before its goods left: cancelled',
  after_shipment: 'after its goods left: waits for returns',
  not_played: 'of a sale that is not played (--limit)',
  no_customer: 'matches nothing: no customer',
  no_sale: 'matches nothing: this customer did not buy it in this file before',
  too_many: 'matches nothing: more units than any one sale has left',
} as const
export type CancellationKind = keyof typeof CANCELLATION_KINDS

/** What one invoice cancels of one sale, before its goods leave. */
export interface CancelledSale {
  /** C536391 */
  readonly invoice: string
  /** The invoice of the sale. */
  readonly sale: string
  /** Milliseconds since 1970. */
  readonly time: number
  /** Units by stock code. */
  readonly units: ReadonlyMap<string, number>
}

export interface Matched {
  /** In order of time. */
  readonly cancelled: readonly CancelledSale[]
  /** Every line of the file that cancels goods, once. */
  readonly lines: readonly { readonly line: Cancellation; readonly kind: CancellationKind }[]
}

/**
 * Matches all lines, in order of time.
 * @param sales in order of time
 * @param leavesAt when the goods of a sale leave, in milliseconds since 1970; null: it is not played
 */
export function matchCancellations(
  sales: readonly Sale[],
  cancellations: readonly Cancellation[],
  leavesAt: (sale: Sale) => number | null,
): Matched {
  const sold = new Map<string, Sold[]>()
  for (const sale of sales)
    for (const [code, left] of sale.units) place(sold, keyOf(sale.customer, code), { sale, left })
  const cancelled = new Map<string, CancelledSale & { readonly units: Map<string, number> }>()
  const lines = cancellations.map((line) => {
    const found = findSale(sold.get(keyOf(line.customer, line.code)) ?? [], line)
    if (typeof found === 'string') return { line, kind: found }
    found.left -= line.quantity
    const leaves = leavesAt(found.sale)
    if (leaves === null) return { line, kind: 'not_played' as const }
    if (line.time >= leaves) return { line, kind: 'after_shipment' as const }
    const { invoice, time } = line
    const key = `${invoice} ${found.sale.invoice}`
    const one = cancelled.get(key) ?? { invoice, sale: found.sale.invoice, time, units: new Map<string, number>() }
    cancelled.set(key, one)
    one.units.set(line.code, (one.units.get(line.code) ?? 0) + line.quantity)
    return { line, kind: 'before_shipment' as const }
  })
  return { cancelled: [...cancelled.values()], lines }
}

/** One article of a sale, and how many units of it are not cancelled. */
interface Sold {
  readonly sale: Sale
  left: number
}

function findSale(sold: readonly Sold[], { customer, time, quantity }: Cancellation): Sold | CancellationKind {
  if (customer === '') return 'no_customer'
  const before = sold.filter(({ sale }) => sale.time <= time)
  if (before.length === 0) return 'no_sale'
  return before.findLast(({ left }) => left >= quantity) ?? 'too_many'
}

function keyOf(customer: string, code: string): string {
  return `${customer} ${code}`
}

function place(sold: Map<string, Sold[]>, key: string, one: Sold): void {
  const others = sold.get(key)
  if (others) others.push(one)
  else sold.set(key, [one])
}
