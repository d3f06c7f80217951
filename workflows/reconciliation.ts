import { ActivityFailure, isCancellation, setCurrentDetails, sleep } from '@temporalio/workflow'
import type { Compared } from '../activities/payment/reconciliation'
import type { CaptureId, DifferenceId, ReconciliationId, RefundId } from '../domain/ids'
import {
  beginReconciling,
  compareCharges,
  compareLedger,
  compareMovements,
  compareMoves,
  endReconciling,
  recheckDifferences,
} from './proxies'

export interface ReconciliationDone {
  readonly id: ReconciliationId
  readonly state: 'completed' | 'failed'
}

/** Workflows that were told of news have this long to act before what differs still is a difference. */
const TOLD_MS = 15_000

/**
 * Compares our books with those of the payment providers, a slice of some seconds at a time: killed, it goes on after the last
 * slice. What is late is brought up to date first; what differs then is a case. Everything may be repeated.
 */
export async function reconciliation(): Promise<ReconciliationDone> {
  const { id, parts } = await beginReconciling()
  const sums = { healed: 0, waiting: 0, told: 0 }
  const providers = parts.map(({ provider }) => ({ provider, movements: 0, charges: 0 }))
  let payments = 0
  let moves = 0

  /** All slices of one step; returns how much it compared. */
  async function all<After>(what: string, step: (after: After | null) => Promise<Compared<After>>): Promise<number> {
    let compared = 0
    let after: After | null = null
    do {
      const slice: Compared<After> = await step(after)
      after = slice.after
      compared += slice.compared
      sums.healed += slice.healed
      sums.waiting += slice.waiting
      sums.told += slice.told
      setCurrentDetails(
        `Run \`${id}\`: ${compared} ${what}. It may be cancelled; the next run begins where this one did.`,
      )
    } while (after !== null)
    return compared
  }

  async function compare(): Promise<void> {
    for (const [index, part] of parts.entries()) {
      const counts = providers[index] as (typeof providers)[number]
      counts.movements = await all<string>(`movements of ${part.provider} compared`, (after) =>
        compareMovements({ part, after }),
      )
      counts.charges = await all<string>(`charges of ${part.provider} compared`, (after) =>
        compareCharges({ part, after }),
      )
    }
    const since = parts.map((part) => part.since).sort()[0]
    if (since !== undefined)
      payments = await all<number>('payments compared with the ledger', (after) => compareLedger({ since, after }))
    moves = await all<CaptureId | RefundId>('captures and refunds looked for', (after) => compareMoves({ after }))
    if (sums.told > 0) await sleep(TOLD_MS, { summary: 'Workflows that were told of news act on it' })
    await all<DifferenceId>('differences looked at again', (after) => recheckDifferences({ after }))
  }

  const failure = await failureOf(compare)
  const { healed, waiting } = sums
  await endReconciling({ id, failure, payments, moves, healed, waiting, providers })
  setCurrentDetails(failure === null ? `Done: run \`${id}\`.` : `Run \`${id}\` could not be made. ${failure}`)
  return { id, state: failure === null ? 'completed' : 'failed' }
}

/** In words, when one of its steps failed for too long; null when none did. */
async function failureOf(compare: () => Promise<void>): Promise<string | null> {
  try {
    await compare()
    return null
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error
    return `Step ${error.activityType} failed: ${error.cause?.message ?? error.message}`
  }
}
