import { setTimeout as pause } from 'node:timers/promises'
import type { PaymentId } from '../../domain/ids'
import { formatMajor } from '../../domain/money'
import { holdsMoney, isUnresolved } from '../../domain/payment'
import { type Attempt, changeAttempt, readAttempt } from '../../db/payment/attempt'
import {
  type Charge,
  type PaymentProvider,
  ProviderRejected,
  ProviderUnavailable,
} from '../../providers/payment/provider'
import type { ActivityDeps } from '../deps'

/** What every effect on a payment needs. */
export type PaymentDeps = Pick<ActivityDeps, 'pool' | 'providers' | 'settings'>

/** The money that was seen at the provider, and the reference by which the provider knows it. */
export interface SeenCharge {
  readonly status: 'authorized' | 'captured'
  readonly reference: string
}

/** What an attempt came to. `dead`: it can take no money any more. `unknown`: the provider did not answer. */
export type ChargeResult =
  | { readonly outcome: 'paid'; readonly charge: SeenCharge }
  | { readonly outcome: 'declined' }
  | { readonly outcome: 'dead' }
  | { readonly outcome: 'waiting'; readonly status: 'requires_action' | 'pending' }
  | { readonly outcome: 'mismatch'; readonly charge: SeenCharge; readonly explanation: string }
  | { readonly outcome: 'unknown' }

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

/** Throws when there is no such attempt. */
export async function requireAttempt({ pool }: PaymentDeps, paymentId: PaymentId): Promise<Attempt> {
  const attempt = await readAttempt(pool, paymentId)
  if (!attempt) throw new Error(`There is no payment ${paymentId}`)
  return attempt
}

/** The provider that was asked for the attempt. Throws when the settings do not name it any more. */
export function providerOf({ providers }: PaymentDeps, attempt: Attempt): PaymentProvider {
  const provider = providers.get(attempt.provider)
  if (!provider) throw new Error(`There is no payment provider ${attempt.provider} here`)
  return provider
}

/** The result of an attempt whose row is final: nobody has to be asked. */
export function resultOfFinal({ status, reference }: Attempt): ChargeResult {
  if (holdsMoney(status) && reference) {
    return { outcome: 'paid', charge: { status: status as SeenCharge['status'], reference } }
  }
  return { outcome: status === 'declined' ? 'declined' : 'dead' }
}

export function isPaid(charge: Charge): boolean {
  return charge.state === 'authorized' || charge.state === 'captured'
}

export function seenOf(charge: Charge): SeenCharge {
  return { status: charge.state === 'captured' ? 'captured' : 'authorized', reference: charge.reference }
}

/** How the provider's charge differs from the row, in words for support; null when they agree. */
export function mismatchOf(attempt: Attempt, charge: Charge): string | null {
  const { amount, currency } = charge.amount
  if (amount === attempt.amount && currency === attempt.currency && charge.orderId === attempt.orderId) return null
  const asked = `${attempt.currency} ${formatMajor({ amount: attempt.amount, currency: attempt.currency })}`
  const told = `${currency} ${formatMajor({ amount, currency })}`
  return `somebody to decide: for charge \`${attempt.key}\` the order asks ${asked}, the provider says ${told} for \`${charge.orderId}\``
}

/** The provider has not decided yet. Nothing is wrong: it only has to be asked again. */
export class NotFinal extends Error {
  override readonly name = 'NotFinal'
}

/** True when the provider is away, or does not let us in because a key was withdrawn, say. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof ProviderUnavailable || error instanceof ProviderRejected
}

export function nullIfNoAnswer(error: unknown): null {
  if (isNoAnswer(error)) return null
  throw error
}
