import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { historyToJSON } from '@temporalio/common/lib/proto-utils'
import { ROOT } from '../../config'
import { logFolder } from '../stack/state'
import type { Harness } from './harness'

const FOLDER = join(ROOT, '.holdfast', 'chaos-evidence')
const WORKFLOWS_MAX = 20

/**
 * Keeps what tells why these seeds failed, before their stack is deleted: the logs, and of each workflow with an open case, or
 * whose order is in flight, its history. Returns the folder.
 */
export async function keepEvidence({ pool, temporal, folder }: Harness, seeds: readonly number[]): Promise<string> {
  const kept = join(FOLDER, `seeds-${seeds[0]}-to-${seeds.at(-1)}`)
  rmSync(kept, { recursive: true, force: true })
  mkdirSync(kept, { recursive: true })
  if (existsSync(logFolder(folder))) cpSync(logFolder(folder), join(kept, 'logs'), { recursive: true })
  const { rows } = await pool.query<{ workflow_id: string }>('select * from attention where closed_at is null')
  writeFileSync(join(kept, 'cases.json'), JSON.stringify(rows, null, 2))
  for (const id of [...new Set(rows.map(({ workflow_id }) => workflow_id))].slice(0, WORKFLOWS_MAX)) {
    const handle = temporal.workflow.getHandle(id)
    const history = await handle.fetchHistory().catch(() => null)
    if (history) writeFileSync(join(kept, `${id}.json`), historyToJSON(history))
  }
  return kept
}
