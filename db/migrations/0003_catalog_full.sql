-- The tree. `path` holds the ids from the root to the category itself: its branch is every row whose path has its id.
alter table category
  add column description text not null default '',
  add column path text[] collate "C",
  add column number integer unique generated always as identity,
  add column version integer not null default 1,
  add column updated_at timestamptz not null default now();
with recursive tree as (
  select id, array[id::text] as path from category where parent_id is null
  union all
  select c.id, t.path || c.id::text from category c join tree t on c.parent_id = t.id
)
update category c set path = tree.path from tree where tree.id = c.id;
alter table category
  alter column path set not null,
  add constraint no_cycle check (path[cardinality(path)] = id and cardinality(array_positions(path, id::text)) = 1),
  add constraint category_depth check (cardinality(path) <= 10);
create index category_branch on category using gin (path);

-- Whoever goes by the tree in order to write holds this lock shared, whoever changes it holds it alone (db/catalog/tree-lock.ts).
create function place_category() returns trigger language plpgsql as $$
begin
  if new.parent_id is null then
    new.path := array[new.id::text];
  else
    perform pg_advisory_xact_lock_shared(16414, 0);
    select path || new.id::text into new.path from category where id = new.parent_id;
  end if;
  return new;
end $$;
create trigger placed before insert on category for each row execute function place_category();

-- What the attributes of a category's products are; holds for the whole branch below it.
create table category_attribute (
  category_id typeid not null references category on delete cascade,
  name text not null collate "C" check (name ~ '^[a-z][a-z0-9_]{0,49}$'),
  label text not null,
  type text not null check (type in ('text', 'number', 'boolean', 'enum')),
  required boolean not null,
  filterable boolean not null,
  options text[] not null check ((type = 'enum') = (cardinality(options) > 0)),
  unit text,
  position integer not null,
  primary key (category_id, name)
);

create table brand (
  id integer primary key generated always as identity,
  slug text not null unique collate "C",
  name text not null unique,
  description text not null default '',
  version integer not null default 1,
  updated_at timestamptz not null default now()
);
create unique index brand_spelling on brand (lower(name));

-- The brand of this name as it was first written, made if there is none. Its slug follows `slugOf` in domain/catalog/product.ts;
-- names that slugs cannot tell apart get an ending.
create function brand_named(given text) returns text language plpgsql as $$
declare
  known text;
  base text;
  ending text;
begin
  foreach ending in array array['', '-2', '-' || left(md5(given), 8), '-' || md5(given)] loop
    -- Locked, so that nobody gives it another name before the product refers to it.
    select name into known from brand where lower(name) = lower(given) for key share;
    if found then return known; end if;
    base := lower(regexp_replace(normalize(given, NFKD), '[\u0300-\u036f''’]', '', 'g'));
    base := left(trim(both '-' from regexp_replace(base, '[^a-z0-9]+', '-', 'g')), 60);
    base := coalesce(nullif(trim(both '-' from base), ''), 'brand');
    insert into brand (slug, name) values (base || ending, given) on conflict do nothing;
    if found then return given; end if;
  end loop;
  raise exception 'no slug is free for the brand %', given using errcode = 'unique_violation';
end $$;
create function name_brand() returns trigger language plpgsql as $$
begin
  new.brand := brand_named(new.brand);
  return new;
end $$;
create trigger brand_named before insert or update of brand on product
  for each row when (new.brand is not null) execute function name_brand();
update product set brand = brand where brand is not null;
alter table product add constraint product_brand_fkey foreign key (brand) references brand (name) on update cascade;
create index product_brand on product (brand, id) where brand is not null;

alter table variant
  add column length_mm integer check (length_mm between 0 and 100000),
  add column width_mm integer check (width_mm between 0 and 100000),
  add column height_mm integer check (height_mm between 0 and 100000);

-- What a unit costs the merchant. Never read for a storefront.
create table variant_cost (
  sku sku not null references variant on delete cascade,
  currency currency not null,
  amount bigint not null check (amount between 0 and 1000000000000),
  primary key (sku, currency)
);

-- What storefronts list, in each order that they list it in: a row per shelf, currency and active product with a price
-- in it. Shelves: 0 has all, a category's number what lies in its branch, minus a brand's id what is of that brand. Kept by
-- triggers, so that no writer can forget it; only a move of a branch (db/catalog/category-tree.ts) has to say so itself, some
-- products at a time.
create table offer (
  shelf integer not null,
  currency currency not null,
  product_id typeid not null,
  -- Of the variant that costs least.
  price bigint not null,
  primary key (shelf, currency, product_id)
);
create index offer_price on offer (shelf, currency, price, product_id);
create index offer_product on offer (product_id);

-- Locks the products first, for of two writers the later one must see what the earlier one wrote; what this transaction
-- has made itself nobody else can see. Planned each time: the best way for one product is the worst one for a thousand.
create function refresh_offers(products text[]) returns void language plpgsql set plan_cache_mode = force_custom_plan as $$
begin
  if products is null then return; end if;
  perform from product
    where id = any (products) and xmin <> pg_current_xact_id()::xid
    order by id for no key update;
  with sold as (
    select p.id, x.currency, min(x.amount) as price
    from product p
    join variant v on v.product_id = p.id
    join price x on x.sku = v.sku
    where p.id = any (products) and p.status = 'active'
    group by p.id, x.currency
  ),
  shelved as (
    select 0 as shelf, id from unnest(products) as p (id)
    union
    select up.number, pc.product_id
    from product_category pc
    join category c on c.id = pc.category_id
    join category up on up.id = any (c.path)
    where pc.product_id = any (products)
    union
    select -b.id, p.id from product p join brand b on b.name = p.brand where p.id = any (products)
  ),
  wanted as (
    select shelf, currency, sold.id, price from sold join shelved on shelved.id = sold.id
  ),
  gone as (
    delete from offer o
    where o.product_id = any (products)
      and not exists (
        select from wanted w where w.shelf = o.shelf and w.currency = o.currency and w.id = o.product_id
      )
  ),
  changed as (
    update offer o
    set price = w.price
    from wanted w
    where o.product_id = any (products)
      and (o.shelf, o.currency, o.product_id) = (w.shelf, w.currency, w.id) and o.price <> w.price
  )
  insert into offer
  select *
  from wanted w
  where not exists (
    select from offer o
    where o.product_id = any (products) and (o.shelf, o.currency, o.product_id) = (w.shelf, w.currency, w.id)
  );
end $$;

create function offer_prices() returns trigger language plpgsql as $$
begin
  perform refresh_offers((
    select array_agg(distinct v.product_id) from changed join variant v on v.sku = changed.sku
  ));
  return null;
end $$;
create trigger offered_new after insert on price referencing new table as changed
  for each statement execute function offer_prices();
create trigger offered after update on price referencing new table as changed
  for each statement execute function offer_prices();
create trigger offered_no_more after delete on price referencing old table as changed
  for each statement execute function offer_prices();

create function offer_products_of() returns trigger language plpgsql as $$
begin
  perform refresh_offers((select array_agg(distinct product_id) from changed));
  return null;
end $$;
create trigger offered_no_more after delete on variant referencing old table as changed
  for each statement execute function offer_products_of();
create trigger offered_new after insert on product_category referencing new table as changed
  for each statement execute function offer_products_of();
create trigger offered_no_more after delete on product_category referencing old table as changed
  for each statement execute function offer_products_of();

create function offer_products() returns trigger language plpgsql as $$
begin
  perform refresh_offers((
    select array_agg(n.id)
    from now_so n
    join before b on b.id = n.id
    where (n.status, n.brand) is distinct from (b.status, b.brand)
  ));
  return null;
end $$;
create trigger offered after update on product referencing old table as before new table as now_so
  for each statement execute function offer_products();

select refresh_offers(array_agg(id)) from product;
