import { ActivityFailure, isCancellation, setCurrentDetails, sleep } from '@temporalio/workflow'
import type { Compared, PartInput } from '../activities/payment/reconciliation'
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

interface ProviderCounts {
  readonly provider: string
  readonly movements: number
  readonly charges: number
  /** Why it could not be compared to its end; null when it was. */
  readonly failure: string | null
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
  const providers: ProviderCounts[] = []
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

  /** What one provider tells of. One that is away keeps neither the others nor our own books from being compared. */
  async function compareProvider(part: PartInput['part']): Promise<ProviderCounts> {
    const { provider } = part
    const counts = { provider, movements: 0, charges: 0 }
    const failure = await failureOf(async () => {
      counts.movements = await all<string>(`movements of ${provider} compared`, (after) =>
        compareMovements({ part, after }),
      )
      counts.charges = await all<string>(`charges of ${provider} compared`, (after) => compareCharges({ part, after }))
    })
    return { ...counts, failure }
  }

  /** What is left when the providers have been gone through; nothing is asked of those that are away. */
  async function compareRest(away: readonly string[]): Promise<void> {
    const since = parts.map((part) => part.since).sort()[0]
    if (since !== undefined)
      payments = await all<number>('payments compared with the ledger', (after) =>
        compareLedger({ since, after, away }),
      )
    moves = await all<CaptureId | RefundId>('captures and refunds looked for', (after) => compareMoves({ after, away }))
    if (sums.told > 0) await sleep(TOLD_MS, { summary: 'Workflows that were told of news act on it' })
    await all<DifferenceId>('differences looked at again', (after) => recheckDifferences({ after, away }))
  }

  for (const part of parts) providers.push(await compareProvider(part))
  const away = providers.filter((each) => each.failure !== null).map(({ provider }) => provider)
  const restFailure = await failureOf(() => compareRest(away))
  const failures = [...providers.map((each) => each.failure), restFailure].filter((each) => each !== null)
  const failure = failures.length === 0 ? null : failures.join('. ')
  const { healed, waiting } = sums
  const compared = providers.map(({ failure: ownFailure, ...counts }) => ({
    ...counts,
    isCompared: ownFailure === null && restFailure === null,
  }))
  await endReconciling({ id, failure, payments, moves, healed, waiting, providers: compared })
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
