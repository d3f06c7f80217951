import { linesInOrder, type StoredLines } from '../domain/cart'
import type { CartId, ProductId, Sku } from '../domain/ids'
import type { Currency } from '../domain/money'
import type { CartToPrice, CatalogEntry } from '../domain/pricing/price'
import { storeSettings } from './platform/settings'
import type { Db, Pool } from './pool'

/** Lines as a cart's row or an order's snapshot keeps them. A cart's row comes with its catalog entries. */
export type LinesToPrice = { readonly currency: Currency; readonly lines: StoredLines } & (
  | { readonly catalog: ReadonlyMap<Sku, CatalogEntry> }
  | { readonly cartId: CartId }
)

/** What stored lines are priced from, but for the choice of shipping and the tax rates. */
export async function readPriceInputs(
  pool: Pool,
  stored: LinesToPrice,
): Promise<Pick<CartToPrice, 'currency' | 'lines' | 'catalog' | 'taxInclusive'>> {
  const { currency } = stored
  const lines = linesInOrder(stored.lines)
  const [catalog, { taxInclusive }] = await Promise.all([
    'catalog' in stored
      ? stored.catalog
      : readPricing(pool, { currency, skus: lines.map((line) => line.sku), cartId: stored.cartId }),
    storeSettings(pool),
  ])
  return { currency, lines, catalog, taxInclusive }
}

/**
 * The catalog's word on SKUs, as one JSON array of its columns (an array per row costs half a millisecond more per 200
 * lines): what a cart is priced from. To be used as a scalar subquery, so that a
 * statement that changes a cart also returns what is needed to price it. The holder's own soft hold counts as available
 * to it. Stock and hold are joined as sets: looked up per SKU they made a cart of 200 lines three times as dear.
 *
 * @param skus an expression of type text[]
 */
export function catalogEntries({ skus, currency, holder }: { skus: string; currency: string; holder: string }): string {
  return `(
    select json_build_array(
             json_agg(l.sku), json_agg(v.sku_written), json_agg(v.product_id), json_agg(v.title), json_agg(p.seller_id),
             json_agg(p.status = 'active'), json_agg(a.amount), json_agg(coalesce(free.units, 0) + coalesce(own.units, 0)))
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

/** The columns of {@link catalogEntries}, each with one item per SKU; null where there is no SKU. */
export type EntryColumns = readonly [
  sku: readonly Sku[] | null,
  skuWritten: readonly string[],
  productId: readonly ProductId[],
  title: readonly string[],
  sellerId: readonly string[],
  active: readonly boolean[],
  price: readonly (number | null)[],
  available: readonly number[],
]

/** The entries by SKU. */
export function toCatalog(columns: EntryColumns): Map<Sku, CatalogEntry> {
  const [skus, skuWritten, productId, title, sellerId, active, price, available] = columns
  const catalog = new Map<Sku, CatalogEntry>()
  skus?.forEach((sku, n) => {
    catalog.set(sku, {
      sku,
      skuWritten: skuWritten[n] as string,
      productId: productId[n] as ProductId,
      title: title[n] as string,
      sellerId: sellerId[n] as string,
      active: active[n] as boolean,
      price: price[n] as number | null,
      available: available[n] as number,
    })
  })
  return catalog
}

/** Today's prices and stock of these SKUs; those that do not exist are not in the answer. */
export async function readPricing(
  db: Db,
  { currency, skus, cartId }: { currency: Currency; skus: readonly Sku[]; cartId: CartId | null },
): Promise<Map<Sku, CatalogEntry>> {
  const { rows } = await db.query<{ entries: EntryColumns }>({
    name: 'pricing.read',
    text: `select ${catalogEntries({ skus: '$1::text[]', currency: '$2', holder: '$3' })} as entries`,
    values: [skus, currency, cartId],
  })
  return rows[0] ? toCatalog(rows[0].entries) : new Map()
}
