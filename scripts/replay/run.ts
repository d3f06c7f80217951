import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Invariants } from '../invariants'
import { buy, type Purchase } from './buyer'
import { Client, Unreachable } from './client'
import { inParallel } from './parallel'
import type { Plan } from './plan'
import type { Counts } from './progress'
import type { Outcome } from './report'
import { readLeftOver, stockShelves } from './stock'

export interface ReplayOptions {
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly concurrency: number
  /** Called after each basket. */
  readonly onProgress: (counts: Counts) => void
}

export interface Replayed extends Outcome {
  readonly seconds: number
  readonly invariants: Invariants
  /** How often a call was made again, by reason. */
  readonly repeated: ReadonlyMap<string, number>
}

const SETTLE_POLL_MS = 2_000
const SETTLE_DEADLINE_MS = 15 * 60_000
const AUDIT_TIMEOUT_MS = 150_000
/** Something is thoroughly wrong: there is nothing to learn from more of it. */
const FAILURES_MAX = 50

/**
 * Puts the plan's articles on the shelves, buys all baskets in order of time, `concurrency` at once, and waits until
 * everything has settled. Throws when the shop cannot be stocked, does not answer or does not settle.
 */
export async function replay(plan: Plan, options: ReplayOptions): Promise<Replayed> {
  const client = new Client({ ...options, connections: options.concurrency })
  try {
    await stockShelves(client, plan, async () => void (await settledInvariants(client)))
    const begun = Date.now()
    const bought = await buyAll(client, plan, options)
    const seconds = (Date.now() - begun) / 1000
    const invariants = await settledInvariants(client)
    const leftOver = await readLeftOver(client, plan)
    return { ...bought, seconds, invariants, leftOver, repeated: client.repeated }
  } finally {
    await client.close()
  }
}

async function buyAll(
  client: Client,
  { baskets, articles }: Plan,
  { concurrency, onProgress }: ReplayOptions,
): Promise<Pick<Outcome, 'purchases' | 'failures'>> {
  const shop = { client, articles, run: randomUUID() }
  const purchases: Purchase[] = []
  const failures: { invoice: string; message: string }[] = []
  const counts = { done: 0, lines: 0, refused: 0 }
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
    onProgress(counts)
  })
  return { purchases, failures }
}

/** The invariants once nothing is in flight any more. */
async function settledInvariants(client: Client): Promise<Invariants> {
  const deadline = Date.now() + SETTLE_DEADLINE_MS
  for (;;) {
    const call = { timeoutMs: AUDIT_TIMEOUT_MS, expected: [200] }
    const answer = await client.json<Invariants>('GET', '/v1/admin/invariants', call)
    if (answer.settled || Date.now() > deadline) return answer
    await delay(SETTLE_POLL_MS)
  }
}
