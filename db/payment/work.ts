import type { OrderId, PaymentId } from '../../domain/ids'
import type { PaymentWork } from '../../domain/payment/work'
import type { Db } from '../pool'
import { statement } from '../sql'

/** What is to be done, read from the rows that ask for it. Null when there is no such order. `paymentId` null: of all its payments. */
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

/** Whether something is to be done with the money of an order that nobody decides: not what a provider or a person thinks about. */
export async function isMoneyAtWork(db: Db, orderId: OrderId): Promise<boolean> {
  const { rows } = await db.query<{ isAtWork: boolean }>(IS_AT_WORK({ orderId }))
  return rows[0]?.isAtWork ?? false
}

const IS_AT_WORK = statement(
  'payment.isAtWork',
  `
    select exists (select from payment where order_id = :orderId and releasing)
        or exists (select from capture where order_id = :orderId and at_work and status = 'pending')
        or exists (select from refund where order_id = :orderId and at_work and status = 'pending' and reference is null)
           as "isAtWork"`,
)

/** An authorization is renewed, or a person is asked, so long before it ends. */
const RENEW_HOURS_BEFORE = 48
/** When fulfillment of an order without a date looks at it: there is nothing to see before. */
const LATEST_FIRST_LOOK_DAYS = 30

/** When fulfillment of these orders has to look at their money by itself, in milliseconds from now. */
export async function readFirstLooks(
  db: Db,
  orderIds: readonly OrderId[],
): Promise<{ orderId: OrderId; delayMs: number }[]> {
  const { rows } = await db.query<{ orderId: OrderId; delayMs: number }>(FIRST_LOOKS({ orderIds }))
  return rows
}

const FIRST_LOOKS = statement(
  'payment.firstLooks',
  `
    select o.id as "orderId", greatest(0, extract(epoch from least(
             min(p.capture_before) - make_interval(hours => ${RENEW_HOURS_BEFORE}),
             now() + make_interval(days => ${LATEST_FIRST_LOOK_DAYS})) - now()) * 1000)::bigint as "delayMs"
    from unnest(:orderIds::text[]) as o (id)
    left join payment p on p.order_id = o.id and p.status = 'authorized'
    group by o.id`,
)
