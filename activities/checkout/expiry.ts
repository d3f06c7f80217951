import { log } from '@temporalio/activity'
import { closeSettledCase, listSettledCases, openCase } from '../../db/support/attention'
import { expireDueHolds } from '../../db/inventory/reservation'
import { dropCart } from '../../db/cart/cache'
import { cancelOrder } from '../../db/order/cancel'
import {
  countRestart,
  listOrdersAtWork,
  noteReminder,
  noteUnmoved,
  type OrderAtWork,
  RESTARTS_MAX,
} from '../../db/order/sweep'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import type { OrderId, PaymentId } from '../../domain/ids'
import { isOver as isOrderOver } from '../../domain/order'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import type { ActivityDeps, OrderWorkflow } from '../deps'
import { withHeartbeat } from '../heartbeat'

export type ExpiryActivities = ReturnType<typeof createExpiryActivities>

const HOLDS_PER_BATCH = 500
const ORDERS_PER_BATCH = 500
const CASES_PER_ROUND = 200
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

  /** One round of one shard. One order that cannot be looked after stops no other. */
  async function sweep({ after, ...shard }: SweepInput, signal: AbortSignal): Promise<Swept> {
    const holds = await expireHolds(shard, partOf(signal))
    const looked = await lookAfterOrders(shard, after, partOf(signal))
    await closeSettledCases(shard, partOf(signal))
    if (shard.shard === 0) await reportFailing(partOf(signal))
    return { ...holds, ...looked }
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
   * Restarts every order at work without an open workflow, tells the others what they may not know, and asks for a person
   * about what does not move. The list of running ones only spares most of the looking up.
   */
  async function lookAfterOrders(
    shard: Shard,
    begin: string,
    isOver: IsOver,
  ): Promise<Pick<Swept, 'restarted' | 'failed' | 'after'>> {
    const { checkout } = holdSeconds(await storeSettings(pool), settings)
    const work = { ...shard, limit: ORDERS_PER_BATCH, holdSeconds: checkout, overdueSeconds: attentionSeconds }
    let running: ReadonlySet<OrderId> | null = null
    const counts = { restarted: 0, failed: 0 }
    let after = begin
    for (;;) {
      const batch = await listOrdersAtWork(pool, { ...work, after })
      if (batch.length > 0) running ??= await orders.listRunning()
      for (const order of batch) {
        if (isOver()) return { ...counts, after }
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
    if (!tried || !asked) return 'failed'
    return tried.result ? 'restarted' : 'nothing'
  }

  /** True when it has started the order's workflow anew. */
  async function bringBack(order: OrderAtWork, isRunning: boolean): Promise<boolean> {
    const { orderId, status, number, owner, object, stale } = order
    // Whoever works on it has not even placed it. One statement decides between the two.
    if (stale) {
      await endStale(orderId)
      return false
    }
    if (isRunning || (await orders.isOpen(checkoutWorkflowId(orderId)))) {
      await remind(order)
      return false
    }
    if (owner === 'fulfillment' && (await orders.isOpen(fulfillmentWorkflowId(orderId)))) {
      await remindOfMoney(order)
      return false
    }
    if (object !== null && (await orders.isOpen(settlementWorkflowId(object)))) {
      await remindSettlement({ ...order, object })
      return false
    }
    if (!(await countRestart(pool, orderId, RESTARTS_MAX))) {
      await askForHelp(workflowOf(order), `It was started anew ${RESTARTS_MAX} times, and ended each time.`)
      return false
    }
    if (owner === 'fulfillment' && (await orders.startFulfillment({ orderId, isOver: isOrderOver(status) })))
      return true
    return object === null
      ? orders.startCheckout({ orderId, number })
      : orders.startSettlement({ orderId, paymentId: object })
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
  async function remindOfMoney({ orderId, status, mustRemind }: OrderAtWork): Promise<void> {
    if (!mustRemind) return
    await orders.startFulfillment({ orderId, isOver: isOrderOver(status) })
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

  /** An open workflow closes its cases itself. */
  async function closeSettledCases(shard: Shard, isOver: IsOver): Promise<void> {
    for (const { id, workflowId } of await listSettledCases(pool, { ...shard, limit: CASES_PER_ROUND })) {
      if (isOver()) return
      await attempt(workflowId, async () => {
        if (!(await orders.isOpen(workflowId))) await closeSettledCase(pool, id)
      })
    }
  }

  async function reportFailing(isOver: IsOver): Promise<void> {
    for (const failing of await orders.listFailing()) {
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
function partOf(signal: AbortSignal): IsOver {
  const until = Date.now() + PART_MS
  return () => signal.aborted || Date.now() > until
}

/** Null when it failed, which is logged. */
async function attempt<T>(what: string, work: () => Promise<T>): Promise<{ result: T } | null> {
  try {
    return { result: await work() }
  } catch (error) {
    log.warn(`the sweep could not look after ${what}, and goes on`, { error: String(error) })
    return null
  }
}

function workflowOf({ orderId, owner, object }: OrderAtWork): OrderWorkflow {
  if (owner === 'fulfillment') return { workflowId: fulfillmentWorkflowId(orderId), orderId, paymentId: null }
  const workflowId = object === null ? checkoutWorkflowId(orderId) : settlementWorkflowId(object)
  return { workflowId, orderId, paymentId: object }
}
