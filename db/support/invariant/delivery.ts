import { INBOX_HAS_CASE, type Invariant } from './check'

/** Of what comes in from providers and goes out to readers of events (reliability 10, 11). */
export const DELIVERY_INVARIANTS: readonly Invariant[] = [
  {
    // What was published long ago may have been pruned.
    name: 'every_event_is_in_the_outbox',
    holds: 'always',
    text: `
      select e.order_id || ' #' || e.seq as what
      from order_event e
      left join outbox x on x.event_id = e.id
      where x.id is null and e.created_at > now() - interval '1 hour'`,
  },
  {
    name: 'the_outbox_holds_only_events',
    holds: 'always',
    text: `
      select x.aggregate || ' #' || x.seq || ' ' || x.type as what
      from outbox x
      left join order_event e on e.order_id = x.aggregate and e.seq = x.seq
      where x.aggregate like 'order\\_%' and e.id is distinct from x.event_id`,
  },
  {
    name: 'events_from_providers_are_kept_once',
    holds: 'always',
    text: `
      select provider || ' ' || event_id || ': ' || count(*) || ' times' as what
      from inbox
      group by provider, event_id
      having count(*) > 1`,
  },
  {
    name: 'every_event_is_published',
    holds: 'at_rest',
    text: `
      select aggregate || ' #' || seq || ' waits since ' || created_at as what
      from outbox
      where published_at is null and created_at < now() - interval '10 seconds'`,
  },
  {
    name: 'every_event_from_a_provider_is_acted_on',
    holds: 'at_rest',
    text: `
      select i.provider || ' ' || i.event_id || ' of ' || i.charge_reference || ', ' || i.tries || ' tries' as what
      from inbox i
      where i.done_at is null and i.received_at < now() - interval '30 seconds' and not ${INBOX_HAS_CASE}`,
  },
]
