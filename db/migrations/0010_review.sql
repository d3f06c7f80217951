create table review (
  id typeid primary key,
  product_id typeid not null references product,
  -- HMAC of the buyer's e-mail address: one review per buyer and product, without keeping who it was.
  buyer_key bytea not null,
  -- Of the cart token it was written with, so that its writer may edit it.
  token_hash bytea not null,
  rating smallint not null check (rating between 1 and 5),
  title text check (length(title) <= 200),
  text text not null check (length(text) <= 5000),
  verified boolean not null,
  status text not null default 'pending' check (status in ('pending', 'approved', 'rejected')),
  reason text,
  moderated_by text,
  moderated_at timestamptz,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (product_id, buyer_key)
);
create index review_newest on review (product_id, id desc) where status = 'approved';
create index review_rating on review (product_id, rating desc, id desc) where status = 'approved';
create index review_status on review (status, id);
-- How many approved reviews gave 1, 2, … 5: the summary in one row.
create table review_summary (
  product_id typeid primary key references product on delete cascade,
  histogram integer[] not null check (array_length(histogram, 1) = 5)
);
