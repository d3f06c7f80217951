import type { CartId, Sku } from '../../domain/ids'
import {
  type Allocation,
  bySkuAndWarehouse,
  type Demand,
  type Routed,
  route,
  type Shortage,
  type Supply,
} from '../../domain/inventory'
import { newId } from '../id'
import { type Db, type Pool, type Tx, withTransaction } from '../pool'
import { statement } from '../sql'

/**
 * Reservations. Stock is never sold twice because of two things in this file and one in the schema: demand is reserved by
 * one conditional statement, its rows are locked in (sku, warehouse) order, and `never_oversold` checks the sum.
 */

/**
 * The heart of `reserve`, `holdCart` and `placeOrder`, as the middle of a `with` list. Its values are those of
 * {@link demandValues}, and `:holder`, the cart whose soft holds are consumed (null: none). A preceding `claimed` has one row
 * when the owner may reserve. `fit` then has one row when everything was there, else none, and nothing changed.
 *
 * Only `locked` sees the rows as they are now; the statement's own view of them is as old as the statement. So `stock` may
 * neither judge by that view nor compute from it: an update's checks are first tried on the old row, and on a row that was
 * full then they refuse what has become free since. Both columns are written as they were locked.
 */
export const RESERVE = `
  demand as (
    select *
    from unnest(:demandSkus::text[], :demandWarehouses::text[], :demandQuantities::int[], :demandIds::text[])
      as d (sku, warehouse_id, quantity, id)
  ),
  own as (
    select r.id, r.sku, r.warehouse_id, r.quantity
    from reservation r, claimed
    where r.owner_id = :holder and r.kind = 'soft' and r.state = 'held'
    for update of r
  ),
  change as (
    select sku, warehouse_id, sum(quantity)::int as quantity
    from (
      select sku, warehouse_id, quantity from demand
      union all
      select sku, warehouse_id, -quantity from own
    ) as part
    group by sku, warehouse_id
  ),
  locked as (
    select s.sku, s.warehouse_id, s.on_hand, s.reserved
    from stock_level s
    join change using (sku, warehouse_id), claimed
    order by s.sku, s.warehouse_id
    for update of s
  ),
  fit as (
    select 1
    from change
    left join locked using (sku, warehouse_id)
    having count(*) = count(locked.sku) and bool_and(locked.on_hand - locked.reserved >= change.quantity)
  ),
  stock as (
    update stock_level s
    set on_hand = locked.on_hand, reserved = locked.reserved + change.quantity
    from change
    join locked using (sku, warehouse_id), fit
    where s.sku = change.sku and s.warehouse_id = change.warehouse_id and change.quantity <> 0
    returning s.sku
  )`

/**
 * Gives back what `freed` (sku, warehouse_id, quantity) held, as the end of a `with` list.
 * Its rows are locked in the same order as in {@link RESERVE}, and written as they were locked for the same reason.
 */
export const RELEASE_STOCK = `
  freed_sum as (
    select sku, warehouse_id, sum(quantity)::int as quantity
    from freed
    group by sku, warehouse_id
  ),
  freed_locked as (
    select s.sku, s.warehouse_id, s.on_hand, s.reserved - f.quantity as reserved, s.on_hand = s.reserved as was_gone
    from stock_level s
    join freed_sum f using (sku, warehouse_id)
    order by s.sku, s.warehouse_id
    for update of s
  ),
  freed_stock as (
    update stock_level s
    set on_hand = f.on_hand, reserved = f.reserved
    from freed_locked f
    where s.sku = f.sku and s.warehouse_id = f.warehouse_id
    returning s.sku, s.warehouse_id, s.on_hand, f.was_gone
  )`

/**
 * Writes an event for each level that a cart emptied, or refilled from empty: `turned` has sku, warehouse_id, on_hand and
 * type. Search and pages show it. Orders have events of their own. The sequence goes on with that of the level's movements.
 */
const EMIT_TURNED = `
  told as (
    insert into outbox (event_id, aggregate, seq, type, payload)
    select new_id('evt'), warehouse_id || '/' || sku, nextval(pg_get_serial_sequence('stock_movement', 'id'))::int, type,
           jsonb_build_object('sku', sku, 'warehouse_id', warehouse_id, 'on_hand', on_hand)
    from turned
  )`

const EMIT_FREED = `
  turned as (
    select sku, warehouse_id, on_hand, 'stock.back_in_stock' as type from freed_stock where was_gone
  ), ${EMIT_TURNED}` as const

/** What {@link RESERVE} is to reserve, with the ids of the reservations. */
export function demandValues(allocations: readonly Allocation[]) {
  const sorted = [...allocations].sort(bySkuAndWarehouse)
  return {
    demandSkus: sorted.map((part) => part.sku),
    demandWarehouses: sorted.map((part) => part.warehouseId),
    demandQuantities: sorted.map((part) => part.quantity),
    demandIds: sorted.map(() => newId('reservation')),
  }
}

/**
 * Reserves `allocations` for `ownerId` until `seconds` from now, all or nothing. Idempotent on `ownerId`: an owner that
 * ever reserved is told `true` again while it holds, and never reserves a second time.
 */
export async function reserve(
  db: Db,
  { ownerId, allocations, seconds }: { ownerId: string; allocations: readonly Allocation[]; seconds: number },
): Promise<boolean> {
  const { rows } = await db.query<{ held: boolean }>(
    RESERVE_OR_NOT({ ...demandValues(allocations), ownerId, holder: null, seconds }),
  )
  return rows[0]?.held ?? false
}

const RESERVE_OR_NOT = statement(
  'inventory.reserve',
  `
    with claimed as (
      select 1 where not exists (select from reservation where owner_id = :ownerId)
    ), ${RESERVE},
    reserved as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
      select demand.id, 'hard', :ownerId, sku, warehouse_id, quantity, now() + make_interval(secs => :seconds)
      from demand, fit
      returning 1
    )
    select exists (select from reserved)
        or exists (select from reservation where owner_id = :ownerId and state in ('held', 'committed')) as held`,
)

/** Gives back what `ownerId` holds. Returns how many reservations ended; 0 when there was nothing, or not any more. */
export async function release(db: Db, ownerId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(RELEASE({ ownerId }))
  return rows[0]?.count ?? 0
}

const RELEASE = statement(
  'inventory.release',
  `
    with freed as (
      update reservation
      set state = 'released', updated_at = now()
      where owner_id = :ownerId and state = 'held'
      returning sku, warehouse_id, quantity
    ), ${RELEASE_STOCK}
    select (select count(*)::int from freed) as count, (select count(*) from freed_stock) as levels`,
)

/** What each warehouse could give of these SKUs to this cart: its free stock and the cart's own soft hold there. */
export async function readSupply(db: Db, skus: readonly Sku[], cartId: string | null): Promise<Supply[]> {
  const { rows } = await db.query<Supply>({
    name: 'inventory.supply',
    text: `
      select s.sku, s.warehouse_id as "warehouseId", w.priority, w.country, w.latitude, w.longitude,
             s.on_hand - s.reserved + coalesce(r.quantity, 0) as available
      from stock_level s
      join warehouse w on w.id = s.warehouse_id
      left join reservation r
        on r.owner_id = $2 and r.kind = 'soft' and r.state = 'held' and r.sku = s.sku and r.warehouse_id = s.warehouse_id
      where s.sku = any ($1::text[])`,
    values: [skus, cartId],
  })
  return rows
}

export type Held =
  | { readonly held: true; readonly expiresAt: Date }
  | { readonly held: false; readonly short: readonly Shortage[] }

/** Stock that moves between looking and reserving is looked at again this often before the cart is called short. */
const HOLD_TRIES = 5

/**
 * Holds all lines of a cart softly, to exactly these quantities, for `seconds` from now; a second call renews.
 * All or nothing: a short line leaves the hold as it was. Throws nothing for a cart that is closed or locked:
 * the caller has checked that, and an expired hold of a closed cart is swept.
 *
 * In a transaction, because the cart has to be locked before the statement that reads its hold begins.
 */
export async function holdCart(
  db: Tx,
  { cartId, lines, country, seconds }: { cartId: CartId; lines: readonly Demand[]; country: string; seconds: number },
): Promise<Held> {
  const skus = lines.map((line) => line.sku)
  await lockCart(db, cartId)
  let routed: Routed = { outcome: 'short', lines: [] }
  for (let tries = 0; tries < HOLD_TRIES; tries++) {
    routed = route(lines, await readSupply(db, skus, cartId), country)
    if (routed.outcome === 'short') return { held: false, short: routed.lines }
    const expiresAt = await setCartHold(db, cartId, routed.allocations, seconds)
    if (expiresAt) return { held: true, expiresAt }
  }
  return { held: false, short: lines.map((line) => ({ sku: line.sku, requested: line.quantity, available: 0 })) }
}

/** A cart goes before its reservations, and these before stock. */
async function lockCart(db: Tx, cartId: CartId): Promise<void> {
  await db.query({ name: 'inventory.lockCart', text: 'select from cart where id = $1 for update', values: [cartId] })
}

async function setCartHold(
  db: Tx,
  cartId: CartId,
  allocations: readonly Allocation[],
  seconds: number,
): Promise<Date | null> {
  const { rows } = await db.query<{ expiresAt: Date }>(
    HOLD_CART({ ...demandValues(allocations), cartId, holder: cartId, seconds }),
  )
  return rows[0]?.expiresAt ?? null
}

const HOLD_CART = statement(
  'inventory.holdCart',
  `
    with claimed as (
      select id from cart where id = :cartId and state = 'open' and order_id is null for update
    ), ${RESERVE},
    kept as (
      insert into reservation (id, kind, owner_id, sku, warehouse_id, quantity, expires_at)
      select demand.id, 'soft', :cartId, sku, warehouse_id, quantity, now() + make_interval(secs => :seconds)
      from demand, fit
      on conflict (owner_id, sku, warehouse_id) where state in ('held', 'committed')
      do update set quantity = excluded.quantity, expires_at = excluded.expires_at, updated_at = now()
      returning 1
    ),
    dropped as (
      update reservation r
      set state = 'released', updated_at = now()
      from own, fit
      where r.id = own.id
        and not exists (select from demand d where d.sku = own.sku and d.warehouse_id = own.warehouse_id)
      returning 1
    ),
    turned as (
      select sku, warehouse_id, locked.on_hand,
             case when locked.on_hand > locked.reserved then 'stock.sold_out' else 'stock.back_in_stock' end as type
      from change
      join locked using (sku, warehouse_id), fit
      where (locked.on_hand > locked.reserved) <> (locked.on_hand > locked.reserved + change.quantity)
    ), ${EMIT_TURNED}
    update cart
    set hold_expires_at = now() + make_interval(secs => :seconds), updated_at = now()
    from fit
    where id = :cartId
    returning hold_expires_at as "expiresAt"`,
)

/** Ends the soft hold of a cart. Repeated, or without a hold, it does nothing. */
export async function releaseCartHold(pool: Pool, cartId: CartId): Promise<void> {
  await withTransaction(pool, async (tx) => {
    await lockCart(tx, cartId)
    await tx.query(RELEASE_CART_HOLD({ cartId }))
  })
}

const RELEASE_CART_HOLD = statement(
  'inventory.releaseCartHold',
  `
    with freed as (
      update reservation
      set state = 'released', updated_at = now()
      where owner_id = :cartId and kind = 'soft' and state = 'held'
      returning sku, warehouse_id, quantity
    ), ${RELEASE_STOCK}, ${EMIT_FREED}
    update cart
    set hold_expires_at = null, updated_at = now()
    where id = :cartId and (select count(*) from freed_stock) >= 0`,
)

/**
 * Releases up to `limit` soft holds that are past their time, of the owners of one shard (`shards` a power of two).
 * Returns how many, and in how many milliseconds the next one is due (null: none is held).
 */
export async function expireDueHolds(
  db: Db,
  { shard, shards, limit }: { shard: number; shards: number; limit: number },
): Promise<{ expired: number; nextDueMs: number | null }> {
  const { rows } = await db.query<{ expired: number; nextDueMs: number | null }>(
    EXPIRE_DUE_HOLDS({ shard, shards, limit }),
  )
  return rows[0] ?? { expired: 0, nextDueMs: null }
}

const EXPIRE_DUE_HOLDS = statement(
  'inventory.expireDueHolds',
  `
    with due as (
      select id
      from reservation
      where kind = 'soft' and state = 'held' and expires_at <= now() and hashtext(owner_id) & (:shards - 1) = :shard
      order by expires_at
      limit :limit
      for update skip locked
    ),
    freed as (
      update reservation r
      set state = 'expired', updated_at = now()
      from due
      where r.id = due.id
      returning r.owner_id, r.sku, r.warehouse_id, r.quantity
    ), ${RELEASE_STOCK}, ${EMIT_FREED},
    carts as (
      update cart
      set hold_expires_at = null, updated_at = now()
      where id in (
        -- One that is locked is being held anew, and waits for what this statement has locked.
        select id from cart where id in (select owner_id from freed) for update skip locked
      )
      returning 1
    )
    select (select count(*)::int from freed) as expired,
           (select count(*) from freed_stock) as levels,
           (select greatest(0, extract(epoch from min(r.expires_at) - now()) * 1000)::float8
            from reservation r
            where r.kind = 'soft' and r.state = 'held' and hashtext(r.owner_id) & (:shards - 1) = :shard
              and r.id not in (select id from due)) as "nextDueMs"`,
)
