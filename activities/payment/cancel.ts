import type { PaymentId } from '../../domain/ids'
import type { CancelReason } from '../../domain/order'
import { holdsMoney, isUnresolved } from '../../domain/payment'
import { abandonCancel, beginCancel, changeAttempt } from '../../db/payment/attempt'
import {
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

export interface CancelAttempt {
  readonly paymentId: PaymentId
  readonly keepIfPaid: boolean
  /** What the attempt came to, once it is cancelled. */
  readonly outcome: 'expired' | 'cancelled' | 'superseded'
}

/** {@link cancelCharge}, for whatever reason. */
export async function cancelAttempt(deps: PaymentDeps, input: CancelAttempt): Promise<CancelResult> {
  const { pool } = deps
  const { paymentId, keepIfPaid, outcome } = input
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status))
    return holdsMoney(attempt.status) ? { outcome: 'money_taken' } : { outcome: 'dead' }
  const provider = providerOf(deps, attempt)
  // Once a cancellation was sent, what is paid now may be cancelled in a moment.
  if (keepIfPaid && !attempt.cancelling) {
    const known = await provider.find(attempt.key)
    if (known && isPaid(known) && !mismatchOf(attempt, known)) return { outcome: 'paid', charge: seenOf(known) }
  }
  if (!(await beginCancel(pool, paymentId))) return cancelAttempt(deps, input)
  const cancelled = await provider.cancel(attempt.key)
  if (cancelled.outcome === 'refused') {
    await abandonCancel(pool, paymentId)
    if (isPaid(cancelled.charge))
      return keepIfPaid && !mismatchOf(attempt, cancelled.charge)
        ? { outcome: 'paid', charge: seenOf(cancelled.charge) }
        : { outcome: 'money_taken' }
    throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${cancelled.charge.state}`)
  }
  await changeAttempt(pool, {
    orderId: attempt.orderId,
    paymentId,
    change: { to: 'voided', reference: cancelled.charge?.reference ?? null, outcome },
  })
  return { outcome: 'dead' }
}
