import type { OrderId, PaymentId } from '../../domain/ids'
import { readOrderToPlace } from '../../db/order/place'
import { type AttemptToCharge, readRequestedAttempt, refuseAttempt, startAttempt } from '../../db/payment/attempt'
import { isNoAnswer, NotFinal, type PaymentDeps, type SeenCharge } from './charge'
import { type CancelResult, cancelAttempt } from './cancel'

export interface StartNextAttempt {
  readonly orderId: OrderId
  /** The attempt that the workflow knows of, over or not. */
  readonly current: PaymentId | null
  /** That attempt when it is not over: it has to end first. */
  readonly supersedes: PaymentId | null
}

export type NextAttempt =
  | { readonly outcome: 'none' }
  /** The buyer has asked for a cancellation meanwhile. */
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'paid'; readonly charge: SeenCharge }
  | { readonly outcome: 'refused'; readonly attempt: number }
  | { readonly outcome: 'started'; readonly attempt: AttemptToCharge; readonly holdMs: number }

/**
 * Begins the attempt that the buyer asked for. The one that waits is cancelled at the provider first; `paid` when it
 * turns out to have succeeded, `refused` when it cannot be cancelled.
 */
export async function startNextAttempt(
  deps: PaymentDeps,
  { orderId, current, supersedes }: StartNextAttempt,
): Promise<NextAttempt> {
  const { pool, settings } = deps
  const requested = await readRequestedAttempt(pool, orderId)
  if (!requested) return startedBefore(deps, orderId, current)
  if (requested.cancelWanted) return { outcome: 'cancelled' }
  if (supersedes) {
    const cancelled = await supersede(deps, supersedes)
    if (cancelled?.outcome === 'paid') return { outcome: 'paid', charge: cancelled.charge }
    if (cancelled?.outcome !== 'dead') {
      return refuse(deps, { orderId, current, requested, outcome: 'refused' })
    }
  }
  const answerSeconds = (settings.PAYMENT_TIMEOUT_MS / 1000) * 2
  const started = await startAttempt(pool, { orderId, paymentId: requested.paymentId, answerSeconds })
  if (started) return { outcome: 'started', attempt: toCharge(requested), holdMs: started.holdMs }
  return refuse(deps, { orderId, current, requested, outcome: 'expired' })
}

interface Refused extends Pick<StartNextAttempt, 'orderId' | 'current'> {
  readonly requested: AttemptToCharge
  readonly outcome: 'refused' | 'expired'
}

/** Unless another try of this step, which was given up and went on, has begun it: then that is how it stands. */
async function refuse(deps: PaymentDeps, { orderId, current, requested, outcome }: Refused): Promise<NextAttempt> {
  const isRefused = await refuseAttempt(deps.pool, requested.paymentId, outcome)
  const begun: NextAttempt = isRefused ? { outcome: 'none' } : await startedBefore(deps, orderId, current)
  return begun.outcome === 'none' ? { outcome: 'refused', attempt: requested.attempt } : begun
}

/** A worker may have died after it began the attempt and before the workflow knew. One that is only asked for comes by itself. */
async function startedBefore({ pool }: PaymentDeps, orderId: OrderId, current: PaymentId | null): Promise<NextAttempt> {
  const order = await readOrderToPlace(pool, orderId)
  const attempt = order?.attempt
  if (!attempt || attempt.paymentId === current || attempt.status === 'requested') return { outcome: 'none' }
  return { outcome: 'started', attempt, holdMs: order.holdMs ?? 0 }
}

/**
 * Cancels the attempt before; null when the provider cannot do so now, or does not say. Then it is still being cancelled,
 * and pays for nothing until a look-up has learnt the answer.
 */
async function supersede(deps: PaymentDeps, paymentId: PaymentId): Promise<CancelResult | null> {
  try {
    return await cancelAttempt(deps, { paymentId, keepIfPaid: true, outcome: 'superseded' })
  } catch (error) {
    if (!(error instanceof NotFinal) && !isNoAnswer(error)) throw error
    return null
  }
}

function toCharge({ paymentId, attempt, key }: AttemptToCharge): AttemptToCharge {
  return { paymentId, attempt, key, status: 'sent' }
}
