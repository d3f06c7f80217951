import type { Address } from '../../db/cart/cart'
import type { SlipShipment } from '../../db/order/document'
import type { Order, OrderLine } from '../../db/order/read'
import type { Capture, Refund } from '../../db/payment/move'
import { isInside } from '../../domain/fulfillment/shipment'
import { formatMajor, sum } from '../../domain/money'
import { lastTries, presentRefund } from '../payment/answer'
import { type Cell, type Column, Paper } from './paper'

/** Packing slips, invoices and credit notes: rows → PDF. The same rows make the same bytes. */

/** By the day on which the order was confirmed, under a number that never changes. */
export function invoiceNumber({ number }: Pick<Order, 'number'>): string {
  return `INV-${number}`
}

/** `refund`: the number of its first row, within its order. */
export function creditNoteNumber({ number }: Pick<Order, 'number'>, refund: number): string {
  return `CN-${number}-${refund}`
}

export interface Slip {
  readonly order: Order
  /** Null: for all units of the order, see {@link slipUnits}. */
  readonly shipment: SlipShipment | null
  readonly storeName: string
}

/** What a slip without a shipment lists: what is to be sent, also once more; when nothing is, all that was sent. */
export function slipUnits(order: Pick<Order, 'lines' | 'shipments'>): {
  readonly parcel: string
  readonly lines: SlipShipment['lines']
} {
  const { lines, shipments } = order
  const again = shipments.filter(({ replaces, status }) => replaces !== null && isInside(status))
  const toSend = unitsOf(order, ({ sku, quantity, cancelled, shipped }) => {
    const replaced = again.flatMap((shipment) => shipment.lines).filter((line) => line.sku === sku)
    return quantity - cancelled - shipped + sum(replaced.map((line) => line.quantity))
  })
  if (toSend.length > 0) return { parcel: 'all that is to be sent', lines: toSend }
  return { parcel: 'all that was sent', lines: unitsOf({ lines }, ({ shipped }) => shipped) }
}

function unitsOf({ lines }: Pick<Order, 'lines'>, count: (line: OrderLine) => number): SlipShipment['lines'] {
  return lines
    .map((line) => ({ sku: line.sku, title: line.title, quantity: count(line) }))
    .filter(({ quantity }) => quantity > 0)
}

const SLIP_COLUMNS: readonly Column[] = [
  { title: '', share: 0.05 },
  { title: 'Quantity', share: 0.12, isFigure: true },
  { title: 'SKU', share: 0.23 },
  { title: 'Product', share: 0.6 },
]

/** What goes into a parcel, without prices. */
export async function packingSlip({ order, shipment, storeName }: Slip): Promise<Buffer> {
  const number = shipment ? `${order.number}-${shipment.number}` : order.number
  const createdAt = shipment?.createdAt ?? confirmedAt(order)
  const paper = new Paper({ kind: 'Packing slip', number, seller: storeName, createdAt })
  const all = slipUnits(order)
  const lines = shipment?.lines ?? all.lines
  paper.begin([
    ['Order', order.number],
    ['Ordered', day(confirmedAt(order))],
    ['Parcel', shipment ? String(shipment.number) : all.parcel],
    ['Shipping', order.shippingMethod],
  ])
  paper.blocks([
    { title: 'Send to', lines: addressLines(order.shippingAddress) },
    ...(shipment ? [{ title: 'From', lines: parcelLines(shipment) }] : []),
  ])
  await paper.table(
    SLIP_COLUMNS,
    lines.map(({ sku, title, quantity }) => [
      { text: '□' },
      { text: String(quantity) },
      { text: sku },
      { text: title },
    ]),
  )
  paper.sums([{ name: 'Units in all', amount: String(sum(lines.map(({ quantity }) => quantity))), isTotal: true }])
  return paper.finish()
}

function parcelLines({ warehouse, boxes, carrier, service, trackingNumber }: SlipShipment): string[] {
  return [
    warehouse,
    ...(boxes ? [`${boxes.length} ${boxes.length === 1 ? 'box' : 'boxes'}, ${weightOf(boxes)}`] : []),
    ...(carrier ? [`${carrier} ${service ?? ''}`] : []),
    ...(trackingNumber ? [`Tracking number ${trackingNumber}`] : []),
  ]
}

function weightOf(boxes: readonly { readonly weight_grams: number }[]): string {
  return `${sum(boxes.map((box) => box.weight_grams))} g`
}

export interface InvoiceRows {
  readonly order: Order
  /** Null: it is the shipping address. */
  readonly billingAddress: Address | null
  readonly captures: readonly Capture[]
  readonly storeName: string
}

const INVOICE_COLUMNS: readonly Column[] = [
  { title: 'Product', share: 0.37 },
  { title: 'Quantity', share: 0.1, isFigure: true },
  { title: 'Unit price', share: 0.14, isFigure: true },
  { title: 'Discount', share: 0.12, isFigure: true },
  { title: 'Tax', share: 0.12, isFigure: true },
  { title: 'Total', share: 0.15, isFigure: true },
]

/** What was bought and what is owed for it, all by the stored figures. */
export async function invoice({ order, billingAddress, captures, storeName }: InvoiceRows): Promise<Buffer> {
  const number = invoiceNumber(order)
  const createdAt = confirmedAt(order)
  const paper = new Paper({ kind: 'Invoice', number, seller: storeName, createdAt })
  paper.begin([
    ['Invoice number', number],
    ['Invoice date', day(createdAt)],
    ['Order', order.number],
    ['Currency', order.currency],
  ])
  paper.blocks([
    { title: 'Bill to', lines: [...addressLines(billingAddress ?? order.shippingAddress), order.email] },
    { title: 'Send to', lines: addressLines(order.shippingAddress) },
  ])
  await paper.table(
    INVOICE_COLUMNS,
    order.lines.map((line) => invoiceLine(line, order)),
  )
  paper.sums(sumsOf(order))
  await payments(paper, order, captures)
  return paper.finish()
}

function invoiceLine(line: OrderLine, order: Order): Cell[] {
  const cancelled = line.cancelled === 0 ? '' : ` · ${line.cancelled} of ${line.quantity} cancelled`
  return [
    { text: line.title, note: `${line.sku}${cancelled}` },
    { text: String(line.quantity) },
    ...[line.unitPrice, line.discount, line.tax, line.total].map((amount) => ({ text: figure(amount, order) })),
  ]
}

function sumsOf(order: Order): { name: string; amount: string; isTotal?: boolean }[] {
  const { subtotal, discount, shipping, tax, total, cancelled, waived } = order
  const shippingTax = tax - sum(order.lines.map((line) => line.tax))
  const isInclusive = subtotal - discount + shipping === total
  const taxes = [
    { name: isInclusive ? 'Tax on the products, included' : 'Tax on the products', amount: tax - shippingTax },
    { name: isInclusive ? 'Tax on shipping, included' : 'Tax on shipping', amount: shippingTax },
  ]
  const notOwed = [
    { name: 'Cancelled: not owed', amount: -cancelled },
    { name: 'Rounded off: not owed', amount: -waived },
  ].filter(({ amount }) => amount !== 0)
  const rows = [
    { name: 'Subtotal', amount: subtotal },
    { name: 'Discount', amount: -discount },
    { name: `Shipping, ${order.shippingMethod}`, amount: shipping },
    ...(isInclusive ? [] : taxes),
    { name: 'Total', amount: total, isTotal: true },
    ...(isInclusive ? taxes : []),
    ...notOwed,
    ...(notOwed.length > 0 ? [{ name: 'Owed', amount: total - cancelled - waived, isTotal: true }] : []),
  ]
  return rows.map((row) => ({ ...row, amount: amountOf(row.amount, order) }))
}

const PAYMENT_COLUMNS: readonly Column[] = [
  { title: 'Date', share: 0.16 },
  { title: 'By', share: 0.2 },
  { title: '', share: 0.44 },
  { title: 'Amount', share: 0.2, isFigure: true },
]

async function payments(paper: Paper, order: Order, captures: readonly Capture[]): Promise<void> {
  const shown = captures.filter(({ status }) => status !== 'failed')
  paper.title('Payments')
  if (shown.length === 0) return paper.paragraph('Nothing has been charged.')
  const provider = new Map<string, string>(order.attempts.map(({ id, provider: name }) => [id, name]))
  await paper.table(
    PAYMENT_COLUMNS,
    shown.map(({ createdAt, paymentId, status, amount }) => [
      { text: day(createdAt) },
      { text: provider.get(paymentId) ?? '' },
      { text: status === 'succeeded' ? 'charged' : 'asked for, not answered yet' },
      { text: figure(amount, order) },
    ]),
  )
  const [captured, refunded, refunding] = (['captured', 'refunded', 'refunding'] as const).map((name) =>
    sum(order.attempts.map((attempt) => attempt[name])),
  ) as [number, number, number]
  paper.sums(
    [
      { name: 'Charged', amount: captured, isTotal: true },
      { name: 'Refunded', amount: -refunded },
      { name: 'Refunds on their way', amount: -refunding },
    ]
      .filter(({ amount, isTotal }) => isTotal || amount !== 0)
      .map((row) => ({ ...row, amount: amountOf(row.amount, order) })),
  )
}

export interface CreditNoteRows {
  readonly order: Order
  readonly billingAddress: Address | null
  /** Of each request the rows that carry it out; see {@link isCredited}. */
  readonly refunds: readonly (readonly Refund[])[]
  readonly storeName: string
}

/** What was given back or is on its way; a refund that failed gave nothing. */
export function isCredited(refund: readonly Refund[]): boolean {
  return presentRefund(refund).status !== 'failed'
}

/** A credit note for each refund, each on a page of its own. */
export async function creditNote({ order, billingAddress, refunds, storeName }: CreditNoteRows): Promise<Buffer> {
  const notes = refunds.map((rows) => ({ ...presentRefund(rows), rows, first: firstOf(rows) }))
  const [first] = notes
  if (!first) throw new Error('There is no refund')
  const number = notes.length === 1 ? creditNoteNumber(order, first.first.number) : order.number
  const createdAt = first.first.createdAt
  const paper = new Paper({ kind: 'Credit note', number, seller: storeName, createdAt })
  for (const note of notes) {
    paper.begin([
      ['Credit note number', creditNoteNumber(order, note.first.number)],
      ['Date', day(note.first.createdAt)],
      ['Of invoice', invoiceNumber(order)],
      ['Currency', order.currency],
    ])
    paper.blocks([{ title: 'To', lines: [...addressLines(billingAddress ?? order.shippingAddress), order.email] }])
    await paper.table(PAYMENT_COLUMNS, noteLines(note, order))
    paper.sums(noteSums(note, order))
  }
  return paper.finish()
}

type Note = ReturnType<typeof presentRefund> & { readonly rows: readonly Refund[]; readonly first: Refund }

function noteLines({ tenders, reason_code: reason, first }: Note, order: Order): Cell[][] {
  const provider = new Map<string, string>(order.attempts.map(({ id, provider: name }) => [id, name]))
  return tenders.map(({ payment_id: paymentId, status, amount }) => [
    { text: day(first.createdAt) },
    { text: provider.get(paymentId) ?? '' },
    { text: `${words(reason ?? first.cause)}, ${status === 'succeeded' ? 'given back' : 'on its way back'}` },
    { text: figure(amount.amount, order) },
  ])
}

function noteSums({ amount, rows }: Note, order: Order): { name: string; amount: string; isTotal?: boolean }[] {
  const tries = lastTries(rows)
  const returned = sum(tries.map((row) => row.returned))
  return [
    { name: 'Credited', amount: amountOf(amount.amount, order), isTotal: true },
    ...(returned === 0
      ? []
      : [
          { name: 'Of it, for products that were sent', amount: amountOf(returned, order) },
          { name: 'Tax in that', amount: amountOf(sum(tries.map((row) => row.returnedTax)), order) },
        ]),
  ]
}

function firstOf(rows: readonly Refund[]): Refund {
  const [first] = rows
  if (!first) throw new Error('A refund has no rows')
  return first
}

function confirmedAt({ id, confirmedAt: at }: Order): Date {
  if (!at) throw new Error(`${id} was never confirmed`)
  return at
}

function day(at: Date): string {
  return at.toISOString().slice(0, 10)
}

/** `customer_request` → "customer request" */
function words(code: string): string {
  return code.replaceAll('_', ' ')
}

function figure(amount: number, { currency }: Pick<Order, 'currency'>): string {
  return formatMajor({ amount, currency })
}

function amountOf(amount: number, order: Pick<Order, 'currency'>): string {
  return `${order.currency} ${figure(amount, order)}`
}

function addressLines({
  name,
  company,
  line1,
  line2,
  postal_code: code,
  city,
  region,
  country,
  phone,
}: Address): string[] {
  const place = [city, code].filter(Boolean).join(' ')
  return [name, company, line1, line2, place, region, country, phone].filter((line): line is string => Boolean(line))
}
