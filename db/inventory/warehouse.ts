import type { WarehouseId } from '../../domain/ids'
import { newId } from '../id'
import type { Db } from '../pool'
import { statement } from '../sql'

export interface NewWarehouse {
  readonly name: string
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  readonly postalCode: string | null
  readonly coordinates: { readonly latitude: number; readonly longitude: number } | null
  /** The lower goes first where distance says nothing. */
  readonly priority: number
}

export interface Warehouse extends NewWarehouse {
  readonly id: WarehouseId
  readonly createdAt: Date
}

const WAREHOUSE = `
  id, name, country, postal_code as "postalCode", priority, created_at as "createdAt",
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
  const { name, country, postalCode, coordinates, priority } = warehouse
  const { rows } = await db.query<{ id: WarehouseId }>(
    INSERT({
      id: newId('warehouse'),
      name,
      country,
      postalCode,
      latitude: coordinates?.latitude ?? null,
      longitude: coordinates?.longitude ?? null,
      priority,
    }),
  )
  return rows[0]?.id ?? null
}

const INSERT = statement(
  null,
  `
    insert into warehouse (id, name, country, postal_code, latitude, longitude, priority)
    values (:id, :name, :country, :postalCode, :latitude, :longitude, :priority)
    on conflict (name) do nothing
    returning id`,
)
