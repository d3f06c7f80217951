import { setTimeout as delay } from 'node:timers/promises'
import { formatMajor } from '../../domain/money'
import { inParallel } from './parallel'
import type { Client } from './client'
import { type Article, CURRENCY, type Plan } from './plan'

/** Two, so that orders are also put together from both: one works by itself, one is run by people. */
const WAREHOUSES = [
  { name: 'Replay North', country: 'GB', priority: 10, operation: 'automatic' },
  { name: 'Replay South', country: 'GB', priority: 20, operation: 'manual' },
] as const
const SOUTH = WAREHOUSES[1].name
/** How many of ten units lie in the first warehouse, of what lies in both. */
const FIRST_SHARE = 6

const CATEGORY = 'Replay'
const POLL_MS = 200
/** Longer than a slow machine needs. After that no worker will come. */
const PROGRESS_DEADLINE_MS = 120_000

interface Warehouse {
  readonly id: string
  readonly name: string
}

interface Inventory {
  readonly levels: readonly { readonly warehouse_id: string; readonly reserved: number }[]
  readonly available: number
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
 * Imports the articles, so that exactly what is planned of each can be sold: what earlier orders hold is added to it. Answers the
 * id of the warehouse that people run.
 */
export async function stockWarehouses(
  client: Client,
  { articles }: Plan,
  settled: () => Promise<void>,
): Promise<string> {
  const made = await Promise.all(
    WAREHOUSES.map((warehouse) => client.call('POST', '/v1/admin/warehouses', { body: warehouse })),
  )
  const isNew = made.every(({ status }) => status === 201)
  if (!isNew) await settled()
  const promised = isNew ? new Map() : await readPromised(client, [...articles.keys()])
  await importFile(client, catalogFile([...articles.values()], promised))
  for (const [id, name] of await readWarehouseNames(client)) if (name === SOUTH) return id
  throw new Error(`There is no warehouse ${SOUTH}.`)
}

/** How many units can still be sold of each SKU that is not sold out. */
export async function readLeftOver(client: Client, { articles }: Plan): Promise<Map<string, number>> {
  const left = new Map<string, number>()
  await inParallel([...articles.keys()], 16, async (sku) => {
    const { available } = await readInventory(client, sku)
    if (available !== 0) left.set(sku, available)
  })
  return left
}

/** Units promised to earlier orders, by SKU and name of the warehouse. */
async function readPromised(client: Client, skus: readonly string[]): Promise<Map<string, Record<string, number>>> {
  const names = await readWarehouseNames(client)
  const promised = new Map<string, Record<string, number>>()
  await inParallel(skus, 16, async (sku) => {
    const { levels } = await readInventory(client, sku)
    promised.set(sku, Object.fromEntries(levels.map((level) => [names.get(level.warehouse_id), level.reserved])))
  })
  return promised
}

async function readWarehouseNames(client: Client): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for (let path = '/v1/admin/warehouses?limit=100'; path !== ''; ) {
    const page = await client.json<{ data: Warehouse[]; next_cursor: string | null }>('GET', path, { expected: [200] })
    for (const { id, name } of page.data) names.set(id, name)
    path = page.next_cursor === null ? '' : `/v1/admin/warehouses?limit=100&cursor=${page.next_cursor}`
  }
  return names
}

/** A SKU that is not in the catalog has nothing anywhere. */
async function readInventory(client: Client, sku: string): Promise<Inventory> {
  const path = `/v1/admin/inventory/${encodeURIComponent(sku)}`
  const answer = await client.json<Partial<Inventory>>('GET', path, { expected: [200, 404] })
  return { levels: answer.levels ?? [], available: answer.available ?? 0 }
}

/** The first line of a SKU says what it is, each one how much of it lies in one warehouse. */
function catalogFile(articles: readonly Article[], promised: ReadonlyMap<string, Record<string, number>>): Buffer {
  const lines = ['sku,title,category,price,currency,warehouse,on_hand']
  for (const { sku, title, price, onHand, spare, isSouthOnly } of articles) {
    const first = isSouthOnly ? 0 : Math.ceil((onHand * FIRST_SHARE) / 10)
    const shares = [first, onHand + spare - first]
    for (const [index, { name }] of WAREHOUSES.entries()) {
      const about =
        index === 0 ? [quoted(title), CATEGORY, formatMajor({ amount: price, currency: CURRENCY })] : ['', '', '']
      const units = (shares[index] ?? 0) + (promised.get(sku)?.[name] ?? 0)
      lines.push([sku, ...about, index === 0 ? CURRENCY : '', name, units].join(','))
    }
  }
  return Buffer.from(`${lines.join('\n')}\n`)
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}

async function importFile(client: Client, csv: Buffer): Promise<void> {
  let job = await client.json<ImportJob>('POST', '/v1/admin/imports', { csv, expected: [202] })
  let movedAt = Date.now()
  while (job.state === 'receiving' || job.state === 'running') {
    if (Date.now() - movedAt > PROGRESS_DEADLINE_MS) throw new Error(`The import ${job.id} does not move on.`)
    await delay(POLL_MS)
    const next = await client.json<ImportJob>('GET', `/v1/admin/imports/${job.id}`, { expected: [200] })
    if (next.rows_read !== job.rows_read) movedAt = Date.now()
    job = next
  }
  const [rejected] = job.rejected
  if (job.state !== 'completed') throw new Error(`The import ${job.id} ${job.state}: ${job.failure ?? ''}`)
  if (rejected) throw new Error(`Line ${rejected.line} of the import ${job.id} was rejected: ${rejected.message}`)
}
