-- Units of an order that leave one warehouse together.
create table shipment (
  id typeid primary key,
  order_id typeid not null references orders,
  -- Within its order.
  number integer not null check (number > 0),
  warehouse_id typeid not null references warehouse,
  -- Who moves it on: as the warehouse was run when it was given to it.
  operation text not null default 'manual' check (operation in ('automatic', 'manual', 'external')),
  seller_id text not null default 'house',
  status text not null default 'allocated' check (status in ('allocated', 'picking', 'packed', 'labelled', 'shipped', 'delivered',
    'lost', 'returned', 'cancelled')),
  -- The lost or returned one that it is sent in the place of: it takes stock, and captures nothing.
  replaces typeid references shipment,
  -- Pick lists are made by waves: the day on which it was allocated, unless somebody says another.
  wave text not null default to_char(now() at time zone 'UTC', 'YYYY-MM-DD'),
  -- [{"weight_grams", "length_mm", "width_mm", "height_mm"}], once it is packed.
  boxes jsonb,
  -- Somebody, or the warehouse, wants it to leave: its money is captured first.
  is_leaving boolean not null default false,
  -- What was claimed so that it may leave.
  capture_id typeid references capture deferrable initially deferred,
  -- When its warehouse or its carrier ought to have moved it on at the latest.
  due_at timestamptz,
  -- When its carrier is asked about it, unless it tells by itself.
  ask_at timestamptz,
  -- It is lost or came back, or its warehouse is silent, and a person has to decide.
  needs_decision boolean not null default false,
  -- When its money was there, and a system of the warehouse's own was to be told to let it leave.
  released_at timestamptz,
  -- When we heard that it has left without being sent for: by that system, or by its carrier.
  left_at timestamptz,
  -- Why a person looks at it: it left without its release, or that system has refused it.
  trouble text check (trouble in ('left', 'refused')),
  expected_at timestamptz,
  shipped_at timestamptz,
  -- When it was delivered, lost or returned.
  ended_at timestamptz,
  -- When a person, or a refund, had settled it with the customer: one that is lost or came back, and that nobody waits for.
  settled_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, number),
  check (settled_at is null or status in ('lost', 'returned')),
  check (not is_leaving or status = 'labelled')
) with (fillfactor = 70);
create index shipment_warehouse on shipment (warehouse_id, status, id);
create index shipment_status on shipment (status, id);
create index shipment_leaving on shipment (order_id) where is_leaving and released_at is null;
create index shipment_undecided on shipment (order_id) where needs_decision;
create index shipment_ask on shipment (ask_at) where ask_at is not null;
-- What is picked there, by waves.
create index shipment_to_pick on shipment (warehouse_id, wave, id) where status = 'allocated';

create table shipment_line (
  shipment_id typeid not null references shipment,
  sku sku not null,
  quantity integer not null check (quantity > 0),
  primary key (shipment_id, sku)
);

-- A label is bought under its key. `at_work`: it is to be bought or voided, or the carrier refused and nobody has decided. Carriers
-- use a tracking number again after years: what they tell is of the newest label that has it.
create table label (
  id typeid primary key,
  shipment_id typeid not null references shipment,
  order_id typeid not null references orders,
  -- Within its order.
  number integer not null check (number > 0),
  key text not null unique,
  -- Chosen when it is bought, unless somebody asked for them.
  carrier text,
  service text,
  -- Of the order's address, as it is written on it.
  address_version integer not null,
  status text not null default 'claimed' check (status in ('claimed', 'live', 'voiding', 'voided', 'refused')),
  at_work boolean not null default true,
  -- The carrier may know of it from then on.
  sent_at timestamptz,
  -- Of what the carrier was asked for, word for word the same in a repetition.
  request jsonb,
  reference text,
  tracking_number text,
  tracking_url text,
  document_url text,
  cost bigint check (cost >= 0),
  currency currency,
  failure_code text,
  -- When its carrier has taken the request to void it, and not decided yet; when it is asked again what became of that.
  void_sent_at timestamptz,
  check_at timestamptz,
  -- When we heard that a parcel travels by it, although it is not live.
  left_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, number),
  check (check_at is null or void_sent_at is not null and status = 'voiding'),
  check (sent_at is null or (carrier is not null and service is not null))
) with (fillfactor = 70);
create unique index one_live_label on label (shipment_id) where status in ('claimed', 'live');
create index label_tracking on label (carrier, tracking_number, created_at) where tracking_number is not null;
create index label_shipment on label (shipment_id);
create index label_at_work on label (order_id) where at_work;

-- What somebody asked for and could not be answered at once: kept for ever, as the order says by it who asked for what, and what came of
-- it. It is read by order alone, and of finished ones no periodic query reads any.
create table order_command (
  id typeid primary key,
  order_id typeid not null references orders,
  shipment_id typeid references shipment,
  kind text not null check (kind in ('label', 'ship', 'cancel')),
  state text not null default 'pending' check (state in ('pending', 'done', 'refused')),
  code text,
  -- Of a cancellation: {"units": [{"sku", "quantity"}], "reason", "reason_code", "step"}.
  detail jsonb,
  actor text,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  check ((state = 'pending') = (ended_at is null)),
  check ((state = 'refused') = (code is not null))
);
create index order_command_order on order_command (order_id, id);
create index order_command_pending on order_command (order_id) where state = 'pending';

-- What a warehouse's own system is told of a shipment, under a key: those of one shipment in turn, until it has taken them. Kept for
-- ever, a handful a shipment: what the system knows is told by them, for it may still say something of a shipment of long ago.
create table warehouse_message (
  id typeid primary key,
  order_id typeid not null references orders,
  shipment_id typeid not null references shipment,
  -- Within its order.
  number integer not null check (number > 0),
  key text not null unique,
  kind text not null check (kind in ('pack', 'release', 'cancel')),
  -- How often the warehouse was told what is in the shipment.
  revision integer not null,
  -- [{"sku", "quantity"}]
  lines jsonb not null,
  state text not null default 'pending' check (state in ('pending', 'told', 'refused', 'withdrawn')),
  -- The system may know of it from then on.
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (order_id, number)
) with (fillfactor = 70);
create index warehouse_message_pending on warehouse_message (order_id) where state = 'pending';

-- What a warehouse's own system has told: kept, and done, before it is answered. For ever: told again, however late, it is not done again.
create table warehouse_event (
  warehouse_id typeid not null references warehouse,
  event_id text not null,
  shipment_id typeid not null references shipment,
  body jsonb not null,
  received_at timestamptz not null default now(),
  primary key (warehouse_id, event_id)
);

-- Units that no warehouse has: they hold no stock, and the next receipts serve them, the oldest order first.
create table back_order (
  order_id typeid not null references orders,
  sku sku not null,
  quantity integer not null check (quantity > 0),
  confirmed_at timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (order_id, sku)
);
create index back_order_queue on back_order (sku, confirmed_at, order_id);

-- What carriers told us, or answered, of a parcel: kept before it is answered, for ever, as the history of the shipment. What is of no
-- parcel of ours is forgotten after two weeks.
create table tracking_event (
  carrier text not null,
  event_id text not null,
  tracking_number text not null,
  type text not null check (type in ('accepted', 'in_transit', 'out_for_delivery', 'delivered', 'lost', 'returned', 'exception')),
  happened_at timestamptz not null,
  detail text,
  expected_at timestamptz,
  -- Null until it is taken into the shipment of its label, which may come later.
  shipment_id typeid references shipment,
  received_at timestamptz not null default clock_timestamp(),
  due_at timestamptz not null default now(),
  tries integer not null default 0,
  done_at timestamptz,
  primary key (carrier, event_id)
);
create index tracking_event_due on tracking_event (due_at) where done_at is null;
create index tracking_event_shipment on tracking_event (shipment_id, happened_at) where shipment_id is not null;
create index tracking_event_number on tracking_event (carrier, tracking_number);

-- How often a carrier's service arrived in time, by country: counted with each delivery.
create table carrier_record (
  carrier text not null,
  service text not null,
  country text not null,
  delivered bigint not null default 0,
  on_time bigint not null default 0,
  primary key (carrier, service, country)
);

-- What a warehouse has received, kept for ever, as its delivery notes are: whoever sends one again without a key of their own is
-- answered by the one that is there.
create table receipt (
  id bigint generated always as identity primary key,
  warehouse_id typeid not null references warehouse,
  reference text not null,
  lines jsonb not null,
  actor text not null,
  -- Its request had an Idempotency-Key.
  is_keyed boolean not null,
  created_at timestamptz not null default now()
);
create unique index receipt_once on receipt (warehouse_id, reference, md5(lines::text)) where not is_keyed;
