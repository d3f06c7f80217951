import { defineSignal, setHandler } from '@temporalio/workflow'
import type { PaymentId } from '../../../domain/ids'
import { lookUpCharge, resolveCharge, retryCharge, untilSo } from '../../../workflows/proxies'

export const tell = defineSignal('tell')

/** Looks up a charge in a local activity, and beside it waits to be told: after each it does something else. */
export async function reader({ paymentId }: { paymentId: PaymentId }): Promise<void> {
  let isTold = false
  setHandler(tell, () => {
    isTold = true
  })
  const read = lookUpCharge({ paymentId }).then(() => retryCharge.patient({ paymentId }))
  const told = untilSo(() => isTold).then(() => resolveCharge.patient({ paymentId }))
  await Promise.all([read, told])
}
