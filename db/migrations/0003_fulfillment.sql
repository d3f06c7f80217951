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
