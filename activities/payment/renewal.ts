import type { PaymentId } from '../../domain/ids'
import { type Attempt, beginCancel, requireSync } from '../../db/payment/attempt'
import { withBooks } from '../../db/payment/books'
import {
  claimRenewal,
  failRenewal,
  isLapsing,
  keepRenewalReference,
  letLapse as writeLapse,
  readSentRenewal,
} from '../../db/payment/work'
import { newId } from '../../db/id'
import { AttemptOver, type Charge } from '../../providers/payment/provider'
import { seenPaymentOf, withMoney } from './books'
import { sendCancel } from './cancel'
import { chargeRequestOf, isPaid, NotFinal, type PaymentDeps, providerOf, requireAttempt } from './charge'

/** `refused`: only the customer, or the provider, can make it possible. */
export type Renewal = { readonly outcome: 'renewed' } | { readonly outcome: 'refused'; readonly reason: string }

/**
 * Authorizes anew what is due of an order before the authorization of this payment ends; then that one is let go. Idempotent: an
 * attempt of its own, with its own key, does it, and a repetition goes on with that one. Throws while the provider does not answer.
 */
export async function renewPayment(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<Renewal> {
  const old = await requireAttempt(deps, paymentId)
  if (!providerOf(deps, old).renews) return { outcome: 'refused', reason: 'it needs the customer' }
  const { renewalId, isNeeded } = await withBooks(deps.pool, old.orderId, async (books, tx) => {
    // Perhaps by a try that was given up and went on all the same; and somebody may have decided against it since.
    const isRenewed = books.payments.findLast(({ pays }) => pays)?.id !== paymentId
    if (books.due === 0 || isRenewed || (await isLapsing(tx, paymentId)))
      return { renewalId: await readSentRenewal(tx, paymentId), isNeeded: false }
    const amount = books.due
    return { renewalId: await claimRenewal(tx, { paymentId, renewalId: newId('payment'), amount }), isNeeded: true }
  })
  if (renewalId === null) return { outcome: 'renewed' }
  const renewal = await requireAttempt(deps, renewalId)
  if (!isNeeded) return giveUp(deps, renewal)
  const charge = await authorizeOrEnd(deps, renewal)
  if (charge !== null && isPaid(charge)) {
    const seen = seenPaymentOf(renewal, charge)
    await withMoney(deps.pool, old.orderId, (books) => books.renew(renewalId, seen))
    return { outcome: 'renewed' }
  }
  const reason = charge?.declineCode ?? charge?.state ?? 'it was over'
  await failRenewal(deps.pool, renewalId, reason)
  return { outcome: 'refused', reason }
}

/** A renewal that was sent, and that nobody needs any more, must not set money aside. */
async function giveUp(deps: PaymentDeps, renewal: Attempt): Promise<Renewal> {
  await cancel(deps, renewal)
  await failRenewal(deps.pool, renewal.id, 'not_needed')
  return { outcome: 'renewed' }
}

/**
 * The renewal's charge once it is paid or dead: what waits for the customer would authorize in vain, should they approve it
 * some day, and is cancelled. Null: it was over before any money could move.
 */
async function authorizeOrEnd(deps: PaymentDeps, renewal: Attempt): Promise<Charge | null> {
  // A cancellation that was sent may arrive at any moment: until it is answered, what looks paid is not.
  if (renewal.cancelling) return cancel(deps, renewal)
  const charge = await authorize(deps, renewal)
  return charge?.state === 'requires_action' || charge?.state === 'pending' ? cancel(deps, renewal) : charge
}

async function authorize(deps: PaymentDeps, renewal: Attempt): Promise<Charge | null> {
  const keep = (reference: string): Promise<boolean> => keepRenewalReference(deps.pool, renewal.id, reference)
  try {
    return await providerOf(deps, renewal).authorize(chargeRequestOf(renewal), keep)
  } catch (error) {
    if (error instanceof AttemptOver) return null
    throw error
  }
}

/** Throws while it can be neither cancelled nor paid. */
async function cancel(deps: PaymentDeps, renewal: Attempt): Promise<Charge | null> {
  const begun = await beginCancel(deps.pool, renewal.id)
  // It was decided meanwhile.
  if (!begun) return null
  const cancelled = await sendCancel(deps, { ...renewal, ...begun })
  if (cancelled.outcome === 'refused' && !isPaid(cancelled.charge))
    throw new NotFinal(`The provider cannot cancel charge ${renewal.key} yet: it is ${cancelled.charge.state}`)
  return cancelled.charge
}

/**
 * Somebody has decided that the authorization need not be renewed. A renewal that was sent, and never answered, may still set
 * money aside: a settlement cancels it.
 */
export async function letLapse(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const { orderId } = await requireAttempt(deps, paymentId)
  // In the books: their lock keeps a late answer of the renewal from coming in between.
  await withBooks(deps.pool, orderId, async (_books, tx) => {
    await writeLapse(tx, paymentId)
    const renewalId = await readSentRenewal(tx, paymentId)
    if (renewalId === null) return
    await failRenewal(tx, renewalId, 'not_needed')
    await requireSync(tx, renewalId, 'cancel')
  })
}
