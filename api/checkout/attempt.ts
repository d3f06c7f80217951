import { setTimeout as pause } from 'node:timers/promises'
import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowIdReusePolicy,
} from '@temporalio/client'
import { type Order, readOrder } from '../../db/order/read'
import { type CancelRequest, requestCancel } from '../../db/order/sweep'
import { isPostgresUnavailable } from '../../db/pool'
import type { OrderId } from '../../domain/ids'
import { isOpen } from '../../domain/order'
import {
  attemptUpdate,
  attemptUpdateId,
  cancelSignal,
  type CheckoutLabel,
  checkoutStart,
  WORKFLOWS,
} from '../../workflows/contract'
import type { ApiDeps } from '../deps'
import { isTemporalUnavailable } from '../http/temporal'
import { accepted, asItStands, type CheckoutAnswer, decidedAnswer } from './answer'

const POLL_MS = 150

/**
 * Waits for an attempt until `deadline` (ms since the epoch) and answers from the rows: what it came to, or how it stands.
 * Whatever fails on the way, the order is accepted: it goes on without the caller.
 */
export async function awaitAttempt(
  { orderId, attempt, label, fresh, deadline }: AwaitedAttempt,
  deps: ApiDeps,
): Promise<CheckoutAnswer> {
  const known = fresh ? null : await decided(orderId, attempt, deps)
  if (known) return known
  await startOrJoin({ orderId, attempt, label, deadline, reuse: 'REJECT_DUPLICATE' }, deps)
  for (;;) {
    const order = await readIfUp(orderId, deps)
    const answer = order && decidedAnswer(order, attempt, deps)
    if (answer) return answer
    const left = deadline - Date.now()
    if (left <= 0) return order ? asItStands(order, deps) : accepted(orderId, deps)
    await pause(Math.min(POLL_MS, left))
  }
}

async function decided(orderId: OrderId, attempt: number, deps: ApiDeps): Promise<CheckoutAnswer | null> {
  const order = await readIfUp(orderId, deps)
  return order && decidedAnswer(order, attempt, deps)
}

/** Null while Postgres is away: somebody whose order is accepted is not told of that. */
async function readIfUp(orderId: OrderId, deps: ApiDeps): Promise<Order | null> {
  try {
    return await requireOrder(orderId, deps)
  } catch (error) {
    if (isPostgresUnavailable(error)) return null
    throw error
  }
}

interface AwaitedAttempt {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  /** Made just now: there is no answer in the rows to look for. */
  readonly fresh: boolean
  readonly deadline: number
}

interface AttemptToJoin {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  readonly deadline: number
  readonly reuse: WorkflowIdReusePolicy
}

/**
 * Starts the order's workflow, or joins it, and waits for the attempt in it. A closed workflow is no error: when its order
 * is open all the same (somebody terminated it), it is started once more, as the sweep would.
 */
async function startOrJoin({ orderId, attempt, label, deadline, reuse }: AttemptToJoin, deps: ApiDeps): Promise<void> {
  const startWorkflowOperation = new WithStartWorkflowOperation(WORKFLOWS.checkout, {
    ...checkoutStart(orderId, label),
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: reuse,
  })
  try {
    await deps.temporal.withDeadline(deadline, () =>
      deps.temporal.workflow.executeUpdateWithStart(attemptUpdate, {
        startWorkflowOperation,
        updateId: attemptUpdateId(attempt),
        args: [{ attempt }],
      }),
    )
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
      deps.log.debug({ err: error, order_id: orderId }, 'the wait for a checkout ended early')
      return
    }
    const order = await readIfUp(orderId, deps)
    if (reuse === 'REJECT_DUPLICATE' && order && isOpen(order.status)) {
      await startOrJoin({ orderId, attempt, label, deadline, reuse: 'ALLOW_DUPLICATE' }, deps)
    }
  }
}

/**
 * Keeps that the buyer wants the order cancelled, asks its workflow to end it, starting it again when it is gone, and waits
 * until it has, as long as a checkout call does. What the workflow cannot be told now the sweep tells it. Answers the order
 * as it was read last; null while it cannot be read.
 */
export async function cancelCheckout(
  { orderId, label, why }: { orderId: OrderId; label: CheckoutLabel; why: CancelRequest },
  deps: ApiDeps,
): Promise<Order | null> {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  if (await requestCancel(deps.pool, orderId, why)) await signalCancel({ orderId, label, deadline }, deps)
  for (;;) {
    const order = await readIfUp(orderId, deps)
    if (Date.now() >= deadline || (order && !isOpen(order.status))) return order
    await pause(POLL_MS)
  }
}

async function signalCancel(
  { orderId, label, deadline }: { orderId: OrderId; label: CheckoutLabel; deadline: number },
  deps: ApiDeps,
): Promise<void> {
  const signal = () =>
    deps.temporal.workflow.signalWithStart(WORKFLOWS.checkout, {
      ...checkoutStart(orderId, label),
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      signal: cancelSignal,
      signalArgs: [],
    })
  try {
    await deps.temporal.withDeadline(deadline, signal)
  } catch (error) {
    if (!isTemporalUnavailable(error)) throw error
  }
}

async function requireOrder(orderId: OrderId, deps: ApiDeps): Promise<Order> {
  const order = await readOrder(deps.pool, orderId)
  if (!order) throw new Error(`${orderId} has lost its row`)
  return order
}
