-- What could not be said to the order's workflow while Temporal was away; the sweep says it.
alter table orders
  add column cancel_wanted_at timestamptz,
  add column reminded_at timestamptz;
