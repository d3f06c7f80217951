import { OPEN, UNDECIDED } from '../../sql'
import { HAS_CASE, HELD, type Invariant } from './check'

/** Of attempts and what they add up to, as far as our own rows know (reliability 4). */
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
    // One attempt of a buyer pays for a confirmed order. Another one pays besides only by taking over its authorization, of
    // which nothing is captured any more.
    name: 'won_orders_are_paid_once',
    holds: 'always',
    text: `
      select o.id || ' is ' || o.status || ' for ' || o.total || ', paid by ' ||
             coalesce(string_agg(p.key || ' (' || p.status || coalesce(', renews ' || before.key, '') || ')', ', '), 'nothing') as what
      from orders o
      left join payment p on p.order_id = o.id and p.outcome = 'completed'
      left join payment before on before.id = p.renews
      group by o.id
      having count(p.id) filter (where p.renews is null) <> case when o.confirmed_at is not null and o.total > 0 then 1 else 0 end
          or bool_or(not ${HELD})
          or count(distinct p.renews) <> count(p.renews)
          or bool_or(p.renews is not null
                     and (before.order_id <> o.id or before.outcome is distinct from 'completed' or before.attempt >= p.attempt
                          or before.status = 'authorized' and not before.releasing))`,
  },
  {
    // What was authorized is in the ledger: the provider may later show that it took more. Of money that pays for nothing it
    // is what came; a renewal asks for what is left to take.
    name: 'attempts_ask_for_the_total',
    holds: 'always',
    text: `
      select p.key || ' asks ' || coalesce(l.amount, p.amount, 0) || ' ' || p.currency || ' for ' || o.total || ' ' || o.currency as what
      from payment p
      join orders o on o.id = p.order_id
      left join ledger_entry l
        on l.payment_id = p.id and l.operation = 'authorize' and l.seq = 1 and l.account = 'authorized'
      where p.currency <> o.currency
         or p.amount is null and p.status not in ('requested', 'failed')
         or case when l.id is not null and p.outcome is distinct from 'completed' then false
                 when p.renews is null then coalesce(l.amount, p.amount) <> o.total
                 else coalesce(l.amount, p.amount) > o.total end`,
  },
  {
    name: 'captured_and_refunded_stay_in_bounds',
    holds: 'always',
    text: `
      select key || ': of ' || coalesce(amount, 0) || ' authorized, ' || captured || ' captured, ' || capturing || ' asked for, ' ||
             released || ' released; ' || refunded || ' refunded, ' || refunding || ' on their way' as what
      from payment
      where captured + capturing + released > coalesce(amount, 0) or refunded + refunding > captured`,
  },
  {
    /*
     * What `Books` guarantee of an order at any instant. What was captured beyond what is owed is refunded in the same
     * transaction, as far as it can be: so either what was taken, less the refunds for what is not owed, is covered by what is
     * owed, or nothing is left that could go back (it was refunded for another reason, or is disputed). A refund that
     * failed counts until it is tried again: a person decides about it. What an attempt took that pays for nothing is owed by
     * nobody. A claim was due when it was made, and what is cancelled afterwards goes back once it is captured: so claims stay
     * within the total. What the provider took unasked is no claim.
     */
    name: 'orders_are_not_captured_beyond_what_is_owed',
    holds: 'always',
    text: `
      with returned as (
        select r.payment_id, sum(r.amount) as amount
        from refund r
        -- One that was refused waits for a person, whoever asked for it.
        where (r.cause in ('cancel', 'late') or r.status = 'failed' and r.at_work)
          and not exists (select from refund again where again.retries = r.id)
        group by r.payment_id
      ),
      taken as (
        select p.order_id, p.outcome is not distinct from 'completed' as pays, sum(p.captured) as captured,
               sum(p.capturing) as capturing, coalesce(sum(r.amount), 0) as returned,
               sum(greatest(0, p.captured - p.disputed - p.refunded - p.refunding)) as refundable
        from payment p
        left join returned r on r.payment_id = p.id
        where p.captured > 0 or p.capturing > 0
        group by p.order_id, pays, case when p.outcome is distinct from 'completed' then p.id end
      )
      select t.order_id || ': ' || t.captured || ' captured, ' || t.capturing || ' asked for, ' || t.returned || ' to go back, ' ||
             owed || ' owed' as what
      from taken t
      join orders o on o.id = t.order_id
      cross join lateral (
        select case when t.pays and o.status <> 'cancelled' then o.total - o.cancelled - o.waived else 0 end as owed
      ) as due
      where t.captured - t.returned > owed and t.refundable > 0
         or t.capturing > 0 and case when t.pays then o.total < (
              select sum(c.amount)
              from capture c
              join payment p on p.id = c.payment_id and p.outcome = 'completed'
              where c.order_id = o.id and c.status <> 'failed' and c.cause <> 'provider') - t.returned
            else true end`,
  },
  {
    name: 'final_attempts_have_an_outcome',
    holds: 'always',
    text: `
      select key || ' is ' || status || ' without an outcome' as what
      from payment
      where outcome is null and status not in ${UNDECIDED}`,
  },
  {
    name: 'attempts_are_called_what_their_sums_make',
    holds: 'always',
    text: `
      select p.key || ' is ' || p.status || case when p.releasing then ' and being released' else '' end || ': of ' ||
             coalesce(p.amount, 0) || ', ' || p.captured || ' captured, ' || p.released || ' released, ' || p.refunded || ' refunded' as what
      from payment p
      where p.releasing and p.status <> 'authorized'
         or case when ${HELD} then p.status <> case when p.captured + p.released < p.amount then 'authorized'
                                                    when p.captured = 0 then 'voided'
                                                    when p.refunded = p.captured then 'refunded'
                                                    else 'captured' end
                 else p.captured + p.capturing + p.released + p.refunded + p.refunding + p.disputed > 0 end`,
  },
  {
    // The first that fits. Where an attempt holds money that pays for nothing beside others, the last of them to change says it.
    name: 'payment_status_is_what_the_attempts_make',
    holds: 'always',
    text: `
      select o.id || ' says ' || o.payment_status || ', its payments make it ' || coalesce(makes, 'one without money') as what
      from orders o
      left join (
        select p.order_id, count(*) filter (where ${HELD}) as held,
               count(*) filter (where ${HELD} and p.outcome = 'completed') as paying,
               count(*) filter (where p.sent_at is not null) as sent,
               sum(p.captured) as captured, sum(p.refunded) as refunded, bool_or(p.disputed > 0) as disputed,
               bool_or(p.status = 'authorized') as authorized
        from payment p
        group by p.order_id
      ) as money on money.order_id = o.id
      cross join lateral (
        select case when coalesce(held, 0) = 0 then null
                    when disputed then 'disputed'
                    when refunded > 0 then case when refunded = captured then 'refunded' else 'partially_refunded' end
                    when captured > 0 then case when captured >= case when o.status = 'cancelled' then 0 else o.total - o.cancelled - o.waived end
                                                then 'captured' else 'partially_captured' end
                    when authorized then 'authorized'
                    else 'voided' end as makes
      ) as made
      where case when makes is null
                 then o.payment_status not in ('none', 'pending', 'requires_action', 'voided', 'failed')
                 when held = paying or sent = 1 then o.payment_status <> makes
                 else false end`,
  },
  {
    name: 'attempts_become_final',
    holds: 'at_rest',
    text: `
      select p.key || ' is ' || p.status || ', its order is ' || o.status as what
      from payment p
      join orders o on o.id = p.order_id
      where p.status in ${UNDECIDED} and o.status not in ${OPEN} and not ${HAS_CASE}`,
  },
  {
    // It goes back, unless a bank has taken it, the provider has accepted to give it back, or a person has said that it stays.
    name: 'money_that_pays_for_nothing_goes_back',
    holds: 'at_rest',
    text: `
      with way_back as (
        select payment_id, sum(amount) as amount
        from refund r
        where at_work and status = 'pending' and reference is not null
           or not at_work and status = 'failed' and cause in ('cancel', 'late')
              and not exists (select from refund again where again.retries = r.id)
        group by payment_id
      )
      select p.key || ' is ' || p.status || ', its order ' || o.status || ': ' || p.amount || ' authorized, ' || p.captured ||
             ' captured, ' || p.released || ' released, ' || p.refunded || ' refunded' as what
      from payment p
      join orders o on o.id = p.order_id
      left join way_back on way_back.payment_id = p.id
      where (o.status = 'cancelled' or p.outcome is distinct from 'completed')
        and ${HELD}
        and (p.captured + p.released < p.amount
             or p.captured > p.refunded + p.disputed + coalesce(way_back.amount, 0))
        and not ${HAS_CASE}`,
  },
]
