import { MockActivityEnvironment } from '@temporalio/testing'
import type { OrderWorkflows } from '../../activities/deps'
import { type Compared, createReconciliationActivities } from '../../activities/payment/reconciliation'
import type { ComparedProvider, ReconciliationCounts } from '../../db/payment/reconciliation'
import type { Pool } from '../../db/pool'
import { readSettings } from '../../config'
import type { ReconciliationId } from '../../domain/ids'
import type { PaymentProviders } from '../../providers/payment'
import type { PaymentProvider } from '../../providers/payment/provider'

type Activities = ReturnType<typeof createReconciliationActivities>

/** The activities of the reconciliation with one provider. What it does not have is not asked for. */
export function reconciliationOf(pool: Pool, provider: Partial<PaymentProvider>, quietSeconds = 600): Activities {
  const providers = { names: ['sandbox'], get: () => provider } as unknown as PaymentProviders
  const settings = { ...readSettings({}), RECONCILIATION_QUIET_SECONDS: quietSeconds }
  const orders = {
    tellCheckout: () => Promise.resolve(true),
    tellNews: () => Promise.resolve(),
  } as Partial<OrderWorkflows> as OrderWorkflows
  return createReconciliationActivities({ pool, providers, settings, orders })
}

/** A whole run as its workflow makes it, without Temporal, and without the wait for workflows that were told of news. */
export async function reconcileOnce(
  activities: Activities,
): Promise<ReconciliationCounts & { readonly id: ReconciliationId }> {
  const run = <I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> =>
    new MockActivityEnvironment().run(activity, input)
  const sums = { healed: 0, waiting: 0 }
  async function all<Input>(step: (input: Input) => Promise<Compared<unknown>>, input: object): Promise<number> {
    let compared = 0
    let after: unknown = null
    do {
      const slice: Compared<unknown> = await run(step, { ...input, after } as Input)
      compared += slice.compared
      sums.healed += slice.healed
      sums.waiting += slice.waiting
      after = slice.after
    } while (after !== null)
    return compared
  }
  const { id, parts } = await run(() => activities.beginReconciling(), null)
  const providers: ComparedProvider[] = []
  for (const part of parts) {
    const movements = await all(activities.compareMovements, { part })
    providers.push({
      provider: part.provider,
      isCompared: true,
      movements,
      charges: await all(activities.compareCharges, { part }),
    })
  }
  const payments = await all(activities.compareLedger, { since: parts[0]?.since, away: [] })
  const moves = await all(activities.compareMoves, { away: [] })
  await all(activities.recheckDifferences, { away: [] })
  const counts = { ...sums, providers, payments, moves }
  await run(activities.endReconciling, { id, failure: null, ...counts })
  return { id, ...counts }
}
