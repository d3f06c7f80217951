import { z } from 'zod'
import type { Settings } from '../../config'
import type { StoredCommand, StoredShipment } from '../../db/order/shipment'
import type { Order, OrderAttempt } from '../../db/order/read'
import {
  COMMAND_KINDS,
  COMMAND_STATES,
  FULFILLMENT_STATUSES,
  SHIPMENT_STATUSES,
} from '../../domain/fulfillment/shipment'
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
    shipped: z.int().meta({ description: 'units that have left' }),
    delivered: z.int().meta({ description: 'units that have arrived' }),
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

export const commandBody = z
  .strictObject({
    id: idOf('command'),
    shipment_id: idOf('shipment').nullable(),
    kind: z.enum(COMMAND_KINDS),
    state: z.enum(COMMAND_STATES),
    code: z.string().nullable().meta({ description: 'why it was refused' }),
    created_at: timestamp,
  })
  .meta({ id: 'OrderCommand', description: 'what was asked for and could not be answered at once' })

export const shipmentShape = {
  id: idOf('shipment'),
  order_id: idOf('order'),
  warehouse_id: idOf('warehouse'),
  seller_id: z.string(),
  status: z.enum(SHIPMENT_STATUSES).meta({ description: '`picking`: picked, and not packed' }),
  lines: z.array(z.strictObject({ sku: z.string(), quantity: z.int() })),
  replaces: idOf('shipment')
    .nullable()
    .meta({ description: 'the lost or returned one that it is sent in the place of' }),
  carrier: z.string().nullable(),
  service: z.string().nullable(),
  tracking_number: z.string().nullable(),
  tracking_url: z.string().nullable(),
  label_url: z
    .string()
    .nullable()
    .meta({ description: 'the label as PDF, for staff; null: there is none, or none of ours' }),
  expected_at: timestamp.nullable(),
  events: z.array(z.strictObject({ at: timestamp, type: z.string(), detail: z.string().nullable() })),
}
export const shipmentBody = z.strictObject(shipmentShape).meta({ id: 'Shipment' })

export const orderShape = {
  id: idOf('order'),
  number: z.string(),
  status: z.enum(ORDER_STATUSES),
  cancel_reason: z.string().nullable(),
  payment_status: z.enum(PAYMENT_STATUSES),
  fulfillment_status: z.enum(FULFILLMENT_STATUSES),
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
  shipments: z.array(shipmentBody),
  commands: z.array(commandBody),
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

export function presentStaffOrder(order: Order, links: Links): z.input<typeof staffOrderBody> {
  return {
    ...presentOrder(order),
    shipments: order.shipments.map((shipment) => presentStaffShipment(shipment, links)),
    held_for: [...order.heldFor],
  }
}

/** What addresses of our own begin with. */
type Links = Pick<Settings, 'PUBLIC_URL'>

/** As staff see it, with its label. */
export function presentStaffShipment(shipment: StoredShipment, { PUBLIC_URL }: Links): z.input<typeof shipmentBody> {
  const label_url = shipment.hasLabel ? `${PUBLIC_URL}/v1/admin/shipments/${shipment.id}/label.pdf` : null
  return { ...presentShipment(shipment), label_url }
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
      shipped: line.shipped,
      delivered: line.delivered,
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
    shipments: order.shipments.map(presentShipment),
    commands: order.commands.map(presentCommand),
    actions: actionsOf(order),
    created_at: order.createdAt.toISOString(),
    updated_at: order.updatedAt.toISOString(),
  }
}

/** As customers may see it: the label is for staff. */
export function presentShipment(shipment: StoredShipment): z.input<typeof shipmentBody> {
  const { expectedAt, events } = shipment
  return {
    id: shipment.id,
    order_id: shipment.orderId,
    warehouse_id: shipment.warehouseId,
    seller_id: shipment.sellerId,
    status: shipment.status,
    lines: [...shipment.lines],
    replaces: shipment.replaces,
    carrier: shipment.carrier,
    service: shipment.service,
    tracking_number: shipment.trackingNumber,
    tracking_url: shipment.trackingUrl,
    label_url: null,
    expected_at: expectedAt === null ? null : new Date(expectedAt).toISOString(),
    events: events.map(({ at, ...event }) => ({ ...event, at: new Date(at).toISOString() })),
  }
}

export function presentCommand(command: StoredCommand): z.input<typeof commandBody> {
  return {
    id: command.id,
    shipment_id: command.shipmentId,
    kind: command.kind,
    state: command.state,
    code: command.code,
    created_at: new Date(command.createdAt).toISOString(),
  }
}

/** What of an attempt was or may be captured. */
function authorizedBy({ status, amount, released }: OrderAttempt): number {
  return holdsMoney(status) || status === 'refunded' ? (amount ?? 0) - released : 0
}

function total(attempts: readonly OrderAttempt[], amountOf: (attempt: OrderAttempt) => number): number {
  return attempts.reduce((sum, attempt) => sum + amountOf(attempt), 0)
}
