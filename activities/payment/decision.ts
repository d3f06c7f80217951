import type { PaymentId } from '../../domain/ids'
import { isUnresolved } from '../../domain/payment'
import {
  type Attempt,
  beginCancel,
  changeAttempt,
  completeSync,
  recordLateMoney,
  requireSync,
} from '../../db/payment/attempt'
import {
  type ChargeResult,
  chargeRequestOf,
  isPaid,
  NotFinal,
  nullIfNoAnswer,
  type PaymentDeps,
  providerOf,
  requireAttempt,
  resultOfFinal,
  type SeenCharge,
} from './charge'
import { refundAll } from './late-money'
import { lookUpCharge } from './send'

/**
 * Support says whether a charge happened. One that did not is cancelled by its key all the same, and one that did is
 * looked up. When the provider is away, the row keeps what it has yet to hear or to say, for {@link syncDecision}.
 */
export async function recordDecision(
  deps: PaymentDeps,
  { paymentId, happened }: { paymentId: PaymentId; happened: boolean },
): Promise<ChargeResult> {
  const { pool } = deps
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status)) return resultOfFinal(attempt)
  if (happened) return recordPaid(deps, attempt)
  const begun = await beginCancel(pool, paymentId)
  if (!begun) return recordDecision(deps, { paymentId, happened })
  const request = chargeRequestOf({ ...attempt, ...begun })
  const cancelled = await providerOf(deps, attempt).cancel(request).catch(nullIfNoAnswer)
  if (cancelled?.outcome !== 'dead') await requireSync(pool, paymentId, 'cancel')
  await changeAttempt(pool, {
    orderId: attempt.orderId,
    paymentId,
    change: { to: 'failed', reference: null, outcome: 'declined' },
  })
  return { outcome: 'dead' }
}

/** What is being cancelled may be voided in a moment, whoever has seen it paid: it pays for no order. */
async function recordPaid(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult> {
  const { orderId, id: paymentId } = attempt
  const isOver = attempt.orderStatus === 'cancelled'
  if (attempt.cancelling && !isOver)
    return (await lookUpCharge(deps, { paymentId }).catch(nullIfNoAnswer)) ?? { outcome: 'unknown' }
  const reference = attempt.reference ?? (await lookUpReference(deps, attempt))
  const charge: SeenCharge = { status: 'authorized', reference }
  if (isOver) await recordLateMoney(deps.pool, { orderId, paymentId, ...charge })
  return { outcome: 'paid', charge }
}

/** Makes what was decided without the provider true there. Throws until it is. */
export async function syncDecision(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const { pool } = deps
  const attempt = await requireAttempt(deps, paymentId)
  if (attempt.pendingSync === 'reference') {
    const known = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
    if (!known || (attempt.orderStatus !== 'cancelled' && !isPaid(known)))
      throw new NotFinal(`The provider knows of no payment by charge ${attempt.key}, which was said to be paid`)
    await completeSync(pool, paymentId, known.reference)
  } else if (attempt.pendingSync === 'cancel') {
    await cancelOrRefund(deps, attempt)
    await completeSync(pool, paymentId, null)
  }
}

/** A person has made the decision true at the provider. */
export async function skipSync({ pool }: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  await completeSync(pool, paymentId, null)
}

/** The reference by which the provider knows a charge. Until the provider can be asked, the attempt's key stands for it. */
async function lookUpReference(deps: PaymentDeps, attempt: Attempt): Promise<string> {
  const known = await providerOf(deps, attempt).find(chargeRequestOf(attempt)).catch(nullIfNoAnswer)
  if (known) return known.reference
  await requireSync(deps.pool, attempt.id, 'reference')
  return attempt.key
}

/** A charge that cannot be cancelled any more because it was captured is refunded. */
async function cancelOrRefund(deps: PaymentDeps, attempt: Attempt): Promise<void> {
  const cancelled = await providerOf(deps, attempt).cancel(chargeRequestOf(attempt))
  if (cancelled.outcome !== 'refused') return
  const { charge } = cancelled
  if (charge.state !== 'captured')
    throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${charge.state}`)
  await refundAll(deps, { ...attempt, reference: charge.reference })
}
