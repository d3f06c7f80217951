import { CancellationScope, isCancellation, setCurrentDetails } from '@temporalio/workflow'
import type { ReindexInput } from './contract'
import { abandonIndex, fillIndex, prepareIndex, swapIndex } from './proxies'

/**
 * Rebuilds a search engine's index from Postgres while searches go on. How far it is stands in the rebuild's row, moved on
 * with each batch: killed, it goes on there. Cancel it and searches stay as they were.
 */
export async function reindex({ engine, build }: ReindexInput): Promise<void> {
  setCurrentDetails('Waiting for a worker of the queue `platform`.')
  try {
    await prepareIndex({ engine, build })
    let refused = 0
    for (let isFilled = false; !isFilled; ) {
      const progress = await fillIndex({ engine, build })
      isFilled = progress.isFilled
      refused += progress.refused
      setCurrentDetails(
        `${progress.done} of ${progress.total} products read, ${refused} documents refused (the log has the reasons). ` +
          'Cancel this workflow to stop; searches stay as they were.',
      )
    }
    await swapIndex({ engine, build })
  } catch (error) {
    await CancellationScope.nonCancellable(() =>
      isCancellation(error)
        ? abandonIndex({ engine, build, state: 'cancelled', failure: 'Stopped by hand.' })
        : abandonIndex({ engine, build, state: 'failed', failure: 'It could not go on. The log has the reason.' }),
    )
    throw error
  }
}
