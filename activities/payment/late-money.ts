import type { OrderId, PaymentId } from '../../domain/ids'
import { hasMoneyToReturn } from '../../domain/order'
import { isUnresolved, refundKey } from '../../domain/payment'
import { type Attempt, changeAttempt, recordLateMoney, recordReturn as writeReturn } from '../../db/payment/attempt'
import { chargeRequestOf, isPaid, NotFinal, type PaymentDeps, providerOf, requireAttempt, seenOf } from './charge'

/**
 * What became of an attempt of an order that is over: `dead`, or `money_taken` once payment and ledger show it. Throws
 * until the provider knows.
 */
export async function resolveCharge(
  deps: PaymentDeps,
  { paymentId }: { paymentId: PaymentId },
): Promise<{ outcome: 'dead' | 'money_taken' }> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status))
    return { outcome: hasMoneyToReturn(attempt.orderStatus, attempt.status) ? 'money_taken' : 'dead' }
  const { orderId } = attempt
  const provider = providerOf(deps, attempt)
  const known = await provider.find(chargeRequestOf(attempt))
  if (known && isPaid(known)) {
    await recordLateMoney(deps.pool, { orderId, paymentId, ...seenOf(known) })
    return { outcome: 'money_taken' }
  }
  const cancelled = await provider.cancel(chargeRequestOf(attempt))
  if (cancelled.outcome === 'refused')
    throw new NotFinal(`Charge ${attempt.key} is ${cancelled.charge.state} and cannot be cancelled yet`)
  await changeAttempt(deps.pool, {
    orderId,
    paymentId,
    change: { to: 'voided', reference: cancelled.charge?.reference ?? null, outcome: 'cancelled' },
  })
  return { outcome: 'dead' }
}

/** Gives back what an attempt of a cancelled order took: voided by its key, or refunded under one derived from it. */
export async function returnMoney(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!hasMoneyToReturn(attempt.orderStatus, attempt.status)) return
  if (attempt.status === 'authorized') await voidAuthorization(deps, attempt)
  else await refundAll(deps, attempt)
  await writeReturn(deps.pool, { orderId: attempt.orderId, paymentId })
}

/** A person has given the money back at the provider. */
export async function recordReturn(
  { pool }: PaymentDeps,
  { orderId, paymentId }: { orderId: OrderId; paymentId: PaymentId },
): Promise<void> {
  await writeReturn(pool, { orderId, paymentId })
}

/** Refunds what an attempt captured. Throws until the provider has done so. */
export async function refundAll(deps: PaymentDeps, attempt: Attempt): Promise<void> {
  const refund = await providerOf(deps, attempt).refund({
    key: refundKey(attempt.orderId, attempt.attempt),
    charge: chargeRequestOf(attempt),
    amount: attempt.amount,
  })
  if (refund.outcome === 'refused')
    throw new NotFinal(`The provider refuses to refund charge ${attempt.key}: ${refund.reason}`)
  if (refund.outcome === 'pending') throw new NotFinal(`The refund of charge ${attempt.key} is on its way`)
}

async function voidAuthorization(deps: PaymentDeps, attempt: Attempt): Promise<void> {
  const cancelled = await providerOf(deps, attempt).cancel(chargeRequestOf(attempt))
  if (cancelled.outcome === 'refused')
    throw new NotFinal(`The provider does not void charge ${attempt.key}: it is ${cancelled.charge.state}`)
}
