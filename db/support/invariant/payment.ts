import { HAS_CASE, type Invariant } from './check'

/** Of money, as far as our own rows know (reliability 4, 5). */
export const PAYMENT_INVARIANTS: readonly Invariant[] = [
  {
    name: 'one_attempt_at_a_time',
    holds: 'always',
    text: `
      select order_id || ': ' || string_agg(key, ', ') as what
      from payment
      where status in ('sent', 'requires_action', 'pending')
      group by order_id
      having count(*) > 1`,
  },
  {
    name: 'won_orders_are_paid_once',
    holds: 'always',
    text: `
      select o.id || ' is ' || o.status || ' with ' || count(p.id) || ' payments of ' || coalesce(sum(p.amount), 0) || ' for ' || o.total as what
      from orders o
      left join payment p on p.order_id = o.id and p.outcome = 'completed'
      where o.status not in ('pending', 'inventory_reserved')
      group by o.id
      having count(p.id) <> case when o.confirmed_at is not null and o.total > 0 then 1 else 0 end
          or count(p.id) > 0 and sum(p.amount) <> o.total
          or o.status <> 'cancelled' and bool_or(p.status not in ('authorized', 'captured', 'refunded'))`,
  },
  {
    name: 'attempts_ask_for_the_total',
    holds: 'always',
    text: `
      select p.key || ' asks ' || p.amount || ' ' || p.currency || ' for ' || o.total || ' ' || o.currency as what
      from payment p
      join orders o on o.id = p.order_id
      where p.amount <> o.total
         or p.currency <> o.currency
         or p.amount is null and p.status not in ('requested', 'failed')`,
  },
  {
    name: 'captured_and_refunded_stay_in_bounds',
    holds: 'always',
    text: `
      select key || ': ' || amount || ' authorized, ' || captured || ' captured, ' || refunded || ' refunded' as what
      from payment
      where captured > coalesce(amount, 0) or refunded > captured`,
  },
  {
    name: 'final_attempts_have_an_outcome',
    holds: 'always',
    text: `
      select key || ' is ' || status || ' without an outcome' as what
      from payment
      where outcome is null and status not in ('requested', 'sent', 'requires_action', 'pending')`,
  },
  {
    name: 'ledger_balances',
    holds: 'always',
    text: `
      select payment_id || ' ' || operation || ' #' || seq || ': ' || sum(amount) || ' ' || currency as what
      from ledger_entry
      group by payment_id, operation, seq, currency
      having sum(amount) <> 0`,
  },
  {
    name: 'ledger_agrees_with_the_payments',
    holds: 'always',
    text: `
      select p.key || ' is ' || p.status || ', the ledger says ' || coalesce(l.authorized, 0) || ' authorized, ' ||
             coalesce(l.clearing, 0) || ' at the provider' as what
      from payment p
      left join (
        select payment_id, sum(amount) filter (where account = 'authorized') as authorized,
               sum(amount) filter (where account = 'psp_clearing') as clearing
        from ledger_entry
        group by payment_id
      ) as l on l.payment_id = p.id
      where coalesce(l.authorized, 0) <> case when p.status = 'authorized' then p.amount else 0 end
         or coalesce(l.clearing, 0) <> p.captured - p.refunded`,
  },
  {
    // A decision about the money is made once, and nothing older undoes it.
    name: 'every_payment_is_decided_once',
    holds: 'always',
    text: `
      select order_id || ' ' || (data ->> 'payment_id') || ': ' || string_agg(type, ', ' order by seq) as what
      from order_event
      where type like 'payment.%'
      group by order_id, data ->> 'payment_id'
      having count(*) filter (where type in ('payment.authorized', 'payment.captured', 'payment.received')) > 1
          or count(*) filter (where type in ('payment.declined', 'payment.failed', 'payment.voided', 'payment.refunded')) > 1
          or min(seq) filter (where type in ('payment.authorized', 'payment.captured', 'payment.received', 'payment.declined',
               'payment.failed', 'payment.voided', 'payment.refunded'))
             < max(seq) filter (where type in ('payment.requested', 'payment.requires_action', 'payment.pending'))`,
  },
  {
    name: 'attempts_become_final',
    holds: 'at_rest',
    text: `
      select p.key || ' is ' || p.status || ', its order is ' || o.status as what
      from payment p
      join orders o on o.id = p.order_id
      where p.status in ('requested', 'sent', 'requires_action', 'pending')
        and o.status not in ('pending', 'inventory_reserved', 'payment_pending')
        and not ${HAS_CASE}`,
  },
  {
    name: 'cancelled_orders_keep_no_money',
    holds: 'at_rest',
    text: `
      select p.key || ' is ' || p.status || ', its order is cancelled' as what
      from payment p
      join orders o on o.id = p.order_id
      where p.status in ('authorized', 'captured') and o.status = 'cancelled' and not ${HAS_CASE}`,
  },
]
