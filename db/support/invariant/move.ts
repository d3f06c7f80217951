import { ASKED_WITHIN_SECONDS, HAS_CASE, HELD, type Invariant, MONEY_WORK } from './check'

/** Of captures, refunds, releases and disputes: their sums, keys and events, and that they come to an end. */
export const MOVE_INVARIANTS: readonly Invariant[] = [
  {
    name: 'sums_are_of_their_captures_refunds_and_disputes',
    holds: 'always',
    text: `
      select p.key || ' says ' || p.captured || ' captured, ' || p.capturing || ' asked for, ' || p.refunded || ' refunded, ' ||
             p.refunding || ' on their way, ' || p.disputed || ' disputed; its rows say ' || coalesce(c.done, 0) || ', ' ||
             coalesce(c.pending, 0) || ', ' || coalesce(r.done, 0) || ', ' || coalesce(r.pending, 0) || ', ' || coalesce(d.taken, 0) as what
      from payment p
      left join (
        select payment_id, sum(amount) filter (where status = 'succeeded') as done,
               sum(amount) filter (where status = 'pending') as pending
        from capture
        group by payment_id
      ) as c on c.payment_id = p.id
      left join (
        select payment_id, sum(amount) filter (where status = 'succeeded') as done,
               sum(amount) filter (where status = 'pending') as pending
        from refund
        group by payment_id
      ) as r on r.payment_id = p.id
      left join (
        select payment_id, sum(amount) as taken from dispute where status in ('open', 'lost') group by payment_id
      ) as d on d.payment_id = p.id
      where (p.captured, p.capturing, p.refunded, p.refunding, p.disputed)
            <> (coalesce(c.done, 0), coalesce(c.pending, 0), coalesce(r.done, 0), coalesce(r.pending, 0), coalesce(d.taken, 0))`,
  },
  {
    // Numbers without gaps, keys made from them, and the order and currency of their payment.
    name: 'captures_and_refunds_have_their_keys',
    holds: 'always',
    text: `
      with move as (
        select 'capture' as kind, order_id, payment_id, number, key, currency from capture
        union all
        select 'refund', order_id, payment_id, number, key, currency from refund
        union all
        select 'dispute', order_id, payment_id, number, order_id || '/dispute/' || number, currency from dispute
      )
      select m.key || ' is ' || m.kind || ' ' || m.number || ' of ' || m.order_id || ', in ' || m.currency as what
      from move m
      join payment p on p.id = m.payment_id
      where m.key <> m.order_id || '/' || m.kind || '/' || m.number or m.order_id <> p.order_id or m.currency <> p.currency
      union all
      select order_id || ': ' || count(*) || ' ' || kind || 's, the last is ' || max(number)
      from move
      group by order_id, kind
      having min(number) <> 1 or max(number) <> count(*) or count(distinct number) <> count(*)`,
  },
  {
    // A capture or refund that is not over is at work; one that succeeded is not; one that failed is until somebody decided.
    name: 'what_is_not_over_is_at_work',
    holds: 'always',
    text: `
      select key || ' is ' || status || case when at_work then ' and' else ' and not' end || ' at work' as what
      from (
        select key, status, at_work from capture
        union all
        select key, status, at_work from refund
        union all
        select order_id || '/dispute/' || number, case status when 'won' then 'succeeded' else 'failed' end, at_work from dispute
      ) as move
      where case status when 'pending' then not at_work when 'succeeded' then at_work else false end`,
  },
  {
    // That an attempt took money is told once, and that it ended without any; nothing older is told after it.
    name: 'every_payment_is_decided_once',
    holds: 'always',
    text: `
      with told as (
        select e.data ->> 'payment_id' as payment_id, string_agg(e.type, ', ' order by e.seq) as types,
               count(*) filter (where takes) as taken, count(*) filter (where ends) as ended,
               min(e.seq) filter (where takes or ends) as decided_at,
               max(e.seq) filter (where e.type in ('payment.requested', 'payment.requires_action', 'payment.pending')) as waited_at
        from order_event e
        left join capture c
          on e.type = 'payment.captured' and c.id = e.data ->> 'capture_id' and c.cause = 'authorization'
        cross join lateral (
          select e.type in ('payment.authorized', 'payment.received') or c.id is not null as takes,
                 -- With an amount it is of money that was authorized: a release.
                 e.type in ('payment.declined', 'payment.failed') or e.type = 'payment.voided' and not e.data ? 'amount' as ends
        ) as said
        where e.type in ('payment.requested', 'payment.requires_action', 'payment.pending', 'payment.authorized',
          'payment.received', 'payment.captured', 'payment.declined', 'payment.failed', 'payment.voided')
        group by e.data ->> 'payment_id'
      )
      select coalesce(p.key, payment_id) || ' is ' || coalesce(p.status, 'not there') || ': ' || coalesce(types, 'nothing was told') as what
      from payment p
      full join told on told.payment_id = p.id
      where p.id is null
         or coalesce(taken, 0) <> case when ${HELD} then 1 else 0 end
         or ended > 1
         or decided_at < waited_at`,
  },
  {
    // Asked for once, where we asked; and one last word. Only a refund may fail after it succeeded, and only a capture be found
    // to have succeeded after it was refused.
    name: 'every_capture_and_refund_is_decided_once',
    holds: 'always',
    text: `
      with told as (
        select coalesce(data ->> 'capture_id', data ->> 'refund_id') as id, string_agg(type, ', ' order by seq) as types,
               count(*) filter (where type like '%requested') as asked,
               count(*) filter (where type in ('payment.captured', 'payment.refunded')) as succeeded,
               count(*) filter (where type like '%failed') as failed,
               max(seq) filter (where type like '%requested') as asked_at,
               max(seq) filter (where type in ('payment.captured', 'payment.refunded')) as succeeded_at,
               max(seq) filter (where type like '%failed') as failed_at
        from order_event
        where type in ('payment.capture_requested', 'payment.captured', 'payment.capture_failed', 'payment.refund_requested',
          'payment.refunded', 'payment.refund_failed')
        group by coalesce(data ->> 'capture_id', data ->> 'refund_id')
      ),
      move as (
        select id, key, status, 'capture' as kind, case when cause in ('staff', 'shipment') then 1 else 0 end as asked from capture
        union all
        select id, key, status, 'refund', 1 from refund
      )
      select coalesce(m.key, id, 'something without an id') || ' is ' || coalesce(m.status, 'not there') || ': ' ||
             coalesce(types, 'nothing was told') as what
      from move m
      full join told t using (id)
      where m.key is null
         or coalesce(t.asked, 0) <> m.asked
         or asked_at > least(succeeded_at, failed_at)
         or case m.status
              when 'pending' then succeeded + failed > 0
              when 'succeeded' then coalesce(succeeded, 0) <> 1
                or failed > case m.kind when 'capture' then 1 else 0 end or failed_at > succeeded_at
              else coalesce(failed, 0) <> 1
                or succeeded > case m.kind when 'refund' then 1 else 0 end or succeeded_at > failed_at
            end`,
  },
  {
    name: 'every_release_and_dispute_is_told_once',
    holds: 'always',
    text: `
      with told as (
        select data ->> 'payment_id' as payment_id,
               count(*) filter (where type = 'payment.disputed') as disputes,
               count(*) filter (where type = 'payment.dispute_closed') as closed,
               count(*) filter (where type in ('payment.released', 'payment.voided') and data ? 'amount') as releases
        from order_event
        where type in ('payment.disputed', 'payment.dispute_closed', 'payment.released', 'payment.voided')
        group by data ->> 'payment_id'
      ),
      done as (
        select payment_id, sum(disputes) as disputes, sum(closed) as closed, sum(releases) as releases
        from (
          select payment_id, 1 as disputes, case when status = 'open' then 0 else 1 end as closed, 0 as releases from dispute
          union all
          select payment_id, 0, 0, 1 from ledger_entry where operation = 'release' and account = 'authorized'
        ) as one
        group by payment_id
      )
      select payment_id || ': ' || coalesce(d.releases, 0) || ' releases, ' || coalesce(d.disputes, 0) || ' disputes, ' ||
             coalesce(d.closed, 0) || ' of them closed; told were ' || coalesce(t.releases, 0) || ', ' || coalesce(t.disputes, 0) ||
             ', ' || coalesce(t.closed, 0) as what
      from done d
      full join told t using (payment_id)
      where (coalesce(d.releases, 0), coalesce(d.disputes, 0), coalesce(d.closed, 0))
            <> (coalesce(t.releases, 0), coalesce(t.disputes, 0), coalesce(t.closed, 0))`,
  },
  {
    // A refund that the provider has accepted may take it days.
    name: 'money_at_work_is_done_or_asked_about',
    holds: 'at_rest',
    text: `
      select w.kind || ' ' || w.object || ' of ' || w.payment_id || ' is ' || w.stands || ' since ' || w.moved_at as what
      from (${MONEY_WORK}) as w
      join orders o on o.id = w.order_id
      where (w.stands = 'to_do' or w.stands = 'to_decide' and w.moved_at < now() - interval '${ASKED_WITHIN_SECONDS} seconds')
        and not ${HAS_CASE}`,
  },
]
