import type { ProductId, Sku } from '../domain/ids'
import { PAGE_FRESH_MS } from './page-cache'
import type { Db } from './pool'

/** The tags of pages that show these products or SKUs: the products, and all categories above them. */
export async function tagsOf(
  db: Db,
  { products, skus }: { products: readonly ProductId[]; skus: readonly Sku[] },
): Promise<string[]> {
  const { rows } = await db.query<{ tag: string }>({
    name: 'page.tags',
    text: `
      with changed as (
        select id from unnest($1::text[]) as p (id)
        union
        select product_id from variant where sku = any ($2::text[])
      )
      select id as tag from changed
      union
      select unnest(c.path)
      from changed
      join product_category pc on pc.product_id = changed.id
      join category c on c.id = pc.category_id`,
    values: [products, skus],
  })
  return rows.map(({ tag }) => tag)
}

/**
 * The tags of pages that count these products among others: the categories above those that were changed so short a time
 * ago that such a page may have been made since, and not be old yet.
 */
export async function tagsOfCounts(db: Db, products: readonly ProductId[]): Promise<string[]> {
  const { rows } = await db.query<{ tag: string }>({
    name: 'page.tagsOfCounts',
    text: `
      select distinct unnest(c.path) as tag
      from product p
      join product_category pc on pc.product_id = p.id
      join category c on c.id = pc.category_id
      where p.id = any ($1::text[]) and p.updated_at > now() - $2 * interval '1 ms'`,
    values: [products, PAGE_FRESH_MS],
  })
  return rows.map(({ tag }) => tag)
}
