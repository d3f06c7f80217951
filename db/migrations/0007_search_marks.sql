-- Whether `due_at` is the end of somebody's lease. If not, it is when a refused document is tried again, and the next change
-- of its product need not wait for that.
alter table search_pending add column is_taken boolean not null default false;

-- As search allows it: what a category defines can be narrowed by.
alter table category_attribute
  drop constraint category_attribute_name_check,
  add constraint category_attribute_name_check check (name ~ '^[a-z][a-z0-9_-]{0,49}$');

-- A new TypeID (`new_id('evt')`), as db/id.ts makes them: a UUID of version 7 in base 32, for rows that a statement only
-- finds as it runs.
create function new_id(prefix text) returns text language sql volatile as $$
  select prefix || '_' || (
    select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (milliseconds >> (45 - 5 * place) & 31)::int + 1, 1), '' order by place)
    from generate_series(0, 9) as place
  ) || 'e' || left(chance, 2) || '8' || right(chance, 12)
  from (
    select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as milliseconds,
           replace(gen_random_uuid()::text, '-', '') as chance
  ) as parts
$$;
