import type { CaptureId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import type { MoveStatus } from '../../domain/payment/books'
import type { Db } from '../pool'
import { statement } from '../sql'

/** What is still to be done with the money of an order, or of one of its payments: read from the rows that ask for it. */
export interface PaymentWork {
  /** The order is over: no money is owed for it. */
  readonly isOver: boolean
  readonly currency: string
  /** Minor units. */
  readonly total: number
  /** In the order in which it is to be done. */
  readonly items: readonly WorkItem[]
}

export type WorkItem =
  /** What is authorized and not captured is to be let go. */
  | { readonly kind: 'release'; readonly object: PaymentId; readonly paymentId: PaymentId; readonly amount: number }
  /** `pending`: to be sent, or asked about; `failed`: a person has to decide. */
  | (Move & { readonly kind: 'capture'; readonly object: CaptureId })
  | (Move & {
      readonly kind: 'refund'
      readonly object: RefundId
      /** The provider has taken it, and has not decided. */
      readonly isAccepted: boolean
    })
  /** A customer's bank takes money back. */
  | {
      readonly kind: 'dispute'
      readonly object: string
      readonly paymentId: PaymentId
      readonly amount: number
      readonly status: 'open' | 'won' | 'lost'
    }

interface Move {
  readonly paymentId: PaymentId
  readonly amount: number
  readonly status: MoveStatus
  readonly failureCode: string | null
}

/** Null when there is no such order. `paymentId` null: of all its payments. */
export async function readPaymentWork(
  db: Db,
  { orderId, paymentId }: { orderId: OrderId; paymentId: PaymentId | null },
): Promise<PaymentWork | null> {
  const { rows } = await db.query<PaymentWork>(READ_WORK({ orderId, paymentId }))
  return rows[0] ?? null
}

const READ_WORK = statement(
  'payment.work',
  `
    select o.status in ('cancelled', 'completed') as "isOver", o.currency, o.total, coalesce((
      select json_agg(item order by place, number)
      from (
        select 1 as place, p.attempt as number, json_build_object('kind', 'release', 'object', p.id, 'paymentId', p.id,
               'amount', p.amount - p.captured - p.capturing - p.released) as item
        from payment p
        where p.order_id = o.id and p.releasing and (:paymentId::text is null or p.id = :paymentId)
        union all
        select 2, c.number, json_build_object('kind', 'capture', 'object', c.id, 'paymentId', c.payment_id,
               'amount', c.amount, 'status', c.status, 'failureCode', c.failure_code)
        from capture c
        where c.order_id = o.id and c.at_work and (:paymentId::text is null or c.payment_id = :paymentId)
        union all
        select 3, r.number, json_build_object('kind', 'refund', 'object', r.id, 'paymentId', r.payment_id,
               'amount', r.amount, 'status', r.status, 'failureCode', r.failure_code, 'isAccepted', r.reference is not null)
        from refund r
        where r.order_id = o.id and r.at_work and (:paymentId::text is null or r.payment_id = :paymentId)
        union all
        select 4, d.number, json_build_object('kind', 'dispute', 'object', d.reference, 'paymentId', d.payment_id,
               'amount', d.amount, 'status', d.status)
        from dispute d
        where d.order_id = o.id and d.at_work and (:paymentId::text is null or d.payment_id = :paymentId)
      ) as work
    ), '[]') as items
    from orders o
    where o.id = :orderId`,
)
