import { z } from 'zod'
import { cancelUnits } from '../../db/fulfillment/cancel'
import { readCommand } from '../../db/fulfillment/read'
import type { Order } from '../../db/order/read'
import type { StoredCommand } from '../../db/order/shipment'
import { isMoneyAtWork } from '../../db/payment/work'
import type { Db } from '../../db/pool'
import { forgetKey, type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { type ApiKeyId, type CommandId, type OrderId, skuKey } from '../../domain/ids'
import { type CancelReason, isOpen, isOver, orderLabel, type WantedUnits } from '../../domain/order'
import type { ApiDeps } from '../deps'
import { headersOf } from '../http/replay'
import { defineRoute, type Route } from '../http/route'
import { pathId, reasonCode, units } from '../http/schemas'
import { orderBody, presentOrder, presentStaffOrder, staffOrderBody } from '../order/answer'
import { amountStepOf, MOVES_WAIT_MS, requireLines, requireOrder } from '../payment/amount'
import { awaitMoney, tellOwner } from '../payment/owner'
import { requireOwnOrder } from './accept'
import { cancelCheckout } from './attempt'

/** Cancelling an order: while it is open its checkout ends it, afterwards its units and its money are taken back here. */

const ANSWERS = {
  200: staffOrderBody,
  202: staffOrderBody,
  404: ['not_found'],
  409: ['already_shipped', 'checkout_in_progress', 'request_in_progress'],
  422: ['idempotency_key_reused'],
} as const

const DESCRIPTION =
  'Until it has been sent. Its stock goes back at once; a label is taken back, what was authorized is let go, what was captured is refunded. 202 while the provider has not answered yet, or units are in a parcel whose money is being taken: they are cancelled if that fails (`commands`; refused as `already_shipped`, or as `partly_shipped` when only some of them could be cancelled). Repeated, it answers how the order stands.'

const postCancel = defineRoute({
  method: 'post',
  path: '/v1/admin/orders/{id}/cancel',
  tag: 'Orders',
  summary: 'Cancel an order, or units of it',
  description: DESCRIPTION,
  caller: { admin: 'orders', access: 'write' },
  idempotency: 'required',
  params: pathId('order'),
  body: z.strictObject({
    reason_code: reasonCode.meta({
      description: "`customer`, `fraud` and `out_of_stock` become the order's `cancel_reason`; any other, `merchant`",
    }),
    lines: units.optional().meta({ description: 'only these units; left out: all that have not been sent' }),
  }),
  answers: ANSWERS,
  example: { answer: 200, body: { reason_code: 'customer', lines: [{ sku: '85123A', quantity: 1 }] } },
}).handle(async ({ params, body, caller, idempotency }, deps) => {
  const order = await requireOrder(params.id, deps)
  const { reason_code: reasonCode, lines } = body
  // While it is open its lines may not be there yet.
  if (lines && !isOpen(order.status)) requireLines(lines, order.lines)
  const wanted = lines?.map(({ sku, quantity }) => ({ sku: skuKey(sku), quantity })) ?? null
  const cancellation = { wanted, reason: reasonOf(reasonCode), reasonCode, actor: caller.keyId, idempotency }
  return answer(await cancel(order, cancellation, deps), (now) => presentStaffOrder(now, deps.settings))
})

const postOwnCancel = defineRoute({
  method: 'post',
  path: '/v1/store/orders/{id}/cancel',
  tag: 'Orders',
  summary: 'Cancel an order',
  description: DESCRIPTION,
  caller: 'cart',
  idempotency: 'required',
  params: pathId('order'),
  body: z.strictObject({}),
  answers: { 200: orderBody, 202: orderBody, 404: ['not_found'], 409: ['already_shipped', 'request_in_progress'] },
  example: { answer: 200, body: {} },
}).handle(async ({ params, caller, idempotency }, deps) => {
  const order = await requireOwnOrder({ orderId: params.id, tokenHash: caller.tokenHash }, deps)
  const cancellation = { wanted: null, reason: 'customer', reasonCode: 'customer', actor: null, idempotency } as const
  return answer(await cancel(order, cancellation, deps), presentOrder)
})

interface Cancellation {
  readonly wanted: WantedUnits
  readonly reason: CancelReason
  readonly reasonCode: string
  /** The admin key of whoever wants it; null: the customer. */
  readonly actor: ApiKeyId | null
  readonly idempotency: IdempotencyScope | null
}

/** How the order stands; 202 while it is not over, or its money is on its way. */
interface Cancelled {
  readonly status: 200 | 202
  readonly order: Order
  readonly headers?: Record<string, string>
}

async function cancel(order: Order, cancellation: Cancellation, deps: ApiDeps): Promise<Cancelled> {
  if (!isOpen(order.status)) return cancelConfirmed(order, cancellation, deps)
  if (cancellation.wanted !== null)
    throw new DomainError('checkout_in_progress', 'The order is not paid yet: it can only be cancelled as a whole.')
  const now = await cancelCheckout({ orderId: order.id, label: orderLabel(order), why: cancellation }, deps)
  return now && !isOpen(now.status) ? cancelConfirmed(now, cancellation, deps) : stands(order.id, deps)
}

/** Cancels what is left of an order that is not open any more. The key stands for it from then on. */
async function cancelConfirmed(
  order: Order,
  { wanted, reason, reasonCode, actor, idempotency }: Cancellation,
  deps: ApiDeps,
): Promise<Cancelled> {
  const orderId = order.id
  const step = amountStepOf(order, deps)
  const done = await withIdempotency(
    deps.pool,
    idempotency,
    async (tx) => {
      const cancelled = await cancelUnits(tx, { orderId, wanted, reason, reasonCode, actor, step })
      if (cancelled.outcome === 'refused')
        throw new DomainError('already_shipped', 'More is to be cancelled than is left of the order.', {
          lines: cancelled.lines,
        })
      return { status: 200, resource: cancelled.outcome === 'waiting' ? cancelled.commandId : null }
    },
    async (commandId) => commandId,
    hasComeTooLate,
  )
  const { status, attempts, confirmedAt } = await requireOrder(orderId, deps)
  // The money of an order that never won is its checkout's, and then its settlements'.
  if (confirmedAt)
    await tellOwner(
      {
        orderId,
        isOver: isOver(status),
        paymentIds: attempts.filter(({ outcome }) => outcome === 'completed').map(({ id }) => id),
      },
      deps,
    )
  // A cancellation that waits for a parcel is answered at once.
  if (done.body === null) await awaitMoney(orderId, MOVES_WAIT_MS, deps)
  if (await hasComeTooLate(done.body, deps.pool)) {
    await forgetKey(deps.pool, idempotency, done.body)
    throw new DomainError('already_shipped', 'The parcel was paid meanwhile: it leaves.')
  }
  const now = await stands(orderId, deps)
  return { ...now, headers: await headersOf(done, { status: now.status, idempotency }, deps) }
}

/** Of a cancellation that waited for parcels: all of them have won. */
async function hasComeTooLate(commandId: CommandId | null, db: Db): Promise<boolean> {
  return commandId !== null && (await readCommand(db, commandId))?.code === 'already_shipped'
}

async function stands(orderId: OrderId, deps: ApiDeps): Promise<Cancelled> {
  const [order, isAtWork] = await Promise.all([requireOrder(orderId, deps), isMoneyAtWork(deps.pool, orderId)])
  const isWaiting = order.commands.some(isWaitingUnits)
  return { status: isOpen(order.status) || isAtWork || isWaiting ? 202 : 200, order }
}

function answer<B>({ status, order, headers = {} }: Cancelled, present: (order: Order) => B) {
  const body = present(order)
  return status === 202 ? { status, body, headers } : { status, body, headers }
}

/** That of a whole shipment is nothing of the order's. */
function isWaitingUnits({ kind, state, shipmentId }: StoredCommand): boolean {
  return kind === 'cancel' && state === 'pending' && shipmentId === null
}

/** The others say what a checkout came to. */
const STAFF_REASONS = ['customer', 'fraud', 'out_of_stock'] as const satisfies readonly CancelReason[]

function reasonOf(code: string): CancelReason {
  return STAFF_REASONS.find((reason) => reason === code) ?? 'merchant'
}

export const cancelRoutes: Route[] = [postCancel, postOwnCancel]
