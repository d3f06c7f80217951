import type { Sku, WarehouseId } from '../../domain/ids'
import type { Db, Tx } from '../pool'
import { type Query, statement } from '../sql'
import { lockWaitingOrders, type ServedUnits, serveOrders } from './back-order'
import { receiveStock, type Units } from './stock'

export interface NewReceipt {
  readonly warehouseId: WarehouseId
  /** The number of the delivery, or of the order that it is a part of. */
  readonly reference: string
  /** Each SKU once, as it is compared. */
  readonly lines: readonly Units[]
  /** The id of the admin key of whoever says so. */
  readonly actor: string
  /** The caller's own key says which request is which. Without one, the same reference and lines again are a repetition. */
  readonly isKeyed: boolean
}

export type Booked =
  /** `served`: units that orders had waited for. */
  | { readonly outcome: 'booked'; readonly id: string; readonly served: readonly ServedUnits[] }
  /** It was booked before. */
  | { readonly outcome: 'repeated'; readonly id: string }
  | { readonly outcome: 'unknown_warehouse' }
  | { readonly outcome: 'unknown_skus' | 'too_many'; readonly skus: readonly Sku[] }

/**
 * Books what a warehouse has received, and keeps what orders wait for, in the transaction `tx`: nobody sees the goods before they
 * have theirs. Of whatever is refused nothing may be kept: the caller throws.
 */
export async function bookReceipt(
  tx: Tx,
  { warehouseId, reference, lines, actor, isKeyed }: NewReceipt,
): Promise<Booked> {
  const skus = lines.map(({ sku }) => sku)
  const unknown = await findUnknown(tx, warehouseId, skus)
  if (unknown) return unknown
  const receipt = { warehouseId, reference, lines: written(lines) }
  const id = await idIn(tx, BOOK({ ...receipt, actor, isKeyed }))
  if (id === null) return { outcome: 'repeated', id: (await idIn(tx, FIND(receipt))) ?? '' }
  // Before the stock: an order comes first in the order of locks.
  const orderIds = await lockWaitingOrders(tx, skus)
  const tooMany = await receiveStock(tx, { warehouseId, lines, cause: 'receipt', reference, actor })
  if (tooMany.length > 0) return { outcome: 'too_many', skus: tooMany }
  return { outcome: 'booked', id, served: await serveOrders(tx, { warehouseId, skus, orderIds }) }
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

/** Waits for the same one that is being booked. */
const BOOK = statement(
  'receipt.book',
  `
    insert into receipt (warehouse_id, reference, lines, actor, is_keyed)
    values (:warehouseId, :reference, :lines, :actor, :isKeyed)
    on conflict (warehouse_id, reference, md5(lines::text)) where not is_keyed do nothing
    returning id::text`,
)

const FIND = statement(
  'receipt.find',
  `
    select id::text
    from receipt
    where warehouse_id = :warehouseId and reference = :reference and md5(lines::text) = md5(:lines::jsonb::text) and not is_keyed`,
)

async function idIn(tx: Tx, query: Query): Promise<string | null> {
  const { rows } = await tx.query<{ id: string }>(query)
  return rows[0]?.id ?? null
}

/** A receipt that was booked, its SKUs as they were written. */
export interface StoredReceipt extends Pick<NewReceipt, 'warehouseId' | 'reference' | 'lines'> {
  readonly createdAt: Date
}

export async function readReceipt(db: Db, id: string): Promise<StoredReceipt | null> {
  const { rows } = await db.query<StoredReceipt>(READ({ id }))
  return rows[0] ?? null
}

const READ = statement(
  'receipt.read',
  `
    select r.warehouse_id as "warehouseId", r.reference, r.created_at as "createdAt",
           (select json_agg(json_build_object('sku', v.sku_written, 'quantity', line.quantity) order by line.sku)
            from jsonb_to_recordset(r.lines) as line (sku text, quantity int)
            join variant v on v.sku = line.sku) as lines
    from receipt r
    where r.id = :id::bigint`,
)
