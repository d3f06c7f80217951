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

/** Asks a person twice about the same thing: the second time while it is still being tried. */
export async function again({ orderId, payments, patienceMs }: SeveralInput): Promise<string[]> {
  const intervention = new Intervention(orderId)
  const object = payments[0] ?? null
  let isGone = false
  const about = { code: 'late_money', object, waitsFor: 'a charge', isBeside: true } as const
  const first = intervention.ask(
    resolveCharge,
    { paymentId: object as PaymentId },
    { ...about, patienceMs },
    () => isGone,
  )
  await condition(() => isGone, patienceMs * 5)
  isGone = true
  const second = intervention.askPerson({ ...about, step: 'resolveCharge' }, () => false)
  const ends = await Promise.all([first, second])
  await condition(allHandlersFinished)
  return ends.map(({ by }) => by)
}
