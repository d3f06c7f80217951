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
  refund: { refunds_payable: 1, psp_clearing: -1 },
  /** Given back by another way than the provider, as a person says. */
  refund_elsewhere: { refunds_payable: 1, settled_elsewhere: -1 },
  /** A refund that had succeeded came back. */
  refund_return: { refunds_payable: -1, psp_clearing: 1 },
  dispute: { disputed: 1, psp_clearing: -1 },
  dispute_won: { disputed: -1, psp_clearing: 1 },
  dispute_lost: { disputed: -1, dispute_losses: 1 },
} as const satisfies Record<string, Readonly<Record<string, 1 | -1>>>

/** Those whose lines all have the same amount. */
export type PlainOperation = keyof typeof OPERATIONS
export type LedgerOperation = PlainOperation | 'refund_request' | 'refund_failure' | 'ship'
type KeysOf<T> = T extends unknown ? keyof T : never
export type LedgerAccount =
  | KeysOf<(typeof OPERATIONS)[PlainOperation]>
  | 'returns'
  | 'revenue'
  | 'tax_payable'
  | 'shipping_revenue'

/** One line of a transaction. `amount` in minor units of the payment's currency. */
export interface Posting {
  readonly paymentId: PaymentId
  readonly operation: LedgerOperation
  /** The number of the capture, refund, dispute or shipment; of a release, how much is released with it; else 1. */
  readonly seq: number
  readonly account: LedgerAccount
  readonly amount: number
}

/** The lines of one transaction. */
export function postingsOf(
  operation: PlainOperation,
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

/** A refund, in minor units: of it, what is for units that had left, and the tax in that. */
export interface RefundParts {
  readonly amount: number
  readonly returned: number
  readonly returnedTax: number
}

/**
 * A refund is asked for, or has failed: a deposit goes back, and of units that had left what was earned by them, and the tax
 * on it. Lines of nothing are left out.
 */
export function refundPostings(
  operation: 'refund_request' | 'refund_failure',
  of: Pick<Posting, 'paymentId' | 'seq'>,
  { amount, returned, returnedTax }: RefundParts,
): Posting[] {
  const sign = operation === 'refund_request' ? 1 : -1
  return linesOf(operation, of, {
    customer_deposits: sign * (amount - returned),
    returns: sign * (returned - returnedTax),
    tax_payable: sign * returnedTax,
    refunds_payable: -sign * amount,
  })
}

/** A parcel has left: what its units cost, and the fee, are no deposit any more. All with their taxes inside. */
export function shipPostings({
  goods,
  goodsTax,
  fee,
  feeTax,
  ...of
}: Pick<Posting, 'paymentId' | 'seq'> & {
  readonly goods: number
  readonly goodsTax: number
  readonly fee: number
  readonly feeTax: number
}): Posting[] {
  return linesOf('ship', of, {
    customer_deposits: goods + fee,
    revenue: goodsTax - goods,
    shipping_revenue: feeTax - fee,
    tax_payable: -goodsTax - feeTax,
  })
}

function linesOf(
  operation: LedgerOperation,
  of: Pick<Posting, 'paymentId' | 'seq'>,
  amounts: Partial<Record<LedgerAccount, number>>,
): Posting[] {
  return (Object.entries(amounts) as [LedgerAccount, number][])
    .filter(([, amount]) => amount !== 0)
    .map(([account, amount]) => ({ ...of, operation, account, amount }))
}
