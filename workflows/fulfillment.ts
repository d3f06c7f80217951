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
    if (workflowInfo().continueAsNewSuggested && worker.isAtRest) {
      await condition(allHandlersFinished)
      await continueAsNew<typeof fulfillment>({ orderId })
    }
    intervention.showWaiting('the next thing to do with the money of this order.', 'The order is paid and confirmed.')
    await nextWork(worker)
  }
  intervention.show('The order is over, and all of its money is where it belongs.')
  await condition(allHandlersFinished)
}

/** Ends when there is something to do: somebody says so, or an authorization is about to end. */
async function nextWork(worker: MoneyWorker): Promise<void> {
  if (worker.renewAt === null) return condition(() => worker.mustWork)
  const waitMs = Math.max(1_000, worker.renewAt - Date.now())
  if (!(await condition(() => worker.mustWork, waitMs))) worker.readAgain()
}
