-- One document in sixteen, by chance of its id. In a large shop it tells a search that matches much from one that does not,
-- and what there is to narrow by, before everything is counted.
alter table search_document add column is_sampled boolean not null
  generated always as ((hashtextextended(product_id::text, 0) & 15) = 0) stored;
create index search_document_sample on search_document using gin (words, facets)
  with (gin_pending_list_limit = 512) where is_sampled;
