import { createCategory } from '../../db/catalog/category-tree'
import { newId } from '../../db/id'
import { type Pool, withTransaction } from '../../db/pool'
import type { CategoryId } from '../../domain/ids'

/** A catalog: 4 × 4 categories, a brand for every second product, 50 with a price in CHF, one in ten out of stock. */
export async function fillCatalog(pool: Pool, products: number): Promise<{ subs: CategoryId[] }> {
  const subs: CategoryId[] = []
  for (let top = 0; top < 4; top++) {
    const parentId = await withTransaction(pool, (tx) => createCategory(tx, { title: `Top ${top}` }))
    for (let sub = 0; sub < 4; sub++)
      subs.push(await withTransaction(pool, (tx) => createCategory(tx, { title: `Sub ${sub}`, parentId })))
  }
  const warehouse = newId('warehouse')
  await pool.query("insert into warehouse (id, name, country) values ($1, 'Main', 'GB')", [warehouse])
  const each = `from generate_series(0, ${products - 1}) as n`
  const id = `'prod_' || lpad(n::text, 26, '0')`
  for (const statement of [
    `insert into product (id, slug, title, brand)
     select ${id}, 'p-' || n, 'Product ' || n, case when n % 2 = 1 then 'Brand ' || n % 10 end ${each}`,
    `insert into variant (sku, sku_written, product_id, title) select 'S' || n, 'S' || n, ${id}, 'V' ${each}`,
    `insert into product_category (product_id, category_id)
     select ${id}, (array['${subs.join("','")}'])[1 + n % ${subs.length}] ${each}`,
    `insert into price (sku, currency, amount) select 'S' || n, 'GBP', n::bigint * 7919 % 100003 ${each}`,
    `insert into price (sku, currency, amount) select 'S' || n, 'CHF', n ${each} where n % ${products / 50} = 0`,
    `insert into stock_level (sku, warehouse_id, on_hand)
     select 'S' || n, '${warehouse}', case when n % 10 = 0 then 0 else 5 end ${each}`,
  ])
    await pool.query(statement)
  return { subs }
}

/** The id of the product of this number. */
export function productId(n: number): string {
  return `prod_${String(n).padStart(26, '0')}`
}
