import { type CaptureId, isId, type OrderId, type PaymentId, type RefundId } from '../../domain/ids'
import { holdsMoney } from '../../domain/payment/attempt'
import type { MoveAnswer, MoveStatus } from '../../domain/payment/books'
import { withBooks } from '../../db/payment/books'
import { endNews, readNews } from '../../db/payment/work'
import { type Capture, type Refund, readCapture, readRefundRow } from '../../db/payment/move'
import type { CaptureOutcome, RefundOutcome } from '../../providers/payment/provider'
import { seeCharge, seenPaymentOf, withMoney } from './books'
import { chargeRequestOf, isNoAnswer, NotFinal, type PaymentDeps, providerOf, requireAttempt } from './charge'

/**
 * The effects on money that is held: each is asked for by a row, has its key there, and says in the same row what became of
 * it. Repeated, it asks the provider again under the same key. All of them throw while the provider does not answer.
 */

/** What became of a capture. */
export async function capturePayment(deps: PaymentDeps, { captureId }: { captureId: CaptureId }): Promise<MoveStatus> {
  const { orderId, paymentId } = await requireCapture(deps, captureId)
  const { toSend, isWanted } = await withBooks(deps.pool, orderId, (books) => {
    const capture = books.sendCapture(captureId)
    return { toSend: capture && { ...capture }, isWanted: books.owed > 0 }
  })
  if (!toSend) return statusOfCapture(deps, captureId)
  const attempt = await requireAttempt(deps, paymentId)
  const charge = chargeRequestOf(attempt)
  if (!isWanted) {
    // It may have been sent before its order was cancelled: once nothing is authorized any more, the provider knows.
    await seeCharge(deps, attempt, await providerOf(deps, attempt).release(charge))
    return statusOfCapture(deps, captureId)
  }
  const { key, amount, final } = toSend
  const outcome = await providerOf(deps, attempt).capture({ key, charge, amount, final: final ?? false })
  const seen = outcome.outcome === 'captured' ? seenPaymentOf(attempt, outcome.charge) : null
  const status = await withMoney(deps.pool, orderId, (books) => {
    books.answerCapture(captureId, answerToCapture(outcome))
    if (seen) books.observe(paymentId, seen)
    return books.captures.find(({ id }) => id === captureId)?.status
  })
  return decided(captureId, status)
}

function answerToCapture(outcome: CaptureOutcome): MoveAnswer {
  if (outcome.outcome === 'captured') return { outcome: 'succeeded', reference: outcome.reference }
  return { outcome: 'failed', code: outcome.reason, reference: null }
}

async function statusOfCapture(deps: PaymentDeps, captureId: CaptureId): Promise<MoveStatus> {
  return decided(captureId, (await requireCapture(deps, captureId)).status)
}

function decided(captureId: CaptureId, status: MoveStatus | undefined): MoveStatus {
  if (status === undefined || status === 'pending')
    throw new NotFinal(`The provider has not decided capture ${captureId}`)
  return status
}

/** What became of a refund. `pending`: the provider has taken it, and tells later. */
export async function refundPayment(deps: PaymentDeps, { refundId }: { refundId: RefundId }): Promise<MoveStatus> {
  const { orderId, paymentId, key, amount, status, reference } = await requireRefund(deps, refundId)
  if (status !== 'pending') return status
  const attempt = await requireAttempt(deps, paymentId)
  if (reference !== null) {
    await refreshPayment(deps, { paymentId })
    return (await requireRefund(deps, refundId)).status
  }
  const outcome = await providerOf(deps, attempt).refund({ key, charge: chargeRequestOf(attempt), amount })
  await withBooks(deps.pool, orderId, (books) => books.answerRefund(refundId, answerToRefund(outcome)))
  return (await requireRefund(deps, refundId)).status
}

function answerToRefund(outcome: RefundOutcome): MoveAnswer {
  if (outcome.outcome !== 'refused') return outcome
  return { outcome: 'failed', code: outcome.reason, reference: outcome.reference }
}

/** Lets go what of a payment is authorized and not captured. */
export async function releasePayment(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!attempt.releasing) return
  await seeCharge(deps, attempt, await providerOf(deps, attempt).release(chargeRequestOf(attempt)))
  if ((await requireAttempt(deps, paymentId)).releasing)
    throw new NotFinal(`The provider does not let go of what charge ${attempt.key} authorized`)
}

/** Looks a payment up at its provider, and writes down what is new. */
export async function refreshPayment(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const newsAt = await readNews(deps.pool, paymentId)
  const attempt = await requireAttempt(deps, paymentId)
  const charge = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
  if (charge) await seeCharge(deps, attempt, charge)
  // By a key of another account, say: what we hold is not gone for that.
  else if (holdsMoney(attempt.status)) throw new NotFinal(`The provider does not know charge ${attempt.key}`)
  if (newsAt !== null) await endNews(deps.pool, paymentId, newsAt)
}

/** A person has decided about a capture that the provider refused, or does not answer. */
export async function decideCapture(
  { pool }: PaymentDeps,
  { captureId, decision }: { captureId: CaptureId; decision: 'retry' | 'leave' },
): Promise<void> {
  const capture = await readCapture(pool, captureId)
  if (capture) await withBooks(pool, capture.orderId, (books) => books.decideCapture(captureId, decision))
}

/** A person has decided about a refund that the provider refused. */
export async function decideRefund(
  deps: PaymentDeps,
  { refundId, decision }: { refundId: RefundId; decision: 'retry' | 'elsewhere' | 'leave' },
): Promise<void> {
  const refund = await readRefundRow(deps.pool, refundId)
  if (!refund) return
  if (decision === 'elsewhere') await lookFirst(deps, refund)
  await withBooks(deps.pool, refund.orderId, (books) => books.decideRefund(refundId, decision))
}

/** A person has done at the provider, or in another way, what the provider was to do. */
export async function settleElsewhere(
  deps: PaymentDeps,
  { orderId, object }: { orderId: OrderId; object: PaymentId | CaptureId | RefundId },
): Promise<void> {
  const refund = isId('refund', object) ? await readRefundRow(deps.pool, object) : null
  if (refund) await lookFirst(deps, refund)
  await withBooks(deps.pool, orderId, (books) => books.settleElsewhere(object))
}

/** What a person gave back at the provider's own pages is seen before it is counted as given back in another way. */
async function lookFirst(deps: PaymentDeps, { paymentId }: Refund): Promise<void> {
  const attempt = await requireAttempt(deps, paymentId)
  try {
    const charge = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
    if (charge) await seeCharge(deps, attempt, charge)
  } catch (error) {
    // What cannot be seen now, or is in another currency, is as the person says.
    if (!isNoAnswer(error) && !(error instanceof NotFinal)) throw error
  }
}

/** A person knows what the provider would have said of a payment. */
export async function skipNews({ pool }: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const newsAt = await readNews(pool, paymentId)
  if (newsAt !== null) await endNews(pool, paymentId, newsAt)
}

async function requireCapture({ pool }: PaymentDeps, captureId: CaptureId): Promise<Capture> {
  const capture = await readCapture(pool, captureId)
  if (!capture) throw new Error(`There is no capture ${captureId}`)
  return capture
}

async function requireRefund({ pool }: PaymentDeps, refundId: RefundId): Promise<Refund> {
  const refund = await readRefundRow(pool, refundId)
  if (!refund) throw new Error(`There is no refund ${refundId}`)
  return refund
}
