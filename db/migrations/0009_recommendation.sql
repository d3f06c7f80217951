-- What sales, reviews and books say of a product. `velocity` is units a day of late, `margin` a part of the price.
create table product_signal (
  product_id typeid primary key references product on delete cascade,
  velocity real not null default 0 check (velocity >= 0),
  rating real check (rating between 1 and 5),
  rating_count integer not null default 0 check (rating_count >= 0),
  margin real,
  updated_at timestamptz not null default now()
);
create index product_signal_velocity on product_signal (velocity desc, product_id desc);

-- What storefronts showed and shoppers did, and what was sold: per product and day (UTC). Nobody's name is in it.
create table product_stat (
  product_id typeid not null references product on delete cascade,
  day date not null,
  views integer not null default 0 check (views >= 0),
  clicks integer not null default 0 check (clicks >= 0),
  adds integer not null default 0 check (adds >= 0),
  -- Confirmed orders that have the product: counted anew from the orders every night, not told by anybody.
  orders integer not null default 0 check (orders >= 0),
  primary key (product_id, day)
);
create index product_stat_day on product_stat (day);

-- What was looked for, per day. Queries that may name a person are never written (domain/recommendation/interaction.ts).
create table search_stat (
  day date not null,
  query text not null collate "C",
  searches integer not null default 0 check (searches >= 0),
  fruitless integer not null default 0 check (fruitless >= 0),
  primary key (day, query)
);

-- The products that go with a product: replaced list by list, each in one statement.
create table recommendation (
  product_id typeid not null references product on delete cascade,
  kind text not null check (kind in ('bought_together', 'also_bought', 'similar')),
  rank smallint not null check (rank > 0),
  other_id typeid not null references product on delete cascade,
  score real not null,
  primary key (product_id, kind, rank)
);
create index recommendation_other on recommendation (other_id);

-- The products that sell best in a category and all below it.
create table category_bestseller (
  category_id typeid not null references category on delete cascade,
  rank smallint not null check (rank > 0),
  product_id typeid not null references product on delete cascade,
  primary key (category_id, rank)
);
create index category_bestseller_product on category_bestseller (product_id);

-- What a run of the recommendations works on. Emptied when it ends; not worth its write-ahead log.
create unlogged table recommendation_basket (
  kind text not null,
  -- A number of its own for each order, or for each buyer: no e-mail address is kept here.
  basket bigint not null,
  product_id typeid not null,
  primary key (kind, basket, product_id)
);
create index recommendation_basket_product on recommendation_basket (kind, product_id, basket);
create unlogged table recommendation_basket_count (
  kind text not null,
  product_id typeid not null,
  baskets integer not null,
  primary key (kind, product_id)
);
create unlogged table recommendation_feature (
  product_id typeid not null,
  feature text not null collate "C",
  primary key (product_id, feature)
);
create index recommendation_feature_feature on recommendation_feature (feature, product_id);
create unlogged table recommendation_feature_count (
  feature text primary key collate "C",
  products integer not null
);
