-- Ids are TypeIDs, stored as they are shown. Byte order keeps them sorted by time whatever the locale.
create domain typeid as text collate "C" check (value ~ '^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$');
create domain sku as text collate "C" check (value = upper(value) and length(value) between 1 and 64);
create domain currency as text collate "C" check (value ~ '^[A-Z]{3}$');

create table seller (
  id text primary key,
  name text not null
);
insert into seller (id, name) values ('house', 'The house');

create table category (
  id typeid primary key,
  slug text not null unique,
  title text not null,
  parent_id typeid references category,
  position integer not null default 0,
  created_at timestamptz not null default now()
);
create index category_parent on category (parent_id);

create table product (
  id typeid primary key,
  slug text not null unique,
  title text not null,
  description text not null default '',
  brand text,
  seller_id text not null default 'house' references seller,
  attributes jsonb not null default '{}',
  status text not null default 'active' check (status in ('draft', 'active', 'archived')),
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table product_category (
  product_id typeid not null references product on delete cascade,
  category_id typeid not null references category,
  position integer not null default 0,
  primary key (product_id, category_id)
);
create index product_category_category on product_category (category_id, product_id);

-- `sku` is the form that is compared (upper case), `sku_written` the one that is shown.
create table variant (
  sku sku primary key,
  sku_written text not null check (upper(sku_written) = sku),
  product_id typeid not null references product,
  title text not null,
  attributes jsonb not null default '{}',
  weight_grams integer check (weight_grams >= 0),
  position integer not null default 0,
  created_at timestamptz not null default now()
);
create index variant_product on variant (product_id, position);

create table price (
  sku sku not null references variant on delete cascade,
  currency currency not null,
  amount bigint not null check (amount between 0 and 1000000000000),
  updated_at timestamptz not null default now(),
  primary key (sku, currency)
);

create table warehouse (
  id typeid primary key,
  name text not null unique,
  country text not null,
  postal_code text,
  latitude double precision,
  longitude double precision,
  priority integer not null default 100,
  created_at timestamptz not null default now()
);

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
  cause text not null check (cause in ('adjustment', 'import')),
  reason text,
  reference text,
  actor text,
  created_at timestamptz not null default now()
);
create index stock_movement_sku on stock_movement (sku, id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete or truncate on stock_movement
  for each statement execute function refuse_change();

-- A store has one row of settings; null means: as the environment says.
create table store_settings (
  singleton boolean primary key default true check (singleton),
  default_currency currency not null default 'GBP',
  countries text[] not null default array['GB', 'IE', 'DE', 'FR', 'US'],
  tax_inclusive boolean not null default true,
  checkout_hold_seconds integer check (checkout_hold_seconds between 1 and 86400),
  cart_hold_seconds integer check (cart_hold_seconds between 1 and 86400),
  version integer not null default 1,
  updated_at timestamptz not null default now()
);
insert into store_settings default values;

create table import (
  id typeid primary key,
  state text not null default 'receiving' check (state in ('receiving', 'running', 'completed', 'failed', 'cancelled')),
  bytes bigint not null default 0,
  -- Where the next batch begins: committed together with the batch before it, so that a resume repeats nothing.
  next_byte bigint not null default 0,
  next_line integer not null default 1,
  rows_read integer not null default 0,
  rows_written integer not null default 0,
  rows_rejected integer not null default 0,
  failure text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create table import_chunk (
  import_id typeid not null references import on delete cascade,
  first_byte bigint not null,
  bytes bytea not null,
  primary key (import_id, first_byte)
);
-- Read in parts, and gone soon: not worth compressing.
alter table import_chunk alter column bytes set storage external;
create table import_rejection (
  import_id typeid not null references import on delete cascade,
  line integer not null,
  code text not null,
  message text not null,
  primary key (import_id, line, code)
);
-- What the lines of a running import have said of each SKU, so that a line that contradicts an earlier one is rejected.
-- Gone when the import ends; not worth its write-ahead log.
create unlogged table import_sku (
  import_id typeid not null,
  sku sku not null,
  facts jsonb not null,
  primary key (import_id, sku)
);
