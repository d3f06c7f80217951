import type { OrderId } from '../../domain/ids'
import { postingsOf } from '../../domain/payment/ledger'
import type { Db } from '../pool'

/**
 * The double-entry book: debits positive, credits negative, append-only; the schema refuses a transaction that does not
 * balance, and a second one of the same payment, operation and sequence.
 */

/**
 * The entries of money that a provider now holds for us, as a data-changing member of a `with` list. A preceding `paid`
 * has the payment's id, order_id, amount and currency; `:status` is `authorized`, or `captured` where the provider took the
 * money at once.
 */
export const LEDGER_OF_PAYMENT = `
        insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency)
        select paid.order_id, paid.id, entry.operation, 1, entry.account, paid.amount * entry.sign, paid.currency
        from paid
        join (values ${valuesOf('authorized', 'authorize')}, ${valuesOf('captured', 'authorize')},
                     ${valuesOf('captured', 'capture')})
          as entry (status, operation, account, sign) on entry.status = :status::text` as const

/** One transaction of {@link postingsOf} as rows of SQL, each beside `status`. */
function valuesOf(status: string, operation: 'authorize' | 'capture'): string {
  return postingsOf(operation, { paymentId: 'pay_', seq: 1, amount: 1 })
    .map(({ account, amount }) => `('${status}', '${operation}', '${account}', ${amount})`)
    .join(', ')
}

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
