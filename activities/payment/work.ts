import type { OrderId, PaymentId } from '../../domain/ids'
import type { PaymentWork } from '../../domain/payment/work'
import { readPaymentWork as read } from '../../db/payment/work'
import type { PaymentDeps } from './charge'

export interface PaymentWorkToDo extends PaymentWork {
  /** How long the provider may be silent before a person is asked. */
  readonly patienceMs: number
}

/** What is to be done now with the money that pays for an order, or with that of one of its payments. */
export async function readPaymentWork(
  { pool, settings }: PaymentDeps,
  input: { orderId: OrderId; paymentId: PaymentId | null },
): Promise<PaymentWorkToDo> {
  const work = await read(pool, input)
  if (!work) throw new Error(`There is no order ${input.orderId}`)
  return { ...work, patienceMs: settings.ATTENTION_AFTER_SECONDS * 1000 }
}
