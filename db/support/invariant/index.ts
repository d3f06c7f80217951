import type { Pool, Tx } from '../../pool'
import { CATALOG_INVARIANTS } from './catalog'
import { type Check, check, onSnapshot } from './check'
import { DELIVERY_INVARIANTS } from './delivery'
import { ORDER_INVARIANTS } from './order'
import { PAYMENT_INVARIANTS } from './payment'
import { STOCK_INVARIANTS } from './stock'

export { type Check, checkOf } from './check'

const INVARIANTS = [
  ...STOCK_INVARIANTS,
  ...ORDER_INVARIANTS,
  ...PAYMENT_INVARIANTS,
  ...DELIVERY_INVARIANTS,
  ...CATALOG_INVARIANTS,
]

export interface DatabaseAudit {
  readonly checks: readonly Check[]
  /** What is still on its way: open orders, attempts, events. What waits for a person is not. */
  readonly inFlight: number
}

/** Every invariant that Postgres alone can tell, on one snapshot. */
export async function auditDatabase(pool: Pool): Promise<DatabaseAudit> {
  return onSnapshot(pool, async (tx) => ({ checks: await checkDatabase(tx), inFlight: await countInFlight(tx) }))
}

export async function checkDatabase(tx: Tx): Promise<Check[]> {
  const checks: Check[] = []
  for (const invariant of INVARIANTS) checks.push(await check(tx, invariant))
  return checks
}

async function countInFlight(tx: Tx): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(`
    with with_case as (
      select order_id from attention where closed_at is null
    ),
    open as (
      select id from orders where status in ('pending', 'inventory_reserved', 'payment_pending')
      union
      select p.order_id
      from payment p
      join orders o on o.id = p.order_id
      where p.status in ('sent', 'requires_action', 'pending')
         or p.status in ('authorized', 'captured') and o.status = 'cancelled'
         or p.pending_sync is not null
    )
    select (select count(*) from open where id not in (select order_id from with_case))
         + (select count(*) from outbox where published_at is null)
         + (select count(*) from inbox i left join payment p on p.key = i.payment_key
            where i.done_at is null and (p.order_id is null or p.order_id not in (select order_id from with_case))) as count`)
  return rows[0]?.count ?? 0
}
