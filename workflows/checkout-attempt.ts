import { CancellationScope, isCancellation } from '@temporalio/workflow'
import type { ChargeResult } from '../activities/payment/attempt'
import type { CancelResult } from '../activities/payment/cancel'
import type { Checkout, OpenAttempt } from './checkout-state'
import { formatTime, type StepEnd } from './intervention'
import { cancelCharge, charge, lookUpCharge, lookUpChargeAgain, recordDecision, retryCharge } from './proxies'
import { startTimer } from './timer'

/**
 * Takes the money under the attempt's key, or asks what became of it. No answer within seconds means unknown.
 *
 * For the first seconds this is a local activity (4 s at most), and the history has nothing of it. If the worker dies then,
 * Temporal gives the workflow task to another worker after 5 s. That one runs `place` again, which finds its rows, and comes
 * here again with the same key: the provider answers with the charge that it has. What was not answered goes on as the
 * regular activity `retryCharge`, which stands in the history. If its worker dies, it begins again elsewhere after 5 s
 * without a heartbeat.
 */
export async function chargeAttempt(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const { paymentId } = attempt
  const asked = attempt.status === 'sent' ? charge({ paymentId }) : lookUpCharge({ paymentId })
  const result = await asked.catch((error: unknown): ChargeResult => {
    if (isCancellation(error)) throw error
    return { outcome: 'unknown' }
  })
  return result.outcome === 'unknown' ? chargeUntilAnswered(checkout, attempt) : result
}

async function chargeUntilAnswered(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const { hold, intervention, patienceMs } = checkout
  const waitsFor = `the payment provider to say what became of charge \`${attempt.key}\``
  hold.start()
  intervention.showWaiting(
    `${waitsFor}, which it did not answer in time.`,
    'It is asked again every few seconds. The stock is held.',
  )
  const end = await intervention.supervise(
    { step: 'retryCharge', code: 'provider_unreachable', paymentId: attempt.paymentId, waitsFor, patienceMs },
    () => retryCharge({ paymentId: attempt.paymentId }),
    () => checkout.mustEnd,
  )
  return resultOf(checkout, attempt, end)
}

/** Our own outage may have used up the patience. So the provider is asked once more. */
export async function lookUpAttemptAgain(checkout: Checkout, attempt: OpenAttempt): Promise<ChargeResult> {
  const end = await checkout.intervention.supervise(
    {
      step: 'lookUpChargeAgain',
      code: 'provider_unreachable',
      paymentId: attempt.paymentId,
      waitsFor: `the payment provider to be asked once more about charge \`${attempt.key}\``,
      patienceMs: checkout.patienceMs,
    },
    () => lookUpChargeAgain({ paymentId: attempt.paymentId }),
    () => checkout.messages.cancelReason !== null,
  )
  return resultOf(checkout, attempt, end)
}

async function resultOf(
  checkout: Checkout,
  { paymentId }: OpenAttempt,
  end: StepEnd<ChargeResult>,
): Promise<ChargeResult> {
  if (end.by === 'done') return end.result
  if (end.by === 'resolved') return recordDecision({ paymentId, happened: end.outcome === 'done' })
  if (end.by === 'forced') checkout.endNow()
  return { outcome: 'unknown' }
}

/** A person says whether a charge that is not what the order asks for pays for it all the same. */
export async function decideMismatch(
  checkout: Checkout,
  attempt: OpenAttempt,
  { explanation }: Extract<ChargeResult, { outcome: 'mismatch' }>,
): Promise<boolean> {
  checkout.hold.start()
  const end = await checkout.intervention.supervise(
    { step: 'charge', code: 'amount_mismatch', paymentId: attempt.paymentId, waitsFor: explanation, patienceMs: 1 },
    () => CancellationScope.current().cancelRequested,
    () => checkout.mustEnd,
  )
  if (end.by === 'resolved' && end.outcome === 'done') return true
  if (end.by !== 'interrupted') checkout.messages.cancel('merchant')
  return false
}

/** The undo of a charge: tried while patience lasts. A charge that is not final then is settled after the stock has gone back. */
export async function cancelAttempt(checkout: Checkout, attempt: OpenAttempt): Promise<void> {
  if (!attempt.final) await tryToCancel(checkout, attempt, { keepIfPaid: false })
}

/**
 * Cancels a charge by its key, or learns that it paid. Null when that could not be done while patience lasted.
 *
 * @param keepIfPaid a charge that has paid is left alone
 */
export async function tryToCancel(
  checkout: Checkout,
  attempt: OpenAttempt,
  { keepIfPaid }: { keepIfPaid: boolean },
): Promise<CancelResult | null> {
  if (checkout.isOutOfPatience) return null
  const { intervention, patienceMs } = checkout
  const { paymentId, key } = attempt
  const waitsFor = `the payment provider to cancel charge \`${key}\``
  const timer = startTimer(patienceMs, 'The longest wait for the provider before the stock goes back', () => {
    checkout.isOutOfPatience = true
  })
  intervention.showWaiting(
    `${waitsFor}.`,
    `It is tried until ${formatTime(Date.now() + patienceMs)}; then the stock goes back, and the charge is settled afterwards.`,
  )
  const end = await intervention.supervise(
    // Longer than the timer: what is not final then becomes a case after the stock has gone back.
    { step: 'cancelCharge', code: 'undo_failed', paymentId, waitsFor, patienceMs: 2 * patienceMs },
    () => cancelCharge({ paymentId, keepIfPaid, reason: checkout.cancelReason }),
    () => checkout.isOutOfPatience,
  )
  timer.cancel()
  if (end.by !== 'done') return null
  attempt.final = end.result.outcome === 'dead'
  return end.result
}
