import type { ServerResponse } from 'node:http'
import { z } from 'zod'
import { readBillingAddress, readSlipShipment, type SlipShipment } from '../../db/order/document'
import { type Order, readOrder } from '../../db/order/read'
import { listCaptures, listRefunds, readRefund, type Refund } from '../../db/payment/move'
import type { Pool } from '../../db/pool'
import { DomainError } from '../../domain/errors'
import type { OrderId, RefundId, ShipmentId } from '../../domain/ids'
import { defineRoute, type Route } from '../http/route'
import { idOf, pathId } from '../http/schemas'
import { creditNote, creditNoteNumber, invoice, invoiceNumber, isCredited, packingSlip, slipUnits } from './document'

/** The papers of an order, as PDF. */

const PDF = { mediaType: 'application/pdf' } as const
/** As many as there may be, and some that nobody here asked for. */
const CAPTURES_MAX = 400
const REFUNDS_MAX = 200

const getPackingSlip = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/documents/packing-slip.pdf',
  tag: 'Documents',
  summary: 'Print what goes into a parcel',
  description:
    'Without prices. Without a shipment: all units that are to be sent, once more too; or once nothing is, all that were sent.',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  query: z.strictObject({ shipment_id: idOf('shipment').optional() }),
  answers: { 200: PDF, 404: ['not_found'], 409: ['order_not_confirmed', 'nothing_to_send'] },
}).handle(async ({ params: { id }, query }, { reads, settings }) => {
  const rows = await reads.readLatest(async (db) => {
    const order = await requireConfirmed(db, id)
    return {
      order,
      shipment: query.shipment_id === undefined ? null : await requireShipment(db, id, query.shipment_id),
    }
  })
  requireSomethingToSend(rows)
  const parcel = rows.shipment ? `-${rows.shipment.number}` : ''
  return pdf(
    `packing-slip-${rows.order.number}${parcel}`,
    await packingSlip({ ...rows, storeName: settings.STORE_NAME }),
  )
})

function requireSomethingToSend({ order, shipment }: { order: Order; shipment: SlipShipment | null }): void {
  if (shipment ? shipment.status === 'cancelled' : slipUnits(order).lines.length === 0)
    throw new DomainError(
      'nothing_to_send',
      shipment ? 'The shipment was cancelled.' : 'All of the order was cancelled.',
    )
}

const getInvoice = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/documents/invoice.pdf',
  tag: 'Documents',
  summary: 'Print the invoice of an order',
  description: 'Once it was confirmed, and under the same number ever after. What was cancelled is shown as not owed.',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  answers: { 200: PDF, 404: ['not_found'], 409: ['order_not_confirmed'] },
  example: { answer: 200 },
}).handle(async ({ params: { id } }, { reads, settings }) => {
  const rows = await reads.readLatest(async (db) => {
    const order = await requireConfirmed(db, id)
    const [billingAddress, captures] = await Promise.all([
      readBillingAddress(db, id),
      listCaptures(db, { orderId: id, after: 0, limit: CAPTURES_MAX }),
    ])
    return { order, billingAddress, captures }
  })
  return pdf(invoiceNumber(rows.order), await invoice({ ...rows, storeName: settings.STORE_NAME }))
})

const getCreditNote = defineRoute({
  method: 'get',
  path: '/v1/admin/orders/{id}/documents/credit-note.pdf',
  tag: 'Documents',
  summary: 'Print the credit note of a refund',
  description: 'Without a refund: of all of them, a page for each. Refunds that failed have none.',
  caller: { admin: 'orders', access: 'read' },
  params: pathId('order'),
  query: z.strictObject({ refund_id: idOf('refund').optional() }),
  answers: { 200: PDF, 404: ['not_found'], 409: ['order_not_confirmed', 'nothing_refunded'] },
}).handle(async ({ params: { id }, query: { refund_id: refundId } }, { reads, settings }) => {
  const rows = await reads.readLatest(async (db) => {
    const order = await requireConfirmed(db, id)
    const [billingAddress, refunds] = await Promise.all([readBillingAddress(db, id), refundsOf(db, id, refundId)])
    return { order, billingAddress, refunds: refunds.filter(isCredited) }
  })
  const [number] = rows.refunds.map(([first]) => first?.number ?? 0)
  if (number === undefined)
    throw new DomainError('nothing_refunded', 'Nothing of the order was given back, or is on its way.')
  const name = refundId === undefined ? `credit-notes-${rows.order.number}` : creditNoteNumber(rows.order, number)
  return pdf(name, await creditNote({ ...rows, storeName: settings.STORE_NAME }))
})

async function refundsOf(db: Pool, orderId: OrderId, refundId: RefundId | undefined): Promise<Refund[][]> {
  if (refundId === undefined) return listRefunds(db, { orderId, after: 0, limit: REFUNDS_MAX })
  const rows = await readRefund(db, refundId)
  if (rows[0]?.orderId !== orderId) throw new DomainError('not_found', 'There is no such refund.')
  return [rows]
}

async function requireConfirmed(db: Pool, id: OrderId): Promise<Order> {
  const order = await readOrder(db, id)
  if (!order) throw new DomainError('not_found', 'There is no such order.')
  if (!order.confirmedAt)
    throw new DomainError('order_not_confirmed', 'The order has no documents: it was never confirmed.')
  return order
}

async function requireShipment(db: Pool, orderId: OrderId, shipmentId: ShipmentId): Promise<SlipShipment> {
  const shipment = await readSlipShipment(db, { orderId, shipmentId })
  if (!shipment) throw new DomainError('not_found', 'The order has no such shipment.')
  return shipment
}

/** Names and addresses stand in it: no cache keeps it, which is what answers of bytes say unless told otherwise. */
function pdf(name: string, bytes: Buffer) {
  return {
    status: 200,
    headers: { 'Content-Length': String(bytes.length), 'Content-Disposition': `inline; filename="${name}.pdf"` },
    send: (response: ServerResponse) => void response.end(bytes),
  } as const
}

export const documentRoutes: Route[] = [getPackingSlip, getInvoice, getCreditNote]
