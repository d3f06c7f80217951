create table seller (
  id text primary key,
  name text not null
);
insert into seller (id, name) values ('house', 'The house');

-- The tree. `path` holds the ids from the root to the category itself: its branch is every row whose path has its id.
create table category (
  id typeid primary key,
  -- Names the category's list in `listing`.
  number integer not null unique generated always as identity,
  slug text not null unique,
  title text not null,
  description text not null default '',
  parent_id typeid references category,
  path text[] not null collate "C",
  position integer not null default 0,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint no_cycle check (path[cardinality(path)] = id and cardinality(array_positions(path, id::text)) = 1),
  constraint category_depth check (cardinality(path) <= 10)
);
create index category_parent on category (parent_id);
create index category_branch on category using gin (path);

-- Whoever reads the tree in order to write holds this lock shared; whoever changes the tree holds it alone
-- (db/catalog/tree-lock.ts).
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
  name text not null collate "C" check (name ~ '^[a-z][a-z0-9_-]{0,49}$'),
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

create table product (
  id typeid primary key,
  slug text not null unique,
  title text not null,
  description text not null default '',
  brand text references brand (name) on update cascade,
  seller_id text not null default 'house' references seller,
  attributes jsonb not null default '{}',
  status text not null default 'active' check (status in ('draft', 'active', 'archived')),
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index product_brand on product (brand, id) where brand is not null;

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

create table product_category (
  product_id typeid not null references product on delete cascade,
  category_id typeid not null references category,
  position integer not null default 0,
  primary key (product_id, category_id)
);
create index product_category_category on product_category (category_id, product_id);

create table product_image (
  id typeid primary key,
  product_id typeid not null references product on delete cascade,
  -- A digest of the picture: its files are `<name>-<width>.webp`.
  name text not null collate "C" check (name ~ '^[0-9a-f]{32}$'),
  alt text not null default '' check (length(alt) <= 500),
  position integer not null,
  width integer not null check (width > 0),
  height integer not null check (height > 0),
  created_at timestamptz not null default now(),
  unique (product_id, name)
);
create index product_image_order on product_image (product_id, position);
create index product_image_name on product_image (name);

-- Who writes or deletes the files of a picture has its name alone until then. A row that outlives its lease is what is left
-- of work that was not finished: whoever takes it deletes the files unless a product names them.
create table image_lease (
  name text primary key collate "C" check (name ~ '^[0-9a-f]{32}$'),
  holder uuid not null,
  ends_at timestamptz not null
);
create index image_lease_ends on image_lease (ends_at);

-- `sku` is the form that is compared (upper case), `sku_written` the one that is shown.
create table variant (
  sku sku primary key,
  sku_written text not null check (upper(sku_written) = sku),
  product_id typeid not null references product,
  title text not null,
  attributes jsonb not null default '{}',
  weight_grams integer check (weight_grams >= 0),
  length_mm integer check (length_mm between 0 and 100000),
  width_mm integer check (width_mm between 0 and 100000),
  height_mm integer check (height_mm between 0 and 100000),
  position integer not null default 0,
  created_at timestamptz not null default now()
);
create index variant_product on variant (product_id, position);

create table price (
  sku sku not null references variant on delete cascade,
  currency currency not null,
  amount bigint not null check (amount between 0 and 1000000000000),
  updated_at timestamptz not null default now(),
  primary key (sku, currency)
);

-- What a unit costs the merchant. Never read for a storefront.
create table variant_cost (
  sku sku not null references variant on delete cascade,
  currency currency not null,
  amount bigint not null check (amount between 0 and 1000000000000),
  primary key (sku, currency)
);

-- The index that storefronts' lists are read from, in each order that they are sorted by: a row per list, currency and
-- active product with a price in that currency. The list 0 has all products, a category's number those of its branch,
-- minus a brand's id those of that brand. Triggers keep it, so that no writer can forget it; only the move of a branch
-- (db/catalog/category-tree.ts) calls `refresh_listings` itself, for some products at a time.
create table listing (
  list integer not null,
  currency currency not null,
  product_id typeid not null,
  -- Of the variant that costs least.
  price bigint not null,
  primary key (list, currency, product_id)
);
create index listing_price on listing (list, currency, price, product_id);
create index listing_product on listing (product_id);

-- Locks the products first: of two writers the later one must see what the earlier one wrote. Products that this
-- transaction made are not locked; nobody else sees them. Planned each time: the best plan for one product is the worst
-- one for a thousand.
create function refresh_listings(products text[]) returns void language plpgsql set plan_cache_mode = force_custom_plan as $$
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
  listed as (
    select 0 as list, id from unnest(products) as p (id)
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
    select list, currency, sold.id, price from sold join listed on listed.id = sold.id
  ),
  gone as (
    delete from listing l
    where l.product_id = any (products)
      and not exists (
        select from wanted w where w.list = l.list and w.currency = l.currency and w.id = l.product_id
      )
  ),
  changed as (
    update listing l
    set price = w.price
    from wanted w
    where l.product_id = any (products)
      and (l.list, l.currency, l.product_id) = (w.list, w.currency, w.id) and l.price <> w.price
  )
  insert into listing
  select *
  from wanted w
  where not exists (
    select from listing l
    where l.product_id = any (products) and (l.list, l.currency, l.product_id) = (w.list, w.currency, w.id)
  );
end $$;

create function refresh_listings_by_sku() returns trigger language plpgsql as $$
begin
  perform refresh_listings((
    select array_agg(distinct v.product_id) from changed join variant v on v.sku = changed.sku
  ));
  return null;
end $$;
create trigger listings_on_insert after insert on price referencing new table as changed
  for each statement execute function refresh_listings_by_sku();
create trigger listings_on_update after update on price referencing new table as changed
  for each statement execute function refresh_listings_by_sku();
create trigger listings_on_delete after delete on price referencing old table as changed
  for each statement execute function refresh_listings_by_sku();

create function refresh_listings_by_product() returns trigger language plpgsql as $$
begin
  perform refresh_listings((select array_agg(distinct product_id) from changed));
  return null;
end $$;
create trigger listings_on_delete after delete on variant referencing old table as changed
  for each statement execute function refresh_listings_by_product();
create trigger listings_on_insert after insert on product_category referencing new table as changed
  for each statement execute function refresh_listings_by_product();
create trigger listings_on_delete after delete on product_category referencing old table as changed
  for each statement execute function refresh_listings_by_product();

-- Of what a product is, only its status and its brand decide in which lists it is.
create function refresh_listings_of_changed() returns trigger language plpgsql as $$
begin
  perform refresh_listings((
    select array_agg(n.id)
    from now_so n
    join before b on b.id = n.id
    where (n.status, n.brand) is distinct from (b.status, b.brand)
  ));
  return null;
end $$;
create trigger listings_on_update after update on product referencing old table as before new table as now_so
  for each statement execute function refresh_listings_of_changed();
