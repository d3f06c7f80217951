import { allHandlersFinished, condition, continueAsNew, workflowInfo } from '@temporalio/workflow'
import type { FulfillmentInput } from './contract'
import { Intervention } from './intervention'
import { MoneyWorker } from './payment'

/**
 * A confirmed order: its money belongs to this workflow alone. It carries out what staff and customers ask for (rows, and a
 * signal), and what the provider tells; in between it waits at no cost. It ends with the order, once all of its money is where
 * it belongs.
 */
export async function fulfillment({ orderId }: FulfillmentInput): Promise<void> {
  const intervention = new Intervention(orderId)
  const worker = new MoneyWorker(intervention, { orderId, paymentId: null })
  for (;;) {
    await worker.work()
    if (worker.isIdle && worker.isOver) break
    // What waits for a person or for the provider is taken up again from the rows: its case stays the same.
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished)
      await continueAsNew<typeof fulfillment>({ orderId })
    }
    intervention.showWaiting('the next thing to do with the money of this order.', 'The order is paid and confirmed.')
    if (!(await condition(() => worker.mustWork, untilRenewal(worker)))) worker.readAgain()
  }
  intervention.show('The order is over, and all of its money is where it belongs.')
  await condition(allHandlersFinished)
}

/** A timer longer than this is set anew: an authorization may have been renewed or let go by then. */
const LONGEST_WAIT_MS = 30 * 86_400_000

function untilRenewal({ renewAt }: MoneyWorker): number {
  return renewAt === null ? LONGEST_WAIT_MS : Math.min(LONGEST_WAIT_MS, Math.max(1_000, renewAt - Date.now()))
}
