import type { PaymentId } from '../../domain/ids'
import type { CancelReason } from '../../domain/order'
import { holdsMoney, isUnresolved } from '../../domain/payment/attempt'
import { abandonCancel, type Attempt, beginCancel, changeAttempt } from '../../db/payment/attempt'
import type { CancelOutcome, Charge } from '../../providers/payment/provider'
import {
  chargeRequestOf,
  isPaid,
  mismatchOf,
  NotFinal,
  type PaymentDeps,
  providerOf,
  requireAttempt,
  type SeenCharge,
  seenOf,
} from './charge'

/** `paid`: it may pay for the order. `money_taken`: it took money that may not. */
export type CancelResult =
  | { readonly outcome: 'paid'; readonly charge: SeenCharge }
  | { readonly outcome: 'dead' }
  | { readonly outcome: 'money_taken' }

export interface CancelCharge {
  readonly paymentId: PaymentId
  readonly keepIfPaid: boolean
  readonly reason: CancelReason
}

/**
 * The undo of a charge while its order is open: cancelled by its key, which the provider then refuses for ever.
 * With `keepIfPaid` it is looked up first, and left alone when it paid. Throws until it is final one way or the other.
 */
export async function cancelCharge(
  deps: PaymentDeps,
  { paymentId, keepIfPaid, reason }: CancelCharge,
): Promise<CancelResult> {
  return cancelAttempt(deps, { paymentId, keepIfPaid, outcome: reason === 'expired' ? 'expired' : 'cancelled' })
}

/** What an attempt came to, once it is cancelled. */
type Ended = 'expired' | 'cancelled' | 'superseded'

export interface CancelAttempt {
  readonly paymentId: PaymentId
  readonly keepIfPaid: boolean
  readonly outcome: Ended
}

/** {@link cancelCharge}, for whatever reason. */
export async function cancelAttempt(deps: PaymentDeps, input: CancelAttempt): Promise<CancelResult> {
  const { paymentId, keepIfPaid, outcome } = input
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status))
    return holdsMoney(attempt.status) ? { outcome: 'money_taken' } : { outcome: 'dead' }
  // Once a cancellation was sent, what is paid now may be cancelled in a moment.
  if (keepIfPaid && !attempt.cancelling) {
    const known = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
    if (known && isPaid(known) && !mismatchOf(attempt, known)) return { outcome: 'paid', charge: seenOf(known) }
  }
  const charge = await endAtProvider(deps, attempt, outcome)
  if (charge === null) return cancelAttempt(deps, input)
  if (charge === 'dead') return { outcome: 'dead' }
  if (!isPaid(charge)) throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${charge.state}`)
  return keepIfPaid && !mismatchOf(attempt, charge)
    ? { outcome: 'paid', charge: seenOf(charge) }
    : { outcome: 'money_taken' }
}

/**
 * Cancels an attempt at the provider. From before it is told until it has answered, the row says that the attempt is being
 * cancelled, and it pays for nothing. Returns `dead`, or the charge that the provider refuses to cancel; one that has paid
 * then may pay for the order. Null when the attempt was over meanwhile.
 */
export async function endAtProvider(
  deps: PaymentDeps,
  attempt: Attempt,
  outcome: Ended,
): Promise<Charge | 'dead' | null> {
  const { pool } = deps
  const { id: paymentId, orderId } = attempt
  const begun = await beginCancel(pool, paymentId)
  if (!begun) return null
  const cancelled = await sendCancel(deps, { ...attempt, ...begun })
  if (cancelled.outcome === 'refused') return cancelled.charge
  const reference = cancelled.charge?.reference ?? null
  await changeAttempt(pool, { orderId, paymentId, change: { to: 'voided', reference, outcome } })
  return 'dead'
}

/**
 * Sends a cancellation that was begun, and notes its answer. Throws when the charge has paid since it was refused, while an
 * earlier cancellation that nobody heard of may still void it: the next one does so.
 */
export async function sendCancel(deps: PaymentDeps, attempt: Attempt): Promise<CancelOutcome> {
  const cancelled = await providerOf(deps, attempt).cancel(chargeRequestOf(attempt))
  if (cancelled.outcome === 'dead') return cancelled
  const { charge } = cancelled
  const isCaptured = charge.state === 'captured'
  const isLeft = await abandonCancel(deps.pool, { paymentId: attempt.id, isCaptured })
  if (isLeft && isPaid(charge)) throw new NotFinal(`Charge ${attempt.key} is paid, and may be cancelled in a moment`)
  return cancelled
}
