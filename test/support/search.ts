import { createProduct, updateProduct } from '../../db/catalog/product'
import { type Pool, withTransaction } from '../../db/pool'
import type { ProductId } from '../../domain/ids'
import { NO_AFFINITY, NO_FILTERS } from '../../domain/search'
import type { SearchEngine } from '../../providers/search/port'

/** A product of one variant, and what a search for a text finds. */

export function productOf(pool: Pool, title: string, sku: string): Promise<ProductId> {
  const variants = [{ sku, prices: [{ amount: 100, currency: 'GBP' }] }]
  return withTransaction(pool, (tx) => createProduct(tx, { title, variants }))
}

export function retitleProduct(pool: Pool, id: ProductId, title: string): Promise<void> {
  return withTransaction(pool, (tx) => updateProduct(tx, { id, mayChange: () => true, patch: { title } }))
}

/** How many products a search finds, and how many of them are in stock. */
export async function findText(
  engine: Pick<SearchEngine, 'search'>,
  text: string,
): Promise<{ total: number; inStock: number }> {
  const query = {
    text,
    currency: 'GBP',
    filters: NO_FILTERS,
    sort: 'relevance',
    offset: 0,
    limit: 10,
    affinity: NO_AFFINITY,
  } as const
  const { total, facets } = await engine.search(query)
  return { total, inStock: facets.values['in_stock']?.find(({ value }) => value === 'true')?.count ?? 0 }
}
