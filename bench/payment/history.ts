import { Client } from 'pg'
import type { OrderId } from '../../domain/ids'
import type { Charge, Movement, PaymentProvider } from '../../providers/payment/provider'

/** Paid orders, by number: each of 5.00, authorized, captured; of ten one was refunded half. Hours ago, none is at work. */
export interface PaidOrders {
  readonly from: number
  /** Without. */
  readonly to: number
  readonly hoursAgo: number
}

export const TOTAL = 500
const REFUNDED = 250
const isRefunded = (n: number): boolean => n % 10 === 0

/** Writes them by SQL alone, and matched: as if a reconciliation had seen them, unless told otherwise. */
export async function writePaidOrders(
  databaseUrl: string,
  { from, to, hoursAgo, isMatched }: PaidOrders & { isMatched: boolean },
): Promise<void> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const values = [from, to - 1, hoursAgo]
    for (const text of [ORDERS, PAYMENTS, AUTHORIZED, CAPTURED, REFUND_ASKED, REFUND_DONE])
      await client.query(text, values)
    for (const text of [CAPTURES, REFUNDS]) await client.query(text, [...values, isMatched])
    // As autovacuum does in time.
    await client.query('vacuum analyze')
  } finally {
    await client.end()
  }
}

/** Of the statements here: `$1` and `$2` are the first and the last number, `$3` the hours. */
export const NUMBERED = 'from generate_series($1::int, $2::int) as n'
export const AT = 'now() - make_interval(hours => $3::int)'

const ORDERS = `
  insert into orders (id, cart_id, token_hash, status, payment_status, currency, email, shipping_address, shipping_method, snapshot,
                      cart_version, body_hash, total, created_at, updated_at, confirmed_at, planned_at)
  select ${id('order')}, ${id('cart')}, '', 'confirmed', 'captured', 'GBP', 'past@example.com', '{}', 'standard', '{}', 1, '',
         ${TOTAL}, ${AT}, ${AT}, ${AT}, ${AT}
  ${NUMBERED}`

const PAYMENTS = `
  insert into payment (id, order_id, attempt, key, provider, method, amount, asked, currency, status, outcome, reference, captured, refunded,
                       sent_at, created_at, updated_at)
  select ${id('pay')}, ${id('order')}, 1, ${id('order')} || '/charge/1', 'sandbox', 'pm_card_visa', ${TOTAL}, ${TOTAL}, 'GBP', 'captured',
         'completed', 'ch_' || n, ${TOTAL}, case when n % 10 = 0 then ${REFUNDED} else 0 end, ${AT}, ${AT}, ${AT}
  ${NUMBERED}`

const CAPTURES = `
  insert into capture (id, order_id, payment_id, number, key, amount, currency, status, at_work, cause, reference, movement,
                       created_at, updated_at)
  select ${id('cap')}, ${id('order')}, ${id('pay')}, 1, ${id('order')} || '/capture/1', ${TOTAL}, 'GBP', 'succeeded', false, 'staff',
         'cp_' || n, case when $4::boolean then 'cp_' || n end, ${AT}, ${AT}
  ${NUMBERED}`

const REFUNDS = `
  insert into refund (id, request_id, order_id, payment_id, number, key, amount, currency, status, at_work, cause, reference, movement,
                      created_at, updated_at)
  select ${id('ref')}, ${id('ref')}, ${id('order')}, ${id('pay')}, 1, ${id('order')} || '/refund/1', ${REFUNDED}, 'GBP', 'succeeded',
         false, 'staff', 're_' || n, case when $4::boolean then 're_' || n end, ${AT}, ${AT}
  ${NUMBERED}
  where n % 10 = 0`

const AUTHORIZED = entries('authorize', TOTAL, { authorized: 1, authorized_contra: -1 })
const CAPTURED = entries('capture', TOTAL, {
  authorized: -1,
  authorized_contra: 1,
  psp_clearing: 1,
  customer_deposits: -1,
})
const REFUND_ASKED = entries('refund_request', REFUNDED, { customer_deposits: 1, refunds_payable: -1 })
const REFUND_DONE = entries('refund', REFUNDED, { refunds_payable: 1, psp_clearing: -1 })

function entries(operation: string, amount: number, accounts: Readonly<Record<string, number>>): string {
  const rows = Object.entries(accounts).map(([account, sign]) => `('${account}', ${sign * amount})`)
  return `
    insert into ledger_entry (order_id, payment_id, operation, seq, account, amount, currency, created_at)
    select ${id('order')}, ${id('pay')}, '${operation}', 1, e.account, e.amount, 'GBP', ${AT}
    ${NUMBERED}
    cross join (values ${rows.join(', ')}) as e (account, amount)
    ${operation.startsWith('refund') ? 'where n % 10 = 0' : ''}
    order by n`
}

/** A valid id made of a number. */
export function id(prefix: string): string {
  return `'${prefix}_' || lpad(n::text, 26, '0')`
}

const PAGE = 500
type Stub = Pick<PaymentProvider, 'name' | 'list' | 'movements' | 'find'>

/** A provider that knows just these orders, and makes each page as it is asked for. `onPage`: before each. */
export function providerOf({ from, to, hoursAgo }: PaidOrders, onPage: () => void = () => undefined): Stub {
  const at = new Date(Date.now() - hoursAgo * 3_600_000).toISOString()
  const numbers = (cursor: string | null): { ns: number[]; nextCursor: string | null } => {
    onPage()
    const begin = cursor === null ? from : Number(cursor)
    const end = Math.min(to, begin + PAGE)
    const ns = Array.from({ length: end - begin }, (_, index) => begin + index)
    return { ns, nextCursor: end < to ? String(end) : null }
  }
  return {
    name: 'sandbox',
    async list(_since, cursor) {
      const { ns, nextCursor } = numbers(cursor)
      return { charges: ns.map((n) => chargeOf(n, at)), unreadable: [], nextCursor }
    },
    async movements(_since, cursor) {
      const { ns, nextCursor } = numbers(cursor)
      return { movements: ns.flatMap((n) => movementsOf(n, at)), unreadable: [], nextCursor }
    },
    find: ({ reference }) => Promise.resolve(chargeOf(Number(reference?.slice('ch_'.length)), at)),
  }
}

export const orderIdOf = (n: number): OrderId => `order_${String(n).padStart(26, '0')}`

function chargeOf(n: number, at: string): Charge {
  const refunds = isRefunded(n)
    ? [
        {
          reference: `re_${n}`,
          key: `${orderIdOf(n)}/refund/1`,
          amount: REFUNDED,
          status: 'succeeded',
          failureCode: null,
        } as const,
      ]
    : []
  return {
    reference: `ch_${n}`,
    key: `${orderIdOf(n)}/charge/1`,
    orderId: orderIdOf(n),
    amount: { amount: TOTAL, currency: 'GBP' },
    state: 'captured',
    declineCode: null,
    captured: TOTAL,
    released: 0,
    refunded: isRefunded(n) ? REFUNDED : 0,
    captures: [{ reference: `cp_${n}`, key: `${orderIdOf(n)}/capture/1`, amount: TOTAL }],
    refunds,
    disputes: [],
    capturesInParts: true,
    captureBefore: null,
    actionUrl: null,
    createdAt: at,
  }
}

function movementsOf(n: number, at: string): Movement[] {
  const of = { chargeReference: `ch_${n}`, chargeKey: `${orderIdOf(n)}/charge/1`, orderId: orderIdOf(n), at }
  const capture: Movement = {
    ...of,
    id: `m_${n}`,
    type: 'capture',
    reference: `cp_${n}`,
    key: `${orderIdOf(n)}/capture/1`,
    amount: { amount: TOTAL, currency: 'GBP' },
  }
  if (!isRefunded(n)) return [capture]
  const back = { amount: -REFUNDED, currency: 'GBP' }
  return [
    capture,
    { ...of, id: `n_${n}`, type: 'refund', reference: `re_${n}`, key: `${orderIdOf(n)}/refund/1`, amount: back },
  ]
}
