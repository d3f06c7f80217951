import { z } from 'zod'
import { readUnits } from '../../db/order/units'
import { inBooks } from '../../db/payment/books'
import { type Refund, readRefund } from '../../db/payment/move'
import { withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { type OrderId, type RefundId, skuKey } from '../../domain/ids'
import { sum } from '../../domain/money'
import { isOver, valueOfUnits } from '../../domain/order'
import { MOVE_STATUSES, type MoveStatus } from '../../domain/payment/books'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { idOf, money, pathId, reasonCode, timestamp, units } from '../http/schemas'
import { amountIn, exceeds, MOVES_WAIT_MS, requireOrder, wantedAmount } from './amount'
import { awaitMoney, tellOwner } from './owner'

const refundRequest = z
  .strictObject({
    amount: wantedAmount.optional(),
    lines: units.optional().meta({ description: 'units that have been sent' }),
    all: z.literal(true).optional().meta({ description: 'whatever can be refunded' }),
    reason_code: reasonCode,
    restock: z.boolean().default(false),
  })
  .refine(({ amount, lines, all }) => [amount, lines, all].filter((given) => given !== undefined).length === 1, {
    message: 'Send exactly one of `amount`, `lines` and `all`.',
    path: ['amount'],
  })
type RefundRequest = z.output<typeof refundRequest>

const refundBody = z
  .strictObject({
    id: idOf('refund'),
    order_id: idOf('order'),
    status: z.enum(MOVE_STATUSES),
    amount: money,
    reason_code: z.string().nullable(),
    restock: z.boolean(),
    tenders: z
      .array(
        z.strictObject({
          payment_id: idOf('payment'),
          status: z.enum(MOVE_STATUSES),
          amount: money,
          failure_code: z.string().nullable(),
        }),
      )
      .meta({ description: 'the payments that carry it out' }),
    created_at: timestamp,
  })
  .meta({ id: 'Refund' })

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
    409: ['amount_exceeds_available', 'cancel_instead', 'request_in_progress'],
    422: ['idempotency_key_reused'],
  },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const order = await requireOrder(params.id, deps)
  const amount = await amountOf(order, body, deps)
  const { body: refund, headers } = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const { reason_code, restock } = body
      const request = { amount, cause: 'staff', reasonCode: reason_code, restock, actor: caller.keyId } as const
      const refunds = await inBooks(tx, order.id, (books) => books.claimRefund(request))
      if ('refused' in refunds) throw exceeds('refunded', refunds.available, order.currency)
      return { status: 201, resource: (refunds[0] as (typeof refunds)[number]).requestId }
    },
    (id) => carryOut(id, deps),
  )
  return refund.status === 'pending' ? { status: 202, body: refund, headers } : { status: 201, body: refund, headers }
})

/** In minor units. Throws `cancel_instead` for units that have not been sent. */
async function amountOf(
  { id, currency }: { id: OrderId; currency: string },
  { amount, lines }: RefundRequest,
  { pool }: ApiDeps,
): Promise<number | 'all'> {
  if (amount !== undefined) return amountIn(currency, amount)
  if (lines === undefined) return 'all'
  const known = new Map((await readUnits(pool, id)).map((line) => [line.sku, line]))
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
  const rows = await readRefund(deps.pool, id)
  const [first] = rows
  if (!first) throw new Error(`${id} has lost its row`)
  const { status } = await requireOrder(first.orderId, deps)
  const paymentIds = rows.map(({ paymentId }) => paymentId)
  await tellOwner({ orderId: first.orderId, isOver: isOver(status), paymentIds }, deps)
  await awaitMoney(first.orderId, MOVES_WAIT_MS, deps)
  return presentRefund(first, await readRefund(deps.pool, id))
}

const getRefund = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/refunds/{refund_id}',
  tag: 'Payments',
  summary: 'Read a refund',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order').extend({ refund_id: idOf('refund') }),
  answers: { 200: refundBody },
}).handle(async ({ params }, deps) => {
  const rows = await readRefund(deps.pool, params.refund_id)
  const [first] = rows
  if (first?.orderId !== params.id) throw new DomainError('not_found', 'There is no such refund.')
  return { status: 200, body: presentRefund(first, rows) }
})

/** What was refused and tried again counts by its last try. */
function presentRefund(first: Refund, rows: readonly Refund[]): z.input<typeof refundBody> {
  const retried = new Set(rows.map(({ retries }) => retries))
  const tries = rows.filter(({ id }) => !retried.has(id))
  const inCurrency = (amount: number) => ({ amount, currency: first.currency })
  return {
    id: first.requestId,
    order_id: first.orderId,
    status: statusOf(tries),
    amount: inCurrency(sum(tries.map(({ amount }) => amount))),
    reason_code: first.reasonCode,
    restock: first.restock,
    tenders: tries.map((refund) => ({
      payment_id: refund.paymentId,
      status: refund.status,
      amount: inCurrency(refund.amount),
      failure_code: refund.failureCode,
    })),
    created_at: first.createdAt.toISOString(),
  }
}

function statusOf(rows: readonly Refund[]): MoveStatus {
  if (rows.some(({ status }) => status === 'pending')) return 'pending'
  return rows.some(({ status }) => status === 'failed') ? 'failed' : 'succeeded'
}

export const refundRoutes: Route[] = [postRefund, getRefund]
