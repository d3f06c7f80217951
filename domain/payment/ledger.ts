import type { PaymentId } from '../ids'

/**
 * The double-entry book: debits positive, credits negative. Each operation is one transaction that sums to zero; it is
 * written once per payment, operation and sequence.
 */

/** Of each operation, what it adds to which account, as a multiple of its amount (design §5, ledger). */
const OPERATIONS = {
  authorize: { authorized: 1, authorized_contra: -1 },
  capture: { authorized: -1, authorized_contra: 1, psp_clearing: 1, customer_deposits: -1 },
  release: { authorized: -1, authorized_contra: 1 },
  refund_request: { customer_deposits: 1, refunds_payable: -1 },
  refund: { refunds_payable: 1, psp_clearing: -1 },
  /** Given back by another way than the provider, as a person says. */
  refund_elsewhere: { refunds_payable: 1, settled_elsewhere: -1 },
  /** A refund that had succeeded came back. */
  refund_return: { refunds_payable: -1, psp_clearing: 1 },
  refund_failure: { customer_deposits: -1, refunds_payable: 1 },
  dispute: { disputed: 1, psp_clearing: -1 },
  dispute_won: { disputed: -1, psp_clearing: 1 },
  dispute_lost: { disputed: -1, dispute_losses: 1 },
} as const satisfies Record<string, Readonly<Record<string, 1 | -1>>>

export type LedgerOperation = keyof typeof OPERATIONS
type KeysOf<T> = T extends unknown ? keyof T : never
export type LedgerAccount = KeysOf<(typeof OPERATIONS)[LedgerOperation]>

/** One line of a transaction. `amount` in minor units of the payment's currency. */
export interface Posting {
  readonly paymentId: PaymentId
  readonly operation: LedgerOperation
  /** The number of the capture, refund or dispute; of a release, how much is released with it; else 1. */
  readonly seq: number
  readonly account: LedgerAccount
  readonly amount: number
}

/** The lines of one transaction. */
export function postingsOf(
  operation: LedgerOperation,
  { paymentId, seq, amount }: Pick<Posting, 'paymentId' | 'seq' | 'amount'>,
): Posting[] {
  return (Object.entries(OPERATIONS[operation]) as [LedgerAccount, 1 | -1][]).map(([account, sign]) => ({
    paymentId,
    operation,
    seq,
    account,
    amount: sign * amount,
  }))
}
