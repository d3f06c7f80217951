create extension if not exists pg_trgm;

-- What results are narrowed by. Documents name facets by number: counting numbers is what a search does most.
create table search_facet (
  id integer generated always as identity primary key,
  kind text not null collate "C",
  value text not null collate "C",
  label text not null,
  unique (kind, value)
);

-- One row per product on sale, made from the other tables: `domain/search.ts` says what is in it.
create table search_document (
  product_id typeid primary key,
  -- Of the product, and when it was read: an older projection never replaces a newer one.
  version integer not null,
  as_of timestamptz not null,
  slug text not null,
  title text not null,
  title_words smallint not null,
  words tsvector not null,
  facets integer[] not null,
  -- The lowest by currency: {"GBP": 255}.
  prices jsonb not null,
  rating real,
  in_stock boolean not null,
  popularity real not null,
  -- One document in sixteen, by chance of its id. In a large shop it tells a search that matches much from one that does
  -- not, and what there is to narrow by, before everything is counted.
  is_sampled boolean not null generated always as ((hashtextextended(product_id::text, 0) & 15) = 0) stored
);
-- Every search waits for whoever must tidy the list of what is not in the index yet, so it stays short.
create index search_document_words on search_document using gin (words, facets) with (gin_pending_list_limit = 512);
create index search_document_sample on search_document using gin (words, facets)
  with (gin_pending_list_limit = 512) where is_sampled;
create index search_document_popular on search_document (popularity desc, product_id);
create index search_document_rated on search_document (rating desc nulls last, product_id desc);

create table search_price (
  product_id typeid not null references search_document on delete cascade,
  currency currency not null,
  amount bigint not null,
  primary key (product_id, currency)
);
create index search_price_amount on search_price (currency, amount, product_id);

-- Every word of titles, brands, categories and attributes; `uses` is counted at a rebuild.
create table search_word (
  word text primary key collate "C",
  uses integer not null default 1
);
create index search_word_trigrams on search_word using gin (word gin_trgm_ops);

-- `root` null: each term finds all of them; else the root finds the terms too.
create table search_synonym (
  position integer primary key,
  root text,
  terms text[] not null
);

-- What one query pins to the top or hides. `query` is its words, joined by single spaces.
create table search_curation (
  query text primary key collate "C",
  pins typeid[] not null,
  hides typeid[] not null
);

-- Rises with every change of the two tables above; engines that keep rules of their own say which state they have.
create table search_rules (
  singleton boolean primary key default true check (singleton),
  version integer not null default 1
);
insert into search_rules default values;

-- Products whose documents are to be made anew, per engine. `due_at` is also a lease: who works on a row moves it on.
create table search_pending (
  engine text not null collate "C",
  product_id typeid not null,
  generation integer not null default 1,
  tries integer not null default 0,
  due_at timestamptz not null default clock_timestamp(),
  -- Whether `due_at` is the end of somebody's lease. If not, it is when a refused document is tried again, and the next
  -- change of its product need not wait for that.
  is_taken boolean not null default false,
  primary key (engine, product_id)
);
create index search_pending_due on search_pending (engine, due_at);

-- The last rebuild of each engine. While one runs, live changes are written into its `build` as well.
create table search_rebuild (
  engine text primary key collate "C",
  build text not null,
  state text not null check (state in ('running', 'completed', 'failed', 'cancelled')),
  after_id text not null default '' collate "C",
  done integer not null default 0,
  total integer not null,
  failure text,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- A rebuild that was asked for and has not begun. Its workflow is started after this is committed; from `due_at` on, whoever
-- sees the row starts it (again).
create table search_rebuild_request (
  engine text primary key collate "C",
  build text not null,
  due_at timestamptz not null
);
