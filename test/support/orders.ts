import { lowestIdAt, newId } from '../../db/id'
import type { Pool } from '../../db/pool'
import type { OrderId } from '../../domain/ids'
import { ADDRESS } from './shop'

export interface PastOrder {
  readonly email?: string
  readonly skus: readonly string[]
  /** Days since it was confirmed. */
  readonly daysAgo?: number
  readonly status?: 'confirmed' | 'cancelled' | 'pending'
}

/** Orders as checkouts of days gone by would have left them, without the checkouts. */
export async function pastOrders(pool: Pool, orders: readonly PastOrder[]): Promise<OrderId[]> {
  const ids: OrderId[] = []
  for (const { email = 'buyer@example.com', skus, daysAgo = 0, status = 'confirmed' } of orders) {
    const id = idOf(daysAgo)
    ids.push(id)
    await pool.query(
      `insert into orders (id, cart_id, token_hash, status, cancel_reason, currency, email, shipping_address,
                           shipping_method, snapshot, cart_version, body_hash, confirmed_at)
       values ($1, $2, '', $3, case when $3 = 'cancelled' then 'customer' end, 'GBP', $4, $6, 'standard', '[]', 1, '',
               case when $3 <> 'pending' then now() - make_interval(days => $5) end)`,
      [id, newId('cart'), status, email, daysAgo, ADDRESS],
    )
    await pool.query(
      `insert into order_line (order_id, position, sku, sku_written, product_id, title, seller_id, quantity, unit_price, total)
       select $1, n.position, v.sku, v.sku_written, v.product_id, v.title, 'house', 1, 100, 100
       from unnest($2::text[]) with ordinality as n (sku, position)
       join variant v on v.sku = n.sku`,
      [id, skus],
    )
  }
  return ids
}

/** Its first ten digits tell the time. */
function idOf(daysAgo: number): OrderId {
  const digits = 'order_'.length + 10
  const begins = lowestIdAt('order', new Date(Date.now() - daysAgo * 86_400_000)).slice(0, digits)
  return `${begins}${newId('order').slice(digits)}` as OrderId
}
