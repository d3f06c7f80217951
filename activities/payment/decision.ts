import type { PaymentId } from '../../domain/ids'
import { isUnresolved } from '../../domain/payment/attempt'
import { type Attempt, beginCancel, changeAttempt, completeSync, requireSync } from '../../db/payment/attempt'
import { noteNews } from '../../db/payment/work'
import { isOpen } from '../../domain/order'
import type { Charge } from '../../providers/payment/provider'
import { receiveMoney, seeCharge } from './books'
import {
  answerOrNull,
  type ChargeResult,
  chargeRequestOf,
  isPaid,
  NotFinal,
  type PaymentDeps,
  providerOf,
  recordCharge,
  requireAttempt,
  resultOfFinal,
  seenOf,
  tookMoney,
} from './charge'
import { lookUpCharge } from './send'

/**
 * Support says whether a charge happened. One that did not is cancelled by its key all the same, and one that did is
 * looked up: what the provider says of it counts more than what a person has read. When the provider is away, the row keeps
 * what it has yet to hear or to say, for {@link syncDecision}.
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
  const cancelled = await answerOrNull(() => providerOf(deps, attempt).cancel(request))
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
  const paymentId = attempt.id
  const isOver = attempt.orderStatus === 'cancelled'
  if (attempt.cancelling && !isOver)
    return (await answerOrNull(() => lookUpCharge(deps, { paymentId }))) ?? { outcome: 'unknown' }
  const known = await answerOrNull(() => providerOf(deps, attempt).find(chargeRequestOf(attempt)))
  // Money in another currency cannot be booked: what the attempt asked for goes back, and a person sees to that.
  if (known && isOver && known.amount.currency !== attempt.currency) return assumePaid(deps, attempt)
  if (known && isOver && tookMoney(known)) return receive(deps, attempt, known)
  // An order that is over waits for nothing any more: there, what is on its way is taken for paid, and goes back.
  if (known && !(isOver && isWaiting(known))) return recordCharge(deps, attempt, known)
  return assumePaid(deps, attempt)
}

/** The provider has yet to say what a person has said. */
async function assumePaid(deps: PaymentDeps, attempt: Attempt): Promise<ChargeResult> {
  await requireSync(deps.pool, attempt.id, 'reference')
  const charge = assumedCharge(attempt)
  return attempt.orderStatus === 'cancelled'
    ? receive(deps, attempt, charge)
    : { outcome: 'paid', charge: seenOf(charge) }
}

async function receive(deps: PaymentDeps, attempt: Attempt, charge: Charge): Promise<ChargeResult> {
  await receiveMoney(deps, attempt, charge)
  return { outcome: 'paid', charge: seenOf(charge) }
}

function isWaiting({ state }: Charge): boolean {
  return state === 'requires_action' || state === 'pending'
}

/** Makes what was decided without the provider true there. Throws until it is. */
export async function syncDecision(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const { pool } = deps
  const attempt = await requireAttempt(deps, paymentId)
  if (attempt.pendingSync === 'reference') {
    if (isOpen(attempt.orderStatus)) throw new NotFinal(`Its checkout has yet to confirm the order of ${attempt.key}`)
    const known = await providerOf(deps, attempt).find(chargeRequestOf(attempt))
    const isOver = attempt.orderStatus === 'cancelled'
    if (!known || (!isOver && !isPaid(known)))
      throw new NotFinal(`The provider knows of no payment by charge ${attempt.key}, which was said to be paid`)
    if (!isOver) await learn(deps, attempt, known)
    await completeSync(pool, paymentId, known.reference)
  } else if (attempt.pendingSync === 'cancel') {
    await cancelOrReceive(deps, attempt)
    await completeSync(pool, paymentId, null)
  }
}

/** Until when it can be captured, and how often, no person could say: whoever owns the money has to look at that too. */
async function learn(deps: PaymentDeps, attempt: Attempt, known: Charge): Promise<void> {
  await noteNews(deps.pool, attempt.id)
  await seeCharge(deps, attempt, known)
}

/** A person has made the decision true at the provider. */
export async function skipSync({ pool }: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  await completeSync(pool, paymentId, null)
}

/** What a person says of a charge that the provider does not show now. Until it does, the attempt's key stands for its reference. */
function assumedCharge({ key, orderId, reference, amount, currency, sentAt }: Attempt): Charge {
  return {
    reference: reference ?? key,
    key,
    orderId,
    amount: { amount, currency },
    state: 'authorized',
    declineCode: null,
    captured: 0,
    released: 0,
    refunded: 0,
    captures: [],
    refunds: [],
    disputes: [],
    capturesInParts: true,
    captureBefore: null,
    actionUrl: null,
    createdAt: (sentAt ?? new Date(0)).toISOString(),
  }
}

/** A charge that cannot be cancelled any more because it was captured is written down, and goes back by itself. */
async function cancelOrReceive(deps: PaymentDeps, attempt: Attempt): Promise<void> {
  const cancelled = await providerOf(deps, attempt).cancel(chargeRequestOf(attempt))
  if (cancelled.outcome !== 'refused') return
  const { charge } = cancelled
  if (!tookMoney(charge))
    throw new NotFinal(`The provider cannot cancel charge ${attempt.key} yet: it is ${charge.state}`)
  await receiveMoney(deps, attempt, charge)
}
