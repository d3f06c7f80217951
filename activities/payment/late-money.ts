import type { PaymentId } from '../../domain/ids'
import { isOpen } from '../../domain/order'
import { isUnresolved } from '../../domain/payment/attempt'
import { changeAttempt } from '../../db/payment/attempt'
import { chargeRequestOf, NotFinal, type PaymentDeps, providerOf, requireAttempt, tookMoney } from './charge'
import { receiveMoney } from './books'

/**
 * Finds out what became of an attempt of an order that is over. What it took, or still holds, is written down, and its way
 * back asked for. Throws until the provider knows. While the order is open, its checkout decides.
 */
export async function resolveCharge(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<void> {
  const attempt = await requireAttempt(deps, paymentId)
  if (!isUnresolved(attempt.status) || isOpen(attempt.orderStatus)) return
  const provider = providerOf(deps, attempt)
  const known = await provider.find(chargeRequestOf(attempt))
  if (known && tookMoney(known)) return receiveMoney(deps, attempt, known)
  const cancelled = await provider.cancel(chargeRequestOf(attempt))
  if (cancelled.outcome === 'refused') {
    if (tookMoney(cancelled.charge)) return receiveMoney(deps, attempt, cancelled.charge)
    throw new NotFinal(`Charge ${attempt.key} is ${cancelled.charge.state} and cannot be cancelled yet`)
  }
  await changeAttempt(deps.pool, {
    orderId: attempt.orderId,
    paymentId,
    change: { to: 'voided', reference: cancelled.charge?.reference ?? null, outcome: 'cancelled' },
  })
}
