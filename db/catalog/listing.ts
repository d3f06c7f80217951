import type { ProductId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { type CategoryRef, PRODUCT_CATEGORIES } from './category'
import { PRODUCT_IMAGES, type ProductImage } from './image/read'
import type { Db } from '../pool'
import { type Query, type Statement, statement } from '../sql'

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
  /** The last product of the list before this one. */
  readonly after: CatalogPlace | null
  readonly limit: number
}

/** Where a product stands in a list, whatever its order. */
export interface CatalogPlace {
  readonly id: string
  /** Of the variant that costs least. */
  readonly price: number
}

/** The columns of a product `p` that is sold in `:currency`. */
const COLUMNS = `
  p.id, p.slug, p.title, p.description, p.brand, p.seller_id as "sellerId", p.attributes,
  ${PRODUCT_CATEGORIES} as categories, priced.variants, ${PRODUCT_IMAGES} as images, signal.rating,
  coalesce(signal.rating_count, 0) as "ratingCount"` as const
const PRICED_VARIANTS = `
  left join product_signal signal on signal.product_id = p.id
  cross join lateral (
    select jsonb_agg(jsonb_build_object(
             'sku', v.sku_written, 'title', v.title, 'attributes', v.attributes, 'amount', price.amount,
             'available', (select coalesce(sum(s.on_hand - s.reserved), 0) from stock_level s where s.sku = v.sku)
           ) order by v.position, v.sku) as variants
    from variant v
    join price on price.sku = v.sku and price.currency = :currency
    where v.product_id = p.id
    having count(*) > 0
  ) as priced`

/** The products `p` that are sold in `:currency`, for statements of others to narrow down: `and p.id = …`. */
export const CATALOG_PRODUCT = `
  select ${COLUMNS}
  from product p
  ${PRICED_VARIANTS}
  where p.status = 'active'` as const

/** Products that are sold in a currency. One statement, however many are asked for; slugs take another. */
export async function listCatalog(db: Db, query: CatalogQuery): Promise<ListedProduct[]> {
  const lists = await findLists(db, query)
  if (lists === null) return []
  const { rows } = await db.query<ListedProduct>(catalogStatement(query, lists))
  return rows
}

/** The list of all products in the table `listing`. */
export const ALL = 0

/** The lists of the table `listing` that hold what is asked for. Null when there is no such category or brand. */
async function findLists(db: Db, { category, brand }: CatalogQuery): Promise<number[] | null> {
  if (category === undefined && brand === undefined) return [ALL]
  const { rows } = await db.query<{ category: number | null; brand: number | null }>({
    name: 'catalog.lists',
    text: `
      select (select number from category where id = $1 or slug = $1) as category,
             (select -id from brand where slug = $2) as brand`,
    values: [category ?? null, brand ?? null],
  })
  const lists = [
    ...(category === undefined ? [] : [rows[0]?.category]),
    ...(brand === undefined ? [] : [rows[0]?.brand]),
  ]
  return lists.every((list) => list != null) ? lists : null
}

/**
 * The statement of a query whose products are in all of `lists`, one or two. Without filters its text is fixed and its plan is
 * kept. With filters the best way depends on how much each of them leaves: such a statement is planned each time.
 */
export function catalogStatement(query: CatalogQuery, [list = ALL, other]: readonly number[]): Query {
  const { currency, limit, sort, after, priceMin = null, priceMax = null } = query
  const values = { currency, limit, list, other: other ?? null, priceMin, priceMax, ...placeOf(after) }
  const filters = filtersOf(query, other)
  const start = after === null ? 'first' : 'next'
  const compiled = filters.length === 0 ? UNFILTERED[sort][start] : statement(null, textOf(sort, start, filters))
  return compiled(values)
}

function placeOf(after: CatalogPlace | null): { afterId: string | null; afterPrice: number | null } {
  return { afterId: after?.id ?? null, afterPrice: after?.price ?? null }
}

/**
 * Of a variant with a price in the currency there is a unit that nobody has been promised. Not `exists`, which may be planned
 * as a join with all the stock there is: this is asked of one product after another until the list is full.
 */
const IN_STOCK = `(
  select true
  from variant v
  join price on price.sku = v.sku and price.currency = :currency
  join stock_level s on s.sku = v.sku and s.on_hand > s.reserved
  where v.product_id = l.product_id
  limit 1
)`

function filtersOf({ priceMin, priceMax, inStock }: CatalogQuery, other: number | undefined): string[] {
  return [
    ...(priceMin === undefined ? [] : ['l.price >= :priceMin']),
    ...(priceMax === undefined ? [] : ['l.price <= :priceMax']),
    ...(inStock ? [IN_STOCK] : []),
    ...(other === undefined
      ? []
      : ['l.product_id in (select product_id from listing where list = :other and currency = :currency)']),
  ]
}

/** Where a list starts: at its first product, or after the last one of the list before. */
type Start = 'first' | 'next'

/** Per sort its columns in the table `listing`, and where the next products start. */
const ORDERS: Readonly<Record<CatalogSort, { by: readonly string[]; direction: 'asc' | 'desc'; next: string }>> = {
  oldest: { by: ['l.product_id'], direction: 'asc', next: 'l.product_id > :afterId' },
  newest: { by: ['l.product_id'], direction: 'desc', next: 'l.product_id < :afterId' },
  price_asc: {
    by: ['l.price', 'l.product_id'],
    direction: 'asc',
    next: '(l.price, l.product_id) > (:afterPrice, :afterId)',
  },
  price_desc: {
    by: ['l.price', 'l.product_id'],
    direction: 'desc',
    next: '(l.price, l.product_id) < (:afterPrice, :afterId)',
  },
}

/** As many as a caller may ask for, and one more. */
const LIMIT_MAX = 101

/**
 * Goes along one list in the wanted order and stops when there are enough products, so that the cost does not grow with the
 * catalog. Postgres takes a limit that is a parameter for a tenth of the list. Where the plan is kept it must not: there the
 * limit is a constant, of which no more is read than is needed.
 */
function textOf(sort: CatalogSort, start: Start, filters: readonly string[] = []): string {
  const { by, direction, next } = ORDERS[sort]
  const conditions = [...filters, ...(start === 'first' ? [] : [next])].map((condition) => `and ${condition}`)
  const order = by.map((column) => `${column} ${direction}`).join(', ')
  return `
    with chosen as (
      select l.product_id, l.price
      from listing l
      where l.list = :list and l.currency = :currency ${conditions.join(' ')}
      order by ${order}
      limit ${filters.length > 0 ? ':limit' : LIMIT_MAX}
    )
    select ${COLUMNS}, l.price
    from chosen l
    join product p on p.id = l.product_id
    ${PRICED_VARIANTS}
    order by ${order}
    limit :limit`
}

const UNFILTERED: Readonly<Record<CatalogSort, Readonly<Record<Start, Statement<string>>>>> = {
  oldest: unfiltered('oldest'),
  newest: unfiltered('newest'),
  price_asc: unfiltered('price_asc'),
  price_desc: unfiltered('price_desc'),
}

function unfiltered(sort: CatalogSort): Record<Start, Statement<string>> {
  return {
    first: statement(`catalog.${sort}.first`, textOf(sort, 'first')),
    next: statement(`catalog.${sort}.next`, textOf(sort, 'next')),
  }
}

/** Those of these products that are sold in the currency, in the order of their ids as given. */
export async function findCatalogProducts(
  db: Db,
  ids: readonly ProductId[],
  currency: Currency,
): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>(BY_IDS({ currency, ids }))
  return rows
}

const BY_IDS = statement(
  'catalog.byIds',
  `
    ${CATALOG_PRODUCT} and p.id = any (:ids::text[])
    order by array_position(:ids::text[], p.id::text)`,
)

/** By id or by slug, which cannot be mistaken for each other: a slug has no underscore. */
export async function findCatalogProduct(db: Db, idOrSlug: string, currency: Currency): Promise<CatalogProduct | null> {
  const find = idOrSlug.includes('_') ? BY_ID : BY_SLUG
  const { rows } = await db.query<CatalogProduct>(find({ currency, idOrSlug }))
  return rows[0] ?? null
}

const BY_ID = statement('catalog.byId', `${CATALOG_PRODUCT} and p.id = :idOrSlug`)
const BY_SLUG = statement('catalog.bySlug', `${CATALOG_PRODUCT} and p.slug = :idOrSlug`)
