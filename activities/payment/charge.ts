import { setTimeout as pause } from 'node:timers/promises'
import type { PaymentId } from '../../domain/ids'
import { isUnresolved } from '../../domain/payment'
import { type Attempt, changeAttempt } from '../../db/payment/attempt'
import { type Charge, ProviderUnavailable } from '../../providers/payment/provider'
import { type ChargeResult, mismatchOf, type PaymentDeps, providerOf, requireAttempt, resultOfFinal } from './attempt'

/** How often, and how many milliseconds apart, the provider is asked again before its silence counts. */
const LOOK_UPS_MAX = 3
const LOOK_UP_AGAIN_MS = 1_000

/**
 * Idempotent on the attempt's key: sent again, by whatever worker, the provider answers with the charge that it has under this
 * key. So a worker may die at any line here. No answer within the provider's timeout is `unknown`, and nothing else is.
 */
export async function charge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status)) return resultOfFinal(attempt)
  try {
    return await recordCharge(deps, attempt, await sendCharge(deps, attempt))
  } catch (error) {
    if (error instanceof ProviderUnavailable) return { outcome: 'unknown' }
    throw error
  }
}

/**
 * Like `charge`, but throws until the provider has answered. It looks the charge up first, and sends it again only when
 * the provider does not know it.
 */
export async function retryCharge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status)) return resultOfFinal(attempt)
  const known = await providerOf(deps, attempt).find(attempt.key)
  return recordCharge(deps, attempt, known ?? (await sendCharge(deps, attempt)))
}

/** Asks what became of an attempt that waits. No answer is `unknown`, as with `charge`. */
export async function lookUpCharge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status)) return resultOfFinal(attempt)
  try {
    const known = await providerOf(deps, attempt).find(attempt.key)
    return known ? await recordCharge(deps, attempt, known) : { outcome: 'unknown' }
  } catch (error) {
    if (error instanceof ProviderUnavailable) return { outcome: 'unknown' }
    throw error
  }
}

/** `lookUpCharge`, a few times: one refused connection does not mean yet that the provider is silent. */
export async function lookUpChargeAgain(
  deps: PaymentDeps,
  { paymentId }: { paymentId: PaymentId },
  signal: AbortSignal,
): Promise<ChargeResult> {
  for (let lookUps = 1; ; lookUps++) {
    const result = await lookUpCharge(deps, { paymentId })
    if (result.outcome !== 'unknown' || lookUps === LOOK_UPS_MAX) return result
    await pause(LOOK_UP_AGAIN_MS, undefined, { signal })
  }
}

function sendCharge(deps: PaymentDeps, attempt: Attempt): Promise<Charge> {
  return providerOf(deps, attempt).authorize({
    key: attempt.key,
    orderId: attempt.orderId,
    amount: { amount: attempt.amount, currency: attempt.currency },
    method: attempt.method,
    returnUrl: attempt.returnUrl,
    expiresAt: attempt.expiresAt?.toISOString() ?? null,
  })
}

/** Writes down what the provider answered. A payment is not written here: `confirm` does that, together with the order. */
async function recordCharge({ pool }: PaymentDeps, attempt: Attempt, charge: Charge): Promise<ChargeResult> {
  const { orderId, id: paymentId } = attempt
  const { reference } = charge
  const explanation = mismatchOf(attempt, charge)
  switch (charge.state) {
    case 'authorized':
    case 'captured': {
      const seen = { status: charge.state, reference }
      return explanation ? { outcome: 'mismatch', charge: seen, explanation } : { outcome: 'paid', charge: seen }
    }
    case 'requires_action':
      await changeAttempt(pool, {
        orderId,
        paymentId,
        change: { to: 'requires_action', reference, actionUrl: charge.actionUrl ?? '' },
      })
      return { outcome: 'waiting', status: 'requires_action' }
    case 'pending':
      await changeAttempt(pool, { orderId, paymentId, change: { to: 'pending', reference } })
      return { outcome: 'waiting', status: 'pending' }
    case 'declined':
      await changeAttempt(pool, {
        orderId,
        paymentId,
        change: { to: 'declined', reference, declineCode: charge.declineCode ?? 'declined' },
      })
      return { outcome: 'declined' }
    case 'voided':
    case 'refunded':
    case 'failed':
      await changeAttempt(pool, {
        orderId,
        paymentId,
        change: { to: charge.state === 'failed' ? 'failed' : 'voided', reference, outcome: 'declined' },
      })
      return { outcome: 'dead' }
  }
}
