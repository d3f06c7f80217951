import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { ROOT } from '../../config'
import { categorySlug } from '../../domain/catalog/category'
import { DEMO_ATTRIBUTES, DEMO_ROOTS } from './words'

/** In stock with plenty: what the documentation's examples buy. */
export const sampleSku = '85123A'

const POLL_MS = 100
/** Nothing is wrong with a slow machine; a worker that is not there is. */
const PROGRESS_DEADLINE_MS = 60_000

const WAREHOUSES = [
  {
    name: 'London',
    country: 'GB',
    postal_code: 'E16 2EZ',
    coordinates: { latitude: 51.505, longitude: 0.05 },
    priority: 10,
    operation: 'automatic',
  },
  {
    name: 'Manchester',
    country: 'GB',
    postal_code: 'M17 1WA',
    coordinates: { latitude: 53.466, longitude: -2.319 },
    priority: 20,
    operation: 'automatic',
  },
  {
    name: 'Dublin',
    country: 'IE',
    postal_code: 'D12 H6K8',
    coordinates: { latitude: 53.32, longitude: -6.345 },
    priority: 30,
    operation: 'automatic',
  },
]

export interface SeedOptions {
  /** Address of the API, without a slash at the end. */
  readonly api: string
  readonly adminKey: string
  readonly onProgress?: (line: string) => void
}

interface ImportJob {
  readonly id: string
  readonly state: string
  readonly rows_read: number
  readonly rows_rejected: number
  readonly rejected: readonly { line: number; message: string }[]
  readonly failure: string | null
}

/**
 * Imports the demo shop over HTTP and waits until it is complete. A shop that has it already is left as it is: the file's
 * last line is imported last, so one look tells. Throws when the import fails or does not move on.
 *
 * @returns how many products the demo shop has
 */
export async function seedDemoShop({
  api,
  adminKey,
  onProgress = () => undefined,
}: SeedOptions): Promise<{ products: number }> {
  const csv = gunzipSync(readFileSync(join(ROOT, 'data', 'demo-shop.csv.gz')))
  const skus = skusOf(csv.toString('utf8'))
  const call = caller(api, adminKey)
  const products = new Set(skus).size
  if (await hasLastLine(call, skus)) return { products }
  onProgress(`Importing the demo shop: ${products} products …`)
  for (const warehouse of WAREHOUSES) {
    await call('POST', '/v1/admin/warehouses', { json: warehouse, expected: [201, 409] })
  }
  for (const title of DEMO_ROOTS) await makeRootCategory(call, title)
  const { body } = await call('POST', '/v1/admin/imports', { csv, expected: [202] })
  await completed(call, body as ImportJob, { lines: skus.length, onProgress })
  return { products }
}

/** A root of the category tree with what the attributes of its branch are, so that the file's are read by them. */
async function makeRootCategory(call: Call, title: string): Promise<void> {
  await call('POST', '/v1/admin/categories', { json: { title }, expected: [201, 409] })
  const { body } = await call('GET', `/v1/store/categories/${categorySlug(title)}`, { expected: [200] })
  await call('PUT', `/v1/admin/categories/${(body as { id: string }).id}/attributes`, {
    json: { attributes: DEMO_ATTRIBUTES },
    expected: [200],
  })
}

type Call = (
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  options: { json?: unknown; csv?: Buffer; expected: readonly number[] },
) => Promise<{ status: number; body: unknown }>

function caller(api: string, adminKey: string): Call {
  return async (method, path, { json, csv, expected }) => {
    const response = await fetch(`${api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminKey}`,
        // Nobody else is at it yet.
        ...(method === 'PUT' && { 'if-match': '*' }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...(csv !== undefined && { 'content-type': 'text/csv' }),
      },
      body: csv ?? (json === undefined ? undefined : JSON.stringify(json)),
    })
    const body: unknown = await response.json()
    if (expected.includes(response.status)) return { status: response.status, body }
    throw new Error(
      `The demo shop could not be imported: ${method} ${path} answered ${response.status} ${JSON.stringify(body)}`,
    )
  }
}

/** The SKU of each line. */
function skusOf(csv: string): string[] {
  return csv
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.slice(0, line.indexOf(',')))
}

async function hasLastLine(call: Call, skus: readonly string[]): Promise<boolean> {
  const last = skus.at(-1) ?? ''
  const { status, body } = await call('GET', `/v1/admin/inventory/${encodeURIComponent(last)}`, {
    expected: [200, 404],
  })
  return status === 200 && (body as { levels: unknown[] }).levels.length >= skus.filter((sku) => sku === last).length
}

async function completed(
  call: Call,
  begun: ImportJob,
  { lines, onProgress }: { lines: number; onProgress: (line: string) => void },
): Promise<void> {
  let job = begun
  let movedAt = Date.now()
  while (job.state === 'running') {
    if (Date.now() - movedAt > PROGRESS_DEADLINE_MS) {
      throw new Error(
        `The import ${job.id} of the demo shop does not move on: is a worker of the queue \`platform\` running?`,
      )
    }
    await delay(POLL_MS)
    const { body } = await call('GET', `/v1/admin/imports/${job.id}`, { expected: [200] })
    const next = body as ImportJob
    if (next.rows_read !== job.rows_read) {
      movedAt = Date.now()
      onProgress(`  ${Math.round((100 * next.rows_read) / lines)} %`)
    }
    job = next
  }
  if (job.state !== 'completed')
    throw new Error(`The import of the demo shop ${job.state}: ${job.failure ?? 'no reason given'}`)
  const [rejected] = job.rejected
  if (rejected)
    throw new Error(
      `${job.rows_rejected} lines of the demo shop were rejected; line ${rejected.line}: ${rejected.message}`,
    )
}
