-- One row is one attempt to take the money. `outcome` is decided once and is the answer to every key that names it.
create table payment (
  id typeid primary key,
  order_id typeid not null references orders,
  attempt integer not null check (attempt > 0),
  key text not null unique,
  provider text not null,
  method text not null,
  amount bigint check (amount > 0),
  currency currency not null,
  status text not null default 'requested' check (status in ('requested', 'sent', 'requires_action', 'pending', 'authorized',
    'captured', 'voided', 'refunded', 'declined', 'failed')),
  outcome text check (outcome in ('completed', 'declined', 'superseded', 'refused', 'cancelled', 'expired')),
  reference text,
  decline_code text,
  action_url text,
  -- Set before the provider is told to cancel the attempt. Until it refuses, the cancellation may arrive at any moment, so
  -- the attempt can confirm no order any more.
  cancelling boolean not null default false,
  -- What a person decided while the provider was away, and the provider has yet to hear: that the attempt is dead
  -- (`cancel`); or we have yet to ask it by what reference it knows the charge (`reference`).
  pending_sync text check (pending_sync in ('cancel', 'reference')),
  -- It took money when its order was over: that goes back. A fact, never changed again.
  late boolean not null default false,
  -- When it was made ready to be sent, and until when its stock was held then. The provider is told both, and a repetition
  -- says the same, word for word. What has no `sent_at` never reached the provider.
  sent_at timestamptz,
  expires_at timestamptz,
  captured bigint not null default 0 check (captured >= 0),
  refunded bigint not null default 0 check (refunded >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, attempt),
  constraint never_captured_twice check (captured <= amount),
  constraint never_refunded_twice check (refunded <= captured)
) with (fillfactor = 70);
create unique index one_unresolved_attempt on payment (order_id) where status in ('sent', 'requires_action', 'pending');
create unique index one_requested_attempt on payment (order_id) where status = 'requested';
create index payment_late on payment (order_id) where late and status in ('authorized', 'captured');
create index payment_pending_sync on payment (order_id) where pending_sync is not null;
create index payment_reference on payment (provider, reference) where reference is not null;

-- Double entry: debits positive, credits negative; each transaction sums to zero per currency.
create table ledger_entry (
  id bigint generated always as identity primary key,
  order_id typeid not null references orders,
  payment_id typeid not null references payment,
  operation text not null check (operation in ('authorize', 'capture', 'void', 'refund_request', 'refund')),
  seq integer not null default 1,
  account text not null check (account in ('authorized', 'authorized_contra', 'psp_clearing', 'customer_deposits', 'refunds_payable')),
  seller_id text not null default 'house',
  amount bigint not null check (amount <> 0),
  currency currency not null,
  created_at timestamptz not null default now(),
  unique (payment_id, operation, seq, account)
);
create index ledger_entry_order on ledger_entry (order_id);
create trigger append_only before update or delete or truncate on ledger_entry
  for each statement execute function refuse_change();

create function require_balance() returns trigger language plpgsql as $$
begin
  if exists (select 1 from written group by payment_id, operation, seq, currency having sum(amount) <> 0) then
    raise exception 'a ledger transaction does not balance' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create trigger balanced after insert on ledger_entry referencing new table as written
  for each statement execute function require_balance();

-- What providers told us, kept before it is answered: of which charge, by their id of it and by our key where they say it.
create table inbox (
  provider text not null,
  event_id text not null,
  type text not null,
  charge_reference text not null,
  payment_key text,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  due_at timestamptz not null default now(),
  tries integer not null default 0,
  done_at timestamptz,
  primary key (provider, event_id)
);
create index inbox_due on inbox (due_at) where done_at is null;
