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
