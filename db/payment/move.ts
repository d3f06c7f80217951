import type { CaptureId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import type { CaptureCause, MoveStatus, RefundCause } from '../../domain/payment/books'
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
  /** The refused one that it tries again. */
  readonly retries: RefundId | null
}

const MOVE = `order_id as "orderId", payment_id as "paymentId", number, key, amount, currency, status, actor, reference,
  failure_code as "failureCode", cause, created_at as "createdAt"`

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
    text: `select id, request_id as "requestId", reason_code as "reasonCode", restock, retries, ${MOVE} from refund where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/** The rows that carry out one request, oldest first; none when there is no such refund. */
export async function readRefund(db: Db, requestId: RefundId): Promise<Refund[]> {
  const { rows } = await db.query<Refund>({
    name: 'refund.read',
    text: `
      select id, request_id as "requestId", reason_code as "reasonCode", restock, retries, ${MOVE}
      from refund
      where request_id = (select request_id from refund where id = $1)
      order by number`,
    values: [requestId],
  })
  return rows
}

/** All captures of an order, oldest first. */
export async function listCaptures(db: Db, orderId: OrderId): Promise<Capture[]> {
  const { rows } = await db.query<Capture>({
    name: 'capture.ofOrder',
    text: `select id, ${MOVE} from capture where order_id = $1 order by number limit ${MOVES_MAX}`,
    values: [orderId],
  })
  return rows
}

/** All refunds of an order, oldest first. */
export async function listRefunds(db: Db, orderId: OrderId): Promise<Refund[]> {
  const { rows } = await db.query<Refund>({
    name: 'refund.ofOrder',
    text: `
      select id, request_id as "requestId", reason_code as "reasonCode", restock, retries, ${MOVE}
      from refund
      where order_id = $1
      order by number
      limit ${MOVES_MAX}`,
    values: [orderId],
  })
  return rows
}

/** More than any order has. */
const MOVES_MAX = 1_000
