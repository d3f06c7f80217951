import { setTimeout as pause } from 'node:timers/promises'
import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowIdReusePolicy,
} from '@temporalio/client'
import { z } from 'zod'
import { nameAttempt } from '../db/checkout-key'
import type { IdempotencyScope } from '../db/idempotency'
import { type Order, type OrderAttempt, readOrder } from '../db/order/read'
import { isPostgresUnavailable } from '../db/pool'
import { DomainError } from '../domain/errors'
import type { OrderId } from '../domain/ids'
import { formatMajor } from '../domain/money'
import { isCompleted, isOpen } from '../domain/order'
import { isUnresolved } from '../domain/payment'
import {
  attemptUpdate,
  attemptUpdateId,
  cancelSignal,
  type CheckoutLabel,
  checkoutStart,
  WORKFLOWS,
} from '../workflows/contract'
import { type OrderBody, orderBody, presentOrder } from './order'
import type { ApiDeps } from './route'
import { idOf, orNull, timestamp } from './schemas'
import { streamToken } from './stream-token'

/** A checkout as it is answered. It is a view of its order's rows: Temporal says when to answer, never what. */

export const checkoutBody = z
  .strictObject({
    order_id: idOf('order'),
    state: z.enum(['ready_for_payment', 'requires_action', 'in_progress', 'completed', 'cancelled', 'expired']),
    reason: z.string().nullable(),
    hold_expires_at: timestamp.nullable(),
    action: z.strictObject({ type: z.literal('redirect'), url: z.string() }).nullable(),
    problems: z.array(z.unknown()),
    events_url: z.string(),
    order: orNull(orderBody),
  })
  .meta({ id: 'Checkout' })
export type CheckoutBody = z.input<typeof checkoutBody>

export function presentCheckout(order: Order, { settings }: Pick<ApiDeps, 'settings'>): CheckoutBody {
  const state = stateOf(order)
  const waiting = order.attempts.find((attempt) => attempt.status === 'requires_action')
  return {
    order_id: order.id,
    state,
    reason: order.cancelReason,
    hold_expires_at: order.holdExpiresAt?.toISOString() ?? null,
    action: state === 'requires_action' && waiting?.actionUrl ? { type: 'redirect', url: waiting.actionUrl } : null,
    problems: [],
    events_url: eventsUrl(order.id, settings),
    order: isCompleted(order.status) ? presentOrder(order) : null,
  }
}

function eventsUrl(orderId: OrderId, { PUBLIC_URL, TOKEN_SECRET }: ApiDeps['settings']): string {
  return `${PUBLIC_URL}/v1/store/checkouts/${orderId}/events?stream=${streamToken(TOKEN_SECRET, orderId)}`
}

function stateOf(order: Order): CheckoutBody['state'] {
  if (order.status === 'cancelled') return order.cancelReason === 'expired' ? 'expired' : 'cancelled'
  if (isCompleted(order.status)) return 'completed'
  switch (standingOf(order)) {
    case 'running':
      return 'in_progress'
    case 'waiting':
      return 'requires_action'
    case 'unpaid':
      return 'ready_for_payment'
  }
}

/** Of an open order: at work, waiting for the customer to act, or for another payment. */
export function standingOf(order: Order): 'running' | 'waiting' | 'unpaid' {
  if (order.status === 'pending' || order.attempts.length === 0) return 'running'
  if (order.attempts.some((attempt) => attempt.status === 'requested')) return 'running'
  const unresolved = order.attempts.find((attempt) => isUnresolved(attempt.status))
  if (!unresolved) return 'unpaid'
  return unresolved.status === 'requires_action' ? 'waiting' : 'running'
}

export type CheckoutAnswer =
  | { readonly status: 201; readonly body: OrderBody; readonly headers?: Record<string, string> }
  | { readonly status: 202; readonly body: CheckoutBody; readonly headers: Record<string, string> }
  | { readonly problem: DomainError; readonly headers?: Record<string, string> }

/** What this attempt came to, from the rows; null while nothing is decided. */
function decidedAnswer(order: Order, attempt: number, deps: ApiDeps): CheckoutAnswer | null {
  const row = order.attempts.find((candidate) => candidate.attempt === attempt)
  if (row?.outcome === 'declined') return { problem: declined(order, row, deps) }
  if (isCompleted(order.status)) return { status: 201, body: presentOrder(order) }
  if (order.refusal && attempt === 1) return { problem: refused(order.refusal) }
  if (row?.outcome === 'refused') return { problem: inProgress(order, deps) }
  if (row?.outcome === 'expired') return { problem: expired(order, deps) }
  if (row?.status === 'requires_action' || row?.outcome || order.status === 'cancelled') return asItStands(order, deps)
  return null
}

export function asItStands(order: Order, deps: Pick<ApiDeps, 'settings'>): Extract<CheckoutAnswer, { status: 202 }> {
  return { status: 202, body: presentCheckout(order, deps), headers: { Location: `/v1/store/checkouts/${order.id}` } }
}

function declined(order: Order, attempt: OrderAttempt, deps: ApiDeps): DomainError {
  return new DomainError('payment_declined', 'The payment was declined. Nothing was charged; try another card.', {
    decline_code: attempt.declineCode,
    checkout: presentCheckout(order, deps),
  })
}

/** The problem document of a checkout that was refused before any money moved. */
export function refused({
  code,
  ...details
}: {
  readonly code: 'out_of_stock' | 'price_changed' | 'cart_changed' | 'cart_empty'
}): DomainError {
  return new DomainError(code, REFUSALS[code], details)
}

const REFUSALS = {
  out_of_stock: 'Not everything in the cart can be had. Nothing was charged.',
  price_changed: 'The price has changed. Nothing was charged.',
  cart_changed: 'The cart has changed since it was read. Nothing was charged.',
  cart_empty: 'The cart has no lines.',
} as const

function inProgress(order: Order, deps: ApiDeps): DomainError {
  return new DomainError(
    'payment_in_progress',
    'Another payment of this order is not settled yet and cannot be cancelled.',
    {
      checkout: presentCheckout(order, deps),
    },
  )
}

export function expired(order: Order, deps: Pick<ApiDeps, 'settings'>): DomainError {
  return new DomainError('checkout_expired', 'This checkout is over. Start again from the cart.', {
    checkout: presentCheckout(order, deps),
  })
}

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
  await nudge({ orderId, attempt, label, deadline, reuse: 'REJECT_DUPLICATE' }, deps)
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

/** All that is certain of an accepted order whose row cannot be read. */
function accepted(orderId: OrderId, deps: ApiDeps): Extract<CheckoutAnswer, { status: 202 }> {
  const body: CheckoutBody = {
    order_id: orderId,
    state: 'in_progress',
    reason: null,
    hold_expires_at: null,
    action: null,
    problems: [],
    events_url: eventsUrl(orderId, deps.settings),
    order: null,
  }
  return { status: 202, body, headers: { Location: `/v1/store/checkouts/${orderId}` } }
}

interface AwaitedAttempt {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  /** Made just now: there is no answer in the rows to look for. */
  readonly fresh: boolean
  readonly deadline: number
}

interface Nudge {
  readonly orderId: OrderId
  readonly attempt: number
  readonly label: CheckoutLabel
  readonly deadline: number
  readonly reuse: WorkflowIdReusePolicy
}

/**
 * Starts the order's workflow, or finds it, and waits for the attempt in it. A closed workflow is no error: when its order
 * is open all the same (somebody terminated it), it is started once more, as the sweep would.
 */
async function nudge({ orderId, attempt, label, deadline, reuse }: Nudge, deps: ApiDeps): Promise<void> {
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
      await nudge({ orderId, attempt, label, deadline, reuse: 'ALLOW_DUPLICATE' }, deps)
    }
  }
}

/**
 * Asks the order's workflow to end it, starting it again when it is gone, and waits until it has, as long as a checkout
 * call does. Throws when Temporal cannot be told: nothing has happened then.
 */
export async function cancelCheckout(
  { orderId, label }: { orderId: OrderId; label: CheckoutLabel },
  deps: ApiDeps,
): Promise<void> {
  const deadline = Date.now() + deps.settings.CHECKOUT_WAIT_MS
  await deps.temporal.withDeadline(deadline, () =>
    deps.temporal.workflow.signalWithStart(WORKFLOWS.checkout, {
      ...checkoutStart(orderId, label),
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      signal: cancelSignal,
      signalArgs: [],
    }),
  )
  while (Date.now() < deadline && isOpen((await requireOrder(orderId, deps)).status)) await pause(POLL_MS)
}

async function requireOrder(orderId: OrderId, deps: ApiDeps): Promise<Order> {
  const order = await readOrder(deps.pool, orderId)
  if (!order) throw new Error(`${orderId} has lost its row`)
  return order
}

const LABEL_LINES_MAX = 15

/** What support sees first: "HF-100001 · GBP 5.10 · 2 lines", and the lines. */
export function labelOf({ number, currency, total, cartId, lines }: Labelled): CheckoutLabel {
  const major = (amount: number): string => `${currency} ${formatMajor({ amount, currency })}`
  const rows = lines
    .slice(0, LABEL_LINES_MAX)
    .map((line) => `| ${line.sku} | ${line.quantity} | ${major(line.total)} |`)
  const more = lines.length - rows.length
  return {
    summary: `${number} · ${major(total)} · ${lines.length} ${lines.length === 1 ? 'line' : 'lines'}`,
    details: [
      `**Order ${number}** of \`${cartId}\`, ${major(total)} when it was accepted.`,
      '',
      '| SKU | Quantity | Price |',
      '|---|---|---|',
      ...rows,
      ...(more > 0 ? [`| and ${more} more | | |`] : []),
    ].join('\n'),
  }
}

type Labelled = Pick<Order, 'number' | 'currency' | 'total' | 'cartId'> & {
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly total: number }[]
}

/** Lets a key join the attempt that is being made, or the one that paid. */
export async function joinAttempt(order: Order, idempotency: IdempotencyScope, deps: ApiDeps): Promise<number> {
  const winner = order.attempts.find((attempt) => attempt.outcome === 'completed')
  const attempt = (winner ?? order.attempts.at(-1))?.attempt ?? 1
  await nameAttempt(deps.pool, idempotency, { orderId: order.id, attempt })
  return attempt
}
