import type { CaptureId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import type { CaptureCause, DisputeStatus, MoveStatus, RefundCause } from '../../domain/payment/books'
import type { Db } from '../pool'

/** Captures and refunds as they are read. They are written in the order's books alone (`db/payment/books.ts`). */

interface Move {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly number: number
  readonly key: string
  /** Minor units of `currency`. */
  readonly amount: number
  readonly currency: string
  readonly status: MoveStatus
  readonly actor: string | null
  readonly reference: string | null
  readonly failureCode: string | null
  readonly createdAt: Date
}

export interface Capture extends Move {
  readonly id: CaptureId
  readonly cause: CaptureCause
}

export interface Refund extends Move {
  readonly id: RefundId
  readonly requestId: RefundId
  readonly cause: RefundCause
  readonly reasonCode: string | null
  readonly restock: boolean
  /** Of the amount, what is for units that had left, and the tax in it. */
  readonly returned: number
  readonly returnedTax: number
  /** The refused one that it tries again. */
  readonly retries: RefundId | null
  /** Of the refund that was made at the provider's own pages in its place; null: none was. */
  readonly insteadStatus: MoveStatus | null
}

const MOVE = `order_id as "orderId", payment_id as "paymentId", number, key, amount, currency, status, actor, reference,
  failure_code as "failureCode", cause, created_at as "createdAt"`

/** The status of the one that was made in the place of a row of `refund`. */
export const INSTEAD_STATUS = `(
  select m.status
  from refund m
  where m.payment_id = refund.payment_id and m.reference = refund.reference and m.id <> refund.id and m.status <> 'failed'
  limit 1)` as const

const REFUND = `id, request_id as "requestId", reason_code as "reasonCode", restock, returned,
  returned_tax as "returnedTax", retries,
  ${INSTEAD_STATUS} as "insteadStatus", ${MOVE}`

export async function readCapture(db: Db, id: CaptureId): Promise<Capture | null> {
  const { rows } = await db.query<Capture>({
    name: 'capture.read',
    text: `select id, ${MOVE} from capture where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

export async function readRefundRow(db: Db, id: RefundId): Promise<Refund | null> {
  const { rows } = await db.query<Refund>({
    name: 'refund.readRow',
    text: `select ${REFUND} from refund where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** The rows that carry out one request, oldest first; none when there is no such refund. */
export async function readRefund(db: Db, requestId: RefundId): Promise<Refund[]> {
  const { rows } = await db.query<Refund>({
    name: 'refund.read',
    text: `
      select ${REFUND}
      from refund
      where request_id = (select request_id from refund where id = $1)
      order by number`,
    values: [requestId],
  })
  return rows
}

/** Where a list of captures or refunds goes on, by their numbers. */
export interface MoveList {
  readonly orderId: OrderId
  /** The last number of the list before; 0: from the first. */
  readonly after: number
  readonly limit: number
}

/** Captures of an order, oldest first. */
export async function listCaptures(db: Db, { orderId, after, limit }: MoveList): Promise<Capture[]> {
  const { rows } = await db.query<Capture>({
    name: 'capture.ofOrder',
    text: `select id, ${MOVE} from capture where order_id = $1 and number > $2 order by number limit $3`,
    values: [orderId, after, limit],
  })
  return rows
}

/** Refunds of an order, oldest first: of each the rows that carry it out, as of {@link readRefund}. */
export async function listRefunds(db: Db, { orderId, after, limit }: MoveList): Promise<Refund[][]> {
  const { rows } = await db.query<Refund>({
    name: 'refund.ofOrder',
    text: `
      select ${REFUND}
      from refund
      where request_id in (
        select id from refund where order_id = $1 and id = request_id and number > $2 order by number limit $3
      )
      order by number`,
    values: [orderId, after, limit],
  })
  const ofRequest = new Map<RefundId, Refund[]>()
  for (const row of rows) ofRequest.set(row.requestId, [...(ofRequest.get(row.requestId) ?? []), row])
  return [...ofRequest.values()]
}

export interface Dispute {
  readonly paymentId: PaymentId
  /** The provider's id of it. */
  readonly reference: string
  readonly amount: number
  readonly currency: string
  readonly status: DisputeStatus
  readonly createdAt: Date
}

/** Disputes of an order, oldest first: a charge has one or two. */
export async function listDisputes(db: Db, orderId: OrderId): Promise<Dispute[]> {
  const { rows } = await db.query<Dispute>({
    name: 'dispute.ofOrder',
    text: `
      select payment_id as "paymentId", reference, amount, currency, status, created_at as "createdAt"
      from dispute
      where order_id = $1
      order by number
      limit 100`,
    values: [orderId],
  })
  return rows
}
