import { z } from 'zod'
import type { Order, OrderAttempt } from '../../db/order/read'
import type { Money } from '../../domain/money'
import { actionsOf, HOLD_CAUSES, ORDER_ACTIONS, ORDER_STATUSES } from '../../domain/order'
import { ATTEMPT_STATUSES, holdsMoney, PAYMENT_STATUSES } from '../../domain/payment/attempt'
import { MOVE_STATUSES } from '../../domain/payment/books'
import { address, currency, idOf, money, timestamp } from '../http/schemas'

/** An order as it is answered: its shape, and how it is made from its rows. */

const orderLine = z
  .strictObject({
    sku: z.string(),
    title: z.string(),
    seller_id: z.string(),
    quantity: z.int(),
    cancelled: z.int().meta({ description: 'units that will not be delivered' }),
    unit_price: money,
    discount: money,
    tax: money,
    total: money,
  })
  .meta({ id: 'OrderLine' })

const orderPayment = z
  .strictObject({
    id: idOf('payment'),
    provider: z.string(),
    status: z.enum(ATTEMPT_STATUSES),
    amount: money,
    captured: money,
    refunded: money,
  })
  .meta({ id: 'OrderPayment' })

const orderRefund = z
  .strictObject({
    id: idOf('refund'),
    status: z.enum(MOVE_STATUSES),
    amount: money,
    reason_code: z.string().nullable(),
    created_at: timestamp,
  })
  .meta({ id: 'OrderRefund' })

export const orderShape = {
  id: idOf('order'),
  number: z.string(),
  status: z.enum(ORDER_STATUSES),
  cancel_reason: z.string().nullable(),
  payment_status: z.enum(PAYMENT_STATUSES),
  fulfillment_status: z.string(),
  currency,
  email: z.string(),
  lines: z.array(orderLine),
  totals: z.strictObject({
    subtotal: money,
    discount: money,
    shipping: money,
    tax: money,
    total: money,
    authorized: money,
    captured: money,
    refunded: money,
    refund_pending: money.meta({ description: 'on its way back' }),
    cancelled: money.meta({ description: 'of the total, what will not be delivered and is not owed' }),
    waived: money.meta({
      description: 'of what is left then, what the payment provider cannot take in its steps: it is not owed either',
    }),
  }),
  shipping_address: address,
  shipping_method: z.string(),
  payments: z.array(orderPayment),
  refunds: z.array(orderRefund),
  shipments: z.array(z.unknown()),
  actions: z.array(z.enum(ORDER_ACTIONS)).meta({ description: 'what may be asked for now' }),
  created_at: timestamp,
  updated_at: timestamp,
}
export const orderBody = z.strictObject(orderShape).meta({ id: 'Order' })
export type OrderBody = z.input<typeof orderBody>

/** What staff are told besides: a customer does not hear why an order is on hold. */
export const staffOrderShape = {
  ...orderShape,
  held_for: z.array(z.enum(HOLD_CAUSES)).meta({ description: 'why it is on hold' }),
}
export const staffOrderBody = z.strictObject(staffOrderShape).meta({ id: 'StaffOrder' })

export function presentStaffOrder(order: Order): z.input<typeof staffOrderBody> {
  return { ...presentOrder(order), held_for: [...order.heldFor] }
}

export function presentOrder(order: Order): OrderBody {
  const inCurrency = (amount: number): Money => ({ amount, currency: order.currency })
  const sent = order.attempts.filter((attempt) => attempt.amount !== null)
  return {
    id: order.id,
    number: order.number,
    status: order.status,
    cancel_reason: order.cancelReason,
    payment_status: order.paymentStatus,
    fulfillment_status: order.fulfillmentStatus,
    currency: order.currency,
    email: order.email,
    lines: order.lines.map((line) => ({
      sku: line.sku,
      title: line.title,
      seller_id: line.sellerId,
      quantity: line.quantity,
      cancelled: line.cancelled,
      unit_price: inCurrency(line.unitPrice),
      discount: inCurrency(line.discount),
      tax: inCurrency(line.tax),
      total: inCurrency(line.total),
    })),
    totals: {
      subtotal: inCurrency(order.subtotal),
      discount: inCurrency(order.discount),
      shipping: inCurrency(order.shipping),
      tax: inCurrency(order.tax),
      total: inCurrency(order.total),
      authorized: inCurrency(total(sent, authorizedBy)),
      captured: inCurrency(total(sent, (attempt) => attempt.captured)),
      refunded: inCurrency(total(sent, (attempt) => attempt.refunded)),
      refund_pending: inCurrency(total(sent, (attempt) => attempt.refunding)),
      cancelled: inCurrency(order.cancelled),
      waived: inCurrency(order.waived),
    },
    shipping_address: order.shippingAddress,
    shipping_method: order.shippingMethod,
    payments: sent.map((attempt) => ({
      id: attempt.id,
      provider: attempt.provider,
      status: attempt.status,
      amount: inCurrency(attempt.amount ?? 0),
      captured: inCurrency(attempt.captured),
      refunded: inCurrency(attempt.refunded),
    })),
    refunds: order.refunds.map((refund) => ({
      id: refund.id,
      status: refund.status,
      amount: inCurrency(refund.amount),
      reason_code: refund.reasonCode,
      created_at: new Date(refund.createdAt).toISOString(),
    })),
    shipments: [],
    actions: actionsOf(order),
    created_at: order.createdAt.toISOString(),
    updated_at: order.updatedAt.toISOString(),
  }
}

/** What of an attempt was or may be captured. */
function authorizedBy({ status, amount, released }: OrderAttempt): number {
  return holdsMoney(status) || status === 'refunded' ? (amount ?? 0) - released : 0
}

function total(attempts: readonly OrderAttempt[], amountOf: (attempt: OrderAttempt) => number): number {
  return attempts.reduce((sum, attempt) => sum + amountOf(attempt), 0)
}
