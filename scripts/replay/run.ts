import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Invariants } from '../ops/invariants'
import { buy, type Purchase } from './buyer'
import { Client, Unreachable } from './client'
import { type Outside, tellOutside, type World } from './fault'
import { advanceOf, type BoughtOrder, goodwillOf, type UnitsBySku } from './money'
import { computedOf, leftOverOf, type Story } from './order-report'
import { inParallel } from './parallel'
import { moveMoney } from './pay'
import type { Plan, Step } from './plan'
import type { Progress } from './progress'
import { type Reconciled, reconcile } from './reconciliation'
import type { Outcome } from './report'
import { readLeftOver, stockWarehouses } from './stock'
import { type OpenCase, openCases, Support } from './support'
import { readOrders, readParcels, readStock } from './tellers'
import { sendGoods, type Warehouse, WarehouseBook } from './warehouse'

export interface ReplayOptions extends Outside {
  readonly apis: readonly string[]
  readonly adminKey: string
  readonly concurrency: number
  /** Of what is left to chance: the same as the plan's. */
  readonly seed: number
  /** What the outside world is like meanwhile. */
  readonly world: World
  /** An order is complete so long after its last delivery; null: as the shop has it. */
  readonly returnWindowDays: number | null
  /** Begins to show how far the playing is, once the warehouses are full. */
  readonly showProgress: (steps: number) => Progress
}

export interface Replayed extends Outcome {
  /** For buying, cancelling and sending; and until the last parcel had ended, and the last refund. */
  readonly seconds: { readonly played: number; readonly ended: number }
  readonly audit: Audit
  readonly story: Story
  readonly reconciled: Reconciled
  /** Cases of these orders that are still open. */
  readonly cases: readonly OpenCase[]
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
/** No order has ended for so long. */
const STUCK_MS = 5 * 60_000
const ENDING_POLL_MS = 1_000

/**
 * Puts the plan's articles into the warehouses and plays its steps in the order of their time, `concurrency` at once: the clock of
 * the file moves on as fast as the shop works, so that months pass in minutes. What is bought is cancelled, in whole or in part,
 * before its goods leave; people send what lies in their warehouse when its time has come, the other warehouse works by itself.
 * Then support decides about parcels that went astray, until all orders have ended and all has settled. Throws when the shop
 * cannot be stocked or does not answer.
 */
export async function replay(plan: Plan, options: ReplayOptions): Promise<Replayed> {
  const client = new Client({ ...options, connections: options.concurrency })
  try {
    const warehouseId = await stockWarehouses(client, plan, async () => requireSettled(await auditAtRest(client)))
    if (options.returnWindowDays !== null) await setReturnWindow(client, options.returnWindowDays)
    const warehouse = { client, run: randomUUID(), warehouseId, done: new WarehouseBook() }
    const begun = Date.now()
    const secondsSince = (): number => (Date.now() - begun) / 1000
    await tellOutside(options, options.world)
    const playing = new Playing(plan, warehouse, options)
    await playing.play()
    const played = secondsSince()
    await playing.end()
    const story = await playing.giveGoodwill()
    const ended = secondsSince()
    await tellOutside(options, null)
    const audit = await auditAtRest(client)
    const told = await tell(plan, story, warehouse, options)
    return {
      ...playing.outcome,
      seconds: { played, ended },
      audit,
      story: told,
      leftOver: await readLeftOver(client, plan),
      expectedLeft: leftOverOf(new Map([...plan.articles].map(([sku, { spare }]) => [sku, spare])), told),
      reconciled: await reconcile(client),
      cases: (await openCases(client)).filter(({ order_id: id }) => id !== null && told.told.has(id)),
      repeated: client.repeated,
    }
  } finally {
    await client.close()
  }
}

/** All that anybody tells, once nothing is in flight. */
async function tell(plan: Plan, story: Told, { client, run }: Warehouse, outside: Outside): Promise<Story> {
  const told = await readOrders(story.orders, { client, sandbox: outside.sandbox })
  const parcels = await readParcels(outside.carrier, told)
  const shipments = new Set([...told.values()].flatMap((order) => order.shipments.map(({ id }) => id)))
  const stock = await readStock(client, { skus: [...plan.articles.keys()], shipments, run })
  return { ...story, told, parcels, stock }
}

type Told = Omit<Story, 'told' | 'parcels' | 'stock'>

interface Failure {
  readonly invoice: string
  readonly message: string
}

/** The steps of a plan as they are played, and what came of them. */
class Playing {
  private readonly plan: Plan
  private readonly warehouse: Warehouse
  private readonly options: ReplayOptions
  private readonly purchases: Purchase[] = []
  private readonly failures: Failure[] = []
  /** By the invoice of the sale: what is done last, and the order once it is bought. */
  private readonly latest = new Map<string, Promise<BoughtOrder | null>>()
  private readonly cancelled = new Map<string, Map<string, number>>()
  private readonly advance = new Map<string, number>()
  private readonly goodwill = new Map<string, number>()
  private refusedLines = 0
  private support: Support

  constructor(plan: Plan, warehouse: Warehouse, options: ReplayOptions) {
    this.plan = plan
    this.warehouse = warehouse
    this.options = options
    this.support = new Support(warehouse, new Map(), options.seed)
  }

  get outcome(): Pick<Outcome, 'purchases' | 'failures'> {
    return { purchases: this.purchases, failures: [...this.failures, ...this.support.troubles.values()] }
  }

  async play(): Promise<void> {
    const { steps } = this.plan
    const counts = { done: 0, lines: 0, refused: 0 }
    const progress = this.options.showProgress(steps.length)
    await this.eachOf(steps, async (step) => {
      // The steps of an invoice are begun in their order: this one waits for the one before it.
      const before = this.latest.get(step.invoice) ?? Promise.resolve(null)
      const now = before.then((order) => this.take(step, order))
      this.latest.set(
        step.invoice,
        now.catch(() => before),
      )
      await now.finally(() => {
        counts.done++
        if (step.kind === 'buy') counts.lines += step.basket.lines.size
      })
      counts.refused = this.refusedLines
      progress.update(counts)
    }).finally(() => progress.stop())
  }

  /** Answers the order, once it is bought. */
  private async take(step: Step, order: BoughtOrder | null): Promise<BoughtOrder | null> {
    if (step.kind === 'buy') return this.buy(step)
    if (order && step.kind === 'cancel') await this.cancel(step, order)
    if (order && step.kind === 'send') await this.send(order)
    return order
  }

  private async buy({ basket }: Extract<Step, { kind: 'buy' }>): Promise<BoughtOrder | null> {
    const { articles } = this.plan
    const { client, run } = this.warehouse
    const purchase = await buy({ client, articles, run }, basket)
    this.purchases.push(purchase)
    this.refusedLines += purchase.refused.length
    const { order } = purchase
    const amount = order ? advanceOf(order, this.options.seed, (sku) => articles.get(sku)?.isSouthOnly === true) : 0
    if (order && amount > 0) {
      const key = `${run}-${order.invoice}-advance`
      this.advance.set(order.id, await moveMoney(client, { what: 'capture', orderId: order.id, key, body: { amount } }))
    }
    return order
  }

  private async cancel({ cancellation, units }: Extract<Step, { kind: 'cancel' }>, order: BoughtOrder): Promise<void> {
    const before = this.cancelled.get(order.id) ?? new Map<string, number>()
    const after = new Map(before)
    for (const [sku, quantity] of units) after.set(sku, (after.get(sku) ?? 0) + quantity)
    const lines = [...units].map(([sku, quantity]) => ({ sku, quantity }))
    const body = { reason_code: 'cancelled_by_customer', ...(!isAllOf(order, after) && { lines }) }
    const key = `${this.warehouse.run}-${cancellation}-${order.invoice}`
    const path = `/v1/admin/orders/${order.id}/cancel`
    await this.warehouse.client.json('POST', path, { body, key, expected: [200, 202] })
    this.cancelled.set(order.id, after)
  }

  private send({ id, invoice }: BoughtOrder): Promise<void> {
    return sendGoods(this.warehouse, { id, invoice, short: this.plan.short.get(invoice) ?? null })
  }

  /** Works off what is left of all orders until none goes on, or none has ended for long. */
  async end(): Promise<void> {
    const orders = new Map(this.orders.map((order) => [order.id, order]))
    this.support = new Support(this.warehouse, orders, this.options.seed)
    let left = Number.POSITIVE_INFINITY
    for (let movedAt = Date.now(); ; await delay(ENDING_POLL_MS)) {
      const going = await readGoing(this.warehouse.client, orders)
      if (going.length < left) {
        left = going.length
        movedAt = Date.now()
      }
      if (left === 0 || Date.now() - movedAt > STUCK_MS) return
      await this.support.decideAll()
      await this.eachOf(going, (order) => this.send(order))
    }
  }

  /** Gives some customers a little back, when all else is over. */
  async giveGoodwill(): Promise<Told> {
    const { client, run } = this.warehouse
    const story = this.story
    await this.eachOf(story.orders, async (order) => {
      const { captured, refunded } = computedOf(order, NO_MONEY, story)
      const amount = goodwillOf(order.invoice, this.options.seed, captured - refunded)
      if (amount === 0) return
      const body = { amount, reason_code: 'goodwill' }
      const key = `${run}-${order.invoice}-goodwill`
      this.goodwill.set(order.id, await moveMoney(client, { what: 'refund', orderId: order.id, key, body }))
    })
    return this.story
  }

  private get orders(): BoughtOrder[] {
    return this.purchases.flatMap(({ order }) => order ?? [])
  }

  private get story(): Told {
    const { received, missed } = this.warehouse.done
    return {
      orders: this.orders,
      refused: this.purchases.flatMap(({ refused }) => refused),
      cancelled: this.cancelled,
      advance: this.advance,
      goodwill: this.goodwill,
      decisions: this.support.decisions,
      received,
      missed,
    }
  }

  /** Notes what failed. Throws when the shop does not answer, or too much of it failed. */
  private async eachOf<T extends { readonly invoice: string }>(
    items: readonly T[],
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    await inParallel(items, this.options.concurrency, async (item) => {
      try {
        await work(item)
      } catch (error) {
        this.failures.push({ invoice: item.invoice, message: (error as Error).message })
        if (error instanceof Unreachable) throw error
        if (this.failures.length > FAILURES_MAX) throw new Error(this.failures.map(({ message }) => message).join('\n'))
      }
    })
  }
}

const NO_MONEY = { captured: 0, refunded: 0 }

function isAllOf({ lines }: BoughtOrder, units: UnitsBySku): boolean {
  return lines.every(({ sku, quantity }) => units.get(sku) === quantity)
}

/** Orders of which something is still to be sent, or to arrive. */
const GOING = ['confirmed', 'processing', 'on_hold', 'shipped'] as const

async function readGoing(client: Client, orders: ReadonlyMap<string, BoughtOrder>): Promise<BoughtOrder[]> {
  const going: BoughtOrder[] = []
  for (const status of GOING) {
    const first = `/v1/admin/orders?status=${status}&limit=100`
    for (let path = first; path !== ''; ) {
      const page = await client.json<{ data: { id: string }[]; next_cursor: string | null }>('GET', path, {
        expected: [200],
      })
      going.push(...page.data.flatMap(({ id }) => orders.get(id) ?? []))
      path = page.next_cursor === null ? '' : `${first}&cursor=${page.next_cursor}`
    }
  }
  return going
}

async function setReturnWindow(client: Client, days: number): Promise<void> {
  const path = '/v1/admin/settings'
  const settings = await client.json<object>('GET', path, { expected: [200] })
  await client.json('PUT', path, { body: { ...settings, return_window_days: days }, expected: [200] })
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
