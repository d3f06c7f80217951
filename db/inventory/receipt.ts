import type { Sku, WarehouseId } from '../../domain/ids'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'
import { lockWaitingOrders, type ServedUnits, serveOrders } from './back-order'
import { receiveStock, type Units } from './stock'

export interface NewReceipt {
  readonly warehouseId: WarehouseId
  /** The warehouse's own name of it: it is booked once. */
  readonly reference: string
  /** Each SKU once, as it is compared. */
  readonly lines: readonly Units[]
  /** The id of the admin key of whoever says so. */
  readonly actor: string
}

export type Booked =
  /** `served`: units that orders had waited for. */
  | { readonly outcome: 'booked'; readonly served: readonly ServedUnits[] }
  /** It was booked before, with the same lines. */
  | { readonly outcome: 'repeated' }
  /** It was booked before, with other lines. */
  | { readonly outcome: 'reference_taken' }
  | { readonly outcome: 'unknown_warehouse' }
  | { readonly outcome: 'unknown_skus' | 'too_many'; readonly skus: readonly Sku[] }

/**
 * Books what a warehouse has received, and keeps what orders wait for, in the transaction `tx`: nobody sees the goods before they
 * have theirs. Of whatever is refused nothing may be kept: the caller throws.
 */
export async function bookReceipt(tx: Tx, { warehouseId, reference, lines, actor }: NewReceipt): Promise<Booked> {
  const skus = lines.map(({ sku }) => sku)
  const unknown = await findUnknown(tx, warehouseId, skus)
  if (unknown) return unknown
  const { rowCount } = await tx.query(BOOK({ warehouseId, reference, lines: written(lines), actor }))
  if (rowCount !== 1) return repeat(tx, { warehouseId, reference, lines })
  // Before the stock: an order comes first in the order of locks.
  const orderIds = await lockWaitingOrders(tx, skus)
  const tooMany = await receiveStock(tx, { warehouseId, lines, reference, actor })
  if (tooMany.length > 0) return { outcome: 'too_many', skus: tooMany }
  return { outcome: 'booked', served: await serveOrders(tx, { warehouseId, skus, orderIds }) }
}

/** The same whatever the order of the lines. */
function written(lines: readonly Units[]): string {
  const sorted = lines.map(({ sku, quantity }) => ({ sku, quantity })).sort((a, b) => (a.sku < b.sku ? -1 : 1))
  return JSON.stringify(sorted)
}

async function findUnknown(tx: Tx, warehouseId: WarehouseId, skus: readonly Sku[]): Promise<Booked | null> {
  const { rows } = await tx.query<{ warehouse: boolean; skus: Sku[] }>(UNKNOWN({ warehouseId, skus }))
  if (!rows[0]?.warehouse) return { outcome: 'unknown_warehouse' }
  return rows[0].skus.length > 0 ? { outcome: 'unknown_skus', skus: rows[0].skus } : null
}

const UNKNOWN = statement(
  'receipt.unknown',
  `
    select exists (select from warehouse where id = :warehouseId) as warehouse,
           array(
             select s.sku from unnest(:skus::text[]) as s (sku)
             where not exists (select from variant where sku = s.sku)
           ) as skus`,
)

/** Waits for one of the same reference that is being booked. */
const BOOK = statement(
  'receipt.book',
  `
    insert into receipt (warehouse_id, reference, lines, actor)
    values (:warehouseId, :reference, :lines, :actor)
    on conflict (warehouse_id, reference) do nothing`,
)

async function repeat(tx: Tx, { warehouseId, reference, lines }: Omit<NewReceipt, 'actor'>): Promise<Booked> {
  const { rows } = await tx.query<{ same: boolean }>(COMPARE({ warehouseId, reference, lines: written(lines) }))
  return { outcome: rows[0]?.same ? 'repeated' : 'reference_taken' }
}

const COMPARE = statement(
  'receipt.compare',
  'select lines = :lines::jsonb as same from receipt where warehouse_id = :warehouseId and reference = :reference',
)

/** A receipt that was booked, its SKUs as they were written; null: none has this reference. */
export async function readReceipt(
  db: Db,
  { warehouseId, reference }: Pick<NewReceipt, 'warehouseId' | 'reference'>,
): Promise<{ readonly lines: readonly Units[]; readonly createdAt: Date } | null> {
  const { rows } = await db.query<{ lines: Units[]; createdAt: Date }>(READ({ warehouseId, reference }))
  return rows[0] ?? null
}

const READ = statement(
  'receipt.read',
  `
    select r.created_at as "createdAt",
           (select json_agg(json_build_object('sku', v.sku_written, 'quantity', line.quantity) order by line.sku)
            from jsonb_to_recordset(r.lines) as line (sku text, quantity int)
            join variant v on v.sku = line.sku) as lines
    from receipt r
    where r.warehouse_id = :warehouseId and r.reference = :reference`,
)
