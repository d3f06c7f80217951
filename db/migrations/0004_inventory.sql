-- The oversell constraint: nothing is promised that is not there. Roomy pages keep a hot row's updates on its page.
create table stock_level (
  sku sku not null references variant,
  warehouse_id typeid not null references warehouse,
  on_hand integer not null default 0 check (on_hand >= 0),
  reserved integer not null default 0 check (reserved >= 0),
  primary key (sku, warehouse_id),
  constraint never_oversold check (reserved <= on_hand)
) with (fillfactor = 60);

-- Every change of on_hand, for ever: on_hand is the sum of its movements.
create table stock_movement (
  id bigint generated always as identity primary key,
  sku sku not null,
  warehouse_id typeid not null,
  delta integer not null check (delta <> 0),
  on_hand integer not null,
  cause text not null check (cause in ('adjustment', 'import', 'shipment', 'short_pick', 'receipt', 'restock')),
  reason text,
  reference text,
  actor text,
  created_at timestamptz not null default now()
);
create index stock_movement_sku on stock_movement (sku, id desc);
create trigger append_only before update or delete or truncate on stock_movement
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
create index reservation_held on reservation (kind, expires_at) where state = 'held';
create index reservation_live on reservation (sku, warehouse_id) where state in ('held', 'committed');
