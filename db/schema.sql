-- Written by `npm run schema` from db/migrations; for reading, and compared by `npm run check`.

create extension pg_trgm;

create domain currency as text collate "C" CHECK ((VALUE ~ '^[A-Z]{3}$'::text));

create domain sku as text collate "C" CHECK (((VALUE = upper(VALUE)) AND ((length(VALUE) >= 1) AND (length(VALUE) <= 64))));

create domain typeid as text collate "C" CHECK ((VALUE ~ '^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$'::text));

create sequence order_number as bigint start 100001 increment 1;

CREATE OR REPLACE FUNCTION public.brand_named(given text)
 RETURNS text
 LANGUAGE plpgsql
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.name_brand()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  new.brand := brand_named(new.brand);
  return new;
end $function$;

CREATE OR REPLACE FUNCTION public.new_id(prefix text)
 RETURNS text
 LANGUAGE sql
AS $function$
  select prefix || '_' || (
    select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (milliseconds >> (45 - 5 * place) & 31)::int + 1, 1), '' order by place)
    from generate_series(0, 9) as place
  ) || 'e' || left(chance, 2) || '8' || right(chance, 12)
  from (
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as milliseconds,
           replace(gen_random_uuid()::text, '-', '') as chance
  ) as parts
$function$;

CREATE OR REPLACE FUNCTION public.place_category()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.parent_id is null then
    new.path := array[new.id::text];
  else
    perform pg_advisory_xact_lock_shared(16414, 0);
    select path || new.id::text into new.path from category where id = new.parent_id;
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION public.publish_order_events()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  insert into outbox (event_id, aggregate, seq, type, payload)
  select id, order_id, seq, type,
         jsonb_build_object('order_id', order_id, 'from', from_status, 'to', to_status, 'data', data, 'at', created_at)
  from written order by order_id, seq;
  return null;
end $function$;

CREATE OR REPLACE FUNCTION public.refresh_listings(products text[])
 RETURNS void
 LANGUAGE plpgsql
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.refresh_listings_by_product()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform refresh_listings((select array_agg(distinct product_id) from changed));
  return null;
end $function$;

CREATE OR REPLACE FUNCTION public.refresh_listings_by_sku()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform refresh_listings((
    select array_agg(distinct v.product_id) from changed join variant v on v.sku = changed.sku
  ));
  return null;
end $function$;

CREATE OR REPLACE FUNCTION public.refresh_listings_of_changed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform refresh_listings((
    select array_agg(n.id)
    from now_so n
    join before b on b.id = n.id
    where (n.status, n.brand) is distinct from (b.status, b.brand)
  ));
  return null;
end $function$;

CREATE OR REPLACE FUNCTION public.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $function$;

CREATE OR REPLACE FUNCTION public.require_balance()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if exists (select 1 from written group by payment_id, operation, seq, currency having sum(amount) <> 0) then
    raise exception 'a ledger transaction does not balance' using errcode = 'check_violation';
  end if;
  return null;
end $function$;

create table api_key (
  id typeid not null,
  name text not null,
  role text not null,
  secret_hash bytea not null,
  hint text not null,
  created_at timestamp with time zone default now() not null,
  last_used_at timestamp with time zone,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  constraint api_key_pkey PRIMARY KEY (id),
  constraint api_key_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'support'::text, 'catalog'::text, 'readonly'::text]))),
  constraint api_key_secret_hash_key UNIQUE (secret_hash)
);

create table attention (
  id bigint generated always as identity not null,
  order_id typeid,
  code text not null,
  workflow_id text not null,
  step text,
  object text,
  detail text,
  since timestamp with time zone default now() not null,
  closed_at timestamp with time zone,
  closed_by text,
  constraint attention_pkey PRIMARY KEY (id),
  constraint attention_code_check CHECK ((code = ANY (ARRAY['provider_unreachable'::text, 'step_failing'::text, 'undo_failed'::text, 'amount_mismatch'::text, 'late_money'::text, 'workflow_failing'::text, 'sweep_failing'::text, 'capture_refused'::text, 'refund_refused'::text, 'authorization_expiring'::text, 'dispute'::text, 'reconciliation_difference'::text, 'fulfillment_stalled'::text, 'version_without_workers'::text]))),
  constraint attention_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id)
);
CREATE INDEX attention_answered ON public.attention USING btree (object) WHERE ((closed_at IS NULL) OR (closed_by = 'person'::text));
CREATE INDEX attention_open ON public.attention USING btree (id) WHERE (closed_at IS NULL);
CREATE INDEX attention_order ON public.attention USING btree (order_id);
CREATE UNIQUE INDEX one_open_case ON public.attention USING btree (workflow_id, step, object) NULLS NOT DISTINCT WHERE (closed_at IS NULL);

create table back_order (
  order_id typeid not null,
  sku sku not null,
  quantity integer not null,
  confirmed_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  constraint back_order_pkey PRIMARY KEY (order_id, sku),
  constraint back_order_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint back_order_quantity_check CHECK ((quantity > 0))
);
CREATE INDEX back_order_queue ON public.back_order USING btree (sku, confirmed_at, order_id);

create table brand (
  id integer generated always as identity not null,
  slug text collate "C" not null,
  name text not null,
  description text default ''::text not null,
  version integer default 1 not null,
  updated_at timestamp with time zone default now() not null,
  constraint brand_pkey PRIMARY KEY (id),
  constraint brand_name_key UNIQUE (name),
  constraint brand_slug_key UNIQUE (slug)
);
CREATE UNIQUE INDEX brand_spelling ON public.brand USING btree (lower(name));

create table capture (
  id typeid not null,
  order_id typeid not null,
  payment_id typeid not null,
  number integer not null,
  key text not null,
  amount bigint not null,
  currency currency not null,
  status text default 'pending'::text not null,
  at_work boolean default true not null,
  sent_at timestamp with time zone,
  final boolean,
  cause text not null,
  shipment_id typeid,
  actor text,
  reference text,
  failure_code text,
  retries typeid,
  movement text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint capture_pkey PRIMARY KEY (id),
  constraint capture_amount_check CHECK ((amount > 0)),
  constraint capture_cause_check CHECK ((cause = ANY (ARRAY['staff'::text, 'shipment'::text, 'authorization'::text, 'provider'::text]))),
  constraint capture_key_key UNIQUE (key),
  constraint capture_number_check CHECK ((number > 0)),
  constraint capture_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint capture_order_id_number_key UNIQUE (order_id, number),
  constraint capture_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payment(id),
  constraint capture_retries_fkey FOREIGN KEY (retries) REFERENCES capture(id),
  constraint capture_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'succeeded'::text, 'failed'::text])))
) with (fillfactor=70);
CREATE INDEX capture_at_work ON public.capture USING btree (order_id) WHERE at_work;
CREATE INDEX capture_payment ON public.capture USING btree (payment_id);
CREATE UNIQUE INDEX capture_reference ON public.capture USING btree (payment_id, reference) WHERE (reference IS NOT NULL);
CREATE INDEX capture_unmatched ON public.capture USING btree (id) WHERE ((status = 'succeeded'::text) AND (movement IS NULL));

create table carrier_record (
  carrier text not null,
  service text not null,
  country text not null,
  delivered bigint default 0 not null,
  on_time bigint default 0 not null,
  constraint carrier_record_pkey PRIMARY KEY (carrier, service, country)
);

create table cart (
  id typeid not null,
  token_hash bytea not null,
  version integer default 1 not null,
  currency currency not null,
  lines jsonb default '{}'::jsonb not null,
  email text,
  shipping_address jsonb,
  shipping_method text,
  state text default 'open'::text not null,
  order_id typeid,
  hold_expires_at timestamp with time zone,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint cart_pkey PRIMARY KEY (id),
  constraint cart_state_check CHECK ((state = ANY (ARRAY['open'::text, 'bought'::text, 'merged'::text, 'expired'::text])))
);
CREATE INDEX cart_expires ON public.cart USING btree (expires_at) WHERE (state = 'open'::text);
CREATE INDEX cart_token ON public.cart USING hash (token_hash);

create table category (
  id typeid not null,
  number integer generated always as identity not null,
  slug text not null,
  title text not null,
  description text default ''::text not null,
  parent_id typeid,
  path text[] collate "C" not null,
  position integer default 0 not null,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint category_pkey PRIMARY KEY (id),
  constraint category_depth CHECK ((cardinality(path) <= 10)),
  constraint category_number_key UNIQUE (number),
  constraint category_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES category(id),
  constraint category_slug_key UNIQUE (slug),
  constraint no_cycle CHECK (((path[cardinality(path)] = (id)::text) AND (cardinality(array_positions(path, (id)::text)) = 1)))
);
CREATE INDEX category_branch ON public.category USING gin (path);
CREATE INDEX category_parent ON public.category USING btree (parent_id);
CREATE TRIGGER placed BEFORE INSERT ON public.category FOR EACH ROW EXECUTE FUNCTION place_category();

create table category_attribute (
  category_id typeid not null,
  name text collate "C" not null,
  label text not null,
  type text not null,
  required boolean not null,
  filterable boolean not null,
  options text[] not null,
  unit text,
  position integer not null,
  constraint category_attribute_pkey PRIMARY KEY (category_id, name),
  constraint category_attribute_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id) ON DELETE CASCADE,
  constraint category_attribute_check CHECK (((type = 'enum'::text) = (cardinality(options) > 0))),
  constraint category_attribute_name_check CHECK ((name ~ '^[a-z][a-z0-9_-]{0,49}$'::text)),
  constraint category_attribute_type_check CHECK ((type = ANY (ARRAY['text'::text, 'number'::text, 'boolean'::text, 'enum'::text])))
);

create table category_bestseller (
  category_id typeid not null,
  rank smallint not null,
  product_id typeid not null,
  constraint category_bestseller_pkey PRIMARY KEY (category_id, rank),
  constraint category_bestseller_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id) ON DELETE CASCADE,
  constraint category_bestseller_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint category_bestseller_rank_check CHECK ((rank > 0))
);
CREATE INDEX category_bestseller_product ON public.category_bestseller USING btree (product_id);

create table dispute (
  payment_id typeid not null,
  reference text not null,
  order_id typeid not null,
  number integer not null,
  amount bigint not null,
  currency currency not null,
  status text not null,
  at_work boolean default true not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint dispute_pkey PRIMARY KEY (payment_id, reference),
  constraint dispute_amount_check CHECK ((amount > 0)),
  constraint dispute_number_check CHECK ((number > 0)),
  constraint dispute_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint dispute_order_id_number_key UNIQUE (order_id, number),
  constraint dispute_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payment(id),
  constraint dispute_status_check CHECK ((status = ANY (ARRAY['open'::text, 'won'::text, 'lost'::text])))
);
CREATE INDEX dispute_at_work ON public.dispute USING btree (order_id) WHERE at_work;

create table idempotency (
  scope text not null,
  operation text not null,
  key text not null,
  body_hash bytea not null,
  order_id typeid,
  attempt integer,
  status smallint,
  resource jsonb,
  created_at timestamp with time zone default now() not null,
  constraint idempotency_pkey PRIMARY KEY (scope, operation, key)
);
CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at);
CREATE INDEX idempotency_order ON public.idempotency USING btree (order_id) WHERE (order_id IS NOT NULL);

create table image_lease (
  name text collate "C" not null,
  holder uuid not null,
  ends_at timestamp with time zone not null,
  constraint image_lease_pkey PRIMARY KEY (name),
  constraint image_lease_name_check CHECK ((name ~ '^[0-9a-f]{32}$'::text))
);
CREATE INDEX image_lease_ends ON public.image_lease USING btree (ends_at);

create table import (
  id typeid not null,
  state text default 'receiving'::text not null,
  bytes bigint default 0 not null,
  next_byte bigint default 0 not null,
  next_line integer default 1 not null,
  rows_read integer default 0 not null,
  rows_written integer default 0 not null,
  rows_rejected integer default 0 not null,
  failure text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint import_pkey PRIMARY KEY (id),
  constraint import_state_check CHECK ((state = ANY (ARRAY['receiving'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);

create table import_chunk (
  import_id typeid not null,
  first_byte bigint not null,
  bytes bytea not null,
  constraint import_chunk_pkey PRIMARY KEY (import_id, first_byte),
  constraint import_chunk_import_id_fkey FOREIGN KEY (import_id) REFERENCES import(id) ON DELETE CASCADE
);

create table import_rejection (
  import_id typeid not null,
  line integer not null,
  code text not null,
  message text not null,
  constraint import_rejection_pkey PRIMARY KEY (import_id, line, code),
  constraint import_rejection_import_id_fkey FOREIGN KEY (import_id) REFERENCES import(id) ON DELETE CASCADE
);

create table import_sku (
  import_id typeid not null,
  sku sku not null,
  facts jsonb not null,
  constraint import_sku_pkey PRIMARY KEY (import_id, sku)
);

create table inbox (
  provider text not null,
  event_id text not null,
  type text not null,
  charge_reference text not null,
  payment_key text,
  payload jsonb not null,
  received_at timestamp with time zone default now() not null,
  due_at timestamp with time zone default now() not null,
  tries integer default 0 not null,
  done_at timestamp with time zone,
  constraint inbox_pkey PRIMARY KEY (provider, event_id)
);
CREATE INDEX inbox_due ON public.inbox USING btree (due_at) WHERE (done_at IS NULL);

create table label (
  id typeid not null,
  shipment_id typeid not null,
  order_id typeid not null,
  number integer not null,
  key text not null,
  carrier text,
  service text,
  address_version integer not null,
  status text default 'claimed'::text not null,
  at_work boolean default true not null,
  sent_at timestamp with time zone,
  request jsonb,
  reference text,
  tracking_number text,
  tracking_url text,
  document_url text,
  cost bigint,
  currency currency,
  failure_code text,
  void_sent_at timestamp with time zone,
  check_at timestamp with time zone,
  left_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint label_pkey PRIMARY KEY (id),
  constraint label_check CHECK (((check_at IS NULL) OR ((void_sent_at IS NOT NULL) AND (status = 'voiding'::text)))),
  constraint label_check1 CHECK (((sent_at IS NULL) OR ((carrier IS NOT NULL) AND (service IS NOT NULL)))),
  constraint label_cost_check CHECK ((cost >= 0)),
  constraint label_key_key UNIQUE (key),
  constraint label_number_check CHECK ((number > 0)),
  constraint label_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint label_order_id_number_key UNIQUE (order_id, number),
  constraint label_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id),
  constraint label_status_check CHECK ((status = ANY (ARRAY['claimed'::text, 'live'::text, 'voiding'::text, 'voided'::text, 'refused'::text])))
) with (fillfactor=70);
CREATE INDEX label_at_work ON public.label USING btree (order_id) WHERE at_work;
CREATE INDEX label_shipment ON public.label USING btree (shipment_id);
CREATE INDEX label_tracking ON public.label USING btree (carrier, tracking_number, created_at) WHERE (tracking_number IS NOT NULL);
CREATE UNIQUE INDEX one_live_label ON public.label USING btree (shipment_id) WHERE (status = ANY (ARRAY['claimed'::text, 'live'::text]));

create table ledger_entry (
  id bigint generated always as identity not null,
  order_id typeid not null,
  payment_id typeid not null,
  operation text not null,
  seq bigint not null,
  account text not null,
  seller_id text default 'house'::text not null,
  amount bigint not null,
  currency currency not null,
  created_at timestamp with time zone default now() not null,
  constraint ledger_entry_pkey PRIMARY KEY (id),
  constraint ledger_entry_account_check CHECK ((account = ANY (ARRAY['authorized'::text, 'authorized_contra'::text, 'psp_clearing'::text, 'customer_deposits'::text, 'refunds_payable'::text, 'disputed'::text, 'dispute_losses'::text, 'settled_elsewhere'::text, 'revenue'::text, 'tax_payable'::text, 'shipping_revenue'::text, 'returns'::text]))),
  constraint ledger_entry_amount_check CHECK ((amount <> 0)),
  constraint ledger_entry_operation_check CHECK ((operation = ANY (ARRAY['authorize'::text, 'capture'::text, 'release'::text, 'refund_request'::text, 'refund'::text, 'refund_return'::text, 'refund_failure'::text, 'refund_elsewhere'::text, 'dispute'::text, 'dispute_won'::text, 'dispute_lost'::text, 'ship'::text]))),
  constraint ledger_entry_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint ledger_entry_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payment(id),
  constraint ledger_entry_payment_id_operation_seq_account_key UNIQUE (payment_id, operation, seq, account)
);
CREATE INDEX ledger_entry_order ON public.ledger_entry USING btree (order_id);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER balanced AFTER INSERT ON public.ledger_entry REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION require_balance();

create table listing (
  list integer not null,
  currency currency not null,
  product_id typeid not null,
  price bigint not null,
  constraint listing_pkey PRIMARY KEY (list, currency, product_id)
);
CREATE INDEX listing_price ON public.listing USING btree (list, currency, price, product_id);
CREATE INDEX listing_product ON public.listing USING btree (product_id);

create table order_command (
  id typeid not null,
  order_id typeid not null,
  shipment_id typeid,
  kind text not null,
  state text default 'pending'::text not null,
  code text,
  detail jsonb,
  actor text,
  created_at timestamp with time zone default now() not null,
  ended_at timestamp with time zone,
  constraint order_command_pkey PRIMARY KEY (id),
  constraint order_command_check CHECK (((state = 'pending'::text) = (ended_at IS NULL))),
  constraint order_command_check1 CHECK (((state = 'refused'::text) = (code IS NOT NULL))),
  constraint order_command_kind_check CHECK ((kind = ANY (ARRAY['label'::text, 'ship'::text, 'cancel'::text]))),
  constraint order_command_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint order_command_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id),
  constraint order_command_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'done'::text, 'refused'::text])))
);
CREATE INDEX order_command_order ON public.order_command USING btree (order_id, id);
CREATE INDEX order_command_pending ON public.order_command USING btree (order_id) WHERE (state = 'pending'::text);

create table order_event (
  id typeid not null,
  order_id typeid not null,
  seq integer not null,
  type text not null,
  from_status text,
  to_status text,
  data jsonb default '{}'::jsonb not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  constraint order_event_pkey PRIMARY KEY (order_id, seq),
  constraint order_event_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint order_event_seq_check CHECK ((seq > 0))
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.order_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER published AFTER INSERT ON public.order_event REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION publish_order_events();

create table order_line (
  order_id typeid not null,
  position integer not null,
  sku sku not null,
  sku_written text not null,
  product_id typeid not null,
  title text not null,
  seller_id text not null,
  quantity integer not null,
  unit_price bigint not null,
  discount bigint default 0 not null,
  tax bigint default 0 not null,
  total bigint not null,
  cancelled integer default 0 not null,
  shipped integer default 0 not null,
  delivered integer default 0 not null,
  restocked integer default 0 not null,
  constraint order_line_pkey PRIMARY KEY (order_id, "position"),
  constraint order_line_cancelled_check CHECK ((cancelled >= 0)),
  constraint order_line_check CHECK (((cancelled + shipped) <= quantity)),
  constraint order_line_check1 CHECK ((delivered <= shipped)),
  constraint order_line_check2 CHECK ((restocked <= shipped)),
  constraint order_line_delivered_check CHECK ((delivered >= 0)),
  constraint order_line_discount_check CHECK ((discount >= 0)),
  constraint order_line_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint order_line_order_id_sku_key UNIQUE (order_id, sku),
  constraint order_line_quantity_check CHECK ((quantity > 0)),
  constraint order_line_restocked_check CHECK ((restocked >= 0)),
  constraint order_line_shipped_check CHECK ((shipped >= 0)),
  constraint order_line_tax_check CHECK ((tax >= 0)),
  constraint order_line_total_check CHECK ((total >= 0)),
  constraint order_line_unit_price_check CHECK ((unit_price >= 0))
);

create table orders (
  id typeid not null,
  number text default ('HF-'::text || nextval('order_number'::regclass)) not null,
  cart_id typeid not null,
  token_hash bytea not null,
  status text not null,
  cancel_reason text,
  payment_status text default 'none'::text not null,
  fulfillment_status text default 'unfulfilled'::text not null,
  currency currency not null,
  email text not null,
  shipping_address jsonb not null,
  address_version integer default 1 not null,
  billing_address jsonb,
  shipping_method text not null,
  return_url text,
  snapshot jsonb not null,
  cart_version integer not null,
  expected_total bigint,
  body_hash bytea not null,
  subtotal bigint default 0 not null,
  discount bigint default 0 not null,
  shipping bigint default 0 not null,
  tax bigint default 0 not null,
  total bigint default 0 not null,
  cancelled bigint default 0 not null,
  waived bigint default 0 not null,
  recognized bigint default 0 not null,
  recognized_tax bigint default 0 not null,
  hold_expires_at timestamp with time zone,
  hold_extended boolean default false not null,
  refusal jsonb,
  event_seq integer default 0 not null,
  restarts integer default 0 not null,
  cancel_wanted_at timestamp with time zone,
  cancel_wanted jsonb,
  reminded_at timestamp with time zone,
  work_told boolean default false not null,
  unmoved_since timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  confirmed_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  held_from text,
  held_for text[] default '{}'::text[] not null,
  fraud_answer text,
  planned_at timestamp with time zone,
  look_at timestamp with time zone,
  delivered_at timestamp with time zone,
  completes_at timestamp with time zone,
  short_ask_at timestamp with time zone,
  constraint orders_pkey PRIMARY KEY (id),
  constraint orders_cancel_reason_check CHECK ((cancel_reason = ANY (ARRAY['out_of_stock'::text, 'price_changed'::text, 'payment_failed'::text, 'expired'::text, 'fraud'::text, 'customer'::text, 'merchant'::text, 'unavailable'::text]))),
  constraint orders_check CHECK (((cancelled >= 0) AND (cancelled <= total))),
  constraint orders_check1 CHECK (((recognized >= 0) AND (recognized <= total))),
  constraint orders_check2 CHECK (((recognized_tax >= 0) AND (recognized_tax <= recognized))),
  constraint orders_check3 CHECK (((cancel_wanted IS NULL) = (cancel_wanted_at IS NULL))),
  constraint orders_check4 CHECK (((status = 'cancelled'::text) = (cancel_reason IS NOT NULL))),
  constraint orders_check5 CHECK (((status = 'on_hold'::text) = (held_from IS NOT NULL))),
  constraint orders_check6 CHECK (((status = 'on_hold'::text) = (held_for <> '{}'::text[]))),
  constraint orders_check7 CHECK (((cancelled + waived) <= total)),
  constraint orders_discount_check CHECK ((discount >= 0)),
  constraint orders_fraud_answer_check CHECK ((fraud_answer = ANY (ARRAY['ok'::text, 'review'::text, 'refuse'::text]))),
  constraint orders_fulfillment_status_check CHECK ((fulfillment_status = ANY (ARRAY['unfulfilled'::text, 'partially_fulfilled'::text, 'fulfilled'::text, 'partially_delivered'::text, 'delivered'::text, 'returned'::text]))),
  constraint orders_held_for_check CHECK ((held_for <@ ARRAY['staff'::text, 'dispute'::text, 'fraud'::text])),
  constraint orders_held_from_check CHECK ((held_from = ANY (ARRAY['confirmed'::text, 'processing'::text]))),
  constraint orders_number_key UNIQUE (number),
  constraint orders_payment_status_check CHECK ((payment_status = ANY (ARRAY['none'::text, 'pending'::text, 'requires_action'::text, 'authorized'::text, 'partially_captured'::text, 'captured'::text, 'partially_refunded'::text, 'refunded'::text, 'voided'::text, 'failed'::text, 'disputed'::text]))),
  constraint orders_shipping_check CHECK ((shipping >= 0)),
  constraint orders_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'inventory_reserved'::text, 'payment_pending'::text, 'confirmed'::text, 'processing'::text, 'shipped'::text, 'delivered'::text, 'completed'::text, 'on_hold'::text, 'cancelled'::text]))),
  constraint orders_subtotal_check CHECK ((subtotal >= 0)),
  constraint orders_tax_check CHECK ((tax >= 0)),
  constraint orders_total_check CHECK ((total >= 0)),
  constraint orders_waived_check CHECK ((waived >= 0))
) with (fillfactor=70);
CREATE UNIQUE INDEX one_live_order_per_cart ON public.orders USING btree (cart_id) WHERE (status <> 'cancelled'::text);
CREATE INDEX orders_cart ON public.orders USING btree (cart_id, id);
CREATE INDEX orders_email ON public.orders USING btree (lower(email), id);
CREATE INDEX orders_look_at ON public.orders USING btree (look_at) WHERE (look_at IS NOT NULL);
CREATE INDEX orders_open ON public.orders USING btree (id) WHERE (status = ANY (ARRAY['pending'::text, 'inventory_reserved'::text, 'payment_pending'::text]));
CREATE INDEX orders_short ON public.orders USING btree (short_ask_at) WHERE (short_ask_at IS NOT NULL);
CREATE INDEX orders_status ON public.orders USING btree (status, id);
CREATE INDEX orders_unplanned ON public.orders USING btree (id) WHERE ((status = ANY (ARRAY['confirmed'::text, 'processing'::text])) AND (planned_at IS NULL));

create table outbox (
  id bigint generated always as identity not null,
  event_id typeid not null,
  aggregate text collate "C" not null,
  seq integer not null,
  type text not null,
  payload jsonb not null,
  partition smallint generated always as ((hashtext(aggregate) & 3)) stored not null,
  created_at timestamp with time zone default clock_timestamp() not null,
  published_at timestamp with time zone,
  constraint outbox_pkey PRIMARY KEY (id),
  constraint outbox_event_id_key UNIQUE (event_id)
);
CREATE INDEX outbox_published ON public.outbox USING btree (published_at) WHERE (published_at IS NOT NULL);
CREATE INDEX outbox_unpublished ON public.outbox USING btree (partition, id) WHERE (published_at IS NULL);

create table payment (
  id typeid not null,
  order_id typeid not null,
  attempt integer not null,
  key text not null,
  provider text not null,
  method text not null,
  amount bigint,
  asked bigint,
  currency currency not null,
  status text default 'requested'::text not null,
  outcome text,
  reference text,
  decline_code text,
  action_url text,
  cancelling integer default 0 not null,
  pending_sync text,
  sent_at timestamp with time zone,
  expires_at timestamp with time zone,
  captures_in_parts boolean default true not null,
  capture_before timestamp with time zone,
  renews typeid,
  may_lapse boolean default false not null,
  captured bigint default 0 not null,
  capturing bigint default 0 not null,
  released bigint default 0 not null,
  refunded bigint default 0 not null,
  refunding bigint default 0 not null,
  disputed bigint default 0 not null,
  releasing boolean default false not null,
  news_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint payment_pkey PRIMARY KEY (id),
  constraint never_captured_twice CHECK ((((captured + capturing) + released) <= amount)),
  constraint never_refunded_twice CHECK (((refunded + refunding) <= captured)),
  constraint payment_amount_check CHECK ((amount > 0)),
  constraint payment_asked_check CHECK ((asked > 0)),
  constraint payment_attempt_check CHECK ((attempt > 0)),
  constraint payment_cancelling_check CHECK ((cancelling >= 0)),
  constraint payment_captured_check CHECK ((captured >= 0)),
  constraint payment_capturing_check CHECK ((capturing >= 0)),
  constraint payment_check CHECK (((asked IS NULL) = (sent_at IS NULL))),
  constraint payment_disputed_check CHECK ((disputed >= 0)),
  constraint payment_key_key UNIQUE (key),
  constraint payment_order_id_attempt_key UNIQUE (order_id, attempt),
  constraint payment_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint payment_outcome_check CHECK ((outcome = ANY (ARRAY['completed'::text, 'declined'::text, 'superseded'::text, 'refused'::text, 'cancelled'::text, 'expired'::text]))),
  constraint payment_pending_sync_check CHECK ((pending_sync = ANY (ARRAY['cancel'::text, 'reference'::text]))),
  constraint payment_refunded_check CHECK ((refunded >= 0)),
  constraint payment_refunding_check CHECK ((refunding >= 0)),
  constraint payment_released_check CHECK ((released >= 0)),
  constraint payment_renews_fkey FOREIGN KEY (renews) REFERENCES payment(id),
  constraint payment_status_check CHECK ((status = ANY (ARRAY['requested'::text, 'sent'::text, 'requires_action'::text, 'pending'::text, 'authorized'::text, 'captured'::text, 'voided'::text, 'refunded'::text, 'declined'::text, 'failed'::text])))
) with (fillfactor=70);
CREATE UNIQUE INDEX one_requested_attempt ON public.payment USING btree (order_id) WHERE (status = 'requested'::text);
CREATE UNIQUE INDEX one_unresolved_attempt ON public.payment USING btree (order_id) WHERE (status = ANY (ARRAY['sent'::text, 'requires_action'::text, 'pending'::text]));
CREATE INDEX payment_expiring ON public.payment USING btree (capture_before) WHERE (status = 'authorized'::text);
CREATE INDEX payment_news ON public.payment USING btree (order_id) WHERE (news_at IS NOT NULL);
CREATE INDEX payment_pending_sync ON public.payment USING btree (order_id) WHERE (pending_sync IS NOT NULL);
CREATE INDEX payment_reference ON public.payment USING btree (provider, reference) WHERE (reference IS NOT NULL);
CREATE INDEX payment_releasing ON public.payment USING btree (order_id) WHERE releasing;

create table price (
  sku sku not null,
  currency currency not null,
  amount bigint not null,
  updated_at timestamp with time zone default now() not null,
  constraint price_pkey PRIMARY KEY (sku, currency),
  constraint price_amount_check CHECK (((amount >= 0) AND (amount <= '1000000000000'::bigint))),
  constraint price_sku_fkey FOREIGN KEY (sku) REFERENCES variant(sku) ON DELETE CASCADE
);
CREATE TRIGGER listings_on_delete AFTER DELETE ON public.price REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_sku();
CREATE TRIGGER listings_on_insert AFTER INSERT ON public.price REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_sku();
CREATE TRIGGER listings_on_update AFTER UPDATE ON public.price REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_sku();

create table product (
  id typeid not null,
  slug text not null,
  title text not null,
  description text default ''::text not null,
  brand text,
  seller_id text default 'house'::text not null,
  attributes jsonb default '{}'::jsonb not null,
  status text default 'active'::text not null,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint product_pkey PRIMARY KEY (id),
  constraint product_brand_fkey FOREIGN KEY (brand) REFERENCES brand(name) ON UPDATE CASCADE,
  constraint product_seller_id_fkey FOREIGN KEY (seller_id) REFERENCES seller(id),
  constraint product_slug_key UNIQUE (slug),
  constraint product_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'active'::text, 'archived'::text])))
);
CREATE INDEX product_brand ON public.product USING btree (brand, id) WHERE (brand IS NOT NULL);
CREATE TRIGGER brand_named BEFORE INSERT OR UPDATE OF brand ON public.product FOR EACH ROW WHEN ((new.brand IS NOT NULL)) EXECUTE FUNCTION name_brand();
CREATE TRIGGER listings_on_update AFTER UPDATE ON public.product REFERENCING OLD TABLE AS before NEW TABLE AS now_so FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_of_changed();

create table product_category (
  product_id typeid not null,
  category_id typeid not null,
  position integer default 0 not null,
  constraint product_category_pkey PRIMARY KEY (product_id, category_id),
  constraint product_category_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id),
  constraint product_category_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE
);
CREATE INDEX product_category_category ON public.product_category USING btree (category_id, product_id);
CREATE TRIGGER listings_on_delete AFTER DELETE ON public.product_category REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_product();
CREATE TRIGGER listings_on_insert AFTER INSERT ON public.product_category REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_product();

create table product_image (
  id typeid not null,
  product_id typeid not null,
  name text collate "C" not null,
  alt text default ''::text not null,
  position integer not null,
  width integer not null,
  height integer not null,
  created_at timestamp with time zone default now() not null,
  constraint product_image_pkey PRIMARY KEY (id),
  constraint product_image_alt_check CHECK ((length(alt) <= 500)),
  constraint product_image_height_check CHECK ((height > 0)),
  constraint product_image_name_check CHECK ((name ~ '^[0-9a-f]{32}$'::text)),
  constraint product_image_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint product_image_product_id_name_key UNIQUE (product_id, name),
  constraint product_image_width_check CHECK ((width > 0))
);
CREATE INDEX product_image_name ON public.product_image USING btree (name);
CREATE INDEX product_image_order ON public.product_image USING btree (product_id, "position");

create table product_signal (
  product_id typeid not null,
  velocity real default 0 not null,
  rating real,
  rating_count integer default 0 not null,
  margin real,
  updated_at timestamp with time zone default now() not null,
  constraint product_signal_pkey PRIMARY KEY (product_id),
  constraint product_signal_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint product_signal_rating_check CHECK (((rating >= (1)::double precision) AND (rating <= (5)::double precision))),
  constraint product_signal_rating_count_check CHECK ((rating_count >= 0)),
  constraint product_signal_velocity_check CHECK ((velocity >= (0)::double precision))
);
CREATE INDEX product_signal_velocity ON public.product_signal USING btree (velocity DESC, product_id DESC);

create table product_stat (
  product_id typeid not null,
  day date not null,
  views integer default 0 not null,
  clicks integer default 0 not null,
  adds integer default 0 not null,
  orders integer default 0 not null,
  constraint product_stat_pkey PRIMARY KEY (product_id, day),
  constraint product_stat_adds_check CHECK ((adds >= 0)),
  constraint product_stat_clicks_check CHECK ((clicks >= 0)),
  constraint product_stat_orders_check CHECK ((orders >= 0)),
  constraint product_stat_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint product_stat_views_check CHECK ((views >= 0))
);
CREATE INDEX product_stat_day ON public.product_stat USING btree (day);

create table receipt (
  id bigint generated always as identity not null,
  warehouse_id typeid not null,
  reference text not null,
  lines jsonb not null,
  actor text not null,
  is_keyed boolean not null,
  created_at timestamp with time zone default now() not null,
  constraint receipt_pkey PRIMARY KEY (id),
  constraint receipt_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES warehouse(id)
);
CREATE UNIQUE INDEX receipt_once ON public.receipt USING btree (warehouse_id, reference, md5((lines)::text)) WHERE (NOT is_keyed);

create table recommendation (
  product_id typeid not null,
  kind text not null,
  rank smallint not null,
  other_id typeid not null,
  score real not null,
  constraint recommendation_pkey PRIMARY KEY (product_id, kind, rank),
  constraint recommendation_kind_check CHECK ((kind = ANY (ARRAY['bought_together'::text, 'also_bought'::text, 'similar'::text]))),
  constraint recommendation_other_id_fkey FOREIGN KEY (other_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint recommendation_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE,
  constraint recommendation_rank_check CHECK ((rank > 0))
);
CREATE INDEX recommendation_other ON public.recommendation USING btree (other_id);

create table recommendation_basket (
  kind text not null,
  basket bigint not null,
  product_id typeid not null,
  constraint recommendation_basket_pkey PRIMARY KEY (kind, basket, product_id)
);
CREATE INDEX recommendation_basket_product ON public.recommendation_basket USING btree (kind, product_id, basket);

create table recommendation_basket_count (
  kind text not null,
  product_id typeid not null,
  baskets integer not null,
  constraint recommendation_basket_count_pkey PRIMARY KEY (kind, product_id)
);

create table recommendation_feature (
  product_id typeid not null,
  feature text collate "C" not null,
  constraint recommendation_feature_pkey PRIMARY KEY (product_id, feature)
);
CREATE INDEX recommendation_feature_feature ON public.recommendation_feature USING btree (feature, product_id);

create table recommendation_feature_count (
  feature text collate "C" not null,
  products integer not null,
  constraint recommendation_feature_count_pkey PRIMARY KEY (feature)
);

create table reconciliation (
  id typeid not null,
  state text default 'requested'::text not null,
  payments bigint default 0 not null,
  moves bigint default 0 not null,
  healed bigint default 0 not null,
  waiting bigint default 0 not null,
  failure text,
  requested_at timestamp with time zone default now() not null,
  started_at timestamp with time zone,
  ended_at timestamp with time zone,
  constraint reconciliation_pkey PRIMARY KEY (id),
  constraint reconciliation_check CHECK (((state = ANY (ARRAY['completed'::text, 'failed'::text])) = (ended_at IS NOT NULL))),
  constraint reconciliation_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'running'::text, 'completed'::text, 'failed'::text])))
);
CREATE UNIQUE INDEX one_reconciliation ON public.reconciliation USING btree ((true)) WHERE (ended_at IS NULL);

create table reconciliation_difference (
  id typeid not null,
  provider text not null,
  kind text not null,
  object text not null,
  payment_id typeid,
  charge_reference text,
  order_id typeid,
  ours bigint not null,
  theirs bigint not null,
  currency currency not null,
  state text not null,
  first_seen timestamp with time zone default now() not null,
  last_seen timestamp with time zone default now() not null,
  closed_at timestamp with time zone,
  accepted_by text,
  reason_code text,
  note text,
  constraint reconciliation_difference_pkey PRIMARY KEY (id),
  constraint reconciliation_difference_check CHECK (((payment_id IS NOT NULL) OR (charge_reference IS NOT NULL))),
  constraint reconciliation_difference_check1 CHECK (((state = ANY (ARRAY['accepted'::text, 'gone'::text])) = (closed_at IS NOT NULL))),
  constraint reconciliation_difference_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint reconciliation_difference_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payment(id),
  constraint reconciliation_difference_provider_kind_object_key UNIQUE (provider, kind, object),
  constraint reconciliation_difference_state_check CHECK ((state = ANY (ARRAY['suspected'::text, 'open'::text, 'accepted'::text, 'gone'::text])))
);
CREATE INDEX difference_charge ON public.reconciliation_difference USING btree (provider, charge_reference) WHERE (charge_reference IS NOT NULL);
CREATE INDEX difference_open ON public.reconciliation_difference USING btree (id) WHERE (state = ANY (ARRAY['suspected'::text, 'open'::text]));
CREATE INDEX difference_payment ON public.reconciliation_difference USING btree (payment_id) WHERE (payment_id IS NOT NULL);
CREATE INDEX difference_seen ON public.reconciliation_difference USING btree (last_seen, id);

create table reconciliation_provider (
  reconciliation_id typeid not null,
  provider text not null,
  since timestamp with time zone not null,
  until timestamp with time zone not null,
  watermark_before timestamp with time zone,
  movements bigint default 0 not null,
  charges bigint default 0 not null,
  is_compared boolean default false not null,
  constraint reconciliation_provider_pkey PRIMARY KEY (reconciliation_id, provider),
  constraint reconciliation_provider_reconciliation_id_fkey FOREIGN KEY (reconciliation_id) REFERENCES reconciliation(id)
);

create table reconciliation_watermark (
  provider text not null,
  at timestamp with time zone not null,
  constraint reconciliation_watermark_pkey PRIMARY KEY (provider)
);

create table refund (
  id typeid not null,
  request_id typeid not null,
  order_id typeid not null,
  payment_id typeid not null,
  number integer not null,
  key text not null,
  amount bigint not null,
  currency currency not null,
  status text default 'pending'::text not null,
  at_work boolean default true not null,
  cause text not null,
  reason_code text,
  restock boolean default false not null,
  returned bigint default 0 not null,
  returned_tax bigint default 0 not null,
  actor text,
  elsewhere boolean default false not null,
  reference text,
  failure_code text,
  retries typeid,
  movement text,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint refund_pkey PRIMARY KEY (id),
  constraint refund_amount_check CHECK ((amount > 0)),
  constraint refund_cause_check CHECK ((cause = ANY (ARRAY['staff'::text, 'cancel'::text, 'late'::text, 'provider'::text]))),
  constraint refund_check CHECK (((returned >= 0) AND (returned <= amount))),
  constraint refund_check1 CHECK (((returned_tax >= 0) AND (returned_tax <= returned))),
  constraint refund_key_key UNIQUE (key),
  constraint refund_number_check CHECK ((number > 0)),
  constraint refund_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint refund_order_id_number_key UNIQUE (order_id, number),
  constraint refund_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payment(id),
  constraint refund_request_id_fkey FOREIGN KEY (request_id) REFERENCES refund(id),
  constraint refund_retries_fkey FOREIGN KEY (retries) REFERENCES refund(id),
  constraint refund_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'succeeded'::text, 'failed'::text])))
) with (fillfactor=70);
CREATE INDEX refund_at_work ON public.refund USING btree (order_id) WHERE at_work;
CREATE INDEX refund_payment ON public.refund USING btree (payment_id);
CREATE UNIQUE INDEX refund_reference ON public.refund USING btree (payment_id, reference) WHERE ((reference IS NOT NULL) AND (status <> 'failed'::text));
CREATE INDEX refund_request ON public.refund USING btree (request_id);
CREATE INDEX refund_unmatched ON public.refund USING btree (id) WHERE ((status = 'succeeded'::text) AND (movement IS NULL));

create table relay_partition (
  partition smallint not null,
  backend_pid integer not null,
  heartbeat_at timestamp with time zone not null,
  constraint relay_partition_pkey PRIMARY KEY (partition)
);

create table repair (
  id text not null,
  order_id typeid not null,
  action text not null,
  step text,
  object text,
  outcome text,
  reason_code text not null,
  note text,
  actor text not null,
  accepted_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  constraint repair_pkey PRIMARY KEY (order_id, id),
  constraint repair_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id)
);

create table reservation (
  id typeid not null,
  kind text not null,
  owner_id typeid not null,
  sku sku not null,
  warehouse_id typeid not null,
  quantity integer not null,
  state text default 'held'::text not null,
  expires_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint reservation_pkey PRIMARY KEY (id),
  constraint reservation_kind_check CHECK ((kind = ANY (ARRAY['soft'::text, 'hard'::text, 'allotment'::text]))),
  constraint reservation_quantity_check CHECK ((quantity > 0)),
  constraint reservation_sku_warehouse_id_fkey FOREIGN KEY (sku, warehouse_id) REFERENCES stock_level(sku, warehouse_id),
  constraint reservation_state_check CHECK ((state = ANY (ARRAY['held'::text, 'committed'::text, 'released'::text, 'expired'::text, 'shipped'::text])))
) with (fillfactor=70);
CREATE UNIQUE INDEX one_live_reservation ON public.reservation USING btree (owner_id, sku, warehouse_id) WHERE (state = ANY (ARRAY['held'::text, 'committed'::text]));
CREATE INDEX reservation_held ON public.reservation USING btree (kind, expires_at) WHERE (state = 'held'::text);
CREATE INDEX reservation_live ON public.reservation USING btree (sku, warehouse_id) WHERE (state = ANY (ARRAY['held'::text, 'committed'::text]));
CREATE INDEX reservation_owner ON public.reservation USING btree (owner_id);

create table review (
  id typeid not null,
  product_id typeid not null,
  buyer_key bytea not null,
  token_hash bytea not null,
  rating smallint not null,
  title text,
  text text not null,
  verified boolean not null,
  status text default 'pending'::text not null,
  reason text,
  moderated_by text,
  moderated_at timestamp with time zone,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint review_pkey PRIMARY KEY (id),
  constraint review_product_id_buyer_key_key UNIQUE (product_id, buyer_key),
  constraint review_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id),
  constraint review_rating_check CHECK (((rating >= 1) AND (rating <= 5))),
  constraint review_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text]))),
  constraint review_text_check CHECK ((length(text) <= 5000)),
  constraint review_title_check CHECK ((length(title) <= 200))
);
CREATE INDEX review_newest ON public.review USING btree (product_id, id DESC) WHERE (status = 'approved'::text);
CREATE INDEX review_rating ON public.review USING btree (product_id, rating DESC, id DESC) WHERE (status = 'approved'::text);
CREATE INDEX review_status ON public.review USING btree (status, id);

create table review_summary (
  product_id typeid not null,
  histogram integer[] not null,
  constraint review_summary_pkey PRIMARY KEY (product_id),
  constraint review_summary_histogram_check CHECK ((array_length(histogram, 1) = 5)),
  constraint review_summary_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE
);

create table search_curation (
  query text collate "C" not null,
  pins typeid[] not null,
  hides typeid[] not null,
  constraint search_curation_pkey PRIMARY KEY (query)
);

create table search_document (
  product_id typeid not null,
  version integer not null,
  as_of timestamp with time zone not null,
  slug text not null,
  title text not null,
  title_words smallint not null,
  words tsvector not null,
  facets integer[] not null,
  prices jsonb not null,
  rating real,
  in_stock boolean not null,
  popularity real not null,
  is_sampled boolean generated always as (((hashtextextended((product_id)::text, (0)::bigint) & (15)::bigint) = 0)) stored not null,
  constraint search_document_pkey PRIMARY KEY (product_id)
);
CREATE INDEX search_document_popular ON public.search_document USING btree (popularity DESC, product_id);
CREATE INDEX search_document_rated ON public.search_document USING btree (rating DESC NULLS LAST, product_id DESC);
CREATE INDEX search_document_sample ON public.search_document USING gin (words, facets) WITH (gin_pending_list_limit='512') WHERE is_sampled;
CREATE INDEX search_document_words ON public.search_document USING gin (words, facets) WITH (gin_pending_list_limit='512');

create table search_facet (
  id integer generated always as identity not null,
  kind text collate "C" not null,
  value text collate "C" not null,
  label text not null,
  constraint search_facet_pkey PRIMARY KEY (id),
  constraint search_facet_kind_value_key UNIQUE (kind, value)
);

create table search_pending (
  engine text collate "C" not null,
  product_id typeid not null,
  generation integer default 1 not null,
  tries integer default 0 not null,
  due_at timestamp with time zone default clock_timestamp() not null,
  is_taken boolean default false not null,
  constraint search_pending_pkey PRIMARY KEY (engine, product_id)
);
CREATE INDEX search_pending_due ON public.search_pending USING btree (engine, due_at);

create table search_price (
  product_id typeid not null,
  currency currency not null,
  amount bigint not null,
  constraint search_price_pkey PRIMARY KEY (product_id, currency),
  constraint search_price_product_id_fkey FOREIGN KEY (product_id) REFERENCES search_document(product_id) ON DELETE CASCADE
);
CREATE INDEX search_price_amount ON public.search_price USING btree (currency, amount, product_id);

create table search_rebuild (
  engine text collate "C" not null,
  build text not null,
  state text not null,
  after_id text collate "C" default ''::text not null,
  done integer default 0 not null,
  total integer not null,
  failure text,
  started_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint search_rebuild_pkey PRIMARY KEY (engine),
  constraint search_rebuild_state_check CHECK ((state = ANY (ARRAY['running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text])))
);

create table search_rebuild_request (
  engine text collate "C" not null,
  build text not null,
  due_at timestamp with time zone not null,
  constraint search_rebuild_request_pkey PRIMARY KEY (engine)
);

create table search_rules (
  singleton boolean default true not null,
  version integer default 1 not null,
  constraint search_rules_pkey PRIMARY KEY (singleton),
  constraint search_rules_singleton_check CHECK (singleton)
);

create table search_stat (
  day date not null,
  query text collate "C" not null,
  searches integer default 0 not null,
  fruitless integer default 0 not null,
  constraint search_stat_pkey PRIMARY KEY (day, query),
  constraint search_stat_fruitless_check CHECK ((fruitless >= 0)),
  constraint search_stat_searches_check CHECK ((searches >= 0))
);

create table search_synonym (
  position integer not null,
  root text,
  terms text[] not null,
  constraint search_synonym_pkey PRIMARY KEY ("position")
);

create table search_word (
  word text collate "C" not null,
  uses integer default 1 not null,
  constraint search_word_pkey PRIMARY KEY (word)
);
CREATE INDEX search_word_trigrams ON public.search_word USING gin (word gin_trgm_ops);

create table seller (
  id text not null,
  name text not null,
  constraint seller_pkey PRIMARY KEY (id)
);

create table shipment (
  id typeid not null,
  order_id typeid not null,
  number integer not null,
  warehouse_id typeid not null,
  operation text default 'manual'::text not null,
  seller_id text default 'house'::text not null,
  status text default 'allocated'::text not null,
  replaces typeid,
  wave text default to_char((now() AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD'::text) not null,
  boxes jsonb,
  is_leaving boolean default false not null,
  capture_id typeid,
  due_at timestamp with time zone,
  ask_at timestamp with time zone,
  needs_decision boolean default false not null,
  released_at timestamp with time zone,
  left_at timestamp with time zone,
  trouble text,
  expected_at timestamp with time zone,
  shipped_at timestamp with time zone,
  ended_at timestamp with time zone,
  settled_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint shipment_pkey PRIMARY KEY (id),
  constraint shipment_capture_id_fkey FOREIGN KEY (capture_id) REFERENCES capture(id) DEFERRABLE INITIALLY DEFERRED,
  constraint shipment_check CHECK (((settled_at IS NULL) OR (status = ANY (ARRAY['lost'::text, 'returned'::text])))),
  constraint shipment_check1 CHECK (((NOT is_leaving) OR (status = 'labelled'::text))),
  constraint shipment_number_check CHECK ((number > 0)),
  constraint shipment_operation_check CHECK ((operation = ANY (ARRAY['automatic'::text, 'manual'::text, 'external'::text]))),
  constraint shipment_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint shipment_order_id_number_key UNIQUE (order_id, number),
  constraint shipment_replaces_fkey FOREIGN KEY (replaces) REFERENCES shipment(id),
  constraint shipment_status_check CHECK ((status = ANY (ARRAY['allocated'::text, 'picking'::text, 'packed'::text, 'labelled'::text, 'shipped'::text, 'delivered'::text, 'lost'::text, 'returned'::text, 'cancelled'::text]))),
  constraint shipment_trouble_check CHECK ((trouble = ANY (ARRAY['left'::text, 'refused'::text]))),
  constraint shipment_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES warehouse(id)
) with (fillfactor=70);
CREATE INDEX shipment_ask ON public.shipment USING btree (ask_at) WHERE (ask_at IS NOT NULL);
CREATE INDEX shipment_leaving ON public.shipment USING btree (order_id) WHERE (is_leaving AND (released_at IS NULL));
CREATE INDEX shipment_status ON public.shipment USING btree (status, id);
CREATE INDEX shipment_to_pick ON public.shipment USING btree (warehouse_id, wave, id) WHERE (status = 'allocated'::text);
CREATE INDEX shipment_undecided ON public.shipment USING btree (order_id) WHERE needs_decision;
CREATE INDEX shipment_warehouse ON public.shipment USING btree (warehouse_id, status, id);

create table shipment_line (
  shipment_id typeid not null,
  sku sku not null,
  quantity integer not null,
  constraint shipment_line_pkey PRIMARY KEY (shipment_id, sku),
  constraint shipment_line_quantity_check CHECK ((quantity > 0)),
  constraint shipment_line_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id)
);

create table stock_level (
  sku sku not null,
  warehouse_id typeid not null,
  on_hand integer default 0 not null,
  reserved integer default 0 not null,
  constraint stock_level_pkey PRIMARY KEY (sku, warehouse_id),
  constraint never_oversold CHECK ((reserved <= on_hand)),
  constraint stock_level_on_hand_check CHECK ((on_hand >= 0)),
  constraint stock_level_reserved_check CHECK ((reserved >= 0)),
  constraint stock_level_sku_fkey FOREIGN KEY (sku) REFERENCES variant(sku),
  constraint stock_level_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES warehouse(id)
) with (fillfactor=60);

create table stock_movement (
  id bigint generated always as identity not null,
  sku sku not null,
  warehouse_id typeid not null,
  delta integer not null,
  on_hand integer not null,
  cause text not null,
  reason text,
  reference text,
  actor text,
  created_at timestamp with time zone default now() not null,
  constraint stock_movement_pkey PRIMARY KEY (id),
  constraint stock_movement_cause_check CHECK ((cause = ANY (ARRAY['adjustment'::text, 'import'::text, 'shipment'::text, 'short_pick'::text, 'receipt'::text, 'restock'::text]))),
  constraint stock_movement_delta_check CHECK ((delta <> 0))
);
CREATE INDEX stock_movement_sku ON public.stock_movement USING btree (sku, id DESC);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.stock_movement FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

create table store_settings (
  singleton boolean default true not null,
  default_currency currency default 'GBP'::text not null,
  countries text[] default ARRAY['GB'::text, 'IE'::text, 'DE'::text, 'FR'::text, 'US'::text] not null,
  tax_inclusive boolean default true not null,
  checkout_hold_seconds integer,
  cart_hold_seconds integer,
  short_pick text default 'back_order'::text not null,
  return_window_days integer default 30 not null,
  version integer default 1 not null,
  updated_at timestamp with time zone default now() not null,
  constraint store_settings_pkey PRIMARY KEY (singleton),
  constraint store_settings_cart_hold_seconds_check CHECK (((cart_hold_seconds >= 1) AND (cart_hold_seconds <= 86400))),
  constraint store_settings_checkout_hold_seconds_check CHECK (((checkout_hold_seconds >= 1) AND (checkout_hold_seconds <= 86400))),
  constraint store_settings_return_window_days_check CHECK (((return_window_days >= 0) AND (return_window_days <= 3650))),
  constraint store_settings_short_pick_check CHECK ((short_pick = ANY (ARRAY['back_order'::text, 'cancel'::text]))),
  constraint store_settings_singleton_check CHECK (singleton)
);

create table tracking_event (
  carrier text not null,
  event_id text not null,
  tracking_number text not null,
  type text not null,
  happened_at timestamp with time zone not null,
  detail text,
  expected_at timestamp with time zone,
  shipment_id typeid,
  received_at timestamp with time zone default clock_timestamp() not null,
  due_at timestamp with time zone default now() not null,
  tries integer default 0 not null,
  done_at timestamp with time zone,
  constraint tracking_event_pkey PRIMARY KEY (carrier, event_id),
  constraint tracking_event_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id),
  constraint tracking_event_type_check CHECK ((type = ANY (ARRAY['accepted'::text, 'in_transit'::text, 'out_for_delivery'::text, 'delivered'::text, 'lost'::text, 'returned'::text, 'exception'::text])))
);
CREATE INDEX tracking_event_due ON public.tracking_event USING btree (due_at) WHERE (done_at IS NULL);
CREATE INDEX tracking_event_number ON public.tracking_event USING btree (carrier, tracking_number);
CREATE INDEX tracking_event_shipment ON public.tracking_event USING btree (shipment_id, happened_at) WHERE (shipment_id IS NOT NULL);

create table variant (
  sku sku not null,
  sku_written text not null,
  product_id typeid not null,
  title text not null,
  attributes jsonb default '{}'::jsonb not null,
  weight_grams integer,
  length_mm integer,
  width_mm integer,
  height_mm integer,
  position integer default 0 not null,
  created_at timestamp with time zone default now() not null,
  constraint variant_pkey PRIMARY KEY (sku),
  constraint variant_check CHECK ((upper(sku_written) = (sku)::text)),
  constraint variant_height_mm_check CHECK (((height_mm >= 0) AND (height_mm <= 100000))),
  constraint variant_length_mm_check CHECK (((length_mm >= 0) AND (length_mm <= 100000))),
  constraint variant_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id),
  constraint variant_weight_grams_check CHECK ((weight_grams >= 0)),
  constraint variant_width_mm_check CHECK (((width_mm >= 0) AND (width_mm <= 100000)))
);
CREATE INDEX variant_product ON public.variant USING btree (product_id, "position");
CREATE TRIGGER listings_on_delete AFTER DELETE ON public.variant REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refresh_listings_by_product();

create table variant_cost (
  sku sku not null,
  currency currency not null,
  amount bigint not null,
  constraint variant_cost_pkey PRIMARY KEY (sku, currency),
  constraint variant_cost_amount_check CHECK (((amount >= 0) AND (amount <= '1000000000000'::bigint))),
  constraint variant_cost_sku_fkey FOREIGN KEY (sku) REFERENCES variant(sku) ON DELETE CASCADE
);

create table warehouse (
  id typeid not null,
  name text not null,
  country text not null,
  postal_code text,
  latitude double precision,
  longitude double precision,
  priority integer default 100 not null,
  operation text default 'manual'::text not null,
  endpoint text,
  version integer default 1 not null,
  created_at timestamp with time zone default now() not null,
  constraint warehouse_pkey PRIMARY KEY (id),
  constraint warehouse_name_key UNIQUE (name),
  constraint warehouse_operation_check CHECK ((operation = ANY (ARRAY['automatic'::text, 'manual'::text, 'external'::text])))
);

create table warehouse_event (
  warehouse_id typeid not null,
  event_id text not null,
  shipment_id typeid not null,
  body jsonb not null,
  received_at timestamp with time zone default now() not null,
  constraint warehouse_event_pkey PRIMARY KEY (warehouse_id, event_id),
  constraint warehouse_event_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id),
  constraint warehouse_event_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES warehouse(id)
);

create table warehouse_message (
  id typeid not null,
  order_id typeid not null,
  shipment_id typeid not null,
  number integer not null,
  key text not null,
  kind text not null,
  revision integer not null,
  lines jsonb not null,
  state text default 'pending'::text not null,
  sent_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint warehouse_message_pkey PRIMARY KEY (id),
  constraint warehouse_message_key_key UNIQUE (key),
  constraint warehouse_message_kind_check CHECK ((kind = ANY (ARRAY['pack'::text, 'release'::text, 'cancel'::text]))),
  constraint warehouse_message_number_check CHECK ((number > 0)),
  constraint warehouse_message_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  constraint warehouse_message_order_id_number_key UNIQUE (order_id, number),
  constraint warehouse_message_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES shipment(id),
  constraint warehouse_message_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'told'::text, 'refused'::text, 'withdrawn'::text])))
) with (fillfactor=70);
CREATE INDEX warehouse_message_pending ON public.warehouse_message USING btree (order_id) WHERE (state = 'pending'::text);

create table warehouse_secret (
  warehouse_id typeid not null,
  secret text not null,
  created_at timestamp with time zone default now() not null,
  constraint warehouse_secret_pkey PRIMARY KEY (warehouse_id),
  constraint warehouse_secret_warehouse_id_fkey FOREIGN KEY (warehouse_id) REFERENCES warehouse(id)
);
