import { allHandlersFinished, condition } from '@temporalio/workflow'
import type { OrderId, PaymentId } from '../../../domain/ids'
import { Intervention } from '../../../workflows/intervention'
import { resolveCharge } from '../../../workflows/proxies'

export interface SeveralInput {
  readonly orderId: OrderId
  readonly payments: readonly PaymentId[]
  readonly patienceMs: number
}

/** Asks about several charges at a time, beside its own waiting, until it knows of all. */
export async function several({ orderId, payments, patienceMs }: SeveralInput): Promise<number> {
  const intervention = new Intervention(orderId)
  const known = new Set<PaymentId>()
  const asked = payments.map(async (paymentId) => {
    const about = {
      code: 'late_money',
      object: paymentId,
      waitsFor: `charge ${paymentId}`,
      detail: `GBP 5.00 of ${paymentId}`,
      patienceMs,
      isBeside: true,
    } as const
    await intervention.ask(resolveCharge, { paymentId }, about)
    known.add(paymentId)
  })
  intervention.showWaiting('the customer.', 'For ever.')
  await condition(() => known.size === payments.length)
  await Promise.all(asked)
  await condition(allHandlersFinished)
  return known.size
}
