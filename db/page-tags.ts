import type { ProductId, Sku } from '../domain/ids'
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
