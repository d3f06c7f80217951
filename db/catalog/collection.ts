import type { CategoryId, ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { ALL, CATALOG_PRODUCT, type CatalogProduct, listCatalog } from './listing'
import type { CategoryRef } from './category'
import type { Db } from '../pool'

/** Rows of products for the pages of a shop. Each is one bounded statement, whatever the catalog's size. */

interface ShelfSize {
  readonly currency: Currency
  readonly limit: number
}

/** How many are looked at to fill a row: some of what sells best has no price in the currency. */
const CANDIDATES = 32

/** What sells best, then the newest: a new shop has sold nothing. */
export async function listBestsellers(db: Db, { currency, limit }: ShelfSize): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>({
    name: 'shelf.bestsellers',
    text: `
      with candidate as (
        (select product_id as id, velocity from product_signal where velocity > 0
         order by velocity desc, product_id desc limit ${CANDIDATES})
        union all
        (select product_id, 0 from offer where shelf = ${ALL} and currency = $1
         order by product_id desc limit ${CANDIDATES})
      ),
      chosen as (select id, max(velocity) as velocity from candidate group by id)
      select c.*
      from chosen
      cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
      order by chosen.velocity desc, c.id desc
      limit $2`,
    values: [currency, limit],
  })
  return rows
}

export function listNewest(db: Db, { currency, limit }: ShelfSize): Promise<CatalogProduct[]> {
  return listCatalog(db, { currency, sort: 'newest', after: null, limit })
}

export interface CategoryShelf {
  readonly category: CategoryRef
  readonly products: readonly CatalogProduct[]
}

/**
 * The first categories of the top level with what sells best in their branches, then the newest there. What was moved away
 * since bestsellers were counted is not among them. Empty ones are left out.
 */
export async function listCategoryShelves(
  db: Db,
  { currency, limit, categories }: ShelfSize & { categories: number },
): Promise<CategoryShelf[]> {
  const { rows } = await db.query<
    CatalogProduct & { categoryId: CategoryId; categorySlug: string; categoryTitle: string }
  >({
    name: 'shelf.categories',
    text: `
      with top as materialized (
        select id, slug, title, position, number
        from category
        where parent_id is null
        order by position, id
        limit $3
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
            (select product_id, 1000 from offer where shelf = top.number and currency = $1
             order by product_id desc limit ${CANDIDATES})
          ) as candidate
          group by id
        ) as chosen
        -- The limit keeps Postgres from reading the whole shelf for a join.
        cross join lateral (
          select * from offer where shelf = top.number and currency = $1 and product_id = chosen.id limit 1
        ) as o
        cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
        order by chosen.place, c.id desc
        limit $2
      ) as found
      order by top.position, top.id, found.place, found.id desc`,
    values: [currency, limit, categories],
  })
  const shelves = new Map<CategoryId, { category: CategoryRef; products: CatalogProduct[] }>()
  for (const { categoryId: id, categorySlug: slug, categoryTitle: title, ...product } of rows) {
    const shelf = shelves.get(id) ?? { category: { id, slug, title }, products: [] }
    shelf.products.push(product)
    shelves.set(id, shelf)
  }
  return [...shelves.values()]
}

/** What goes with the products that somebody looked at last, without these. */
export async function listForInterest(
  db: Db,
  { currency, limit, seen }: ShelfSize & { seen: readonly ProductId[] },
): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>({
    name: 'shelf.interest',
    text: `
      with chosen as (
        select r.other_id as id, sum(r.score) as score
        from recommendation r
        where r.product_id = any ($3::text[]) and r.other_id <> all ($3::text[])
        group by r.other_id
        order by sum(r.score) desc, r.other_id desc
        limit ${CANDIDATES}
      )
      select c.*
      from chosen
      cross join lateral (${CATALOG_PRODUCT} and p.id = chosen.id) as c
      order by chosen.score desc, c.id desc
      limit $2`,
    values: [currency, limit, seen],
  })
  return rows
}
