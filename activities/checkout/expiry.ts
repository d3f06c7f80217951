import { closeSettledCase, listSettledCases, openCase } from '../../db/support/attention'
import { expireDueHolds } from '../../db/inventory/reservation'
import { dropCart } from '../../db/cart/cache'
import { cancelOrder } from '../../db/order/cancel'
import { countRestart, listOrdersAtWork, noteReminder, type OrderAtWork, RESTARTS_MAX } from '../../db/order/sweep'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import type { OrderId } from '../../domain/ids'
import { checkoutWorkflowId, settlementWorkflowId } from '../../domain/workflow-id'
import type { ActivityDeps, OrderWorkflow } from '../deps'

export type ExpiryActivities = ReturnType<typeof createExpiryActivities>

const HOLDS_PER_BATCH = 500
const ORDERS_PER_BATCH = 500
const BATCHES_MAX = 20
const CASES_PER_ROUND = 200

interface Shard {
  readonly shard: number
  /** How many there are: a power of two. */
  readonly shards: number
}

/** Brings back what is past its time, and what nobody works on. */
export function createExpiryActivities({ pool, redis, settings, orders }: ActivityDeps) {
  /** One round of one shard. Returns in how many milliseconds the next hold is due (null: none is held). */
  async function sweep(shard: Shard): Promise<{ expired: number; restarted: number; nextDueMs: number | null }> {
    const holds = await expireHolds(shard)
    const restarted = await restartOrphans(shard)
    await closeSettledCases(shard)
    if (shard.shard === 0) await reportFailing()
    return { ...holds, restarted }
  }

  async function expireHolds(shard: Shard): Promise<{ expired: number; nextDueMs: number | null }> {
    let expired = 0
    for (;;) {
      const batch = await expireDueHolds(pool, { ...shard, limit: HOLDS_PER_BATCH })
      expired += batch.expired
      if (batch.expired < HOLDS_PER_BATCH) return { expired, nextDueMs: batch.nextDueMs }
    }
  }

  /**
   * Restarts every order at work without an open workflow, and tells the others what they may not know. The list of running
   * ones only spares most of the looking up.
   */
  async function restartOrphans(shard: Shard): Promise<number> {
    const { checkout } = holdSeconds(await storeSettings(pool), settings)
    let running: ReadonlySet<OrderId> | null = null
    let restarted = 0
    let after = ''
    for (let batch = 0; batch < BATCHES_MAX; batch++) {
      const atWork = await listOrdersAtWork(pool, { ...shard, limit: ORDERS_PER_BATCH, after, holdSeconds: checkout })
      if (atWork.length > 0) running ??= await orders.listRunning()
      for (const order of atWork) {
        if (running?.has(order.orderId)) await remind(order)
        else if (await restart(order)) restarted++
      }
      if (atWork.length < ORDERS_PER_BATCH) break
      after = atWork.at(-1)?.orderId ?? after
    }
    return restarted
  }

  async function restart(order: OrderAtWork): Promise<boolean> {
    const { orderId, number, paymentId, stale } = order
    if (await orders.isCheckoutOpen(orderId)) {
      await remind(order)
      return false
    }
    if (stale) return endStale(orderId)
    if (paymentId !== null && (await orders.isSettlementOpen(paymentId))) return false
    if (!(await countRestart(pool, orderId, RESTARTS_MAX))) {
      const workflowId = paymentId === null ? checkoutWorkflowId(orderId) : settlementWorkflowId(paymentId)
      await askForHelp({ workflowId, orderId, paymentId })
      return false
    }
    return paymentId === null
      ? orders.startCheckout({ orderId, number })
      : orders.startSettlement({ orderId, paymentId })
  }

  async function endStale(orderId: OrderId): Promise<boolean> {
    const cartId = await cancelOrder(pool, { orderId, reason: 'expired' })
    if (cartId !== null) await dropCart(redis, cartId)
    return cartId !== null
  }

  /** Temporal may have been away, or the API killed, between the row and the word of it. */
  async function remind({ orderId, attempt, cancelWanted }: OrderAtWork): Promise<void> {
    if (attempt === null && !cancelWanted) return
    if (cancelWanted) await orders.remindOfCancel(orderId)
    else if (attempt !== null) await orders.remindOfAttempt({ orderId, attempt })
    await noteReminder(pool, orderId)
  }

  /** An open workflow closes its cases itself. */
  async function closeSettledCases(shard: Shard): Promise<void> {
    for (const { id, workflowId } of await listSettledCases(pool, { ...shard, limit: CASES_PER_ROUND })) {
      if (!(await orders.isOpen(workflowId))) await closeSettledCase(pool, id)
    }
  }

  async function reportFailing(): Promise<void> {
    for (const failing of await orders.listFailing()) await askForHelp(failing)
  }

  async function askForHelp({ workflowId, orderId, paymentId }: OrderWorkflow): Promise<void> {
    await openCase(pool, { workflowId, orderId, code: 'workflow_failing', step: null, object: paymentId })
  }

  return { sweep }
}
