-- What could not be said to the order's workflow while Temporal was away; the sweep says it.
alter table orders
  add column cancel_wanted_at timestamptz,
  add column reminded_at timestamptz;

-- What a person decided of an attempt while its provider was away: the provider has yet to hear that it is dead, or to say
-- by what reference it knows it.
alter table payment add column owed text check (owed in ('cancel', 'reference'));
create index payment_owed on payment (order_id) where owed is not null;
