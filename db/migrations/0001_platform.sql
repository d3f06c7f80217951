-- Ids are TypeIDs, stored as they are shown. Byte order keeps them sorted by time whatever the locale.
create domain typeid as text collate "C" check (value ~ '^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$');
create domain sku as text collate "C" check (value = upper(value) and length(value) between 1 and 64);
create domain currency as text collate "C" check (value ~ '^[A-Z]{3}$');

-- A new TypeID (`new_id('evt')`), as db/id.ts makes them: a UUID of version 7 in base 32. For rows of which a statement
-- does not know beforehand how many it will write.
create function new_id(prefix text) returns text language sql volatile as $$
  select prefix || '_' || (
    select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (milliseconds >> (45 - 5 * place) & 31)::int + 1, 1), '' order by place)
    from generate_series(0, 9) as place
  ) || 'e' || left(chance, 2) || '8' || right(chance, 12)
  from (
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as milliseconds,
           replace(gen_random_uuid()::text, '-', '') as chance
  ) as parts
$$;

-- For triggers of tables whose rows are written once and never changed.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;

-- A store has one row of settings; null means: as the environment says.
create table store_settings (
  singleton boolean primary key default true check (singleton),
  default_currency currency not null default 'GBP',
  countries text[] not null default array['GB', 'IE', 'DE', 'FR', 'US'],
  tax_inclusive boolean not null default true,
  checkout_hold_seconds integer check (checkout_hold_seconds between 1 and 86400),
  cart_hold_seconds integer check (cart_hold_seconds between 1 and 86400),
  -- What becomes of units that no warehouse has at picking: they wait for the next receipt, or are cancelled.
  short_pick text not null default 'back_order' check (short_pick in ('back_order', 'cancel')),
  -- An order is complete so long after its last delivery.
  return_window_days integer not null default 30 check (return_window_days between 0 and 3650),
  version integer not null default 1,
  updated_at timestamptz not null default now()
);
insert into store_settings default values;

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

create table relay_partition (
  partition smallint primary key,
  backend_pid integer not null,
  heartbeat_at timestamptz not null
);
