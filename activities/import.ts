import { ApplicationFailure } from '@temporalio/activity'
import {
  deleteLeftovers,
  endImport,
  readProgress,
  type ImportProgress,
  readBytes,
  readImportContext,
  analyzeCatalog,
} from '../db/import/job'
import { nextCatalogEpoch } from '../db/catalog/epoch'
import { applyBatch, type Batch } from '../db/import/batch'
import type { Pool } from '../db/pool'
import { CsvReader, type CsvRecord } from '../domain/import/csv'
import type { ImportId } from '../domain/ids'
import {
  HEAD_BYTES_MAX,
  type ImportContext,
  type ImportHead,
  type ImportRow,
  isRejection,
  readHead,
  readRow,
} from '../domain/import/row'
import { withHeartbeat } from './heartbeat'
import type { ActivityDeps } from './deps'

/** Lines per transaction: enough to spread its cost, few enough that a kill costs some 100 ms of work. */
const BATCH_LINES = 1_000
/** How long one call works before it lets the workflow show how far it is. */
const SLICE_MS = 10_000

export interface EndImportInput {
  readonly importId: ImportId
  readonly state: 'completed' | 'failed' | 'cancelled'
  readonly failure?: string
}

export type ImportActivities = ReturnType<typeof createImportActivities>

/** Keyed by the import's id. Each may be repeated: how far it is stands in the import's row. */
export function createImportActivities({ pool, redis }: Pick<ActivityDeps, 'pool' | 'redis'>) {
  /** Imports lines for a while, from wherever the last batch ended. `done` when there are no more. */
  async function importLines({ importId }: { importId: ImportId }): Promise<ImportProgress & { done: boolean }> {
    return withHeartbeat(async (signal) => {
      const until = Date.now() + SLICE_MS
      let writing = Promise.resolve(true)
      let done = true
      for await (const batch of readBatches(pool, importId)) {
        // While one batch is written the next is read.
        done = (await writing) && Date.now() < until && !signal.aborted
        if (!done) break
        writing = write(batch)
        writing.catch(ignore)
      }
      done = (await writing) && done
      return { ...(await readProgress(pool, importId)), done }
    })
  }

  async function write(batch: Batch): Promise<boolean> {
    const more = await applyBatch(pool, batch)
    await nextCatalogEpoch(redis)
    return more
  }

  /**
   * Ends the import and deletes what only a running one needs. One that is given up ends first, which stops whoever is
   * still at it; a complete one when all is tidy.
   */
  async function endImportJob({ importId, state, failure }: EndImportInput): Promise<void> {
    await withHeartbeat(async () => {
      if (state !== 'completed') await endImport(pool, { id: importId, state, failure })
      await deleteLeftovers(pool, importId)
      await analyzeCatalog(pool)
      await endImport(pool, { id: importId, state, failure })
    })
  }

  return { importLines, endImportJob }
}

/** The rest of the file in batches, each with where it begins and ends. Nothing when the import is not at work. */
async function* readBatches(pool: Pool, id: ImportId): AsyncGenerator<Batch> {
  const progress = await readProgress(pool, id)
  const start = await readBytes(pool, id, 0)
  if (progress.state !== 'running' || start === null) return
  const head = readHead(start.subarray(0, HEAD_BYTES_MAX))
  // The API has read it too, and refuses a file without a header.
  if (typeof head === 'string') throw ApplicationFailure.nonRetryable(head, 'bad_header')
  const context = await readImportContext(pool)
  let from = { byte: progress.nextByte, line: progress.nextLine }
  let pending: CsvRecord[] = []
  for await (const records of readRecords(pool, id, from.byte === 0 ? head : from)) {
    pending = pending.concat(records)
    while (pending.length >= BATCH_LINES) {
      const batch = toBatch(id, from, pending.slice(0, BATCH_LINES), { head, context })
      pending = pending.slice(BATCH_LINES)
      from = batch.to
      yield batch
    }
  }
  if (pending.length > 0) yield toBatch(id, from, pending, { head, context })
}

async function* readRecords(
  pool: Pool,
  id: ImportId,
  start: { byte: number; line: number },
): AsyncGenerator<CsvRecord[]> {
  const reader = new CsvReader(start)
  let { byte } = start
  for (let bytes = await readBytes(pool, id, byte); bytes !== null; bytes = await readBytes(pool, id, byte)) {
    byte += bytes.length
    yield reader.push(bytes)
  }
  yield reader.end()
}

function toBatch(
  id: ImportId,
  from: Batch['from'],
  records: readonly CsvRecord[],
  { head, context }: { head: ImportHead; context: ImportContext },
): Batch {
  const lines = records.map((record) => readRow(record, head.header, context))
  const last = records.at(-1)
  return {
    id,
    from,
    to: last ? { byte: last.endByte, line: last.endLine } : from,
    rows: lines.filter((line): line is ImportRow => !isRejection(line)),
    rejections: lines.filter((line) => isRejection(line)),
  }
}

function ignore(): void {
  // Whoever awaits the promise itself sees the error.
}
