import type { OrderId } from '../../domain/ids'
import type { FraudAnswer } from '../../domain/order'
import type { Address } from '../cart/cart'
import type { Db, Tx } from '../pool'
import { statement } from '../sql'
import { type HoldOutcome, holdOrder } from './hold'

/** An order as a fraud check sees it. Holds personal data: it goes to the check alone, never into a workflow. */
export interface OrderToCheck {
  readonly orderId: OrderId
  readonly number: string
  readonly currency: string
  /** Minor units. */
  readonly total: number
  readonly units: number
  readonly email: string
  readonly shippingAddress: Address
  /** Null: the same as the shipping address. */
  readonly billingAddress: Address | null
  readonly shippingMethod: string
  /** By whom it was paid; null when nothing was due. */
  readonly provider: string | null
  readonly method: string | null
  readonly createdAt: Date
}

/** What there is to check. Null when the check has answered before, or there is no such order. */
export async function readOrderToCheck(db: Db, orderId: OrderId): Promise<OrderToCheck | null> {
  const { rows } = await db.query<OrderToCheck>(TO_CHECK({ orderId }))
  return rows[0] ?? null
}

const TO_CHECK = statement(
  'order.toCheck',
  `
    select o.id as "orderId", o.number, o.currency, o.total,
           (select coalesce(sum(quantity), 0)::int from order_line where order_id = o.id) as units,
           o.email, o.shipping_address as "shippingAddress", o.billing_address as "billingAddress",
           o.shipping_method as "shippingMethod", p.provider, p.method, o.created_at as "createdAt"
    from orders o
    left join lateral (
      select provider, method
      from payment
      where order_id = o.id and outcome = 'completed'
      order by attempt
      limit 1
    ) p on true
    where o.id = :orderId and o.fraud_answer is null`,
)

/** The fraud check has nothing against the order. Only its first answer counts. */
export async function letPass(db: Db, orderId: OrderId): Promise<void> {
  await db.query(KEEP_ANSWER({ orderId, answer: 'ok' }))
}

/**
 * The fraud check does not let the order pass, which is put on hold in the transaction `tx`, until a person resumes or cancels it.
 * Only its first answer counts, so that a resumed order is not held again by the same check.
 */
export async function applyFraudAnswer(
  tx: Tx,
  orderId: OrderId,
  answer: Exclude<FraudAnswer, 'ok'>,
): Promise<HoldOutcome> {
  const { rowCount } = await tx.query(KEEP_ANSWER({ orderId, answer }))
  if (rowCount !== 1) return 'unchanged'
  const reasonCode = answer === 'refuse' ? 'fraud_refused' : 'fraud_review'
  return holdOrder(tx, orderId, { cause: 'fraud', reasonCode })
}

const KEEP_ANSWER = statement(
  'order.keepFraudAnswer',
  'update orders set fraud_answer = :answer, updated_at = now() where id = :orderId and fraud_answer is null',
)
