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
  version integer not null default 1,
  created_at timestamptz not null default now()
);
