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
  fulfillment_status text not null default 'unfulfilled' check (fulfillment_status in ('unfulfilled', 'partially_fulfilled',
    'fulfilled', 'partially_delivered', 'delivered', 'returned')),
  currency currency not null,
  email text not null,
  shipping_address jsonb not null,
  -- Rises with each change of the address: a label says which one it was made for.
  address_version integer not null default 1,
  billing_address jsonb,
  shipping_method text not null,
  return_url text,
  -- What the cart held when it was accepted: {"<SKU>": {"quantity", "price_at_add", "position"}}, and its version.
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
  -- What was ordered and will not be delivered: the value of the cancelled units, and the fee once nothing is left to send.
  cancelled bigint not null default 0 check (cancelled between 0 and total),
  -- Of what is left then, what the payment provider cannot take in its steps: nobody owes it.
  waived bigint not null default 0 check (waived >= 0),
  -- What of the total its parcels have earned by leaving, and the tax in it.
  recognized bigint not null default 0 check (recognized between 0 and total),
  recognized_tax bigint not null default 0 check (recognized_tax between 0 and recognized),
  hold_expires_at timestamptz,
  -- A hold is extended at most once, so that an attempt begun late still has the provider's timeout before it.
  hold_extended boolean not null default false,
  -- The answer when the order was refused at placing: {"code", …}.
  refusal jsonb,
  event_seq integer not null default 0,
  restarts integer not null default 0,
  -- What could not be said to the order's workflow while Temporal was away; the sweep says it.
  cancel_wanted_at timestamptz,
  -- As whom and why, for the event: {"reason", "reason_code"}.
  cancel_wanted jsonb check ((cancel_wanted is null) = (cancel_wanted_at is null)),
  reminded_at timestamptz,
  -- The owner of its money was told of something to do, and has not read since: whoever asks for more need not tell it again.
  work_told boolean not null default false,
  -- Since when the sweep has seen it past its time and not changing.
  unmoved_since timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  confirmed_at timestamptz,
  cancelled_at timestamptz,
  -- Where a hold came from: it goes back there once none of its causes is left.
  held_from text check (held_from in ('confirmed', 'processing')),
  held_for text[] not null default '{}' check (held_for <@ array['staff', 'dispute', 'fraud']),
  -- What the fraud check said of it, once.
  fraud_answer text check (fraud_answer in ('ok', 'review', 'refuse')),
  -- Since when its units are given to shipments.
  planned_at timestamptz,
  -- When its workflow has to look at its goods by itself; null: only when it is told.
  look_at timestamptz,
  -- All of it has arrived, and when it is complete: the return window after that.
  delivered_at timestamptz,
  completes_at timestamptz,
  -- When a person is asked about units that were not on their shelves, and wait for stock; null: nobody is.
  short_ask_at timestamptz,
  check ((status = 'cancelled') = (cancel_reason is not null)),
  check ((status = 'on_hold') = (held_from is not null)),
  check ((status = 'on_hold') = (held_for <> '{}')),
  check (cancelled + waived <= total)
) with (fillfactor = 70);
create unique index one_live_order_per_cart on orders (cart_id) where status <> 'cancelled';
-- What the sweep reads. By id, so that a change of an open order does not touch it.
create index orders_open on orders (id) where status in ('pending', 'inventory_reserved', 'payment_pending');
-- Confirmed orders whose units are not given to shipments yet, and those whose goods somebody has to look at.
create index orders_unplanned on orders (id) where status in ('confirmed', 'processing') and planned_at is null;
create index orders_look_at on orders (look_at) where look_at is not null;
create index orders_short on orders (short_ask_at) where short_ask_at is not null;
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
  -- Units leave a line from the front when they are shipped and from the back when they are cancelled.
  cancelled integer not null default 0 check (cancelled >= 0),
  shipped integer not null default 0 check (shipped >= 0),
  delivered integer not null default 0 check (delivered >= 0),
  -- Units that have left, came back, and are on their shelves again.
  restocked integer not null default 0 check (restocked >= 0),
  primary key (order_id, position),
  unique (order_id, sku),
  check (cancelled + shipped <= quantity),
  check (delivered <= shipped),
  check (restocked <= shipped)
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
