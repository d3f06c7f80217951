import { DomainError } from '../../domain/errors'
import type { WarehouseOperation } from '../../domain/fulfillment/shipment'
import type { WarehouseId } from '../../domain/ids'
import { newId } from '../id'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'

export interface NewWarehouse {
  readonly name: string
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  readonly postalCode: string | null
  readonly coordinates: { readonly latitude: number; readonly longitude: number } | null
  /** The lower goes first where distance says nothing. */
  readonly priority: number
  readonly operation: WarehouseOperation
  /** Where a system of its own is told of its shipments; null: it asks for them. */
  readonly endpoint: string | null
}

export interface Warehouse extends NewWarehouse {
  readonly id: WarehouseId
  readonly version: number
  readonly createdAt: Date
}

/** What is left out stays. */
export type WarehousePatch = { readonly [Field in keyof NewWarehouse]?: NewWarehouse[Field] | undefined }

const WAREHOUSE = `
  id, name, country, postal_code as "postalCode", priority, operation, endpoint, version, created_at as "createdAt",
  case when latitude is not null then jsonb_build_object('latitude', latitude, 'longitude', longitude) end as coordinates`

/** Warehouses after the id `after` (null: the first ones), oldest first. */
export async function listWarehouses(
  db: Db,
  { after, limit }: { after: string | null; limit: number },
): Promise<Warehouse[]> {
  const { rows } = await db.query<Warehouse>({
    name: 'warehouse.list',
    text: `select ${WAREHOUSE} from warehouse where id > $1 order by id limit $2`,
    values: [after ?? '', limit],
  })
  return rows
}

export async function findWarehouse(db: Db, id: WarehouseId): Promise<Warehouse | null> {
  const { rows } = await db.query<Warehouse>({
    name: 'warehouse.byId',
    text: `select ${WAREHOUSE} from warehouse where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** Null when the name is taken. */
export async function insertWarehouse(db: Db, warehouse: NewWarehouse): Promise<WarehouseId | null> {
  const { rows } = await db.query<{ id: WarehouseId }>(INSERT({ id: newId('warehouse'), ...columnsOf(warehouse) }))
  return rows[0]?.id ?? null
}

const INSERT = statement(
  null,
  `
    insert into warehouse (id, name, country, postal_code, latitude, longitude, priority, operation, endpoint)
    values (:id, :name, :country, :postalCode, :latitude, :longitude, :priority, :operation, :endpoint)
    on conflict (name) do nothing
    returning id`,
)

/**
 * Changes what `patch` names if the warehouse still has a version that `mayChange` accepts. Orders that are placed from then on
 * go by it. Throws `not_found`, `precondition_failed`, `name_taken`. Answers what it is now.
 */
export async function updateWarehouse(
  tx: Tx,
  { id, mayChange, patch }: { id: WarehouseId; mayChange: (version: number) => boolean; patch: WarehousePatch },
): Promise<NewWarehouse> {
  await tx.query('select from warehouse where id = $1 for update', [id])
  const before = await findWarehouse(tx, id)
  if (!before) throw new DomainError('not_found', `There is no warehouse ${id}.`)
  if (!mayChange(before.version))
    throw new DomainError('precondition_failed', 'The warehouse has changed since you read it. Read it again.')
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  const after: NewWarehouse = { ...before, ...given }
  try {
    await tx.query(UPDATE({ id, ...columnsOf(after) }))
  } catch (error) {
    if ((error as { constraint?: unknown }).constraint !== 'warehouse_name_key') throw error
    throw new DomainError('name_taken', `There is a warehouse called ${after.name} already.`)
  }
  return after
}

const UPDATE = statement(
  null,
  `
    update warehouse
    set name = :name, country = :country, postal_code = :postalCode, latitude = :latitude, longitude = :longitude,
        priority = :priority, operation = :operation, endpoint = :endpoint, version = version + 1
    where id = :id`,
)

function columnsOf({ name, country, postalCode, coordinates, priority, operation, endpoint }: NewWarehouse) {
  const { latitude, longitude } = coordinates ?? { latitude: null, longitude: null }
  return { name, country, postalCode, latitude, longitude, priority, operation, endpoint }
}

/**
 * Gives a warehouse the secret that signs what it and we tell each other, in the place of the one it has. Without `replace` it
 * keeps that. Answers whether `secret` is its secret now.
 */
export async function giveWarehouseSecret(
  tx: Tx,
  { id, secret, replace }: { id: WarehouseId; secret: string; replace: boolean },
): Promise<boolean> {
  const { rowCount } = await tx.query(GIVE_SECRET({ id, secret, replace }))
  return rowCount === 1
}

const GIVE_SECRET = statement(
  null,
  `
    insert into warehouse_secret (warehouse_id, secret)
    values (:id, :secret)
    on conflict (warehouse_id) do update set secret = excluded.secret, created_at = now() where :replace::boolean`,
)

/** Null: it has no system of its own, or none any more. */
export async function readWarehouseSecret(db: Db, id: WarehouseId): Promise<string | null> {
  const { rows } = await db.query<{ secret: string }>({
    name: 'warehouse.secret',
    text: `
      select x.secret
      from warehouse_secret x
      join warehouse w on w.id = x.warehouse_id
      where w.id = $1 and w.operation = 'external'`,
    values: [id],
  })
  return rows[0]?.secret ?? null
}
