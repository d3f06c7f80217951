import type { OrderId } from '../../domain/ids'
import type { Books, SeenPayment } from '../../domain/payment/books'
import { holdOrder, resumeOrder } from '../../db/order/hold'
import { withBooks } from '../../db/payment/books'
import type { Attempt } from '../../db/payment/attempt'
import type { Pool, Tx } from '../../db/pool'
import type { Charge } from '../../providers/payment/provider'
import { NotFinal, type PaymentDeps } from './charge'

/** The charge of an attempt as its provider shows it, in the words of the books. */
export function seenPaymentOf(attempt: Attempt, charge: Charge): SeenPayment {
  requireCurrency(attempt, charge)
  const { state } = charge
  return {
    reference: charge.reference,
    amount: charge.amount.amount,
    state: state === 'authorized' || state === 'captured' || state === 'refunded' ? state : 'voided',
    released: charge.released,
    capturesInParts: charge.capturesInParts,
    captureBefore: charge.captureBefore,
    captures: charge.captures,
    refunds: charge.refunds,
    disputes: charge.disputes,
  }
}

/**
 * Writes down money that arrived by an attempt that pays for nothing: what the provider holds now, or took; its way back is
 * then asked for in the same transaction.
 */
export async function receiveMoney({ pool }: PaymentDeps, attempt: Attempt, charge: Charge): Promise<void> {
  const seen = seenPaymentOf(attempt, charge)
  await withMoney(pool, attempt.orderId, (books) => books.receive(attempt.id, seen))
}

/** Brings the books to what the provider shows of a payment that holds money, or did. */
export async function seeCharge({ pool }: PaymentDeps, attempt: Attempt, charge: Charge): Promise<void> {
  const seen = seenPaymentOf(attempt, charge)
  await withMoney(pool, attempt.orderId, (books) => books.observe(attempt.id, seen))
}

/** A person has dealt with a dispute. */
export async function closeDispute(
  { pool }: PaymentDeps,
  { orderId, reference }: { orderId: OrderId; reference: string },
): Promise<void> {
  await withMoney(pool, orderId, (books) => books.closeDispute(reference))
}

/** {@link withBooks}, for what may show a dispute or end one: the order is on hold as long as one waits for its end, or for a person. */
export async function withMoney<T>(
  pool: Pool,
  orderId: OrderId,
  work: (books: Books, tx: Tx) => T,
): Promise<Awaited<T>> {
  return withBooks(pool, orderId, async (books, tx) => {
    const wasDisputed = isDisputed(books)
    const result = await work(books, tx)
    if (!wasDisputed && isDisputed(books)) await holdOrder(tx, orderId, { cause: 'dispute', reasonCode: 'dispute' })
    if (wasDisputed && !isDisputed(books))
      await resumeOrder(tx, orderId, { cause: 'dispute', reasonCode: 'dispute_over' })
    return result
  })
}

/** A dispute waits for its end, or for a person. */
function isDisputed({ disputes }: Books): boolean {
  return disputes.some(({ atWork }) => atWork)
}

/** Nothing is ever converted: a charge in another currency is for a person. */
function requireCurrency(attempt: Attempt, { amount }: Charge): void {
  if (amount.currency === attempt.currency) return
  throw new NotFinal(`Charge ${attempt.key} is in ${attempt.currency} here and in ${amount.currency} at the provider`)
}
