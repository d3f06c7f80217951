import type { OrderId } from '../../domain/ids'
import type { OrderUnits } from '../../domain/order'
import type { Db } from '../pool'

/** The lines of an order by their units, in their order. */
export async function readUnits(db: Db, orderId: OrderId): Promise<OrderUnits[]> {
  const { rows } = await db.query<OrderUnits>({
    name: 'order.units',
    text: `
      select sku, quantity, total, cancelled, shipped
      from order_line
      where order_id = $1
      order by position`,
    values: [orderId],
  })
  return rows
}
