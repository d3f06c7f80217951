import { setTimeout as pause } from 'node:timers/promises'
import type { PaymentId } from '../../domain/ids'
import { isUnresolved } from '../../domain/payment/attempt'
import { type Attempt, keepReference } from '../../db/payment/attempt'
import { AttemptOver, type Charge, ProviderUnavailable } from '../../providers/payment/provider'
import { endAtProvider } from './cancel'
import {
  answerOrNull,
  type ChargeResult,
  chargeRequestOf,
  NotFinal,
  type PaymentDeps,
  providerOf,
  recordCharge,
  requireAttempt,
  resultOfFinal,
} from './charge'

/** How often, and how many milliseconds apart, the provider is asked again before its silence counts. */
const LOOK_UPS_MAX = 3
const LOOK_UP_AGAIN_MS = 1_000

/**
 * Idempotent on the attempt's key: sent again, by whatever worker, the provider answers with the charge that it has under this
 * key. So a worker may die at any line here. No answer within the provider's timeout is `unknown`, and nothing else is.
 */
export async function charge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  return unknownUnlessAnswered(async () => (await settledBefore(deps, attempt)) ?? (await sendOrEnd(deps, attempt)))
}

/**
 * Like `charge`, but throws until the provider has answered. It looks the charge up first, and sends it again only when
 * the provider does not know it.
 */
export async function retryCharge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  return (await settledBefore(deps, attempt)) ?? (await lookUp(deps, attempt)) ?? (await sendOrEnd(deps, attempt))
}

/** Asks what became of an attempt that waits. No answer is `unknown`, as with `charge`. */
export async function lookUpCharge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<ChargeResult> {
  const attempt = await requireAttempt(deps, paymentId)
  return unknownUnlessAnswered(
    async () => (await settledBefore(deps, attempt)) ?? (await lookUp(deps, attempt)) ?? { outcome: 'unknown' },
  )
}

/**
 * `lookUpCharge`, a few times: one refused connection does not mean yet that the provider is silent. One that does not let us
 * in is silent here too: the stock must not wait for a new key.
 */
export async function lookUpChargeAgain(
  deps: PaymentDeps,
  { paymentId }: { paymentId: PaymentId },
  signal: AbortSignal,
): Promise<ChargeResult> {
  for (let lookUps = 1; ; lookUps++) {
    const result = await answerOrNull(() => lookUpCharge(deps, { paymentId }))
    if (result && result.outcome !== 'unknown') return result
    if (lookUps === LOOK_UPS_MAX) return { outcome: 'unknown' }
    await pause(LOOK_UP_AGAIN_MS, undefined, { signal })
  }
}

async function unknownUnlessAnswered(ask: () => Promise<ChargeResult>): Promise<ChargeResult> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof ProviderUnavailable || error instanceof NotFinal) return { outcome: 'unknown' }
    throw error
  }
}

/**
 * What the row says, or the cancellation that was begun and is finished now: until the provider has answered it, it may
 * arrive at any moment, and what looks paid be voided. Null: neither.
 */
async function settledBefore(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult | null> {
  if (!isUnresolved(attempt.status)) return resultOfFinal(attempt)
  return attempt.cancelling ? endAttempt(deps, attempt) : null
}

/** Null: the provider knows of no such charge. */
async function lookUp(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult | null> {
  const known = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
  return known && recordCharge(deps, attempt, known)
}

/**
 * Money is asked for only while the stock is held that it pays for. Afterwards, because workers were away perhaps, the
 * charge is looked up and, unless it paid, ended.
 */
async function sendOrEnd(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult> {
  if (!attempt.isHeld) return (await lookUp(deps, attempt)) ?? endAttempt(deps, attempt)
  const charge = await send(deps, attempt)
  return charge ? recordCharge(deps, attempt, charge) : endAttempt(deps, await requireAttempt(deps, attempt.id))
}

/** Null: the attempt was over, or being cancelled, before any money could move. */
async function send(deps: PaymentDeps, attempt: Attempt): Promise<Charge | null> {
  const { orderId, id: paymentId } = attempt
  const keep = (reference: string): Promise<boolean> => keepReference(deps.pool, { orderId, paymentId, reference })
  try {
    return await providerOf(deps, attempt).authorize(chargeRequestOf(attempt), keep)
  } catch (error) {
    if (error instanceof AttemptOver) return null
    throw error
  }
}

/** Ends the attempt at the provider, and learns what it came to if it cannot be ended. */
async function endAttempt(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult> {
  const charge = await endAtProvider(deps, attempt, attempt.isHeld ? 'superseded' : 'expired')
  if (charge === 'dead') return { outcome: 'dead' }
  return charge ? recordCharge(deps, attempt, charge) : resultOfFinal(await requireAttempt(deps, attempt.id))
}
