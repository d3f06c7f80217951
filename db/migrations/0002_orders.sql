create table cart (
  id typeid primary key,
  token_hash bytea not null,
  version integer not null default 1,
  currency currency not null,
  -- {"<SKU>": {"quantity", "price_at_add", "position"}}: version and lines live in one row, which one statement changes.
  lines jsonb not null default '{}',
  email text,
  shipping_address jsonb,
  shipping_method text,
  state text not null default 'open' check (state in ('open', 'bought', 'merged', 'expired')),
  -- While an order of this cart is open the cart is locked by it; afterwards the order that bought it.
  order_id typeid,
  hold_expires_at timestamptz,
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index cart_expires on cart (expires_at) where state = 'open';

create sequence order_number start 100001;

create table orders (
  id typeid primary key,
  number text not null unique default 'HF-' || nextval('order_number'),
  cart_id typeid not null,
  token_hash bytea not null,
  status text not null check (status in ('pending', 'inventory_reserved', 'payment_pending', 'confirmed', 'processing',
    'shipped', 'delivered', 'completed', 'on_hold', 'cancelled')),
  cancel_reason text check (cancel_reason in ('out_of_stock', 'price_changed', 'payment_failed', 'expired', 'fraud',
    'customer', 'merchant', 'unavailable')),
  payment_status text not null default 'none' check (payment_status in ('none', 'pending', 'requires_action', 'authorized',
    'partially_captured', 'captured', 'partially_refunded', 'refunded', 'voided', 'failed', 'disputed')),
  fulfillment_status text not null default 'unfulfilled',
  currency currency not null,
  email text not null,
  shipping_address jsonb not null,
  billing_address jsonb,
  shipping_method text not null,
  return_url text,
  -- What the cart held when it was accepted: [{"sku", "quantity", "price_at_add"}] and its version.
  snapshot jsonb not null,
  cart_version integer not null,
  expected_total bigint,
  -- Of the checkout's body without its payment: an equal one after a decline is another attempt at the same order.
  body_hash bytea not null,
  subtotal bigint not null default 0 check (subtotal >= 0),
  discount bigint not null default 0 check (discount >= 0),
  shipping bigint not null default 0 check (shipping >= 0),
  tax bigint not null default 0 check (tax >= 0),
  total bigint not null default 0 check (total >= 0),
  hold_expires_at timestamptz,
  -- A hold is extended at most once, so that an attempt begun late still has the provider's timeout before it.
  hold_extended boolean not null default false,
  -- The answer when the order was refused at placing: {"code", …}.
  refusal jsonb,
  event_seq integer not null default 0,
  restarts integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  confirmed_at timestamptz,
  cancelled_at timestamptz,
  check ((status = 'cancelled') = (cancel_reason is not null))
) with (fillfactor = 70);
create unique index one_live_order_per_cart on orders (cart_id) where status <> 'cancelled';
create index orders_open on orders (updated_at) where status in ('pending', 'inventory_reserved', 'payment_pending');
create index orders_email on orders (lower(email), id);
create index orders_status on orders (status, id);
create index orders_cart on orders (cart_id, id);

create table order_line (
  order_id typeid not null references orders,
  position integer not null,
  sku sku not null,
  sku_written text not null,
  product_id typeid not null,
  title text not null,
  seller_id text not null,
  quantity integer not null check (quantity > 0),
  unit_price bigint not null check (unit_price >= 0),
  discount bigint not null default 0 check (discount >= 0),
  tax bigint not null default 0 check (tax >= 0),
  total bigint not null check (total >= 0),
  primary key (order_id, position),
  unique (order_id, sku)
);

-- Immutable, gap-free per order. `from_status` and `to_status` are null when the status did not change.
create table order_event (
  id typeid not null,
  order_id typeid not null references orders,
  seq integer not null check (seq > 0),
  type text not null,
  from_status text,
  to_status text,
  data jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  primary key (order_id, seq)
);
create trigger append_only before update or delete or truncate on order_event
  for each statement execute function refuse_change();

-- Stock promised until a time: soft (a cart's), hard (an order's), allotment (a sale's).
create table reservation (
  id typeid primary key,
  kind text not null check (kind in ('soft', 'hard', 'allotment')),
  owner_id typeid not null,
  sku sku not null,
  warehouse_id typeid not null,
  quantity integer not null check (quantity > 0),
  state text not null default 'held' check (state in ('held', 'committed', 'released', 'expired', 'shipped')),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  foreign key (sku, warehouse_id) references stock_level
) with (fillfactor = 70);
create unique index one_live_reservation on reservation (owner_id, sku, warehouse_id) where state in ('held', 'committed');
create index reservation_owner on reservation (owner_id);
create index reservation_due on reservation (expires_at) where state = 'held' and kind = 'soft';
create index reservation_live on reservation (sku, warehouse_id) where state in ('held', 'committed');

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
  -- What the provider was told when the attempt was sent: a repetition says the same, word for word.
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
create index payment_at_work on payment (updated_at) where status in ('sent', 'requires_action', 'pending');
create index payment_holding on payment (order_id) where status in ('authorized', 'captured');

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

-- What the relay publishes, in order per aggregate.
create table outbox (
  id bigint generated always as identity primary key,
  event_id typeid not null unique,
  aggregate text not null collate "C",
  seq integer not null,
  type text not null,
  payload jsonb not null,
  partition smallint not null generated always as (hashtext(aggregate) & 3) stored,
  created_at timestamptz not null default clock_timestamp(),
  published_at timestamptz
);
create index outbox_unpublished on outbox (partition, id) where published_at is null;
create index outbox_published on outbox (published_at) where published_at is not null;
-- No order event without its outbox row.
create function publish_order_events() returns trigger language plpgsql as $$
begin
  insert into outbox (event_id, aggregate, seq, type, payload)
  select id, order_id, seq, type,
         jsonb_build_object('order_id', order_id, 'from', from_status, 'to', to_status, 'data', data, 'at', created_at)
  from written order by order_id, seq;
  return null;
end $$;
create trigger published after insert on order_event referencing new table as written
  for each statement execute function publish_order_events();
create table relay_partition (
  partition smallint primary key,
  backend_pid integer not null,
  heartbeat_at timestamptz not null
);

-- What providers told us, kept before it is answered.
create table inbox (
  provider text not null,
  event_id text not null,
  type text not null,
  payment_key text,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  due_at timestamptz not null default now(),
  tries integer not null default 0,
  done_at timestamptz,
  primary key (provider, event_id)
);
create index inbox_due on inbox (due_at) where done_at is null;

create table idempotency (
  scope text not null,
  operation text not null,
  key text not null,
  body_hash bytea not null,
  -- A checkout's key names its attempt; any other names what it made and with which status.
  order_id typeid,
  attempt integer,
  status smallint,
  resource jsonb,
  created_at timestamptz not null default now(),
  primary key (scope, operation, key)
);
create index idempotency_age on idempotency (created_at);
create index idempotency_order on idempotency (order_id) where order_id is not null;

-- A case for a person. One open case per order and kind.
create table attention (
  id bigint generated always as identity primary key,
  order_id typeid not null references orders,
  code text not null check (code in ('provider_unreachable', 'undo_failed', 'amount_mismatch', 'late_money', 'workflow_failing')),
  step text,
  payment_id typeid,
  workflow_id text not null,
  since timestamptz not null default now(),
  closed_at timestamptz,
  closed_by text
);
create unique index one_open_case on attention (order_id, code) where closed_at is null;
create index attention_open on attention (since) where closed_at is null;

-- Every repair that anybody asked for.
create table repair (
  -- The id of the update that carried it, so that a repeated one is one.
  id text not null,
  order_id typeid not null references orders,
  action text not null,
  step text,
  outcome text,
  reason_code text not null,
  note text,
  actor text not null,
  accepted_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (order_id, id)
);

create table api_key (
  id typeid primary key,
  name text not null,
  role text not null check (role in ('admin', 'support', 'catalog', 'readonly')),
  secret_hash bytea not null unique,
  hint text not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
