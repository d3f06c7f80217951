-- Whether `due_at` is the end of somebody's lease. If not, it is when a refused document is tried again, and the next change
-- of its product need not wait for that.
alter table search_pending add column is_taken boolean not null default false;

-- As search allows it: what a category defines can be narrowed by.
alter table category_attribute
  drop constraint category_attribute_name_check,
  add constraint category_attribute_name_check check (name ~ '^[a-z][a-z0-9_-]{0,49}$');
