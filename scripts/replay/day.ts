import { inParallel } from './parallel'
import type { Client } from './client'
import { type BoughtOrder, type MoneySums, planMoney } from './money'

/** What was captured, given back and cancelled, by day of the invoices: as computed, and as those tell it who know of it. */

/** Figures that somebody tells; the ledger and the provider know nothing of what is cancelled. */
export type Told = Partial<MoneySums>
export type Days = ReadonlyMap<string, Told>

export interface MoneyByDay {
  readonly computed: ReadonlyMap<string, MoneySums>
  /** By who tells it. */
  readonly told: Readonly<Record<'orders' | 'ledger' | 'provider', Days>>
}

/** Reads it all from the shop and from the provider, once nothing is in flight. */
export async function readMoneyByDay(
  orders: readonly BoughtOrder[],
  { client, sandbox, seed }: { client: Client; sandbox: string; seed: number },
): Promise<MoneyByDay> {
  const computed = new DaySums()
  const told = { orders: new DaySums(), ledger: new DaySums(), provider: new DaySums() }
  const days = new Map(orders.map(({ id, day }) => [id, day]))
  for (const order of orders) computed.add(order.day, planMoney(order, seed).expected)
  await inParallel(orders, READERS, async ({ id, day }) => {
    const order = await client.json<ShownOrder>('GET', `/v1/admin/orders/${id}`, { expected: [200] })
    told.orders.add(day, totalsOf(order))
    told.ledger.add(day, ledgerOf(order))
  })
  for await (const { reference, type, amount } of listMovements(sandbox)) {
    const day = days.get(reference)
    if (day === undefined) continue
    if (type === 'capture') told.provider.add(day, { captured: amount })
    else told.provider.add(day, { refunded: -amount })
  }
  return {
    computed: computed.days as ReadonlyMap<string, MoneySums>,
    told: { orders: told.orders.days, ledger: told.ledger.days, provider: told.provider.days },
  }
}

const READERS = 8

class DaySums {
  readonly days = new Map<string, Told>()

  add(day: string, sums: Told): void {
    const before = this.days.get(day) ?? {}
    const after = Object.entries(sums).map(([figure, amount]) => [figure, amount + (before[figure as keyof Told] ?? 0)])
    this.days.set(day, { ...before, ...Object.fromEntries(after) })
  }
}

interface Money {
  readonly amount: number
}

interface ShownOrder {
  readonly totals: Readonly<Record<'captured' | 'refunded' | 'refund_pending' | 'cancelled', Money>>
  readonly ledger: readonly { readonly operation: string; readonly account: string; readonly amount: Money }[]
}

function totalsOf({ totals }: ShownOrder): MoneySums {
  const { captured, refunded, cancelled } = totals
  return { captured: captured.amount, refunded: refunded.amount, cancelled: cancelled.amount }
}

/** What went to the provider's account, and what left it. */
function ledgerOf({ ledger }: ShownOrder): Told {
  const cleared = ledger.filter(({ account }) => account === 'psp_clearing')
  const of = (isCapture: boolean): number =>
    cleared
      .filter(({ operation }) => (operation === 'capture') === isCapture)
      .reduce((sum, { amount }) => sum + amount.amount, 0)
  return { captured: of(true), refunded: 0 - of(false) }
}

interface Movement {
  readonly reference: string
  readonly type: string
  readonly amount: number
}

async function* listMovements(sandbox: string): AsyncGenerator<Movement> {
  for (let after: string | null = '0'; after !== null; ) {
    const answer = await fetch(`${sandbox}/v1/movements?limit=1000&after=${after}`)
    const page = (await answer.json()) as { data: Movement[]; next_cursor: string | null }
    yield* page.data
    after = page.next_cursor
  }
}
