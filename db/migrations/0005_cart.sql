create table cart (
  id typeid primary key,
  token_hash bytea not null,
  version integer not null default 1,
  currency currency not null,
  -- {"<SKU>": {"quantity", "price_at_add", "position"}}: version and lines live in one row, which one statement changes.
  lines jsonb not null default '{}',
  email text,
  shipping_address jsonb,
  shipping_method text,
  state text not null default 'open' check (state in ('open', 'bought', 'merged', 'expired')),
  -- While an order of this cart is open the cart is locked by it; afterwards the order that bought it.
  order_id typeid,
  hold_expires_at timestamptz,
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index cart_expires on cart (expires_at) where state = 'open';
-- A token opens its cart's reviews: which cart it is, the request does not say.
create index cart_token on cart using hash (token_hash);
