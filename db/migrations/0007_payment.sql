-- One row is one attempt to take the money. `outcome` is decided once and is the answer to every key that names it.
create table payment (
  id typeid primary key,
  order_id typeid not null references orders,
  attempt integer not null check (attempt > 0),
  key text not null unique,
  provider text not null,
  method text not null,
  -- What it authorizes, and what the provider was asked for: it may show that it took more.
  amount bigint check (amount > 0),
  asked bigint check (asked > 0),
  currency currency not null,
  status text not null default 'requested' check (status in ('requested', 'sent', 'requires_action', 'pending', 'authorized',
    'captured', 'voided', 'refunded', 'declined', 'failed')),
  outcome text check (outcome in ('completed', 'declined', 'superseded', 'refused', 'cancelled', 'expired')),
  reference text,
  decline_code text,
  action_url text,
  -- Cancellations of which the provider has been told, or will be in a moment, and that it has not answered. Each may arrive
  -- at any moment, so the attempt can confirm no order while there is one.
  cancelling integer not null default 0 check (cancelling >= 0),
  -- What a person decided while the provider was away, and the provider has yet to hear: that the attempt is dead
  -- (`cancel`); or we have yet to ask it by what reference it knows the charge (`reference`).
  pending_sync text check (pending_sync in ('cancel', 'reference')),
  -- When it was made ready to be sent, and until when its stock was held then. The provider is told both, and a repetition
  -- says the same, word for word. What has no `sent_at` never reached the provider.
  sent_at timestamptz,
  expires_at timestamptz,
  -- Whether the provider lets it be captured in parts, and until when.
  captures_in_parts boolean not null default true,
  capture_before timestamptz,
  -- The attempt whose authorization it takes over before that one ends; null for an attempt that a buyer made.
  renews typeid references payment,
  -- Somebody has decided that it need not be renewed.
  may_lapse boolean not null default false,
  -- Sums of its captures and refunds: `capturing` and `refunding` of those that are still on their way. `released` was
  -- authorized and let go. `disputed`: in disputes that are open or lost.
  captured bigint not null default 0 check (captured >= 0),
  capturing bigint not null default 0 check (capturing >= 0),
  released bigint not null default 0 check (released >= 0),
  refunded bigint not null default 0 check (refunded >= 0),
  refunding bigint not null default 0 check (refunding >= 0),
  disputed bigint not null default 0 check (disputed >= 0),
  -- What is authorized and not captured is to be let go: the provider has yet to say that it was.
  releasing boolean not null default false,
  -- Since when its provider has news of it that nobody has looked up; its owner was told.
  news_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, attempt),
  check ((asked is null) = (sent_at is null)),
  constraint never_captured_twice check (captured + capturing + released <= amount),
  constraint never_refunded_twice check (refunded + refunding <= captured)
) with (fillfactor = 70);
create unique index one_unresolved_attempt on payment (order_id) where status in ('sent', 'requires_action', 'pending');
create unique index one_requested_attempt on payment (order_id) where status = 'requested';
create index payment_pending_sync on payment (order_id) where pending_sync is not null;
create index payment_reference on payment (provider, reference) where reference is not null;
create index payment_releasing on payment (order_id) where releasing;
create index payment_news on payment (order_id) where news_at is not null;
create index payment_expiring on payment (capture_before) where status = 'authorized';

-- Money to be taken of what an attempt authorized. The row is the command: its order's workflow carries it out, under its
-- key. `at_work`: it is not over yet, or it failed and nobody has decided what follows.
create table capture (
  id typeid primary key,
  order_id typeid not null references orders,
  payment_id typeid not null references payment,
  number integer not null check (number > 0),
  key text not null unique,
  amount bigint not null check (amount > 0),
  currency currency not null,
  status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
  at_work boolean not null default true,
  -- Set before the provider is asked, with whether it is the last one: a repetition says the same, word for word.
  sent_at timestamptz,
  final boolean,
  -- `authorization`: the provider took the money when it was authorized. `provider`: nobody here asked for it.
  cause text not null check (cause in ('staff', 'shipment', 'authorization', 'provider')),
  -- The shipment that waits for it; its table comes later.
  shipment_id typeid,
  actor text,
  reference text,
  failure_code text,
  -- The failed one that it tries again, under a key of its own.
  retries typeid references capture,
  -- The provider's id of the movement that the reconciliation found for it.
  movement text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, number)
) with (fillfactor = 70);
create index capture_payment on capture (payment_id);
create index capture_at_work on capture (order_id) where at_work;
create unique index capture_reference on capture (payment_id, reference) where reference is not null;
create index capture_unmatched on capture (id) where status = 'succeeded' and movement is null;

-- Money to be given back of what an attempt captured, likewise. One request may need several attempts' money: then
-- `request_id` is the id of the first row.
create table refund (
  id typeid primary key,
  request_id typeid not null references refund,
  order_id typeid not null references orders,
  payment_id typeid not null references payment,
  number integer not null check (number > 0),
  key text not null unique,
  amount bigint not null check (amount > 0),
  currency currency not null,
  status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
  at_work boolean not null default true,
  -- `cancel`: of units that will not be delivered; `late`: of an order that was over when its money came.
  cause text not null check (cause in ('staff', 'cancel', 'late', 'provider')),
  reason_code text,
  restock boolean not null default false,
  -- Of the amount, what is for units that had left: revenue goes back then, not a deposit; and the tax in it.
  returned bigint not null default 0 check (returned between 0 and amount),
  returned_tax bigint not null default 0 check (returned_tax between 0 and returned),
  actor text,
  -- It was given back by another way than the provider.
  elsewhere boolean not null default false,
  reference text,
  failure_code text,
  retries typeid references refund,
  movement text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, number)
) with (fillfactor = 70);
create index refund_request on refund (request_id);
create index refund_payment on refund (payment_id);
create index refund_at_work on refund (order_id) where at_work;
-- One that failed may name the refund that was made in its place.
create unique index refund_reference on refund (payment_id, reference) where reference is not null and status <> 'failed';
create index refund_unmatched on refund (id) where status = 'succeeded' and movement is null;

-- Money that a customer's bank takes back. `at_work`: a person has to decide.
create table dispute (
  payment_id typeid not null references payment,
  reference text not null,
  order_id typeid not null references orders,
  number integer not null check (number > 0),
  amount bigint not null check (amount > 0),
  currency currency not null,
  status text not null check (status in ('open', 'won', 'lost')),
  at_work boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (payment_id, reference),
  unique (order_id, number)
);
create index dispute_at_work on dispute (order_id) where at_work;

-- Double entry: debits positive, credits negative; each transaction sums to zero per currency. `seq` is the number of the
-- capture, refund, dispute or shipment; of a release, how much is released with it; else 1.
create table ledger_entry (
  id bigint generated always as identity primary key,
  order_id typeid not null references orders,
  payment_id typeid not null references payment,
  operation text not null check (operation in ('authorize', 'capture', 'release', 'refund_request', 'refund', 'refund_return',
    'refund_failure', 'refund_elsewhere', 'dispute', 'dispute_won', 'dispute_lost', 'ship')),
  seq bigint not null,
  account text not null check (account in ('authorized', 'authorized_contra', 'psp_clearing', 'customer_deposits',
    'refunds_payable', 'disputed', 'dispute_losses', 'settled_elsewhere', 'revenue', 'tax_payable', 'shipping_revenue', 'returns')),
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

-- A comparison of our books with those of the payment providers. A run a day: kept for ever, as the proof that there was one.
create table reconciliation (
  id typeid primary key,
  state text not null default 'requested' check (state in ('requested', 'running', 'completed', 'failed')),
  -- Of our own rows: payments whose ledger changed, captures and refunds that no movement was found for before.
  payments bigint not null default 0,
  moves bigint not null default 0,
  -- Payments that were late, and agree since they were looked up; those that are too young, or at work.
  healed bigint not null default 0,
  waiting bigint not null default 0,
  failure text,
  requested_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz,
  check ((state in ('completed', 'failed')) = (ended_at is not null))
);
create unique index one_reconciliation on reconciliation ((true)) where ended_at is null;

-- Its part with one provider: what changed there from `since` on was compared, and what changed before `until` is done with.
create table reconciliation_provider (
  reconciliation_id typeid not null references reconciliation,
  provider text not null,
  since timestamptz not null,
  until timestamptz not null,
  watermark_before timestamptz,
  movements bigint not null default 0,
  charges bigint not null default 0,
  -- To its end: then the watermark of the provider moves on.
  is_compared boolean not null default false,
  primary key (reconciliation_id, provider)
);

-- Up to when everything at the provider was compared. It moves on when a run has ended in which it answered.
create table reconciliation_watermark (
  provider text primary key,
  at timestamptz not null
);

-- What our rows and a provider say differently. A later run that finds it again finds this row. Kept for ever: each was a
-- case for a person, or what a run healed.
create table reconciliation_difference (
  id typeid primary key,
  provider text not null,
  kind text not null,
  object text not null,
  -- What has to be looked at again: a payment of ours, or a charge that none of them asked for.
  payment_id typeid references payment,
  charge_reference text,
  order_id typeid references orders,
  ours bigint not null,
  theirs bigint not null,
  currency currency not null,
  -- `suspected`: it may only be late, and is looked at again before the run ends. `accepted`: a person knows why.
  state text not null check (state in ('suspected', 'open', 'accepted', 'gone')),
  first_seen timestamptz not null default now(),
  last_seen timestamptz not null default now(),
  closed_at timestamptz,
  accepted_by text,
  reason_code text,
  note text,
  unique (provider, kind, object),
  check (payment_id is not null or charge_reference is not null),
  check ((state in ('accepted', 'gone')) = (closed_at is not null))
);
create index difference_open on reconciliation_difference (id) where state in ('suspected', 'open');
create index difference_payment on reconciliation_difference (payment_id) where payment_id is not null;
create index difference_charge on reconciliation_difference (provider, charge_reference) where charge_reference is not null;
create index difference_seen on reconciliation_difference (last_seen, id);
