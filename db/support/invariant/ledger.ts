import { type Posting, postingsOf, refundPostings, shipPostings } from '../../../domain/payment/ledger'
import { HELD, type Invariant } from './check'

const OPERATIONS = [
  'authorize',
  'capture',
  'release',
  'refund',
  'refund_elsewhere',
  'refund_return',
  'dispute',
  'dispute_won',
  'dispute_lost',
] as const

const OF = { paymentId: 'pay_', seq: 1 } as const
const POSTINGS: readonly (readonly Posting[])[] = OPERATIONS.map((operation) =>
  postingsOf(operation, { ...OF, amount: 1 }),
)
/** Their lines have amounts of their own, and those of nothing are left out. */
const SPLIT_POSTINGS = [
  refundPostings('refund_request', OF, { amount: 3, returned: 2, returnedTax: 1 }),
  refundPostings('refund_failure', OF, { amount: 3, returned: 2, returnedTax: 1 }),
  shipPostings({ ...OF, goods: 2, goodsTax: 1, fee: 2, feeTax: 1 }),
]
const rowsOf = (postings: readonly (readonly Posting[])[]): string =>
  postings
    .flatMap((lines) =>
      lines.map(({ operation, account, amount }) => [operation, account, amount, lines.length] as const),
    )
    .map(([operation, account, amount, lines]) => `('${operation}', '${account}', ${Math.sign(amount)}, ${lines})`)
    .join(', ')

/**
 * Which accounts each operation touches, as rows of SQL: its name, the account, 1 for a debit or -1 for a credit, and how many
 * lines it has.
 */
const LINES = rowsOf([...POSTINGS, ...SPLIT_POSTINGS])
const SPLIT = SPLIT_POSTINGS.map((lines) => `'${lines[0]?.operation}'`).join(', ')
/** Of each operation one line, which stands for all of them. */
const FIRST_LINES = rowsOf([
  ...POSTINGS.map((lines) => lines.slice(0, 1)),
  ...SPLIT_POSTINGS.map((lines) => lines.filter(({ account }) => account === 'refunds_payable')),
])

/** Of the double-entry book (reliability 5). */
export const LEDGER_INVARIANTS: readonly Invariant[] = [
  {
    // Each transaction sums to zero, and has the lines of its operation: each once, of one amount, on its side.
    name: 'ledger_balances',
    holds: 'always',
    text: `
      with line (operation, account, sign, lines) as (values ${LINES})
      select l.payment_id || ' ' || l.operation || ' #' || l.seq || ': ' || count(*) || ' lines, together ' || sum(l.amount) || ' ' || l.currency as what
      from ledger_entry l
      left join line on line.operation = l.operation and line.account = l.account and line.sign = sign(l.amount)
      group by l.payment_id, l.operation, l.seq, l.currency, l.order_id
      having sum(l.amount) <> 0
          or count(*) <> count(line.account)
          or l.operation not in (${SPLIT}) and (count(*) <> max(line.lines) or min(abs(l.amount)) <> max(abs(l.amount)))`,
  },
  {
    // Account by account. What a person gave back in another way is still at the provider: `settled_elsewhere` says so.
    name: 'ledger_agrees_with_the_payments',
    holds: 'always',
    text: `
      select p.key || ' is ' || p.status || ', the ledger says ' || coalesce(l.authorized, 0) || ' authorized, ' ||
             coalesce(l.clearing, 0) || ' at the provider, ' || coalesce(l.deposits, 0) || ' deposited or earned, ' ||
             coalesce(l.payable, 0) || ' to be refunded, ' || coalesce(l.disputed, 0) || ' disputed' as what
      from payment p
      left join (
        select payment_id,
               sum(amount) filter (where account = 'authorized') as authorized,
               sum(amount) filter (where account = 'authorized_contra') as contra,
               sum(amount) filter (where account in ('psp_clearing', 'settled_elsewhere')) as clearing,
               sum(amount) filter (where account in ('customer_deposits', 'revenue', 'shipping_revenue', 'tax_payable', 'returns')) as deposits,
               sum(amount) filter (where account = 'refunds_payable') as payable,
               sum(amount) filter (where account in ('disputed', 'dispute_losses')) as disputed
        from ledger_entry
        group by payment_id
      ) as l on l.payment_id = p.id
      cross join lateral (select case when ${HELD} then p.amount - p.captured - p.released else 0 end as authorized) as made
      where (coalesce(l.authorized, 0), coalesce(l.contra, 0), coalesce(l.clearing, 0), coalesce(l.deposits, 0),
             coalesce(l.payable, 0), coalesce(l.disputed, 0))
            <> (made.authorized, -made.authorized, p.captured - p.refunded - p.disputed, p.refunded + p.refunding - p.captured,
                -p.refunding, p.disputed)`,
  },
  {
    /*
     * Each transaction is there because a row demands it, and each row has its transactions. Only the ledger knows whether a refund that
     * failed had succeeded before, and whether the money went back in another way; authorizations and releases are known by
     * their sums, each numbered with the sum up to it, but for the first authorization.
     */
    name: 'ledger_has_every_operation',
    holds: 'always',
    text: `
      with line (operation, account, sign, lines) as (values ${FIRST_LINES}),
      turn as (
        select payment_id, seq, bool_or(operation = 'refund_elsewhere') as elsewhere, bool_or(operation = 'refund_return') as came_back
        from ledger_entry
        where operation in ('refund_elsewhere', 'refund_return')
        group by payment_id, seq
      ),
      refunds as (
        select r.payment_id, r.number, r.amount, r.status, coalesce(turn.elsewhere, false) as elsewhere, coalesce(came_back, false) as came_back
        from refund r
        left join turn on turn.payment_id = r.payment_id and turn.seq = r.number
      ),
      summed as (
        select payment_id, operation, seq, abs(amount) as amount,
               abs(sum(amount) over (partition by payment_id, operation order by seq)) as up_to
        from ledger_entry
        where operation in ('authorize', 'release') and account = 'authorized'
      ),
      demanded as (
        select payment_id, operation, seq, amount from summed where seq = up_to or operation = 'authorize' and seq = 1
        union all
        select payment_id, 'capture', number, amount from capture where status = 'succeeded'
        union all
        select payment_id, 'refund_request', number, amount from refunds
        union all
        select payment_id, case when elsewhere then 'refund_elsewhere' else 'refund' end, number, amount
        from refunds
        where status = 'succeeded' or came_back
        union all
        select payment_id, 'refund_return', number, amount from refunds where status = 'failed' and came_back
        union all
        select payment_id, 'refund_failure', number, amount from refunds where status = 'failed'
        union all
        select payment_id, 'dispute', number, amount from dispute
        union all
        select payment_id, 'dispute_' || status, number, amount from dispute where status <> 'open'
      )
      select payment_id || ' ' || operation || ' #' || seq || ': ' || coalesce(l.amount::text, 'nothing') || ', not ' ||
             coalesce(d.amount::text, 'nothing') as what
      from (
        select d.payment_id, d.operation, d.seq::bigint as seq, line.sign * d.amount as amount, p.order_id, p.currency
        from demanded d
        join line using (operation)
        join payment p on p.id = d.payment_id
      ) as d
      full join (
        select payment_id, operation, seq, amount, order_id, currency
        from ledger_entry
        join line using (operation, account)
      ) as l using (payment_id, operation, seq)
      where l.amount is distinct from d.amount or l.order_id <> d.order_id or l.currency <> d.currency`,
  },
  {
    // What has left is earned, once, and no deposit any more; what went back for units that had left was earned before.
    name: 'goods_sent_are_earned',
    holds: 'always',
    text: `
      select o.number || ': ' || o.recognized || ' is earned by ' || made.recognized || ' that has left, the ledger says ' ||
             coalesce(l.earned, 0) || ' earned and ' || coalesce(l.returned, 0) || ' returned, the refunds ' || made.returned as what
      from orders o
      cross join lateral (
        select coalesce(sum(shipped::bigint * total / quantity)
                 + case when sum(shipped) > 0 then o.total - sum(total) else 0 end, 0)::bigint as recognized,
               (select coalesce(sum(returned), 0)::bigint from refund where order_id = o.id and status <> 'failed') as returned
        from order_line
        where order_id = o.id
      ) as made
      left join lateral (
        select sum(amount) filter (where operation = 'ship' and account = 'customer_deposits') as earned,
               sum(amount) filter (where operation <> 'ship' and account in ('returns', 'tax_payable')) as returned
        from ledger_entry
        where order_id = o.id
      ) as l on true
      where o.recognized <> made.recognized or coalesce(l.returned, 0) <> made.returned
         or coalesce(l.earned, 0) <> case when exists (select from payment where order_id = o.id and outcome = 'completed') then o.recognized else 0 end`,
  },
]
