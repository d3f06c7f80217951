import { z } from 'zod'
import { inBooks } from '../../db/payment/books'
import { type Capture, readCapture } from '../../db/payment/move'
import { withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import type { CaptureId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { isOver } from '../../domain/order'
import { type BoundRefusal, type HoldRefusal, MOVE_STATUSES } from '../../domain/payment/books'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { idOf, money, pathId, timestamp } from '../http/schemas'
import { amountIn, exceeds, MOVES_WAIT_MS, requireOrder, wantedAmount } from './amount'
import { awaitMoney, tellOwner } from './owner'

const captureBody = z
  .strictObject({
    id: idOf('capture'),
    order_id: idOf('order'),
    payment_id: idOf('payment'),
    status: z.enum(MOVE_STATUSES),
    amount: money,
    failure_code: z.string().nullable(),
    created_at: timestamp,
  })
  .meta({ id: 'Capture' })

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
  body: z.strictObject({ amount: wantedAmount }),
  answers: {
    201: captureBody,
    404: ['not_found'],
    409: ['amount_exceeds_available', 'order_on_hold', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const order = await requireOrder(params.id, deps)
  const amount = amountIn(order.currency, body.amount)
  return withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const capture = await inBooks(tx, order.id, (books) => books.claimCapture({ amount, actor: caller.keyId }))
      if ('refused' in capture) throw refusalOf(capture, order.currency)
      return { status: 201, resource: capture.id }
    },
    (id) => carryOut(id, deps),
  )
})

function refusalOf(refusal: BoundRefusal | HoldRefusal, currency: Currency): DomainError {
  if (refusal.refused === 'amount_exceeds_available') return exceeds('captured', refusal.available, currency)
  return new DomainError('order_on_hold', 'The order is on hold: nothing is captured meanwhile.')
}

/** The capture, once the provider has answered or the wait is over. */
async function carryOut(id: CaptureId, deps: ApiDeps): Promise<z.input<typeof captureBody>> {
  const { orderId, paymentId } = await requireCapture(id, deps)
  const { status } = await requireOrder(orderId, deps)
  await tellOwner({ orderId, isOver: isOver(status), paymentIds: [paymentId] }, deps)
  await awaitMoney(orderId, MOVES_WAIT_MS, deps)
  return presentCapture(await requireCapture(id, deps))
}

const getCapture = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/captures/{capture_id}',
  tag: 'Payments',
  summary: 'Read a capture',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order').extend({ capture_id: idOf('capture') }),
  answers: { 200: captureBody },
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

function presentCapture(capture: Capture): z.input<typeof captureBody> {
  return {
    id: capture.id,
    order_id: capture.orderId,
    payment_id: capture.paymentId,
    status: capture.status,
    amount: { amount: capture.amount, currency: capture.currency },
    failure_code: capture.failureCode,
    created_at: capture.createdAt.toISOString(),
  }
}

export const captureRoutes: Route[] = [postCapture, getCapture]
