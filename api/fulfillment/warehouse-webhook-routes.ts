import { z } from 'zod'
import { applyWarehouseEvent } from '../../db/fulfillment/warehouse-event'
import { readShipment } from '../../db/fulfillment/read'
import { readWarehouseSecret } from '../../db/inventory/warehouse'
import { withTransaction } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { WarehouseNews } from '../../domain/fulfillment/warehouse-news'
import { WAREHOUSE_EVENT_TYPES } from '../../domain/fulfillment/shipment'
import { SKU_PATTERN, skuKey } from '../../domain/ids'
import { isOver } from '../../domain/order'
import { newWarehouseSecret, verifyWarehouse } from '../../providers/warehouse/verify'
import type { ApiDeps } from '../deps'
import { invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { idOf, pathId } from '../http/schemas'
import { requireOrder } from '../payment/amount'
import { tellOwner } from '../payment/owner'
import { box } from './box'

const word = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[!-~](?:[ -~]*[!-~])?$/)

const LINES_MAX = 1_000
const UNITS_MAX = 1_000_000

/** What it tells besides is left out. */
const told = z.object({
  id: word(200),
  type: z.enum(WAREHOUSE_EVENT_TYPES),
  shipment_id: idOf('shipment'),
  revision: z.int().min(1).max(UNITS_MAX).optional(),
  lines: z
    .array(z.object({ sku: z.string().regex(SKU_PATTERN), quantity: z.int().min(0).max(UNITS_MAX) }))
    .max(LINES_MAX)
    .optional(),
  boxes: z.array(box).min(1).max(100).optional(),
  carrier: word(50).optional(),
  tracking_number: word(100).optional(),
  code: word(100).optional(),
  at: z.iso.datetime({ offset: true }).optional(),
})

const postWarehouseWebhook = defineRoute({
  method: 'post',
  path: '/webhooks/warehouses/{id}',
  tag: 'Webhooks',
  summary: "Hear from a warehouse's own system",
  description:
    'Signed by the secret of that warehouse, as Standard Webhooks. Answered once it is kept and done; in any order, and a repeated event once.',
  caller: 'anyone',
  idempotency: 'none',
  params: pathId('warehouse'),
  body: { raw: 'whole', mediaType: 'application/json' },
  answers: { 204: null, 400: ['validation_failed'], 404: ['not_found'], 401: ['unauthenticated'] },
}).handle(async ({ params, body, headers }, deps) => {
  // Who does not know the secret does not hear whether there is one.
  const secret = (await readWarehouseSecret(deps.pool, params.id)) ?? newWarehouseSecret()
  const verified = verifyWarehouse(secret, body, headers)
  if (!verified) throw new DomainError('unauthenticated', 'The webhook is not signed by this warehouse.')
  const event = read(verified.told)
  const shipment = await readShipment(deps.pool, event.shipment_id)
  if (shipment?.warehouseId !== params.id)
    throw new DomainError('not_found', 'There is no such shipment in this warehouse.')
  const { orderId, id: shipmentId } = shipment
  const { needsPerson } = await withTransaction(deps.pool, (tx) =>
    applyWarehouseEvent(
      tx,
      { warehouseId: params.id, eventId: event.id, orderId, shipmentId, news: newsOf(event), body: event },
      stepsOf(deps),
    ),
  )
  const { status } = await requireOrder(orderId, deps)
  // For a person to look at a parcel of an order that is over, its workflow begins again.
  await tellOwner({ orderId, isOver: isOver(status) && !needsPerson, paymentIds: [] }, deps)
  return { status: 204 }
})

type Told = z.output<typeof told>

/** Throws 400. */
function read(text: unknown): Told {
  const parsed = told.safeParse(text)
  if (parsed.success) return parsed.data
  throw invalid(
    parsed.error.issues.slice(0, 20).map(({ path, message }) => ({
      in: 'body' as const,
      pointer: path.length === 0 ? '' : `/${path.join('/')}`,
      code: 'invalid',
      message,
    })),
  )
}

function newsOf({ type, revision, lines, boxes, carrier, tracking_number, code }: Told): WarehouseNews {
  return {
    type,
    revision: revision ?? null,
    lines: lines?.map(({ sku, quantity }) => ({ sku: skuKey(sku), quantity })) ?? null,
    boxes: boxes ?? null,
    carrier: carrier ?? null,
    trackingNumber: tracking_number ?? null,
    code: code ?? null,
  }
}

function stepsOf({ providers }: ApiDeps) {
  return { stepOf: (provider: string, currency: string) => providers.get(provider)?.amountStep(currency) ?? 1 }
}

export const warehouseWebhookRoutes: readonly Route[] = [postWarehouseWebhook]
