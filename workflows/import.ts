import { CancellationScope, isCancellation, setCurrentDetails } from '@temporalio/workflow'
import type { ImportInput } from './contract'
import { endImportJob, importLines } from './proxies'

/**
 * Imports a catalog file that the API has received. How far it is stands in the import's row, committed together with each
 * batch of lines: killed, it goes on there. Cancel it and what was imported stays, the rest is not imported.
 */
export async function importCatalog({ importId }: ImportInput): Promise<void> {
  setCurrentDetails('Waiting for a worker of the queue `platform`.')
  try {
    for (let done = false; !done; ) {
      const progress = await importLines({ importId })
      done = progress.done
      setCurrentDetails(
        `${progress.percent} % of the file read: ${progress.rowsRead} lines, ${progress.rowsWritten} imported, ` +
          `${progress.rowsRejected} rejected. Cancel this workflow to stop; what was imported stays.`,
      )
    }
    await endImportJob({ importId, state: 'completed' })
  } catch (error) {
    await CancellationScope.nonCancellable(() =>
      isCancellation(error)
        ? endImportJob({ importId, state: 'cancelled', failure: 'Stopped by hand.' })
        : endImportJob({ importId, state: 'failed', failure: 'It could not go on. The log has the reason.' }),
    )
    throw error
  }
}
