import { ON_HAND_MAX } from '../../domain/catalog/product'
import { type Sku, skuKey, type WarehouseId } from '../../domain/ids'
import { newId } from '../id'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

/** What lies in one warehouse: `available = onHand - reserved`, none of them ever negative. */
export interface StockLevel {
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly onHand: number
  readonly reserved: number
  readonly available: number
}

export const MOVEMENT_CAUSES = ['adjustment', 'import', 'shipment', 'short_pick', 'receipt', 'restock'] as const
type MovementCause = (typeof MOVEMENT_CAUSES)[number]

export interface StockMovement {
  readonly id: number
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly delta: number
  /** Afterwards. */
  readonly onHand: number
  readonly cause: MovementCause
  readonly reason: string | null
  /** What caused it: the id of an import, a shipment or a refund, or the reference of a receipt. */
  readonly reference: string | null
  /** The id of the admin key of whoever did it. */
  readonly actor: string | null
  readonly createdAt: Date
}

/** Exactly one of `delta` and `setOnHand`. */
export interface Adjustment {
  readonly sku: Sku
  readonly warehouseId: WarehouseId
  readonly delta?: number | undefined
  readonly setOnHand?: number | undefined
  readonly reason: string
  readonly actor: string
}

export type Adjusted =
  | { readonly outcome: 'adjusted'; readonly level: StockLevel }
  /** Fewer than are promised to customers, or more than a level can hold, would be left. Nothing changed. */
  | { readonly outcome: 'refused'; readonly level: StockLevel }
  | { readonly outcome: 'unknown_sku' }
  | { readonly outcome: 'unknown_warehouse' }

/**
 * What the outbox is told of a movement: its aggregate is the level, its sequence the movement's number, which rises and
 * has gaps.
 */
const STOCK_EVENT = `
  warehouse_id || '/' || sku, id::int, 'stock.adjusted',
  jsonb_build_object('sku', sku, 'warehouse_id', warehouse_id, 'on_hand', on_hand)`

/**
 * Changes what is on hand, with the movement that says why: all of it or nothing. Judges and writes the row as it was
 * locked, for the reason that `RESERVE` in `db/inventory/reservation.ts` gives.
 */
export async function adjustStock(db: Db, adjustment: Adjustment): Promise<Adjusted> {
  const sku = skuKey(adjustment.sku)
  const known = await makeLevel(db, sku, adjustment.warehouseId)
  if (known !== 'known') return { outcome: known }
  const { rows } = await db.query<StockLevel & { done: boolean }>(
    ADJUST({
      sku,
      warehouseId: adjustment.warehouseId,
      delta: adjustment.delta ?? null,
      setOnHand: adjustment.setOnHand ?? null,
      reason: adjustment.reason,
      actor: adjustment.actor,
      eventId: newId('event'),
    }),
  )
  const row = rows[0]
  if (!row) throw new Error(`the stock level of ${sku} vanished`)
  const { done, ...level } = row
  return { outcome: done ? 'adjusted' : 'refused', level }
}

const ADJUST = statement(
  'stock.adjust',
  `
    with before as (
      select sku, warehouse_id, on_hand, reserved, coalesce(:setOnHand::int, on_hand::bigint + :delta::int) as wanted
      from stock_level
      where sku = :sku and warehouse_id = :warehouseId
      for update
    ),
    changed as (
      update stock_level s
      set on_hand = b.wanted, reserved = b.reserved
      from before b
      where s.sku = b.sku and s.warehouse_id = b.warehouse_id
        and b.wanted between b.reserved and ${ON_HAND_MAX} and b.wanted <> b.on_hand
      returning s.sku, s.warehouse_id, s.on_hand, s.on_hand - b.on_hand as delta
    ),
    moved as (
      insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reason, actor)
      select sku, warehouse_id, delta, on_hand, 'adjustment', :reason, :actor
      from changed
      returning id, sku, warehouse_id, on_hand
    ),
    told as (
      insert into outbox (event_id, aggregate, seq, type, payload)
      select :eventId, ${STOCK_EVENT}
      from moved
    )
    select b.sku, b.warehouse_id as "warehouseId", coalesce(m.on_hand, b.on_hand) as "onHand", b.reserved,
           coalesce(m.on_hand, b.on_hand) - b.reserved as available,
           m.on_hand is not null or b.wanted = b.on_hand as done
    from before b
    left join moved m on true`,
)

/**
 * Sets what is on hand at many levels, each change with its movement; levels that are not there yet are made. Rows are
 * locked in (sku, warehouse) order. Answers how many are as wanted now: one on which more is promised stays as it was.
 *
 * The outbox is told of levels that were empty and are not, or the reverse; not of those of a SKU that this transaction
 * makes, whose product is announced anyway.
 */
export async function setLevels(
  db: Db,
  levels: readonly { readonly sku: Sku; readonly warehouseId: WarehouseId; readonly onHand: number }[],
  { cause, reference }: { cause: StockMovement['cause']; reference: string },
): Promise<number> {
  if (levels.length === 0) return 0
  const sorted = [...levels].sort((a, b) => compare(a.sku, b.sku) || compare(a.warehouseId, b.warehouseId))
  const { rows } = await db.query<{ count: number }>(
    SET_LEVELS({
      cause,
      reference,
      skus: sorted.map((level) => level.sku),
      warehouses: sorted.map((level) => level.warehouseId),
      onHand: sorted.map((level) => level.onHand),
      eventIds: sorted.map(() => newId('event')),
    }),
  )
  return rows[0]?.count ?? 0
}

const SET_LEVELS = statement(
  'stock.setLevels',
  `
    with wanted as materialized (
      select * from unnest(:skus::text[], :warehouses::text[], :onHand::int[], :eventIds::text[]) as n (sku, warehouse_id, on_hand, event_id)
    ),
    before as materialized (
      select s.sku, s.warehouse_id, s.on_hand, s.reserved
      from stock_level s
      join wanted w on w.sku = s.sku and w.warehouse_id = s.warehouse_id
      order by s.sku, s.warehouse_id
      for update of s
    ),
    changed as (
      update stock_level s
      set on_hand = w.on_hand, reserved = b.reserved
      from wanted w
      join before b on b.sku = w.sku and b.warehouse_id = w.warehouse_id
      where s.sku = w.sku and s.warehouse_id = w.warehouse_id and b.reserved <= w.on_hand
      returning s.sku, s.warehouse_id, s.on_hand, s.on_hand - b.on_hand as delta,
                (b.on_hand > b.reserved) <> (w.on_hand > b.reserved) as flipped, w.event_id
    ),
    made as (
      insert into stock_level (sku, warehouse_id, on_hand)
      select w.sku, w.warehouse_id, w.on_hand
      from wanted w
      where not exists (select from before b where b.sku = w.sku and b.warehouse_id = w.warehouse_id)
      returning sku, warehouse_id, on_hand, on_hand as delta
    ),
    written as (
      select * from changed
      union all
      select m.*, m.on_hand > 0 and v.created_at < now(), w.event_id
      from made m
      join wanted w on w.sku = m.sku and w.warehouse_id = m.warehouse_id
      join variant v on v.sku = m.sku
    ),
    moved as (
      insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reference)
      select sku, warehouse_id, delta, on_hand, :cause, :reference
      from written
      where delta <> 0
      returning id, sku, warehouse_id, on_hand
    ),
    told as (
      insert into outbox (event_id, aggregate, seq, type, payload)
      select w.event_id, told.*
      from (select sku as moved_sku, warehouse_id as moved_warehouse, ${STOCK_EVENT} from moved) as t
        (moved_sku, moved_warehouse, aggregate, seq, type, payload)
      join written w on w.sku = t.moved_sku and w.warehouse_id = t.moved_warehouse and w.flipped
      cross join lateral (select t.aggregate, t.seq, t.type, t.payload) as told
    )
    select count(*)::int as count from written`,
)

/** So many units of a SKU, in what it was compared by. */
export interface Units {
  readonly sku: Sku
  readonly quantity: number
}

export interface Receive {
  readonly warehouseId: WarehouseId
  /** Each SKU once. */
  readonly lines: readonly Units[]
  readonly cause: Extract<MovementCause, 'receipt' | 'restock'>
  readonly reference: string
  readonly actor: string
}

/**
 * Raises what is on hand in a warehouse, each level with its movement, all or nothing: levels that are not there yet are made.
 * Rows are locked by SKU. Returns the SKUs of which a level would hold more than it can; then nothing has changed.
 */
export async function receiveStock(tx: Tx, { warehouseId, lines, cause, reference, actor }: Receive): Promise<Sku[]> {
  const sorted = [...lines].sort((a, b) => compare(a.sku, b.sku))
  const skus = sorted.map(({ sku }) => sku)
  await tx.query(MAKE_LEVELS({ warehouseId, skus }))
  const { rows } = await tx.query<{ sku: Sku; onHand: number }>(LOCK_LEVELS({ warehouseId, skus }))
  const onHand = new Map(rows.map((row) => [row.sku, row.onHand]))
  const tooMany = sorted.filter(({ sku, quantity }) => (onHand.get(sku) ?? 0) + quantity > ON_HAND_MAX)
  if (tooMany.length > 0) return tooMany.map(({ sku }) => sku)
  const quantities = sorted.map(({ quantity }) => quantity)
  await tx.query(RECEIVE({ warehouseId, skus, quantities, cause, reference, actor }))
  return []
}

const MAKE_LEVELS = statement(
  'stock.makeLevels',
  `
    insert into stock_level (sku, warehouse_id)
    select sku, :warehouseId from unnest(:skus::text[]) as s (sku) order by sku
    on conflict do nothing`,
)

const LOCK_LEVELS = statement(
  'stock.lockLevels',
  `
    select sku, on_hand as "onHand"
    from stock_level
    where warehouse_id = :warehouseId and sku = any (:skus::text[])
    order by sku, warehouse_id
    for update`,
)

/** The levels are locked: the statement sees them as they are. */
const RECEIVE = statement(
  'stock.receive',
  `
    with raised as (
      update stock_level s
      set on_hand = s.on_hand + line.quantity
      from unnest(:skus::text[], :quantities::int[]) as line (sku, quantity)
      where s.sku = line.sku and s.warehouse_id = :warehouseId
      returning s.sku, s.warehouse_id, s.on_hand, line.quantity
    ),
    moved as (
      insert into stock_movement (sku, warehouse_id, delta, on_hand, cause, reference, actor)
      select sku, warehouse_id, quantity, on_hand, :cause, :reference, :actor
      from raised
      order by sku
      returning id, sku, warehouse_id, on_hand
    )
    insert into outbox (event_id, aggregate, seq, type, payload)
    select new_id('evt'), ${STOCK_EVENT}
    from moved`,
)

/** The levels of a SKU, by warehouse; null for an unknown SKU. `sku` is as it was written. */
export async function readStock(db: Db, sku: Sku): Promise<{ sku: string; levels: StockLevel[] } | null> {
  const { rows } = await db.query<{ written: string } & (StockLevel | { sku: null })>({
    name: 'stock.read',
    text: `
      select v.sku_written as written, s.sku, s.warehouse_id as "warehouseId", s.on_hand as "onHand", s.reserved,
             s.on_hand - s.reserved as available
      from variant v
      left join stock_level s on s.sku = v.sku
      where v.sku = $1
      order by s.warehouse_id`,
    values: [skuKey(sku)],
  })
  const first = rows[0]
  if (!first) return null
  const levels = rows.flatMap(({ written: _, ...level }) => (level.sku === null ? [] : [level]))
  return { sku: first.written, levels }
}

/** One level as it stands, its SKU as it was written; null when the SKU was never in that warehouse. */
export async function readLevel(db: Db, sku: Sku, warehouseId: WarehouseId): Promise<StockLevel | null> {
  const { rows } = await db.query<StockLevel>({
    name: 'stock.level',
    text: `
      select v.sku_written as sku, s.warehouse_id as "warehouseId", s.on_hand as "onHand", s.reserved,
             s.on_hand - s.reserved as available
      from stock_level s
      join variant v on v.sku = s.sku
      where s.sku = $1 and s.warehouse_id = $2`,
    values: [skuKey(sku), warehouseId],
  })
  return rows[0] ?? null
}

/** The levels of these SKUs in one warehouse, in the order of the SKUs as they were written. */
export async function readLevels(
  db: Db,
  { warehouseId, skus }: { warehouseId: WarehouseId; skus: readonly Sku[] },
): Promise<StockLevel[]> {
  const { rows } = await db.query<StockLevel>(READ_LEVELS({ warehouseId, skus }))
  return rows
}

const READ_LEVELS = statement(
  'stock.levels',
  `
    select v.sku_written as sku, s.warehouse_id as "warehouseId", s.on_hand as "onHand", s.reserved,
           s.on_hand - s.reserved as available
    from stock_level s
    join variant v on v.sku = s.sku
    where s.warehouse_id = :warehouseId and s.sku = any (:skus::text[])
    order by s.sku`,
)

/** Movements of a SKU before the movement `before` (null: from the newest), newest first. */
export async function listMovements(
  db: Db,
  { sku, before, limit }: { sku: Sku; before: number | null; limit: number },
): Promise<StockMovement[]> {
  const { rows } = await db.query<StockMovement>({
    name: 'stock.movements',
    text: `
      select id, sku, warehouse_id as "warehouseId", delta, on_hand as "onHand", cause, reason, reference, actor,
             created_at as "createdAt"
      from stock_movement
      where sku = $1 and ($2::bigint is null or id < $2)
      order by id desc
      limit $3`,
    values: [skuKey(sku), before, limit],
  })
  return rows
}

/** Sees to it that there is a level to change; an empty one is no movement. */
async function makeLevel(
  db: Db,
  sku: Sku,
  warehouseId: WarehouseId,
): Promise<'known' | 'unknown_sku' | 'unknown_warehouse'> {
  const { rows } = await db.query<{ sku: boolean; warehouse: boolean }>({
    name: 'stock.makeLevel',
    text: `
      with made as (
        insert into stock_level (sku, warehouse_id)
        select v.sku, w.id
        from variant v, warehouse w
        where v.sku = $1 and w.id = $2
        on conflict do nothing
      )
      select exists (select from variant where sku = $1) as sku,
             exists (select from warehouse where id = $2) as warehouse`,
    values: [sku, warehouseId],
  })
  if (!rows[0]?.sku) return 'unknown_sku'
  return rows[0].warehouse ? 'known' : 'unknown_warehouse'
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
