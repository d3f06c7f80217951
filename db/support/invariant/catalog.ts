import type { Invariant } from './check'

/** Of what is derived from the catalog for those who list, search and rate it. */
export const CATALOG_INVARIANTS: readonly Invariant[] = [
  {
    // What the triggers of db/migrations/0002_catalog.sql keep, computed anew.
    name: 'listings_are_what_is_sold',
    holds: 'always',
    text: `
      with sold as (
        select p.id, x.currency, min(x.amount) as price
        from product p
        join variant v on v.product_id = p.id
        join price x on x.sku = v.sku
        where p.status = 'active'
        group by p.id, x.currency
      ),
      listed as (
        select 0 as list, id from product
        union all
        select distinct up.number, pc.product_id
        from product_category pc
        join category c on c.id = pc.category_id
        join category up on up.id = any (c.path)
        union all
        select -b.id, p.id from product p join brand b on b.name = p.brand
      ),
      wanted as (
        select list, currency, id as product_id, price from sold join listed using (id)
      )
      select product_id || ' in list ' || list || ': listed for ' || coalesce(l.price::text, 'nothing') || ', sold for '
             || coalesce(w.price::text, 'nothing') || ' ' || currency as what
      from wanted w
      full join listing l using (list, currency, product_id)
      where w.price is distinct from l.price`,
  },
  {
    // In Postgres; one that is just being made is not old yet.
    name: 'documents_are_of_what_is_sold',
    holds: 'at_rest',
    text: `
      select id || case when d.product_id is null then ' is on sale without a document' else ' has a document and is not on sale' end as what
      from (
        select id
        from product p
        where status = 'active'
          and exists (select from variant v join price x on x.sku = v.sku where v.product_id = p.id)
      ) as sold
      full join (select product_id as id, product_id from search_document) as d using (id)
      where (sold.id is null or d.product_id is null)
        and not exists (select from search_pending s where s.engine = 'postgres' and s.product_id = id)`,
  },
  {
    name: 'ratings_are_of_the_approved_reviews',
    holds: 'always',
    text: `
      with counted as (
        select product_id, count(*)::int as reviews, avg(rating) as average,
               array[
                 count(*) filter (where rating = 1), count(*) filter (where rating = 2), count(*) filter (where rating = 3),
                 count(*) filter (where rating = 4), count(*) filter (where rating = 5)
               ]::int[] as histogram
        from review
        where status = 'approved'
        group by product_id
      )
      select product_id || ': ' || coalesce(reviews, 0) || ' approved, ' || coalesce(rating_count, 0) || ' in its rating' as what
      from counted c
      full join review_summary r using (product_id)
      full join (select product_id, rating, rating_count from product_signal where rating_count > 0) as s using (product_id)
      where coalesce(c.histogram, '{0,0,0,0,0}') <> coalesce(r.histogram, '{0,0,0,0,0}')
         or coalesce(reviews, 0) <> coalesce(rating_count, 0)
         or abs(coalesce(average, 0) - coalesce(rating, 0)) > 0.006`,
  },
]
