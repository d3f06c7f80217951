import type { CategoryId, ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { ALL, CATALOG_PRODUCT, type CatalogProduct, listCatalog } from './listing'
import type { CategoryRef } from './category'
import type { Db } from '../pool'
import { statement } from '../sql'

/** Collections: rows of products for the pages of a shop. Each is one bounded statement, whatever the catalog's size. */

interface CollectionSize {
  readonly currency: Currency
  readonly limit: number
}

/** How many are looked at to fill a row: some of what sells best has no price in the currency. */
const CANDIDATES = 32

/** What sells best, then the newest: a new shop has sold nothing. */
export async function listBestsellers(db: Db, { currency, limit }: CollectionSize): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>(BESTSELLERS({ currency, limit }))
  return rows
}

const BESTSELLERS = statement(
  'collection.bestsellers',
  `
    with candidate as (
      (select product_id as id, velocity from product_signal where velocity > 0
       order by velocity desc, product_id desc limit ${CANDIDATES})
      union all
      (select product_id, 0 from listing where list = ${ALL} and currency = :currency
       order by product_id desc limit ${CANDIDATES})
    ),
    chosen as (select id, max(velocity) as velocity from candidate group by id)
    select c.*
    from chosen
    cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
    order by chosen.velocity desc, c.id desc
    limit :limit`,
)

export function listNewest(db: Db, { currency, limit }: CollectionSize): Promise<CatalogProduct[]> {
  return listCatalog(db, { currency, sort: 'newest', after: null, limit })
}

export interface CategoryCollection {
  readonly category: CategoryRef
  readonly products: readonly CatalogProduct[]
}

/**
 * The first categories of the top level with what sells best in their branches, then the newest there. What was moved away
 * since bestsellers were counted is not among them. Empty ones are left out.
 */
export async function listCategoryCollections(
  db: Db,
  { currency, limit, categories }: CollectionSize & { categories: number },
): Promise<CategoryCollection[]> {
  const { rows } = await db.query<
    CatalogProduct & { categoryId: CategoryId; categorySlug: string; categoryTitle: string }
  >(OF_CATEGORIES({ currency, limit, categories }))
  const collections = new Map<CategoryId, { category: CategoryRef; products: CatalogProduct[] }>()
  for (const { categoryId: id, categorySlug: slug, categoryTitle: title, ...product } of rows) {
    const collection = collections.get(id) ?? { category: { id, slug, title }, products: [] }
    collection.products.push(product)
    collections.set(id, collection)
  }
  return [...collections.values()]
}

const OF_CATEGORIES = statement(
  'collection.categories',
  `
    with top as materialized (
      select id, slug, title, position, number
      from category
      where parent_id is null
      order by position, id
      limit :categories
    )
    select top.id as "categoryId", top.slug as "categorySlug", top.title as "categoryTitle", found.*
    from top
    cross join lateral (
      select c.*, chosen.place
      from (
        select id, min(place) as place
        from (
          (select product_id as id, rank::int as place from category_bestseller
           where category_id = top.id order by rank limit ${CANDIDATES})
          union all
          (select product_id, 1000 from listing where list = top.number and currency = :currency
           order by product_id desc limit ${CANDIDATES})
        ) as candidate
        group by id
      ) as chosen
      -- The limit keeps Postgres from reading the whole list for a join.
      cross join lateral (
        select * from listing where list = top.number and currency = :currency and product_id = chosen.id limit 1
      ) as l
      cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
      order by chosen.place, c.id desc
      limit :limit
    ) as found
    order by top.position, top.id, found.place, found.id desc`,
)

/** What goes with the products that somebody looked at last, without these. */
export async function listForInterest(
  db: Db,
  { currency, limit, seen }: CollectionSize & { seen: readonly ProductId[] },
): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>(FOR_INTEREST({ currency, limit, seen }))
  return rows
}

const FOR_INTEREST = statement(
  'collection.interest',
  `
    with chosen as (
      select r.other_id as id, sum(r.score) as score
      from recommendation r
      where r.product_id = any (:seen::text[]) and r.other_id <> all (:seen::text[])
      group by r.other_id
      order by sum(r.score) desc, r.other_id desc
      limit ${CANDIDATES}
    )
    select c.*
    from chosen
    cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
    order by chosen.score desc, c.id desc
    limit :limit`,
)
