import type { PaymentId } from '../../domain/ids'
import { formatMajor } from '../../domain/money'
import { holdsMoney } from '../../domain/payment/attempt'
import { type Attempt, changeAttempt, readAttempt } from '../../db/payment/attempt'
import {
  type Charge,
  type ChargeRequest,
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
  /** Whether it can be captured in parts, and until when (RFC 3339); null where the provider does not say. */
  readonly capturesInParts: boolean
  readonly captureBefore: string | null
}

/** What an attempt came to. `dead`: it can take no money any more. `unknown`: the provider did not answer. */
export type ChargeResult =
  | { readonly outcome: 'paid'; readonly charge: SeenCharge }
  | { readonly outcome: 'declined' }
  | { readonly outcome: 'dead' }
  | { readonly outcome: 'waiting'; readonly status: 'requires_action' | 'pending' }
  | { readonly outcome: 'mismatch'; readonly charge: SeenCharge; readonly explanation: string }
  | { readonly outcome: 'unknown' }

/** Writes down what the provider answered. A payment is not written here: `confirm` does that, together with the order. */
export async function recordCharge({ pool }: PaymentDeps, attempt: Attempt, charge: Charge): Promise<ChargeResult> {
  const { orderId, id: paymentId } = attempt
  const { reference } = charge
  const explanation = mismatchOf(attempt, charge)
  switch (charge.state) {
    case 'authorized':
    case 'captured': {
      const seen = seenOf(charge)
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

/** The provider that was asked for the attempt. Throws {@link NoProvider}. */
export function providerOf({ providers }: PaymentDeps, attempt: Attempt): PaymentProvider {
  const provider = providers.get(attempt.provider)
  if (!provider) throw new NoProvider(`There is no payment provider ${attempt.provider} here`)
  return provider
}

/** The settings do not name the provider any more: nobody can ask it. */
class NoProvider extends Error {
  override readonly name = 'NoProvider'
}

/** The attempt as its provider is asked for it: the same words every time. */
export function chargeRequestOf(attempt: Attempt): ChargeRequest {
  return {
    key: attempt.key,
    orderId: attempt.orderId,
    amount: { amount: attempt.asked, currency: attempt.currency },
    method: attempt.method,
    returnUrl: attempt.returnUrl,
    expiresAt: attempt.expiresAt?.toISOString() ?? null,
    requestedAt: sentAtOf(attempt).toISOString(),
    // Where a person decided before the provider could be asked, the key stands for what is not known.
    reference: attempt.reference === attempt.key ? null : attempt.reference,
  }
}

function sentAtOf({ key, sentAt }: Attempt): Date {
  if (!sentAt) throw new Error(`Attempt ${key} was never sent: there is nothing to ask the provider`)
  return sentAt
}

/** The result of an attempt whose row is final: nobody has to be asked. */
export function resultOfFinal({ status, reference, capturesInParts, captureBefore }: Attempt): ChargeResult {
  if (holdsMoney(status) && reference) {
    const seen = { reference, capturesInParts, captureBefore: captureBefore?.toISOString() ?? null }
    return { outcome: 'paid', charge: { status: status as SeenCharge['status'], ...seen } }
  }
  return { outcome: status === 'declined' ? 'declined' : 'dead' }
}

export function isPaid(charge: Charge): boolean {
  return charge.state === 'authorized' || charge.state === 'captured'
}

/** It holds money, or took some, which may have gone back by itself. */
export function tookMoney(charge: Charge): boolean {
  return isPaid(charge) || charge.captured > 0
}

export function seenOf(charge: Charge): SeenCharge {
  const { state, reference, capturesInParts, captureBefore } = charge
  return { status: state === 'captured' ? 'captured' : 'authorized', reference, capturesInParts, captureBefore }
}

/** How the provider's charge differs from the row, in words for support; null when they agree. */
export function mismatchOf(attempt: Attempt, charge: Charge): string | null {
  const { amount, currency } = charge.amount
  if (amount === attempt.asked && currency === attempt.currency && charge.orderId === attempt.orderId) return null
  const asked = `${attempt.currency} ${formatMajor({ amount: attempt.asked, currency: attempt.currency })}`
  const told = `${currency} ${formatMajor({ amount, currency })}`
  return `somebody to decide: for charge \`${attempt.key}\` the order asks ${asked}, the provider says ${told} for \`${charge.orderId}\``
}

/** The provider has not decided yet. Nothing is wrong: it only has to be asked again. */
export class NotFinal extends Error {
  override readonly name = 'NotFinal'
}

/** True when the provider is away, gone from the settings, or does not let us in because a key was withdrawn, say. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof ProviderUnavailable || error instanceof ProviderRejected || error instanceof NoProvider
}

/** What the provider says; null when it says nothing. */
export async function answerOrNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask()
  } catch (error) {
    if (isNoAnswer(error)) return null
    throw error
  }
}
