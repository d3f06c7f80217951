import type { ProductId, Sku } from '../../domain/ids'
import { PAGE_FRESH_MS } from './cache'
import type { Db } from '../pool'

/** The tag of the home page, which shows what is new whatever it showed before. */
export const HOME = 'home'

/**
 * The tags of pages that show these products or SKUs: the products, and all categories above them. A changed product may be
 * one that the home page has not shown yet; its stock moves none there.
 */
export async function tagsOf(
  db: Db,
  { products, skus }: { products: readonly string[]; skus: readonly Sku[] },
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
  return [...rows.map(({ tag }) => tag), ...(products.length > 0 ? [HOME] : [])]
}

/** The tags of pages that show a category which these categories' pages show. */
export function tagsOfCategories(shownOn: readonly string[]): string[] {
  return [...shownOn, HOME]
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
