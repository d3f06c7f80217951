import type { ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { type CategoryRef, PRODUCT_CATEGORIES } from './category'
import { PRODUCT_IMAGES, type ProductImage } from './image/read'
import type { Db } from '../pool'

/** An active product as a storefront sees it: the variants that have a price in the currency, never none. */
export interface CatalogProduct {
  readonly id: ProductId
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly brand: string | null
  readonly sellerId: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly categories: readonly CategoryRef[]
  readonly variants: readonly CatalogVariant[]
  readonly images: readonly ProductImage[]
  /** The average of the approved reviews; null without any. */
  readonly rating: number | null
  readonly ratingCount: number
}

/** A product of a list, with what its place in it goes by. */
export interface ListedProduct extends CatalogProduct {
  readonly price: number
}

export interface CatalogVariant {
  /** As it was written when it was made. */
  readonly sku: string
  readonly title: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** In minor units of the currency that was asked for. */
  readonly amount: number
  /** Units on hand and not promised, over all warehouses. */
  readonly available: number
}

export type CatalogSort = 'oldest' | 'newest' | 'price_asc' | 'price_desc'

export interface CatalogQuery {
  readonly currency: Currency
  /** Id or slug: the category with all that lies below it. */
  readonly category?: string | undefined
  /** By slug. */
  readonly brand?: string | undefined
  /** Of the variant that costs least, in minor units. */
  readonly priceMin?: number | undefined
  readonly priceMax?: number | undefined
  readonly inStock?: boolean | undefined
  readonly sort: CatalogSort
  /** The last product of the page before. */
  readonly after: CatalogPlace | null
  readonly limit: number
}

/** Where a product stands in a list, whatever its order. */
export interface CatalogPlace {
  readonly id: string
  /** Of the variant that costs least. */
  readonly price: number
}

/** The columns of a product `p` that is sold in the currency $1. */
const COLUMNS = `
  p.id, p.slug, p.title, p.description, p.brand, p.seller_id as "sellerId", p.attributes,
  ${PRODUCT_CATEGORIES} as categories, priced.variants, ${PRODUCT_IMAGES} as images, signal.rating,
  coalesce(signal.rating_count, 0) as "ratingCount"`
const PRICED_VARIANTS = `
  left join product_signal signal on signal.product_id = p.id
  cross join lateral (
    select jsonb_agg(jsonb_build_object(
             'sku', v.sku_written, 'title', v.title, 'attributes', v.attributes, 'amount', price.amount,
             'available', (select coalesce(sum(s.on_hand - s.reserved), 0) from stock_level s where s.sku = v.sku)
           ) order by v.position, v.sku) as variants
    from variant v
    join price on price.sku = v.sku and price.currency = $1
    where v.product_id = p.id
    having count(*) > 0
  ) as priced`

/** Per order its columns in the table `offer`. */
const ORDERS: Readonly<Record<CatalogSort, { by: readonly string[]; direction: 'asc' | 'desc' }>> = {
  oldest: { by: ['o.product_id'], direction: 'asc' },
  newest: { by: ['o.product_id'], direction: 'desc' },
  price_asc: { by: ['o.price', 'o.product_id'], direction: 'asc' },
  price_desc: { by: ['o.price', 'o.product_id'], direction: 'desc' },
}

/** One page of the products that are sold in a currency. One statement, whatever the page's size; slugs take another. */
export async function listCatalog(db: Db, query: CatalogQuery): Promise<ListedProduct[]> {
  const shelves = await findShelves(db, query)
  if (shelves === null) return []
  const { rows } = await db.query<ListedProduct>(catalogStatement(query, shelves))
  return rows
}

/** A page of a hundred, and one more. */
const LIMIT_MAX = 101

/** The shelf with everything. */
export const ALL = 0

/** The shelves of the table `offer` that hold what is asked for. Null when there is no such category or brand. */
async function findShelves(db: Db, { category, brand }: CatalogQuery): Promise<number[] | null> {
  if (category === undefined && brand === undefined) return [ALL]
  const { rows } = await db.query<{ category: number | null; brand: number | null }>({
    name: 'catalog.shelves',
    text: `
      select (select number from category where id = $1 or slug = $1) as category,
             (select -id from brand where slug = $2) as brand`,
    values: [category ?? null, brand ?? null],
  })
  const shelves = [
    ...(category === undefined ? [] : [rows[0]?.category]),
    ...(brand === undefined ? [] : [rows[0]?.brand]),
  ]
  return shelves.every((shelf) => shelf != null) ? shelves : null
}

/**
 * The statement of a page: it goes along one shelf of offers in the wanted order and stops when the page is full, so that
 * its cost does not grow with the catalog. With more filters than that the best way depends on how much each of them
 * leaves: such a statement is planned each time. The others must not be, and Postgres takes a limit that is a parameter for a
 * tenth of the shelf: theirs is a constant, of which no more is read than the page needs.
 */
export function catalogStatement(
  query: CatalogQuery,
  [shelf = ALL, ...others]: readonly number[],
): { name?: string; text: string; values: unknown[] } {
  const { by, direction } = ORDERS[query.sort]
  const values: unknown[] = [query.currency, shelf, query.limit]
  const bind = (value: unknown) => `$${values.push(value)}`
  const filters = [...filtersOf(query, bind), ...others.map((other) => onShelf(bind(other)))]
  const conditions = [...filters, ...placeOf(query, bind)].map((condition) => `and ${condition}`)
  const order = by.map((column) => `${column} ${direction}`).join(', ')
  const text = `
    with page as (
      select o.product_id, o.price
      from offer o
      where o.shelf = $2 and o.currency = $1 ${conditions.join(' ')}
      order by ${order}
      limit ${filters.length > 0 ? '$3' : LIMIT_MAX}
    )
    select ${COLUMNS}, o.price
    from page o
    join product p on p.id = o.product_id
    ${PRICED_VARIANTS}
    order by ${order}
    limit $3`
  if (filters.length > 0) return { text, values }
  return { name: `catalog.${query.sort}.${query.after === null ? 'first' : 'next'}`, text, values }
}

type Bind = (value: unknown) => string

function onShelf(shelf: string): string {
  return `o.product_id in (select product_id from offer where shelf = ${shelf} and currency = $1)`
}

function filtersOf({ priceMin, priceMax, inStock }: CatalogQuery, bind: Bind): string[] {
  return [
    ...(priceMin === undefined ? [] : [`o.price >= ${bind(priceMin)}`]),
    ...(priceMax === undefined ? [] : [`o.price <= ${bind(priceMax)}`]),
    ...(inStock ? [IN_STOCK] : []),
  ]
}

/**
 * Of a variant with a price in the currency there is a unit that nobody has been promised. Not `exists`, which may be planned
 * as a join with all the stock there is: this is asked of one product after another until the page is full.
 */
const IN_STOCK = `(
  select true
  from variant v
  join price on price.sku = v.sku and price.currency = $1
  join stock_level s on s.sku = v.sku and s.on_hand > s.reserved
  where v.product_id = o.product_id
  limit 1
)`

function placeOf({ sort, after }: CatalogQuery, bind: Bind): string[] {
  if (after === null) return []
  const { by, direction } = ORDERS[sort]
  const place = by.map((column) => bind(column === 'o.price' ? after.price : after.id))
  return [`(${by.join(', ')}) ${direction === 'asc' ? '>' : '<'} (${place.join(', ')})`]
}

/** Those of these products that are sold in the currency, in the order of their ids as given. */
export async function findCatalogProducts(
  db: Db,
  ids: readonly ProductId[],
  currency: Currency,
): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>({
    name: 'catalog.byIds',
    text: `
      select ${COLUMNS}
      from product p
      ${PRICED_VARIANTS}
      where p.status = 'active' and p.id = any ($2::text[])
      order by array_position($2::text[], p.id::text)`,
    values: [currency, ids],
  })
  return rows
}

/** By id or by slug, which cannot be mistaken for each other: a slug has no underscore. */
export async function findCatalogProduct(db: Db, idOrSlug: string, currency: Currency): Promise<CatalogProduct | null> {
  const byId = idOrSlug.includes('_')
  const { rows } = await db.query<CatalogProduct>({
    name: byId ? 'catalog.byId' : 'catalog.bySlug',
    text: `
      select ${COLUMNS}
      from product p
      ${PRICED_VARIANTS}
      where p.status = 'active' and p.${byId ? 'id' : 'slug'} = $2`,
    values: [currency, idOrSlug],
  })
  return rows[0] ?? null
}

/**
 * The products `p` that are sold in the currency $1, for statements of others to narrow down: `and p.id = …`.
 */
export const CATALOG_PRODUCT = `
  select ${COLUMNS}
  from product p
  ${PRICED_VARIANTS}
  where p.status = 'active'`
