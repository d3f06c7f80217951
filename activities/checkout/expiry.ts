import { log } from '@temporalio/activity'
import {
  closeCasesOfSteps,
  closeSettledCase,
  listSettledCases,
  openCase,
  type SettledCase,
} from '../../db/support/attention'
import { listServableBackOrders, serveBackOrders } from '../../db/inventory/back-order'
import { expireDueHolds } from '../../db/inventory/reservation'
import { dropCart } from '../../db/cart/cache'
import { cancelOrder } from '../../db/order/cancel'
import {
  listOrdersAtWork,
  noteReminder,
  noteUnmoved,
  type OrderAtWork,
  RESTARTS_MAX,
  restart,
} from '../../db/order/sweep'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import { withTransaction } from '../../db/pool'
import type { OrderId, PaymentId } from '../../domain/ids'
import { isOpen as isOrderOpen, isOver as isOrderOver } from '../../domain/order'
import {
  checkoutWorkflowId,
  expiryWorkflowId,
  fulfillmentWorkflowId,
  settlementWorkflowId,
} from '../../domain/workflow-id'
import type { ActivityDeps, OrderWorkflow } from '../deps'
import { withHeartbeat } from '../heartbeat'

export type ExpiryActivities = ReturnType<typeof createExpiryActivities>

const HOLDS_PER_BATCH = 500
const ORDERS_PER_BATCH = 500
const CASES_PER_ROUND = 200
const SKUS_PER_BATCH = 200
/**
 * How long each part of a round may take. What is left over waits for the next round, which begins where this one ended. All
 * of them together stay below the timeout of the activity.
 */
const PART_MS = 12_000

export interface SweepInput {
  readonly shard: number
  /** How many there are: a power of two. */
  readonly shards: number
  /** Where the round before stopped; '' when it came to the end. */
  readonly after: string
}
type Shard = Pick<SweepInput, 'shard' | 'shards'>

export interface Swept {
  readonly expired: number
  readonly restarted: number
  /** Orders that could not be looked after this time. */
  readonly failed: number
  /** In how many milliseconds the next hold is due; null: none is held. */
  readonly nextDueMs: number | null
  /** Where the next round has to begin. */
  readonly after: string
}

/** Brings back what is past its time, and what nobody works on. */
export function createExpiryActivities({ pool, redis, settings, orders }: ActivityDeps) {
  const attentionSeconds = settings.ATTENTION_AFTER_SECONDS

  /** One round of one shard. One part that fails stops no other, nor does one order. */
  async function sweep({ after, ...shard }: SweepInput, signal: AbortSignal): Promise<Swept> {
    const parts = new Parts(shard)
    const holds = await parts.run('expireHolds', () => expireHolds(shard, partOf(signal)))
    if (shard.shard === 0) await parts.run('serveWaiting', () => serveWaiting(partOf(signal)))
    const looked = await parts.run('lookAfterOrders', () => lookAfterOrders(shard, after, signal))
    const isListed = partOf(signal)
    const failing = await parts.run('listFailing', () => orders.listFailing(isListed))
    // Of a list that is not whole nobody knows who is not in it.
    const isWhole = !isListed()
    if (failing)
      await parts.run('closeSettledCases', () => closeSettledCases(shard, { failing, isWhole }, partOf(signal)))
    if (failing && shard.shard === 0) await parts.run('reportFailing', () => reportFailing(failing, partOf(signal)))
    await parts.report()
    return { expired: 0, nextDueMs: null, restarted: 0, failed: 0, after, ...holds, ...looked }
  }

  /** The parts of one round: which of them worked. */
  class Parts {
    private readonly workflowId: string
    private readonly working: string[] = []
    private readonly late: { readonly step: string; readonly detail: string }[] = []

    constructor({ shard }: Shard) {
      this.workflowId = expiryWorkflowId(shard)
    }

    /** Null when it failed, which is logged. */
    async run<T>(step: string, work: () => Promise<T>): Promise<T | null> {
      const name = `${this.workflowId} ${step}`
      const tried = await attempt(name, work)
      if (tried.by === 'done') {
        failingParts.delete(name)
        this.working.push(step)
        return tried.result
      }
      const now = Date.now()
      const before = failingParts.get(name)
      // Another process may have had it work in between.
      const since = before && now - before.last < FORGET_AFTER_MS ? before.since : now
      failingParts.set(name, { since, last: now })
      if (now - since >= attentionSeconds * 1_000)
        this.late.push({ step, detail: `It fails since ${new Date(since).toISOString()}: ${nameOf(tried.error)}.` })
      return null
    }

    /** What keeps failing is a case, as long as it does. Throws while Postgres is away. */
    async report(): Promise<void> {
      const { workflowId } = this
      await closeCasesOfSteps(pool, { workflowId, steps: this.working })
      for (const { step, detail } of this.late)
        await openCase(pool, { workflowId, step, object: null, orderId: null, code: 'sweep_failing', detail })
    }
  }

  async function expireHolds(shard: Shard, isOver: IsOver): Promise<Pick<Swept, 'expired' | 'nextDueMs'>> {
    let expired = 0
    do {
      const batch = await expireDueHolds(pool, { ...shard, limit: HOLDS_PER_BATCH })
      expired += batch.expired
      if (batch.expired < HOLDS_PER_BATCH) return { expired, nextDueMs: batch.nextDueMs }
    } while (!isOver())
    return { expired, nextDueMs: 0 }
  }

  /**
   * Keeps stock for the orders that wait for it, where it came free by no receipt, or was too much for one. They are not planned
   * then, which is work of theirs: whoever looks after orders tells them.
   */
  async function serveWaiting(isOver: IsOver): Promise<void> {
    for (const { warehouseId, skus } of await listServableBackOrders(pool, { limit: SKUS_PER_BATCH })) {
      if (isOver()) return
      await withTransaction(pool, (tx) => serveBackOrders(tx, { warehouseId, skus }))
    }
  }

  /**
   * Restarts every order at work without an open workflow, tells the others what they may not know, and asks for a person
   * about what does not move. The list of running ones only spares most of the looking up: it need not be whole.
   */
  async function lookAfterOrders(
    shard: Shard,
    begin: string,
    signal: AbortSignal,
  ): Promise<Pick<Swept, 'restarted' | 'failed' | 'after'>> {
    const { checkout } = holdSeconds(await storeSettings(pool), settings)
    const work = { ...shard, limit: ORDERS_PER_BATCH, holdSeconds: checkout, overdueSeconds: attentionSeconds }
    const [isListed, isOver] = [partOf(signal, PART_MS / 2), partOf(signal)]
    let running: ReadonlySet<OrderId> | null = null
    const counts = { restarted: 0, failed: 0 }
    let after = begin
    for (;;) {
      const batch = await listOrdersAtWork(pool, { ...work, after })
      if (batch.length > 0)
        running ??= (await attempt('all that runs', () => orders.listRunning(isListed))).result ?? new Set()
      for (const order of batch) {
        // The next round begins behind a whole order: one that was begun is finished.
        if (order.orderId !== after && isOver()) return { ...counts, after }
        const done = await lookAfter(order, running?.has(order.orderId) ?? false)
        if (done !== 'nothing') counts[done]++
        after = order.orderId
      }
      if (batch.length < ORDERS_PER_BATCH) return { ...counts, after: '' }
    }
  }

  /** Never throws: what fails for one order is not the others' fault. It stays overdue, so that a person hears of it. */
  async function lookAfter(order: OrderAtWork, isRunning: boolean): Promise<'restarted' | 'failed' | 'nothing'> {
    const tried = await attempt(order.orderId, () => bringBack(order, isRunning))
    const asked = await attempt(order.orderId, () => askAboutOverdue(order))
    if (tried.by === 'failed' || asked.by === 'failed') return 'failed'
    return tried.result ? 'restarted' : 'nothing'
  }

  /** True when it has started the order's workflow anew. */
  async function bringBack(order: OrderAtWork, isRunning: boolean): Promise<boolean> {
    const { orderId, status, owner, object, stale } = order
    // Whoever works on it has not even placed it. One statement decides between the two.
    if (stale) {
      await endStale(orderId)
      return false
    }
    // While the order is open, what a person decided about a charge is told to its provider all the same.
    const isCheckouts = owner === 'checkout' || !isOrderOpen(status)
    if (isCheckouts && (isRunning || (await orders.isOpen(checkoutWorkflowId(orderId))))) {
      await remind(order)
      return false
    }
    if (owner === 'fulfillment' && (await orders.isOpen(fulfillmentWorkflowId(orderId)))) {
      await remindFulfillment(order)
      return false
    }
    if (object !== null && (await orders.isOpen(settlementWorkflowId(object)))) {
      await remindSettlement({ ...order, object })
      return false
    }
    const isRestarted = await restart(pool, orderId, () => startOwner(order))
    if (isRestarted === null)
      await askForHelp(workflowOf(order), `It was started anew ${RESTARTS_MAX} times, and ended each time.`)
    return isRestarted ?? false
  }

  /** False when it runs. */
  async function startOwner({ orderId, status, number, owner, object }: OrderAtWork): Promise<boolean> {
    if (owner === 'checkout') return orders.startCheckout({ orderId, number })
    // Goods are its own whatever the order is: a label to be taken back, say, or a parcel that came back.
    const isOver = object !== null && isOrderOver(status)
    if (owner === 'fulfillment' && (await orders.startFulfillment({ orderId, isOver }))) return true
    return object !== null && orders.startSettlement({ orderId, paymentId: object })
  }

  async function endStale(orderId: OrderId): Promise<void> {
    const cartId = await cancelOrder(pool, { orderId, reason: 'expired' })
    if (cartId !== null) await dropCart(redis, cartId)
  }

  /** Temporal may have been away, or the API killed, between the row and the word of it. */
  async function remind({ orderId, attempt, cancelWanted }: OrderAtWork): Promise<void> {
    if (attempt === null && !cancelWanted) return
    if (cancelWanted) await orders.remindOfCancel(orderId)
    else if (attempt !== null) await orders.remindOfAttempt({ orderId, attempt })
    await noteReminder(pool, orderId)
  }

  /** Temporal may have been away, or the API killed, when something was asked for. */
  async function remindFulfillment({ orderId, status, object, mustRemind }: OrderAtWork): Promise<void> {
    if (!mustRemind) return
    await orders.startFulfillment({ orderId, isOver: object !== null && isOrderOver(status) })
    await noteReminder(pool, orderId)
  }

  async function remindSettlement({
    orderId,
    object,
    mustRemind,
  }: OrderAtWork & { readonly object: PaymentId }): Promise<void> {
    if (!mustRemind) return
    await orders.tellSettlement({ orderId, paymentId: object })
    await noteReminder(pool, orderId)
  }

  /**
   * Its workflow is there, or ought to be, but long after its time nothing has changed and nobody was asked. It is watched for a
   * while first: after an outage of all workers they need that time to catch up.
   */
  async function askAboutOverdue(order: OrderAtWork): Promise<void> {
    if (!order.overdue) return
    if (order.unmovedSeconds === null) await noteUnmoved(pool, order.orderId)
    else if (order.unmovedSeconds > attentionSeconds)
      await askForHelp(workflowOf(order), `It is past its time, and nothing has changed for ${attentionSeconds} s.`)
  }

  async function closeSettledCases(
    shard: Shard,
    { failing, isWhole }: { readonly failing: readonly OrderWorkflow[]; readonly isWhole: boolean },
    isOver: IsOver,
  ): Promise<void> {
    const listed = new Set(failing.map(({ workflowId }) => workflowId))
    const mayFail = ({ workflowId, code }: SettledCase): boolean =>
      listed.has(workflowId) || (!isWhole && code === 'workflow_failing')
    const limits = { limit: CASES_PER_ROUND, overdueSeconds: attentionSeconds }
    for (const settled of await listSettledCases(pool, { ...shard, ...limits })) {
      if (isOver()) return
      const { id, workflowId } = settled
      await attempt(workflowId, async () => {
        if (!mayFail(settled) && (await isNobodys(settled))) await closeSettledCase(pool, id)
      })
    }
  }

  /**
   * An open workflow closes what it opened. It does not know of what a run before it opened, in its last moment perhaps, when
   * the next had begun; nor of what the sweep said about it; one that is gone closes nothing.
   */
  async function isNobodys({ code, workflowId, since, isDone }: SettledCase): Promise<boolean> {
    const openSince = await orders.openSince(workflowId)
    if (openSince === null) return isDone
    return code === 'workflow_failing' || (isDone && openSince.getTime() > since.getTime() - LAST_MOMENT_MS)
  }

  async function reportFailing(all: readonly OrderWorkflow[], isOver: IsOver): Promise<void> {
    for (const failing of all) {
      if (isOver()) return
      await attempt(failing.workflowId, () => askForHelp(failing, 'Its code fails again and again.'))
    }
  }

  async function askForHelp({ workflowId, orderId, paymentId }: OrderWorkflow, detail: string): Promise<void> {
    await openCase(pool, { workflowId, orderId, code: 'workflow_failing', step: null, object: paymentId, detail })
  }

  return { sweep: (input: SweepInput): Promise<Swept> => withHeartbeat((signal) => sweep(input, signal)) }
}

type IsOver = () => boolean

/** A part of a round ends in time, and when nobody waits for it any more. */
function partOf(signal: AbortSignal, ms = PART_MS): IsOver {
  const until = Date.now() + ms
  return () => signal.aborted || Date.now() > until
}

/** A run that was ended may still write for so long: what it had begun goes on. */
const LAST_MOMENT_MS = 30_000
/** A part that has not failed here for so long has worked elsewhere: its rounds are seconds apart. */
const FORGET_AFTER_MS = 60_000
/** Since when the parts of a round fail, and when they failed last, by workflow and part, as far as this process has seen. */
const failingParts = new Map<string, { readonly since: number; readonly last: number }>()

type Tried<T> =
  | { readonly by: 'done'; readonly result: T }
  | { readonly by: 'failed'; readonly error: unknown; readonly result?: undefined }

/** What fails is logged, and holds up nothing else. */
async function attempt<T>(what: string, work: () => Promise<T>): Promise<Tried<T>> {
  try {
    return { by: 'done', result: await work() }
  } catch (error) {
    log.warn(`the sweep could not look after ${what}, and goes on`, { error: String(error) })
    return { by: 'failed', error }
  }
}

/** Without its message: that may hold values of rows. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? `${error.name} ${code}` : error.name
}

function workflowOf({ orderId, owner, object }: OrderAtWork): OrderWorkflow {
  if (owner === 'fulfillment') return { workflowId: fulfillmentWorkflowId(orderId), orderId, paymentId: null }
  const workflowId = object === null ? checkoutWorkflowId(orderId) : settlementWorkflowId(object)
  return { workflowId, orderId, paymentId: object }
}
