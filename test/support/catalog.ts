import { newId } from '../../db/id'
import type { Pool } from '../../db/pool'
import type { WarehouseId } from '../../domain/ids'

export interface SeedProduct {
  readonly sku: string
  readonly title: string
  /** Minor units by currency. */
  readonly prices: Readonly<Record<string, number>>
  /** Units in the warehouse named `Main`. */
  readonly stock: number
}

/** Puts one-variant products into the catalog, all in a warehouse named `Main` in GB, whose id it returns. */
export async function seedProducts(pool: Pool, products: readonly SeedProduct[]): Promise<WarehouseId> {
  const warehouse = await pool.query<{ id: WarehouseId }>(
    `insert into warehouse (id, name, country) values ($1, 'Main', 'GB')
     on conflict (name) do update set country = excluded.country
     returning id`,
    [newId('warehouse')],
  )
  const warehouseId = warehouse.rows[0]?.id as WarehouseId
  const rows = products.map((product) => ({ ...product, id: newId('product'), key: product.sku.toUpperCase() }))
  await pool.query(
    `with given as (
       select * from jsonb_to_recordset($1) as p (id text, key text, sku text, title text, prices jsonb, stock int)
     ),
     -- The application announces a product, and the relay notes this.
     noted as (insert into search_pending (engine, product_id) select 'postgres', id from given),
     made as (insert into product (id, slug, title) select id, 'p-' || substr(id, 6), title from given),
     sold as (insert into variant (sku, sku_written, product_id, title) select key, sku, id, title from given),
     priced as (
       insert into price (sku, currency, amount)
       select given.key, p.key, p.value::bigint from given, jsonb_each_text(prices) as p
     ),
     stocked as (insert into stock_level (sku, warehouse_id, on_hand) select key, $2, stock from given)
     insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reason)
     select key, $2, stock, stock, 'adjustment', 'seed' from given where stock > 0`,
    [JSON.stringify(rows), warehouseId],
  )
  return warehouseId
}
