import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Invariants } from '../ops/invariants'
import { buy, type Purchase } from './buyer'
import { Client, Unreachable } from './client'
import { inParallel } from './parallel'
import type { Plan } from './plan'
import type { Progress } from './progress'
import type { Outcome } from './report'
import { readLeftOver, stockWarehouses } from './stock'

export interface ReplayOptions {
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly concurrency: number
  /** Begins to show how far the buying is, once the warehouses are full. */
  readonly showProgress: (baskets: number) => Progress
}

export interface Replayed extends Outcome {
  readonly seconds: number
  readonly audit: Audit
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
 * Puts the plan's articles into the warehouses, buys all baskets in order of time, `concurrency` at once, and waits until
 * everything has settled. Throws when the shop cannot be stocked or does not answer.
 */
export async function replay(plan: Plan, options: ReplayOptions): Promise<Replayed> {
  const client = new Client({ ...options, connections: options.concurrency })
  try {
    await stockWarehouses(client, plan, async () => requireSettled(await auditAtRest(client)))
    const begun = Date.now()
    const bought = await buyAll(client, plan, options)
    const seconds = (Date.now() - begun) / 1000
    const audit = await auditAtRest(client)
    const leftOver = await readLeftOver(client, plan)
    return { ...bought, seconds, audit, leftOver, repeated: client.repeated }
  } finally {
    await client.close()
  }
}

async function buyAll(
  client: Client,
  { baskets, articles }: Plan,
  { concurrency, showProgress }: ReplayOptions,
): Promise<Pick<Outcome, 'purchases' | 'failures'>> {
  const shop = { client, articles, run: randomUUID() }
  const purchases: Purchase[] = []
  const failures: { invoice: string; message: string }[] = []
  const counts = { done: 0, lines: 0, refused: 0 }
  const progress = showProgress(baskets.length)
  await inParallel(baskets, concurrency, async (basket) => {
    try {
      const purchase = await buy(shop, basket)
      purchases.push(purchase)
      counts.refused += purchase.refused.length
    } catch (error) {
      failures.push({ invoice: basket.invoice, message: (error as Error).message })
      if (error instanceof Unreachable) throw error
      if (failures.length > FAILURES_MAX) throw new Error(failures.map(({ message }) => message).join('\n'))
    }
    counts.done++
    counts.lines += basket.lines.size
    progress.update(counts)
  }).finally(() => progress.stop())
  return { purchases, failures }
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
