-- A case for a person: a step of a workflow that does not come right by itself, for one object.
create table attention (
  id bigint generated always as identity primary key,
  -- Null: it is about no order of ours, such as money that the provider has and we never asked for.
  order_id typeid references orders,
  code text not null check (code in ('provider_unreachable', 'step_failing', 'undo_failed', 'amount_mismatch', 'late_money',
    'workflow_failing', 'sweep_failing', 'capture_refused', 'refund_refused', 'authorization_expiring', 'dispute', 'reconciliation_difference',
    'fulfillment_stalled', 'version_without_workers')),
  workflow_id text not null,
  step text,
  -- The id of the payment, capture or refund that it is about; null when it is about the whole order.
  object text,
  -- Figures and reasons in words, without personal data.
  detail text,
  since timestamptz not null default now(),
  closed_at timestamptz,
  closed_by text
);
create unique index one_open_case on attention (workflow_id, step, object) nulls not distinct where closed_at is null;
create index attention_open on attention (id) where closed_at is null;
create index attention_order on attention (order_id);
create index attention_answered on attention (object) where closed_at is null or closed_by = 'person';

-- Every repair that anybody asked for.
create table repair (
  -- The id of the update that carried it, so that a repeated one is one.
  id text not null,
  order_id typeid not null references orders,
  action text not null,
  step text,
  object text,
  outcome text,
  reason_code text not null,
  note text,
  actor text not null,
  accepted_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (order_id, id)
);
