import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Invariants } from '../ops/invariants'
import { buy, type Purchase } from './buyer'
import { Client, Unreachable } from './client'
import { type MoneyByDay, readMoneyByDay } from './day'
import { type ProviderFaults, tellProvider } from './fault'
import { inParallel } from './parallel'
import { type BoughtOrder, returnedBySku } from './money'
import { moveMoney } from './pay'
import type { Plan } from './plan'
import type { Progress } from './progress'
import { type Reconciled, reconcile } from './reconciliation'
import type { Outcome } from './report'
import { readLeftOver, stockWarehouses } from './stock'

export interface ReplayOptions {
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly sandbox: string
  readonly concurrency: number
  /** Of the rule by which money is captured, refunded and orders are cancelled. */
  readonly seed: number
  /** What the provider does wrong meanwhile; null: nothing. */
  readonly faults: ProviderFaults | null
  /** Begins to show how far the buying is, once the warehouses are full. */
  readonly showProgress: (baskets: number) => Progress
}

export interface Replayed extends Outcome {
  readonly seconds: number
  readonly audit: Audit
  readonly money: MoneyByDay
  readonly reconciled: Reconciled
  /** How often a call was made again, by reason. */
  readonly repeated: ReadonlyMap<string, number>
}

/** The invariants once nothing is in flight, or as they were when that took too long; or why nobody could tell. */
export type Audit = { readonly invariants: Invariants } | { readonly failure: string }

const SETTLE_POLL_MS = 2_000
const SETTLE_DEADLINE_MS = 15 * 60_000
const AUDIT_TIMEOUT_MS = 150_000
/** Something is thoroughly wrong: there is nothing to learn from more of it. */
const FAILURES_MAX = 50

/**
 * Puts the plan's articles into the warehouses, buys all baskets in order of time, `concurrency` at once, moves the money of
 * each as its rule says, and waits until everything has settled. Throws when the shop cannot be stocked or does not answer.
 */
export async function replay(plan: Plan, options: ReplayOptions): Promise<Replayed> {
  const client = new Client({ ...options, connections: options.concurrency })
  try {
    await stockWarehouses(client, plan, async () => requireSettled(await auditAtRest(client)))
    const { sandbox, seed, faults } = options
    const begun = Date.now()
    await tellProvider(sandbox, faults)
    const bought = await buyAll(client, plan, options)
    const orders = bought.purchases.flatMap(({ order }) => order ?? [])
    // What is cancelled could be sold again: who comes first would decide.
    const unmoved = await moveAll(client, orders, options)
    await tellProvider(sandbox, null)
    const seconds = (Date.now() - begun) / 1000
    const audit = await auditAtRest(client)
    const leftOver = await readLeftOver(client, plan)
    const returned = returnedBySku(orders, seed)
    const failures = [...bought.failures, ...unmoved]
    const money = await readMoneyByDay(orders, { client, sandbox, seed })
    const reconciled = await reconcile(client)
    return { ...bought, failures, seconds, audit, leftOver, returned, money, reconciled, repeated: client.repeated }
  } finally {
    await client.close()
  }
}

interface Failure {
  readonly invoice: string
  readonly message: string
}

async function buyAll(
  client: Client,
  { baskets, articles }: Plan,
  { concurrency, showProgress }: ReplayOptions,
): Promise<Pick<Outcome, 'purchases' | 'failures'>> {
  const shop = { client, articles, run: randomUUID() }
  const purchases: Purchase[] = []
  const counts = { done: 0, lines: 0, refused: 0 }
  const progress = showProgress(baskets.length)
  const failures = await eachOf(baskets, concurrency, async (basket) => {
    const purchase = await buy(shop, basket).finally(() => {
      counts.done++
      counts.lines += basket.lines.size
    })
    purchases.push(purchase)
    counts.refused += purchase.refused.length
    progress.update(counts)
  }).finally(() => progress.stop())
  return { purchases, failures }
}

async function moveAll(
  client: Client,
  orders: readonly BoughtOrder[],
  { concurrency, seed, showProgress }: ReplayOptions,
): Promise<Failure[]> {
  const shop = { client, seed, run: randomUUID() }
  const counts = { done: 0, lines: 0, refused: 0 }
  const progress = showProgress(orders.length)
  return eachOf(orders, concurrency, async (order) => {
    await moveMoney(shop, order)
    counts.done++
    counts.lines += order.lines.length
    progress.update(counts)
  }).finally(() => progress.stop())
}

/** Returns what failed. Throws when the shop does not answer, or too much of it failed. */
async function eachOf<T extends { readonly invoice: string }>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<Failure[]> {
  const failures: Failure[] = []
  await inParallel(items, concurrency, async (item) => {
    try {
      await work(item)
    } catch (error) {
      failures.push({ invoice: item.invoice, message: (error as Error).message })
      if (error instanceof Unreachable) throw error
      if (failures.length > FAILURES_MAX) throw new Error(failures.map(({ message }) => message).join('\n'))
    }
  })
  return failures
}

async function auditAtRest(client: Client): Promise<Audit> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS
  for (;;) {
    const audit = await auditOnce(client)
    if (('invariants' in audit && audit.invariants.settled) || Date.now() > deadline) return audit
    await delay(SETTLE_POLL_MS)
  }
}

async function auditOnce(client: Client): Promise<Audit> {
  try {
    const call = { timeoutMs: AUDIT_TIMEOUT_MS, expected: [200] }
    return { invariants: await client.json<Invariants>('GET', '/v1/admin/invariants', call) }
  } catch (error) {
    return { failure: (error as Error).message }
  }
}

/** What an earlier replay has in flight would change what is in stock. */
function requireSettled(audit: Audit): void {
  if ('failure' in audit) throw new Error(`The shop cannot be checked: ${audit.failure}`)
  if (!audit.invariants.settled) throw new Error('The shop has orders in flight that do not come to an end.')
}
