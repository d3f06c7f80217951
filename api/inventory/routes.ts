import { nextCatalogEpoch } from '../../db/catalog/epoch'
import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import {
  adjustStock,
  listMovements,
  MOVEMENT_CAUSES,
  readLevel,
  readStock,
  type StockLevel,
  type StockMovement,
} from '../../db/inventory/stock'
import { ON_HAND_MAX } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { SKU_PATTERN, type Sku } from '../../domain/ids'
import { sum } from '../../domain/money'
import { presentLevel, quantities, stockLevel } from './answer'
import { listPageFrom, readCursor } from '../http/pagination'
import { invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { exampleId, idOf, listPageOf, listPageQuery, sku, timestamp } from '../http/schemas'

const inventory = z
  .strictObject({
    sku: z.string(),
    levels: z.array(z.strictObject({ warehouse_id: idOf('warehouse'), ...quantities })),
    ...quantities,
  })
  .meta({ id: 'Inventory' })

const movement = z
  .strictObject({
    id: z.string(),
    sku: z.string(),
    warehouse_id: idOf('warehouse'),
    delta: z.int(),
    on_hand: z.int().meta({ description: 'afterwards' }),
    cause: z.enum(MOVEMENT_CAUSES),
    reason: z.string().nullable(),
    reference: z
      .string()
      .nullable()
      .meta({ description: 'what caused it, such as the id of an import or the reference of a receipt' }),
    actor: z.string().nullable().meta({ description: 'the id of the admin key' }),
    created_at: timestamp,
  })
  .meta({ id: 'StockMovement' })

const adjustment = z
  .strictObject({
    sku,
    warehouse_id: idOf('warehouse'),
    delta: z.int().min(-ON_HAND_MAX).max(ON_HAND_MAX).optional().meta({ description: 'how many more, or fewer' }),
    set_on_hand: z.int().min(0).max(ON_HAND_MAX).optional().meta({ description: 'what was counted' }),
    reason: z.string().trim().min(1).max(200),
  })
  .refine(
    (given) => (given.delta === undefined) !== (given.set_on_hand === undefined),
    'Give `delta` or `set_on_hand`.',
  )

const postAdjustment = defineRoute({
  method: 'post',
  path: '/v1/admin/inventory/adjustments',
  tag: 'Inventory',
  summary: 'Change what is on hand',
  description: 'Never below what is promised to customers. Writes a movement with the reason.',
  caller: { admin: 'inventory', access: 'write' },
  body: adjustment,
  idempotency: 'required',
  answers: {
    200: stockLevel,
    404: ['not_found', 'sku_not_found'],
    409: ['below_reserved', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: {
    answer: 200,
    body: { sku: '85123A', warehouse_id: exampleId('warehouse'), delta: 24, reason: 'delivery' },
  },
}).handle(async ({ body, caller, idempotency }, { pool, redis }) => {
  const answer = await withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      requireSku(body.sku)
      const adjusted = await adjustStock(tx, {
        sku: body.sku,
        warehouseId: body.warehouse_id,
        delta: body.delta,
        setOnHand: body.set_on_hand,
        reason: body.reason,
        actor: caller.keyId,
      })
      if (adjusted.outcome === 'unknown_sku') throw unknownSku(body.sku)
      if (adjusted.outcome === 'unknown_warehouse') {
        throw new DomainError('not_found', `There is no warehouse ${body.warehouse_id}.`)
      }
      if (adjusted.outcome === 'refused') throw refusal(adjusted.level, body.delta ?? 0)
      return { status: 200, resource: { sku: adjusted.level.sku, warehouseId: adjusted.level.warehouseId } }
    },
    async (resource, db) => presentLevel(requireLevel(await readLevel(db, resource.sku, resource.warehouseId))),
  )
  await nextCatalogEpoch(redis)
  return answer
})

const getInventory = defineRoute({
  method: 'get',
  path: '/v1/admin/inventory/{sku}',
  tag: 'Inventory',
  summary: 'Read the stock of a SKU, by warehouse and in sum',
  caller: { admin: 'inventory', access: 'read' },
  params: z.object({ sku }),
  answers: { 200: inventory, 404: ['sku_not_found'] },
  example: { answer: 200 },
}).handle(async ({ params }, { pool }) => {
  const stock = await requireStock(params.sku, (known) => readStock(pool, known))
  const levels = stock.levels.map(({ warehouseId, onHand, reserved, available }) => ({
    warehouse_id: warehouseId,
    on_hand: onHand,
    reserved,
    available,
  }))
  const total = (of: 'on_hand' | 'reserved' | 'available') => sum(levels.map((one) => one[of]))
  const totals = { on_hand: total('on_hand'), reserved: total('reserved'), available: total('available') }
  return { status: 200, body: { sku: stock.sku, levels, ...totals } }
})

const getMovements = defineRoute({
  method: 'get',
  path: '/v1/admin/inventory/{sku}/movements',
  tag: 'Inventory',
  summary: 'List every change of what is on hand, newest first',
  caller: { admin: 'inventory', access: 'read' },
  params: z.object({ sku }),
  query: listPageQuery,
  answers: { 200: listPageOf(movement), 404: ['sku_not_found'] },
  example: { answer: 200 },
}).handle(async ({ params, query }, { pool }) => {
  const before = readCursor(query.cursor, (key): key is number => Number.isSafeInteger(key))
  const stock = await requireStock(params.sku, (known) => readStock(pool, known))
  const movements = await listMovements(pool, { sku: stock.sku, before, limit: query.limit + 1 })
  const listPage = listPageFrom(movements, query.limit, {
    keyOf: ({ id }) => id,
    present: (one) => presentMovement(one, stock.sku),
  })
  return { status: 200, body: listPage }
})

/** `adjustments` stands before `{sku}`: the router takes the first that fits. */
export const inventoryRoutes: readonly Route[] = [postAdjustment, getMovements, getInventory]

/** What cannot be a SKU is none, and is not asked for. */
function requireSku(written: string): void {
  if (!SKU_PATTERN.test(written)) throw unknownSku(written)
}

async function requireStock<T>(written: string, read: (sku: Sku) => Promise<T | null>): Promise<T> {
  requireSku(written)
  const found = await read(written)
  if (!found) throw unknownSku(written)
  return found
}

function unknownSku(written: string): DomainError {
  return new DomainError('sku_not_found', `There is no SKU ${written}.`, { sku: written })
}

function refusal({ onHand, reserved }: StockLevel, delta: number): DomainError {
  if (delta > 0) {
    return invalid([
      { in: 'body', pointer: '/delta', code: 'too_big', message: `A level holds at most ${ON_HAND_MAX} units.` },
    ])
  }
  const detail = `${reserved} of ${onHand} units on hand are promised to customers.`
  return new DomainError('below_reserved', detail, { on_hand: onHand, reserved })
}

function requireLevel(found: StockLevel | null): StockLevel {
  if (!found) throw new Error('a stock level vanished')
  return found
}

function presentMovement(one: StockMovement, written: string): z.input<typeof movement> {
  const { id, warehouseId, delta, onHand, cause, reason, reference, actor, createdAt } = one
  return {
    id: String(id),
    sku: written,
    warehouse_id: warehouseId,
    delta,
    on_hand: onHand,
    cause,
    reason,
    reference,
    actor,
    created_at: createdAt.toISOString(),
  }
}
