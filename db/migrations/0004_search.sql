create table product_signal (
  product_id typeid primary key references product,
  velocity real not null default 0,
  rating real,
  rating_count integer not null default 0,
  margin real,
  updated_at timestamptz not null default now()
);
