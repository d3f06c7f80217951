import { z } from 'zod'
import { nextCatalogEpoch } from '../../db/catalog/epoch'
import { inGoods } from '../../db/fulfillment/goods'
import { restockUnits } from '../../db/fulfillment/restock'
import { readUnits } from '../../db/order/units'
import { listRefunds, type Refund, readRefund } from '../../db/payment/move'
import { withIdempotency } from '../../db/platform/idempotency'
import type { Tx } from '../../db/pool'
import { ON_HAND_MAX } from '../../domain/catalog/product'
import { DomainError } from '../../domain/errors'
import { settleRefunded } from '../../domain/fulfillment/parcel-decisions'
import type { Units } from '../../domain/fulfillment/shipment'
import { type ApiKeyId, type OrderId, type RefundId, skuKey } from '../../domain/ids'
import { sum } from '../../domain/money'
import { isOver, valueOfUnits } from '../../domain/order'
import type { ApiDeps } from '../deps'
import { listPageFrom, readCursor } from '../http/pagination'
import { invalid } from '../http/problem'
import { headersOf } from '../http/replay'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, pathId, reasonCode, units } from '../http/schemas'
import {
  amountIn,
  amountStepOf,
  exceeds,
  isMoveNumber,
  MOVES_WAIT_MS,
  pointerOf,
  requireLines,
  requireOrder,
  requireRoom,
  requireStep,
  wantedAmount,
} from './amount'
import { presentRefund, refundBody } from './answer'
import { awaitMove, tellOwner } from './owner'

const refundRequest = z
  .strictObject({
    amount: wantedAmount.optional(),
    lines: units.optional().meta({ description: 'units that have been sent' }),
    all: z.literal(true).optional().meta({ description: 'whatever can be refunded' }),
    reason_code: reasonCode,
    restock: z.boolean().default(false).meta({
      description:
        'these units are back on their shelves: they can be sold again, from where they were sent. Not with `amount`',
    }),
  })
  .refine(({ amount, lines, all }) => [amount, lines, all].filter((given) => given !== undefined).length === 1, {
    message: 'Send exactly one of `amount`, `lines` and `all`.',
    path: ['amount'],
  })
  .refine(({ amount, restock }) => amount === undefined || !restock, {
    message: 'An amount does not say which units are back: send `lines` or `all`.',
    path: ['restock'],
  })
type RefundRequest = z.output<typeof refundRequest>

const postRefund = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/refunds',
  tag: 'Payments',
  summary: 'Give captured money back',
  description:
    'Up to what was captured and is neither disputed nor on its way back. 202: the provider has not decided yet; it is asked until it does. Units that have not been sent are cancelled instead.',
  caller: { admin: 'orders', access: 'write' },
  idempotency: 'required',
  params: pathId('order'),
  body: refundRequest,
  answers: {
    201: refundBody,
    202: refundBody,
    404: ['not_found'],
    409: ['amount_exceeds_available', 'cancel_instead', 'move_limit', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: { answer: 201, body: { amount: { amount: 50, currency: 'GBP' }, reason_code: 'goodwill' } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const order = await requireOrder(params.id, deps)
  const amount = await amountOf(order, body, deps)
  const step = amountStepOf(order, deps)
  const { body: refund, ...answered } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const { reason_code, restock } = body
      const request = { amount, cause: 'staff', reasonCode: reason_code, restock, actor: caller.keyId } as const
      const refunds = await inGoods(tx, order.id, { stepOf: () => step }, (goods, books) => {
        requireRoom(books.refunds.length, 'refunds')
        requireStep(amount, { step, left: books.refundable, pointer: placeOf(body) })
        const claimed = books.claimRefund(request)
        if (!('refused' in claimed)) settleRefunded(goods, refundedOf(body))
        return claimed
      })
      if ('refused' in refunds) throw exceeds('refunded', refunds.available, order.currency)
      const { requestId } = refunds[0] as (typeof refunds)[number]
      if (restock) await putBack(tx, order.id, { body, refundId: requestId, actor: caller.keyId })
      return { status: 201, resource: requestId }
    },
    (id) => carryOut(id, deps),
  )
  if (body.restock) await nextCatalogEpoch(deps.redis)
  const status = refund.status === 'pending' ? 202 : 201
  const headers = await headersOf(answered, { status, idempotency }, deps)
  return status === 202 ? { status, body: refund, headers } : { status, body: refund, headers }
})

/** The units that it names. */
function refundedOf({ lines = [] }: RefundRequest): readonly Units[] {
  return lines.map(({ sku, quantity }) => ({ sku: skuKey(sku), quantity }))
}

/** Throws 400 for more than a level can hold. */
async function putBack(
  tx: Tx,
  orderId: OrderId,
  { body: { lines }, refundId, actor }: { body: RefundRequest; refundId: RefundId; actor: ApiKeyId },
): Promise<void> {
  const wanted = lines?.map(({ sku, quantity }) => ({ sku: skuKey(sku), quantity })) ?? null
  const tooMany = await restockUnits(tx, { orderId, wanted, refundId, actor })
  if (tooMany.length === 0) return
  const message = `A level holds at most ${ON_HAND_MAX} units: ${tooMany.join(', ')}.`
  throw invalid([{ in: 'body', pointer: '/restock', code: 'too_big', message }])
}

/** Where the body says how much. */
function placeOf({ amount, all }: RefundRequest): string {
  if (all) return '/all'
  return amount === undefined ? '/lines' : pointerOf(amount)
}

/** In minor units. Throws `cancel_instead` for units that have not been sent. */
async function amountOf(
  { id, currency }: { id: OrderId; currency: string },
  { amount, lines }: RefundRequest,
  { pool }: ApiDeps,
): Promise<number | 'all'> {
  if (amount !== undefined) return amountIn(currency, amount)
  if (lines === undefined) return 'all'
  const units = await readUnits(pool, id)
  requireLines(lines, units)
  const known = new Map(units.map((line) => [line.sku, line]))
  const notSent = lines.filter(({ sku, quantity }) => quantity > (known.get(skuKey(sku))?.shipped ?? 0))
  if (notSent.length > 0)
    throw new DomainError('cancel_instead', 'These units have not been sent: cancel them.', { lines: notSent })
  return sum(
    lines.map(({ sku, quantity }) => {
      const line = known.get(skuKey(sku))
      return line ? valueOfUnits(line, line.shipped - quantity + 1, line.shipped) : 0
    }),
  )
}

/** The refund, once the provider has answered or the wait is over. */
async function carryOut(id: RefundId, deps: ApiDeps): Promise<z.input<typeof refundBody>> {
  const rows = await requireRefund(id, deps)
  const [{ orderId }] = rows
  if (rows.some(isToBeSent)) {
    const { status } = await requireOrder(orderId, deps)
    await tellOwner({ orderId, isOver: isOver(status), paymentIds: rows.map(({ paymentId }) => paymentId) }, deps)
    await awaitMove(async () => !(await requireRefund(id, deps)).some(isToBeSent), MOVES_WAIT_MS)
  }
  return presentRefund(await requireRefund(id, deps))
}

/** The provider has not answered. What it has taken it may decide days later. */
function isToBeSent({ status, reference }: Refund): boolean {
  return status === 'pending' && reference === null
}

const getRefunds = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/refunds',
  tag: 'Payments',
  summary: 'List the refunds of an order, oldest first',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  query: listPageQuery,
  answers: { 200: listPageOf(refundBody).meta({ id: 'RefundPage' }), 404: ['not_found'] },
  example: { answer: 200 },
}).handle(async ({ params, query }, deps) => {
  const after = readCursor(query.cursor, isMoveNumber) ?? 0
  const { id: orderId } = await requireOrder(params.id, deps)
  const refunds = await listRefunds(deps.pool, { orderId, after, limit: query.limit + 1 })
  const body = listPageFrom(refunds, query.limit, { keyOf: ([first]) => first?.number, present: presentRefund })
  return { status: 200, body }
})

const getRefund = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/refunds/{refund_id}',
  tag: 'Payments',
  summary: 'Read a refund',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order').extend({ refund_id: idOf('refund') }),
  answers: { 200: refundBody },
  example: { answer: 200 },
}).handle(async ({ params }, deps) => {
  const rows = await readRefund(deps.pool, params.refund_id)
  const [first] = rows
  if (first?.orderId !== params.id) throw new DomainError('not_found', 'There is no such refund.')
  return { status: 200, body: presentRefund(rows) }
})

async function requireRefund(id: RefundId, { pool }: ApiDeps): Promise<[Refund, ...Refund[]]> {
  const [first, ...rest] = await readRefund(pool, id)
  if (!first) throw new Error(`${id} has lost its rows`)
  return [first, ...rest]
}

export const refundRoutes: Route[] = [postRefund, getRefunds, getRefund]
