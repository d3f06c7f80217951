import type { CartId, ProductId, Sku } from '../domain/ids'
import type { Currency } from '../domain/money'
import type { CatalogEntry } from '../domain/pricing'
import type { Db } from './pool'

/**
 * The catalog's word on SKUs, as one JSON array: what a cart is priced from. To be used as a scalar subquery, so that a
 * statement that changes a cart also returns what is needed to price it. The holder's own soft hold counts as available
 * to it. Stock and hold are joined as sets: looked up per SKU they made a cart of 200 lines three times as dear.
 *
 * @param skus an expression of type text[]
 */
export function catalogEntries({ skus, currency, holder }: { skus: string; currency: string; holder: string }): string {
  return `(
    select json_agg(json_build_array(
             l.sku, v.sku_written, v.product_id, v.title, p.seller_id, p.status = 'active', a.amount,
             coalesce(free.units, 0) + coalesce(own.units, 0)))
    from unnest(${skus}) as l (sku)
    join variant v on v.sku = l.sku
    join product p on p.id = v.product_id
    left join price a on a.sku = l.sku and a.currency = ${currency}
    left join (
      select s.sku, sum(s.on_hand - s.reserved) as units
      from stock_level s
      where s.sku = any (${skus})
      group by s.sku
    ) free on free.sku = l.sku
    left join (
      select r.sku, sum(r.quantity) as units
      from reservation r
      where r.owner_id = ${holder} and r.kind = 'soft' and r.state = 'held'
      group by r.sku
    ) own on own.sku = l.sku
  )`
}

export type EntryRow = [
  sku: Sku,
  skuWritten: string,
  productId: ProductId,
  title: string,
  sellerId: string,
  active: boolean,
  price: number | null,
  available: number,
]

/** The rows of {@link catalogEntries} by SKU. Null, which an empty aggregate is, gives an empty map. */
export function toCatalog(rows: readonly EntryRow[] | null): Map<Sku, CatalogEntry> {
  const catalog = new Map<Sku, CatalogEntry>()
  for (const [sku, skuWritten, productId, title, sellerId, active, price, available] of rows ?? []) {
    catalog.set(sku, { sku, skuWritten, productId, title, sellerId, active, price, available })
  }
  return catalog
}

/** Today's prices and stock of these SKUs; those that do not exist are not in the answer. */
export async function readPricing(
  db: Db,
  { currency, skus, cartId }: { currency: Currency; skus: readonly Sku[]; cartId: CartId | null },
): Promise<Map<Sku, CatalogEntry>> {
  const { rows } = await db.query<{ entries: EntryRow[] | null }>({
    name: 'pricing.read',
    text: `select ${catalogEntries({ skus: '$1::text[]', currency: '$2', holder: '$3' })} as entries`,
    values: [skus, currency, cartId],
  })
  return toCatalog(rows[0]?.entries ?? null)
}
