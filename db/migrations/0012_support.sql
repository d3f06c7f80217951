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
