import { WORK_ON_GOODS } from '../../order/sweep'
import type { Pool, Tx } from '../../pool'
import { OPEN, UNRESOLVED } from '../../sql'
import { CATALOG_INVARIANTS } from './catalog'
import { ASKED_WITHIN_SECONDS, type Check, check, INBOX_HAS_CASE, MONEY_WORK, onSnapshot } from './check'
import { DELIVERY_INVARIANTS } from './delivery'
import { LEDGER_INVARIANTS } from './ledger'
import { MOVE_INVARIANTS } from './move'
import { ORDER_INVARIANTS } from './order'
import { PAYMENT_INVARIANTS } from './payment'
import { SHIPMENT_INVARIANTS } from './shipment'
import { STOCK_INVARIANTS } from './stock'

export { type Check, check, checkOf } from './check'

/** All that Postgres alone can tell. */
export const INVARIANTS = [
  ...STOCK_INVARIANTS,
  ...ORDER_INVARIANTS,
  ...PAYMENT_INVARIANTS,
  ...MOVE_INVARIANTS,
  ...LEDGER_INVARIANTS,
  ...SHIPMENT_INVARIANTS,
  ...DELIVERY_INVARIANTS,
  ...CATALOG_INVARIANTS,
]

export interface DatabaseAudit {
  readonly checks: readonly Check[]
  /** What is still on its way: open orders, attempts, money, goods that nobody holds, events. What waits for a person is not, nor a provider's own time. */
  readonly inFlight: number
}

/** Every invariant that Postgres alone can tell, on one snapshot. */
export async function auditDatabase(pool: Pool): Promise<DatabaseAudit> {
  return onSnapshot(pool, async (tx) => ({ checks: await checkDatabase(tx), inFlight: await countInFlight(tx) }))
}

async function checkDatabase(tx: Tx): Promise<Check[]> {
  const checks: Check[] = []
  for (const invariant of INVARIANTS) checks.push(await check(tx, invariant))
  return checks
}

export async function countInFlight(tx: Tx): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(`
    with with_case as (
      select distinct order_id from attention where closed_at is null and order_id is not null
    ),
    open as (
      select id from orders where status in ${OPEN}
      union
      select order_id from payment where status in ${UNRESOLVED} or pending_sync is not null
      union
      select order_id
      from (${MONEY_WORK}) as w
      where stands = 'to_do' or stands = 'to_decide' and moved_at > now() - interval '${ASKED_WITHIN_SECONDS} seconds'
      union
      select order_id from (${WORK_ON_GOODS}) as goods where to_do
    )
    select (select count(*) from open where id not in (select order_id from with_case))
         + (select count(*) from outbox where published_at is null)
         + (select count(*) from inbox i where i.done_at is null and not ${INBOX_HAS_CASE}) as count`)
  return rows[0]?.count ?? 0
}
