import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { type Db, type Tx, withTransaction } from '../../db/pool'
import {
  findWarehouse,
  giveWarehouseSecret,
  insertWarehouse,
  listWarehouses,
  readWarehouseSecret,
  updateWarehouse,
  type Warehouse,
} from '../../db/inventory/warehouse'
import { DomainError } from '../../domain/errors'
import { WAREHOUSE_OPERATIONS } from '../../domain/fulfillment/shipment'
import { isId, type WarehouseId } from '../../domain/ids'
import { newWarehouseSecret } from '../../providers/warehouse/verify'
import { refusalOfUrl } from '../../providers/warehouse/address'
import type { ApiDeps } from '../deps'
import { etagOf, ifMatch } from '../http/etag'
import { listPageFrom, readCursor } from '../http/pagination'
import { invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { blankable, idOf, listPageOf, listPageQuery, pathId, timestamp } from '../http/schemas'

const PRIORITY_DEFAULT = 100

const coordinates = z.strictObject({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) })

const operation = z.enum(WAREHOUSE_OPERATIONS).meta({
  description:
    'who moves its shipments on: it does so by itself (`automatic`), people do by this API (`manual`), or a system of its own (`external`)',
})

const warehouse = z
  .strictObject({
    id: idOf('warehouse'),
    name: z.string(),
    country: z.string(),
    postal_code: z.string().nullable(),
    coordinates: coordinates.nullable(),
    priority: z.int().meta({ description: 'the lower goes first where distance says nothing' }),
    operation,
    endpoint: z.string().nullable().meta({ description: 'where its own system is told of its shipments' }),
    secret: z.string().optional().meta({
      description: 'signs what it and we tell each other (Standard Webhooks): answered once, when it is made',
    }),
    version: z.int(),
    created_at: timestamp,
  })
  .meta({ id: 'Warehouse' })

const fields = {
  name: z.string().trim().min(1).max(100),
  country: z.string().regex(/^[A-Z]{2}$/, 'Send an ISO 3166-1 code in capitals, such as GB.'),
  postal_code: blankable(20),
  coordinates: coordinates.nullish(),
  priority: z.int().min(0).max(1_000_000),
  operation,
  endpoint: blankable(500).meta({
    description:
      'of an `external` one: an https address that takes messages, outside of private networks; null: it is told nothing',
  }),
}

const getWarehouses = defineRoute({
  method: 'get',
  path: '/v1/admin/warehouses',
  tag: 'Warehouses',
  summary: 'List the warehouses',
  caller: { admin: 'inventory', access: 'read' },
  query: listPageQuery,
  answers: { 200: listPageOf(warehouse) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => {
  const after = readCursor(query.cursor, (key): key is string => typeof key === 'string' && isId('warehouse', key))
  const warehouses = await listWarehouses(pool, { after, limit: query.limit + 1 })
  return { status: 200, body: listPageFrom(warehouses, query.limit, { keyOf: ({ id }) => id, present }) }
})

const postWarehouse = defineRoute({
  method: 'post',
  path: '/v1/admin/warehouses',
  tag: 'Warehouses',
  summary: 'Make a warehouse',
  caller: { admin: 'inventory', access: 'write' },
  description:
    'An `external` one is answered with its `secret`. Its system is told of its shipments at its `endpoint`; without one it reads its pick list.',
  body: z.strictObject({
    ...fields,
    priority: fields.priority.default(PRIORITY_DEFAULT),
    operation: operation.default('manual'),
  }),
  answers: { 201: warehouse, 409: ['name_taken', 'request_in_progress'], 422: ['idempotency_key_reused'] },
  example: { answer: 201, body: { name: 'Leeds', country: 'GB', postal_code: 'LS1 4DY', priority: 2 } },
}).handle(async ({ body, idempotency }, { pool, settings }) => {
  requireEndpoint(body.endpoint, settings)
  const { name, country, priority, operation } = body
  return withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      const id = await insertWarehouse(tx, {
        name,
        country,
        priority,
        operation,
        postalCode: body.postal_code ?? null,
        coordinates: body.coordinates ?? null,
        endpoint: body.endpoint ?? null,
      })
      if (!id) throw new DomainError('name_taken', `There is a warehouse called ${name} already.`)
      if (operation === 'external') await giveWarehouseSecret(tx, { id, secret: newWarehouseSecret(), replace: true })
      return { status: 201, resource: id }
    },
    presentNew,
  )
})

const getWarehouse = defineRoute({
  method: 'get',
  path: '/v1/admin/warehouses/{id}',
  tag: 'Warehouses',
  summary: 'Read a warehouse, to change it',
  caller: { admin: 'inventory', access: 'read' },
  params: pathId('warehouse'),
  answers: { 200: warehouse },
  example: { answer: 200 },
}).handle(async ({ params }, { pool }) => answer(pool, params.id))

const patchWarehouse = defineRoute({
  method: 'patch',
  path: '/v1/admin/warehouses/{id}',
  tag: 'Warehouses',
  summary: 'Change a warehouse',
  description:
    'Takes the ETag of what you read in `If-Match`. What is left out stays; null empties. One that becomes `external` is answered with its `secret`; `rotate_secret` makes a new one, which counts at once. Orders that are placed from then on go by it.',
  caller: { admin: 'inventory', access: 'write' },
  params: pathId('warehouse'),
  body: z.strictObject({ ...fields, rotate_secret: z.literal(true) }).partial(),
  answers: {
    200: warehouse,
    409: ['name_taken'],
    412: ['precondition_failed'],
    428: ['precondition_required'],
  },
}).handle(async ({ params, body, headers }, { pool, settings }) => {
  const mayChange = ifMatch(headers)
  const { postal_code: postalCode, rotate_secret: mustRotate = false, ...patch } = body
  await requireWarehouse(pool, params.id)
  requireEndpoint(patch.endpoint, settings)
  const secret = await withTransaction(pool, async (tx) => {
    const { operation } = await updateWarehouse(tx, { id: params.id, mayChange, patch: { ...patch, postalCode } })
    return operation === 'external' ? newSecretOf(tx, params.id, mustRotate) : null
  })
  const { body: found, ...answered } = await answer(pool, params.id)
  return { ...answered, body: { ...found, ...(secret !== null && { secret }) } }
})

/** Null: it keeps the one that it has. */
async function newSecretOf(tx: Tx, id: WarehouseId, replace: boolean): Promise<string | null> {
  const secret = newWarehouseSecret()
  return (await giveWarehouseSecret(tx, { id, secret, replace })) ? secret : null
}

/** Throws 400 for an address that may not be called. */
function requireEndpoint(endpoint: string | null | undefined, { WEBHOOK_ALLOW_PRIVATE }: ApiDeps['settings']): void {
  if (!endpoint) return
  const refusal = refusalOfUrl(endpoint, { allowPrivate: WEBHOOK_ALLOW_PRIVATE })
  if (refusal !== null) throw invalid([{ in: 'body', pointer: '/endpoint', code: 'invalid', message: refusal }])
}

export const warehouseRoutes: readonly Route[] = [getWarehouses, postWarehouse, getWarehouse, patchWarehouse]

/** Throws 404. */
async function requireWarehouse(db: Db, id: WarehouseId): Promise<Warehouse> {
  const found = await findWarehouse(db, id)
  if (!found) throw new DomainError('not_found', `There is no warehouse ${id}.`)
  return found
}

async function answer(db: Db, id: WarehouseId) {
  const found = await requireWarehouse(db, id)
  return { status: 200, body: present(found), headers: { ETag: etagOf(found.version) } } as const
}

async function presentNew(id: WarehouseId, db: Db): Promise<z.input<typeof warehouse>> {
  const found = await findWarehouse(db, id)
  if (!found) throw new Error(`the warehouse ${id} vanished`)
  const secret = await readWarehouseSecret(db, id)
  return { ...present(found), ...(secret !== null && { secret }) }
}

function present({
  id,
  name,
  country,
  postalCode,
  coordinates,
  priority,
  operation,
  endpoint,
  version,
  createdAt,
}: Warehouse): z.input<typeof warehouse> {
  return {
    id,
    name,
    country,
    postal_code: postalCode,
    coordinates,
    priority,
    operation,
    endpoint,
    version,
    created_at: createdAt.toISOString(),
  }
}
