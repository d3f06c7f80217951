import { setTimeout as pause } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { join } from 'node:path'
import { Client } from 'pg'
import { request } from 'undici'
import { ROOT } from '../config'
import { migrate } from '../db/platform/migrate'
import { type Stack, startStack } from '../scripts/stack/supervisor'
import { csvOf, type GeneratedCatalog, writeCatalog } from './catalog/generate'
import { deleteData } from './data'
import type { Figure } from './figure'
import { Shop } from './shop'

const CATALOG: GeneratedCatalog = { count: 1_000_000, seed: 7 }
const BAR = 0.2
const POLL_MS = 1_000

/**
 * A CSV of many SKUs over REST, until the import is complete, against COPY of the rows that it makes into the same
 * tables (with their indexes, keys and triggers) of another database on the same server. The search index is filled
 * beside the import, as in a shop.
 */
export async function benchImport(): Promise<Figure[]> {
  const folder = join(ROOT, '.holdfast', 'bench-import')
  // What a run that was killed has left.
  deleteData(folder)
  const stack = await startStack({ folder, portOffset: 9_500 })
  try {
    const copying = await copied(stack)
    const importing = await imported(stack)
    const value = copying / importing
    return [
      {
        what: `import of ${CATALOG.count} SKUs from CSV ÷ COPY of the same rows, rows/s`,
        bar: `≥ ${BAR}`,
        value,
        good: value >= BAR,
        note: `${importing.toFixed(0)} s ÷ ${copying.toFixed(0)} s, once each`,
      },
    ]
  } finally {
    await stack.stop()
    deleteData(folder)
  }
}

async function copied(stack: Stack): Promise<number> {
  const url = new URL(stack.services.DATABASE_URL)
  const client = new Client({ connectionString: url.href })
  await client.connect()
  await client.query('create database copied')
  url.pathname = '/copied'
  await migrate(url.href)
  const begun = performance.now()
  await writeCatalog(url.href, CATALOG)
  const seconds = (performance.now() - begun) / 1_000
  await client.query('drop database copied')
  await client.end()
  return seconds
}

async function imported(stack: Stack): Promise<number> {
  const shop = new Shop(stack)
  await shop.admin('POST', '/v1/admin/warehouses', { name: 'Generated', country: 'GB' })
  const begun = performance.now()
  const { body, statusCode } = await request(`${stack.file.api}/v1/admin/imports`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.file.admin_key}`, 'content-type': 'text/csv' },
    body: Readable.from(csvOf(CATALOG)),
    headersTimeout: 600_000,
  })
  const accepted = (await body.json()) as { id: string }
  if (statusCode !== 202) throw new Error(`import: ${statusCode} ${JSON.stringify(accepted)}`)
  for (;;) {
    const job = JSON.parse(await shop.admin('GET', `/v1/admin/imports/${accepted.id}`)) as ImportJob
    if (job.state === 'completed') {
      if (job.rows_rejected > 0) throw new Error(`import: ${job.rows_rejected} lines were rejected`)
      break
    }
    if (job.state !== 'running') throw new Error(`import: ${JSON.stringify(job)}`)
    await pause(POLL_MS)
  }
  await shop.close()
  return (performance.now() - begun) / 1_000
}

interface ImportJob {
  readonly state: string
  readonly rows_rejected: number
}
