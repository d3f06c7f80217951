import { z } from 'zod'
import { nextCatalogEpoch } from '../../db/catalog/epoch'
import { type Booked, bookReceipt, readReceipt } from '../../db/inventory/receipt'
import { readLevels } from '../../db/inventory/stock'
import { withIdempotency } from '../../db/platform/idempotency'
import type { Db } from '../../db/pool'
import { ON_HAND_MAX } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { type OrderId, type Sku, skuKey } from '../../domain/ids'
import type { ApiDeps } from '../deps'
import { type FieldError, invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { exampleId, idOf, sku, timestamp } from '../http/schemas'
import { presentLevel, stockLevel } from '../inventory/answer'
import { tellOwner } from '../payment/owner'

/** Goods that a warehouse receives. What orders wait for is kept for them at once. */

const line = z.strictObject({ sku, quantity: z.int().min(1).max(ON_HAND_MAX) })

const LINES_MAX = 1_000
const lines = z
  .array(line)
  .min(1)
  .max(LINES_MAX)
  .superRefine((given, context) => {
    const seen = new Set<Sku>()
    given.forEach((one, n) => {
      if (seen.has(skuKey(one.sku)))
        context.addIssue({ code: 'custom', path: [n, 'sku'], message: 'Send each SKU once.' })
      seen.add(skuKey(one.sku))
    })
  })

const receipt = z
  .strictObject({
    warehouse_id: idOf('warehouse'),
    reference: z.string(),
    lines: z.array(z.strictObject({ sku: z.string(), quantity: z.int() })),
    levels: z.array(stockLevel).meta({ description: 'as they stand now' }),
    created_at: timestamp,
  })
  .meta({ id: 'Receipt' })

const postReceipt = defineRoute({
  method: 'post',
  path: '/v1/admin/inventory/receipts',
  tag: 'Receipts',
  summary: 'Book what a warehouse has received',
  description:
    'Stock on hand rises, all lines or none. Orders that wait for it get theirs at once, the one first that was confirmed first. Without an Idempotency-Key, the same reference and lines again in this warehouse are a repetition, and change nothing.',
  caller: { admin: 'inventory', access: 'write' },
  body: z.strictObject({
    warehouse_id: idOf('warehouse'),
    reference: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .meta({ description: 'the number of the delivery, or of what was ordered' }),
    lines,
  }),
  answers: {
    201: receipt,
    404: ['not_found', 'sku_not_found'],
    409: ['request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: {
    answer: 201,
    body: { warehouse_id: exampleId('warehouse'), reference: 'DN-20417', lines: [{ sku: '85123A', quantity: 24 }] },
  },
}).handle(async ({ body, caller, idempotency }, deps) => {
  const { warehouse_id: warehouseId, reference } = body
  const wanted = body.lines.map((one) => ({ sku: skuKey(one.sku), quantity: one.quantity }))
  let served: readonly OrderId[] = []
  const answer = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const isKeyed = idempotency !== null
      const booked = await bookReceipt(tx, { warehouseId, reference, lines: wanted, actor: caller.keyId, isKeyed })
      if (booked.outcome !== 'booked' && booked.outcome !== 'repeated') throw refusalOf(booked, wanted)
      served = booked.outcome === 'booked' ? [...new Set(booked.served.map(({ orderId }) => orderId))] : []
      return { status: 201, resource: booked.id }
    },
    presentReceipt,
  )
  await nextCatalogEpoch(deps.redis)
  await tellServed(served, deps)
  return answer
})

export const receiptRoutes: readonly Route[] = [postReceipt]

function refusalOf(
  booked: Exclude<Booked, { outcome: 'booked' | 'repeated' }>,
  lines: readonly { readonly sku: Sku }[],
): DomainError {
  switch (booked.outcome) {
    case 'unknown_warehouse':
      return new DomainError('not_found', 'There is no such warehouse.')
    case 'unknown_skus': {
      const errors = faultsOf(lines, booked.skus, { field: 'sku', code: 'unknown', message: 'There is no such SKU.' })
      return new DomainError('sku_not_found', `There is no SKU ${booked.skus.join(', ')}.`, {
        sku: booked.skus[0],
        errors,
      })
    }
    case 'too_many':
      return invalid(
        faultsOf(lines, booked.skus, {
          field: 'quantity',
          code: 'too_big',
          message: `A level holds at most ${ON_HAND_MAX} units.`,
        }),
      )
  }
}

function faultsOf(
  lines: readonly { readonly sku: Sku }[],
  skus: readonly Sku[],
  { field, code, message }: { field: 'sku' | 'quantity'; code: string; message: string },
): FieldError[] {
  const wrong = new Set(skus)
  return lines.flatMap((one, n) =>
    wrong.has(one.sku) ? [{ in: 'body' as const, pointer: `/lines/${n}/${field}`, code, message }] : [],
  )
}

async function presentReceipt(id: string, db: Db): Promise<z.input<typeof receipt>> {
  const found = await readReceipt(db, id)
  if (!found) throw new Error('a receipt vanished')
  const { warehouseId, reference } = found
  const skus = found.lines.map((one) => skuKey(one.sku))
  const levels = await readLevels(db, { warehouseId, skus })
  return {
    warehouse_id: warehouseId,
    reference,
    lines: [...found.lines],
    levels: levels.map(presentLevel),
    created_at: found.createdAt.toISOString(),
  }
}

/** Told at once, a few at a time; the sweep tells the others, whose units are kept for them already. */
const TOLD_AT_ONCE = 5
const TELL_MS = 2_000

async function tellServed(orderIds: readonly OrderId[], deps: ApiDeps): Promise<void> {
  const waiting = [...orderIds]
  const until = Date.now() + TELL_MS
  const lane = async (): Promise<void> => {
    for (let orderId = waiting.shift(); orderId !== undefined && Date.now() < until; orderId = waiting.shift())
      await tellOwner({ orderId, isOver: false, paymentIds: [] }, deps)
  }
  await Promise.all(Array.from({ length: TOLD_AT_ONCE }, lane))
}
