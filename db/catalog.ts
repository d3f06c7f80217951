import type { ProductId } from '../domain/ids'
import type { Currency } from '../domain/money'
import { type CategoryRef, PRODUCT_CATEGORIES } from './category'
import { PRODUCT_IMAGES, type ProductImage } from './image/read'
import type { Db } from './pool'

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

/** $1 is the currency. What follows it may narrow it down: `and p.id = …`. */
export const CATALOG_PRODUCT = `
  select p.id, p.slug, p.title, p.description, p.brand, p.seller_id as "sellerId", p.attributes,
         ${PRODUCT_CATEGORIES} as categories, priced.variants,
         ${PRODUCT_IMAGES} as images, signal.rating, coalesce(signal.rating_count, 0) as "ratingCount"
  from product p
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
  ) as priced
  where p.status = 'active'`

/** One page of products after the id `after` (null: the first), oldest first. One statement, whatever the page's size. */
export async function listCatalog(
  db: Db,
  { currency, after, limit }: { currency: Currency; after: string | null; limit: number },
): Promise<CatalogProduct[]> {
  const { rows } = await db.query<CatalogProduct>({
    name: 'catalog.list',
    text: `${CATALOG_PRODUCT} and p.id > $2 order by p.id limit $3`,
    values: [currency, after ?? '', limit],
  })
  return rows
}

/** By id or by slug, which cannot be mistaken for each other: a slug has no underscore. */
export async function findCatalogProduct(db: Db, idOrSlug: string, currency: Currency): Promise<CatalogProduct | null> {
  const byId = idOrSlug.includes('_')
  const { rows } = await db.query<CatalogProduct>({
    name: byId ? 'catalog.byId' : 'catalog.bySlug',
    text: `${CATALOG_PRODUCT} and ${byId ? 'p.id' : 'p.slug'} = $2`,
    values: [currency, idOrSlug],
  })
  return rows[0] ?? null
}
