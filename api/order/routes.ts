import { z } from 'zod'
import { readLedger } from '../../db/payment/ledger'
import { listOrders, type Order, readEvents, readOrder, readOwnOrder, readReservations } from '../../db/order/read'
import { listCaptures, listDisputes } from '../../db/payment/move'
import type { Pool } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import { type Id, isId, type OrderId } from '../../domain/ids'
import { numberIn, ORDER_STATUSES } from '../../domain/order'
import { captureBody, disputeBody, presentCapture, presentDispute } from '../payment/answer'
import { orderBody, presentOrder, presentStaffOrder, staffOrderBody, staffOrderShape } from './answer'
import type { ApiDeps } from '../deps'
import { etagOf } from '../http/etag'
import { listPageFrom, readCursor } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { idOf, money, listPageOf, listPageQuery, pathId, timestamp } from '../http/schemas'
import { describeWorkflow, workflowBody } from './workflow-link'

const getOwnOrder = defineRoute({
  method: 'get',
  path: '/v1/store/orders/{id}',
  tag: 'Orders',
  summary: 'Read an order',
  caller: 'cart',
  params: pathId('order'),
  answers: { 200: orderBody },
  example: { answer: 200 },
}).handle(async ({ params, caller }, deps) => {
  const order = await readOwnOrder(deps.pool, params.id, caller.tokenHash)
  return { status: 200, body: presentOrder(orNotFound(order)) }
})

const listAllOrders = defineRoute({
  method: 'get',
  path: '/v1/admin/orders',
  tag: 'Orders',
  summary: 'List orders, newest first',
  caller: { admin: 'orders', access: 'read' },
  query: listPageQuery.extend({
    status: z.enum(ORDER_STATUSES).optional(),
    email: z.string().max(254).optional(),
    number: z.string().max(40).optional().meta({
      description: 'as the customer knows it, however it is typed: HF-100001, #100001, 100001',
    }),
    attention: z.enum(['true', 'false']).optional().meta({ description: 'only those that (do not) wait for a person' }),
  }),
  answers: { 200: listPageOf(staffOrderBody).meta({ id: 'OrderPage' }) },
  example: { answer: 200 },
}).handle(async ({ query }, deps) => {
  const filter = {
    status: query.status ?? null,
    email: query.email?.trim() || null,
    number: numberIn(query.number ?? ''),
    attention: query.attention === undefined ? null : query.attention === 'true',
    limit: query.limit + 1,
    before: readCursor(query.cursor, isOrderId),
  }
  const orders = await deps.reads.readLatest((db) => listOrders(db, filter))
  const present = (order: Order) => presentStaffOrder(order, deps.settings)
  return {
    status: 200,
    body: listPageFrom(orders, query.limit, { keyOf: (order) => order.id, present }),
  }
})

const adminOrder = z
  .strictObject({
    ...staffOrderShape,
    captures: z.array(captureBody),
    disputes: z.array(disputeBody),
    events: z.array(
      z.strictObject({
        id: z.string(),
        seq: z.int(),
        type: z.string(),
        from: z.string().nullable(),
        to: z.string().nullable(),
        data: z.record(z.string(), z.unknown()),
        at: timestamp,
      }),
    ),
    reservations: z.array(
      z.strictObject({
        id: idOf('reservation'),
        sku: z.string(),
        warehouse_id: idOf('warehouse'),
        quantity: z.int(),
        state: z.string(),
        expires_at: timestamp.nullable(),
      }),
    ),
    ledger: z.array(
      z.strictObject({
        payment_id: idOf('payment'),
        operation: z.string(),
        account: z.string(),
        amount: money,
        at: timestamp,
      }),
    ),
    workflow: workflowBody,
  })
  .meta({ id: 'AdminOrder' })

const getOrder = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}',
  tag: 'Orders',
  summary: 'Read an order with all that happened to it',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  answers: { 200: adminOrder },
  example: { answer: 200 },
}).handle(async ({ params: { id } }, deps) => {
  const rows = await deps.reads.readLatest((db) => readWholeOrder(db, id))
  const headers = { ETag: etagOf(rows.order.eventSeq) }
  return { status: 200, headers, body: presentAdminOrder(rows, await describeWorkflow(rows.order, deps), deps) }
})

/** As many as there may be, and some that nobody here asked for. */
const CAPTURES_SHOWN = 400

async function readWholeOrder(db: Pool, id: OrderId) {
  const [order, captures, disputes, events, reservations, ledger] = await Promise.all([
    readOrder(db, id),
    listCaptures(db, { orderId: id, after: 0, limit: CAPTURES_SHOWN }),
    listDisputes(db, id),
    readEvents(db, id),
    readReservations(db, id),
    readLedger(db, id),
  ])
  return { order: orNotFound(order), captures, disputes, events, reservations, ledger }
}

function presentAdminOrder(
  { order, captures, disputes, events, reservations, ledger }: Awaited<ReturnType<typeof readWholeOrder>>,
  workflow: z.input<typeof workflowBody>,
  { settings }: ApiDeps,
): z.input<typeof adminOrder> {
  return {
    ...presentStaffOrder(order, settings),
    captures: captures.map(presentCapture),
    disputes: disputes.map(presentDispute),
    events: events.map(({ createdAt, ...event }) => ({ ...event, at: createdAt.toISOString() })),
    reservations: reservations.map((reservation) => ({
      id: reservation.id as Id<'reservation'>,
      sku: reservation.sku,
      warehouse_id: reservation.warehouseId as Id<'warehouse'>,
      quantity: reservation.quantity,
      state: reservation.state,
      expires_at: reservation.expiresAt?.toISOString() ?? null,
    })),
    ledger: ledger.map((entry) => ({
      payment_id: entry.paymentId as Id<'payment'>,
      operation: entry.operation,
      account: entry.account,
      amount: { amount: entry.amount, currency: entry.currency },
      at: entry.createdAt.toISOString(),
    })),
    workflow,
  }
}

function orNotFound(order: Order | null): Order {
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  return order
}

function isOrderId(value: unknown): value is OrderId {
  return typeof value === 'string' && isId('order', value)
}

export const orderRoutes: Route[] = [getOwnOrder, listAllOrders, getOrder]
