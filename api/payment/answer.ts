import { z } from 'zod'
import type { Capture, Dispute, Refund } from '../../db/payment/move'
import { sum } from '../../domain/money'
import { DISPUTE_STATUSES, MOVE_STATUSES, type MoveStatus } from '../../domain/payment/books'
import { idOf, money, timestamp } from '../http/schemas'

/** Captures, refunds and disputes as they are answered. */

export const captureBody = z
  .strictObject({
    id: idOf('capture'),
    order_id: idOf('order'),
    payment_id: idOf('payment'),
    status: z.enum(MOVE_STATUSES).meta({ description: '`pending`: the provider has not answered yet' }),
    amount: money,
    failure_code: z.string().nullable(),
    created_at: timestamp,
  })
  .meta({ id: 'Capture' })

export function presentCapture(capture: Capture): z.input<typeof captureBody> {
  return {
    id: capture.id,
    order_id: capture.orderId,
    payment_id: capture.paymentId,
    status: capture.status,
    amount: { amount: capture.amount, currency: capture.currency },
    failure_code: capture.failureCode,
    created_at: capture.createdAt.toISOString(),
  }
}

export const refundBody = z
  .strictObject({
    id: idOf('refund'),
    order_id: idOf('order'),
    status: z.enum(MOVE_STATUSES).meta({ description: '`pending`: the provider has not decided yet' }),
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

/** `rows`: those that carry out one request. */
export function presentRefund(rows: readonly Refund[]): z.input<typeof refundBody> {
  const [first] = rows
  if (!first) throw new Error('A refund has no rows')
  const tries = lastTries(rows)
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

/** Of the rows of one request: what was refused and tried again counts by its last try. */
export function lastTries(rows: readonly Refund[]): Refund[] {
  const retried = new Set(rows.map(({ retries }) => retries))
  return rows
    .filter(({ id }) => !retried.has(id))
    .map((refund) => ({ ...refund, status: refund.insteadStatus ?? refund.status }))
}

function statusOf(rows: readonly Refund[]): MoveStatus {
  if (rows.some(({ status }) => status === 'pending')) return 'pending'
  return rows.some(({ status }) => status === 'failed') ? 'failed' : 'succeeded'
}

export const disputeBody = z
  .strictObject({
    payment_id: idOf('payment'),
    reference: z.string().meta({ description: "the provider's id" }),
    status: z.enum(DISPUTE_STATUSES),
    amount: money,
    created_at: timestamp,
  })
  .meta({ id: 'Dispute' })

export function presentDispute(dispute: Dispute): z.input<typeof disputeBody> {
  return {
    payment_id: dispute.paymentId,
    reference: dispute.reference,
    status: dispute.status,
    amount: { amount: dispute.amount, currency: dispute.currency },
    created_at: dispute.createdAt.toISOString(),
  }
}
