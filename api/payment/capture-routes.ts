import { z } from 'zod'
import { inGoods } from '../../db/fulfillment/goods'
import type { Order } from '../../db/order/read'
import { inBooks } from '../../db/payment/books'
import { type Capture, listCaptures, readCapture } from '../../db/payment/move'
import { withIdempotency } from '../../db/platform/idempotency'
import type { Tx } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import { captureFor } from '../../domain/fulfillment/parcel-money'
import type { ApiKeyId, CaptureId, ShipmentId } from '../../domain/ids'
import { isOver } from '../../domain/order'
import type { CaptureBook } from '../../domain/payment/books'
import type { ApiDeps } from '../deps'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, pathId } from '../http/schemas'
import {
  amountIn,
  amountStepOf,
  exceeds,
  isMoveNumber,
  MOVES_WAIT_MS,
  pointerOf,
  requireOrder,
  requireRoom,
  requireStep,
  type WantedAmount,
  wantedAmount,
} from './amount'
import { captureBody, presentCapture } from './answer'
import { awaitMove, tellOwner } from './owner'

const captureRequest = z
  .strictObject({
    amount: wantedAmount.optional(),
    shipment_id: idOf('shipment')
      .optional()
      .meta({ description: 'what this parcel has to have captured before it leaves' }),
  })
  .refine(({ amount, shipment_id }) => (amount === undefined) !== (shipment_id === undefined), {
    message: 'Send exactly one of `amount` and `shipment_id`.',
    path: ['amount'],
  })

const postCapture = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/captures',
  tag: 'Payments',
  summary: 'Take money that a payment of the order has authorized',
  description:
    'Up to what is owed and not captured yet. A payment that can be captured only once is captured for all that is due. `pending`: the provider has not answered yet; it is asked until it does.',
  caller: { admin: 'orders', access: 'write' },
  idempotency: 'required',
  params: pathId('order'),
  body: captureRequest,
  answers: {
    201: captureBody,
    404: ['not_found'],
    409: ['amount_exceeds_available', 'invalid_state', 'move_limit', 'order_on_hold', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: { answer: 201, body: { amount: { amount: 100, currency: 'GBP' } } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const order = await requireOrder(params.id, deps)
  const { amount, shipment_id: shipmentId } = body
  const claim =
    amount === undefined
      ? (tx: Tx) => claimForShipment(tx, order, shipmentId as ShipmentId, deps)
      : claimAmount(amount, order, caller.keyId, deps)
  return withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => ({ status: 201, resource: (await claim(tx)).id }),
    (id) => carryOut(id, deps),
  )
})

function claimAmount(wanted: WantedAmount, order: Order, actor: ApiKeyId, deps: ApiDeps) {
  const amount = amountIn(order.currency, wanted)
  const step = amountStepOf(order, deps)
  return async (tx: Tx): Promise<CaptureBook> => {
    const capture = await inBooks(tx, order.id, (books) => {
      requireRoom(books.captures.length, 'captures')
      requireStep(amount, { step, left: books.due, pointer: pointerOf(wanted) })
      return books.claimCapture({ amount, actor })
    })
    if (!('refused' in capture)) return capture
    if (capture.refused === 'amount_exceeds_available') throw exceeds('captured', capture.available, order.currency)
    throw onHold()
  }
}

/** What the parcel has to have captured before it leaves. Throws 404 for a shipment of another order. */
function claimForShipment(tx: Tx, order: Order, shipmentId: ShipmentId, { providers }: ApiDeps): Promise<CaptureBook> {
  const stepOf = (provider: string, currency: string): number => providers.get(provider)?.amountStep(currency) ?? 1
  return inGoods(tx, order.id, { stepOf }, (goods, books) => {
    if (!goods.shipments.some(({ id }) => id === shipmentId))
      throw new DomainError('not_found', 'The order has no such shipment.')
    requireRoom(books.captures.length, 'captures')
    const claim = captureFor(goods, shipmentId, books)
    if (claim === 'held') throw onHold()
    if (claim === 'nothing_due' || claim === 'nothing_authorized') throw exceeds('captured', 0, order.currency)
    if ('refused' in claim) throw new DomainError('invalid_state', 'The shipment has left, or is over.')
    return claim
  })
}

function onHold(): DomainError {
  return new DomainError('order_on_hold', 'The order is on hold: nothing is captured meanwhile.')
}

/** The capture, once the provider has answered or the wait is over. */
async function carryOut(id: CaptureId, deps: ApiDeps): Promise<z.input<typeof captureBody>> {
  const { orderId, paymentId, status } = await requireCapture(id, deps)
  if (status === 'pending') {
    const order = await requireOrder(orderId, deps)
    await tellOwner({ orderId, isOver: isOver(order.status), paymentIds: [paymentId] }, deps)
    await awaitMove(async () => (await requireCapture(id, deps)).status !== 'pending', MOVES_WAIT_MS)
  }
  return presentCapture(await requireCapture(id, deps))
}

const getCaptures = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/captures',
  tag: 'Payments',
  summary: 'List the captures of an order, oldest first',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  query: listPageQuery,
  answers: { 200: listPageOf(captureBody).meta({ id: 'CapturePage' }), 404: ['not_found'] },
  example: { answer: 200 },
}).handle(async ({ params, query }, deps) => {
  const after = readCursor(query.cursor, isMoveNumber) ?? 0
  const { id: orderId } = await requireOrder(params.id, deps)
  const captures = await listCaptures(deps.pool, { orderId, after, limit: query.limit + 1 })
  const body = listPageFrom(captures, query.limit, { keyOf: ({ number }) => number, present: presentCapture })
  return { status: 200, body }
})

const getCapture = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/captures/{capture_id}',
  tag: 'Payments',
  summary: 'Read a capture',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order').extend({ capture_id: idOf('capture') }),
  answers: { 200: captureBody },
  example: { answer: 200 },
}).handle(async ({ params }, deps) => {
  const capture = await readCapture(deps.pool, params.capture_id)
  if (capture?.orderId !== params.id) throw new DomainError('not_found', 'There is no such capture.')
  return { status: 200, body: presentCapture(capture) }
})

async function requireCapture(id: CaptureId, { pool }: ApiDeps): Promise<Capture> {
  const capture = await readCapture(pool, id)
  if (!capture) throw new Error(`${id} has lost its row`)
  return capture
}

export const captureRoutes: Route[] = [postCapture, getCaptures, getCapture]
