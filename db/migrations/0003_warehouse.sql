create table warehouse (
  id typeid primary key,
  name text not null unique,
  country text not null,
  postal_code text,
  latitude double precision,
  longitude double precision,
  priority integer not null default 100,
  -- Who moves its shipments on: the demo by itself, people by the API, or a system of the warehouse's own.
  operation text not null default 'manual' check (operation in ('automatic', 'manual', 'external')),
  -- Where a system of its own is told of its shipments.
  endpoint text,
  version integer not null default 1,
  created_at timestamptz not null default now()
);

-- What we and a warehouse's own system share: it signs what either tells the other, and is shown once.
create table warehouse_secret (
  warehouse_id typeid primary key references warehouse,
  secret text not null,
  created_at timestamptz not null default now()
);
