import type { OrderId } from '../../domain/ids'
import type { Db } from '../pool'

/**
 * The double-entry book: debits positive, credits negative, append-only; the schema refuses a transaction that does not
 * balance, and a second one of the same payment, operation and sequence.
 */

/**
 * The entries of money that a provider now holds for us, as a data-changing member of a `with` list. A preceding `paid`
 * has the payment's id, order_id, amount and currency; `:status` is `authorized` (memo accounts) or `captured` (at the
 * provider, owed to the customer until shipped).
 */
export const LEDGER_OF_PAYMENT = `
        insert into ledger_entry (order_id, payment_id, operation, account, amount, currency)
        select paid.order_id, paid.id, entry.operation, entry.account, paid.amount * entry.sign, paid.currency
        from paid
        join (values ('authorized', 'authorize', 'authorized', 1), ('authorized', 'authorize', 'authorized_contra', -1),
                     ('captured', 'capture', 'psp_clearing', 1), ('captured', 'capture', 'customer_deposits', -1))
          as entry (status, operation, account, sign) on entry.status = :status::text`

/**
 * The entries of money that went back, likewise. A preceding `returned` has id, order_id, amount, currency and `was`, the
 * status before: an authorization is reversed; captured money passes through what is payable to the customer.
 */
export const LEDGER_OF_RETURN = `
        insert into ledger_entry (order_id, payment_id, operation, account, amount, currency)
        select returned.order_id, returned.id, entry.operation, entry.account, returned.amount * entry.sign, returned.currency
        from returned
        join (values ('authorized', 'void', 'authorized', -1), ('authorized', 'void', 'authorized_contra', 1),
                     ('captured', 'refund_request', 'customer_deposits', 1), ('captured', 'refund_request', 'refunds_payable', -1),
                     ('captured', 'refund', 'refunds_payable', 1), ('captured', 'refund', 'psp_clearing', -1))
          as entry (was, operation, account, sign) on entry.was = returned.was`

export interface LedgerEntry {
  readonly paymentId: string
  readonly operation: string
  readonly account: string
  readonly amount: number
  readonly currency: string
  readonly createdAt: Date
}

/** The entries of one order, oldest first. */
export async function readLedger(db: Db, orderId: OrderId): Promise<LedgerEntry[]> {
  const { rows } = await db.query<LedgerEntry>({
    name: 'ledger.read',
    text: `
      select payment_id as "paymentId", operation, account, amount, currency, created_at as "createdAt"
      from ledger_entry
      where order_id = $1
      order by id
      limit 1000`,
    values: [orderId],
  })
  return rows
}
