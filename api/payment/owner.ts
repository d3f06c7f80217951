import { setTimeout as pause } from 'node:timers/promises'
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client'
import { clearTold, isMoneyAtWork, noteTold } from '../../db/payment/work'
import { isPostgresUnavailable } from '../../db/pool'
import type { OrderId, PaymentId } from '../../domain/ids'
import {
  fulfillmentReuse,
  fulfillmentStart,
  paymentWorkSignal,
  settlementStart,
  WORKFLOWS,
} from '../../workflows/contract'
import type { ApiDeps } from '../deps'
import { isTemporalUnavailable } from '../http/temporal'

/** Most are done within a tenth of a second. Many may wait at once. */
const POLL_MS = 50
const POLL_GROWTH = 1.4
const POLL_MS_MAX = 1_000
const TELL_MS = 3_000

/**
 * Tells the workflow that owns the money of an order that there is something to do: fulfillment, or after its end the
 * settlement of each payment concerned. What cannot be told now the sweep tells.
 */
export async function tellOwner(
  { orderId, isOver, paymentIds }: { orderId: OrderId; isOver: boolean; paymentIds: readonly PaymentId[] },
  deps: ApiDeps,
): Promise<void> {
  const { workflow } = deps.temporal
  if (!(await noteTold(deps.pool, orderId))) return
  try {
    await deps.temporal.withDeadline(Date.now() + TELL_MS, async () => {
      try {
        await workflow.signalWithStart(WORKFLOWS.fulfillment, {
          ...fulfillmentStart(orderId),
          workflowIdReusePolicy: fulfillmentReuse(isOver),
          signal: paymentWorkSignal,
          signalArgs: [],
        })
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
        for (const paymentId of paymentIds) {
          const start = settlementStart({ orderId, paymentId })
          await workflow.signalWithStart(WORKFLOWS.settlement, { ...start, signal: paymentWorkSignal, signalArgs: [] })
        }
      }
    })
  } catch (error) {
    await clearTold(deps.pool, orderId)
    if (!isTemporalUnavailable(error)) throw error
    deps.log.debug({ err: error, order_id: orderId }, 'the owner of the money could not be told')
  }
}

/** Waits until all is done with the money of an order that the provider could do now; at most `ms`. */
export async function awaitMoney(orderId: OrderId, ms: number, { pool }: ApiDeps): Promise<void> {
  await awaitMove(async () => !(await isMoneyAtWork(pool, orderId)), ms)
}

/** Asks, ever less often, whether what the provider was asked for is done; at most `ms`. */
export async function awaitMove(isDone: () => Promise<boolean>, ms: number): Promise<void> {
  const deadline = Date.now() + ms
  for (let pollMs = POLL_MS; Date.now() < deadline; pollMs = Math.min(pollMs * POLL_GROWTH, POLL_MS_MAX)) {
    if (await isDone().catch(falseIfUnavailable)) return
    await pause(pollMs)
  }
}

function falseIfUnavailable(error: unknown): false {
  if (isPostgresUnavailable(error)) return false
  throw error
}
