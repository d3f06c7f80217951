import type { Client } from '@temporalio/client'
import { createTemporalClient } from '../../api/http/temporal'
import { appendChunk, beginImport, createImport, type ImportJob, listRejections } from '../../db/import/job'
import type { ImportId } from '../../domain/ids'
import { sampleSku, seedDemoShop } from '../../scripts/demo/seed'
import { sweepImports } from '../../workers/loops/imports'
import { importWorkflowId } from '../../domain/workflow-id'
import { callApi } from '../support/http'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/** A killed worker's work is taken over after its heartbeat's time: some seconds each. */
const WITHIN_MS = 90_000

let stack: TestStack
let temporal: Client
beforeAll(async () => {
  stack = await testStack()
  const { TEMPORAL_ADDRESS = '', TEMPORAL_NAMESPACE = '' } = stack.stack.env
  temporal = createTemporalClient({ TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE })
  const body = { name: 'London', country: 'GB' }
  await callApi(stack.api, 'post', '/v1/admin/warehouses', { key: stack.adminKey, body })
}, 120_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
}, 60_000)

it('imports a file as a spreadsheet writes it, and names every line that it does not take', async () => {
  const file = [
    '\uFEFFTitle,SKU,Price,Currency,Warehouse,On_hand,Category',
    '"White Hanging Heart, T-Light Holder",85123X,2.55,GBP,London,40,Home',
    '"A ""quoted"" cup",CUP-X,4,GBP,London,0,Kitchen',
    ',85123x,3.05,EUR,,,',
    'No price,NP-X,free,GBP,London,1,',
    'Elsewhere,EW-X,1,GBP,Atlantis,1,',
    'Another title,85123X,,,,,',
    'Open quote","OQ-X,1,GBP,London,1,',
    'After it,AI-X,1,GBP,London,6,Home',
    '',
  ].join('\r\n')
  const job = await finished(await post(file))
  expect(job).toMatchObject({ state: 'completed', rows_read: 8, rows_written: 4, rows_rejected: 4 })
  expect(job.rejected.map(({ line, code }: { line: number; code: string }) => [line, code])).toEqual([
    [5, 'bad_price'],
    [6, 'unknown_warehouse'],
    [7, 'conflicting_line'],
    [8, 'bad_quotes'],
  ])
  const { body } = await callApi(stack.api, 'get', '/v1/store/products/white-hanging-heart-t-light-holder?currency=EUR')
  expect(body).toMatchObject({
    categories: [{ slug: 'home' }],
    variants: [{ sku: '85123X', available_hint: 'in_stock', price: { amount: 305, currency: 'EUR' } }],
  })
  expect(await leftovers()).toBe(0)
}, 60_000)

it('repeats nothing and skips nothing when its worker is killed in the middle, twice', async () => {
  const lines = 6_000
  const rows = Array.from(
    { length: lines },
    (_, index) => `KILL-${index},Title ${index},1.00,London,${(index % 90) + 1}`,
  )
  const id = await post(`sku,title,price,warehouse,on_hand\n${rows.join('\n')}\n`)
  for (const reached of [1, 2_000]) {
    await reads(id, reached)
    await stack.stack.kill('worker-1', 'SIGKILL')
  }
  expect(await finished(id)).toMatchObject({
    state: 'completed',
    rows_read: lines,
    rows_written: lines,
    rows_rejected: 0,
  })
  const { rows: counts } = await stack.database.pool.query(
    `select (select count(*)::int from variant where sku like 'KILL-%') as skus,
            (select count(*)::int from stock_movement where sku like 'KILL-%') as movements,
            (select sum(on_hand)::int from stock_level where sku like 'KILL-%') as units,
            (select count(*)::int from outbox o join variant v on v.product_id = o.aggregate where v.sku like 'KILL-%') as events`,
  )
  const units = rows.reduce((sum, row) => sum + Number(row.split(',').at(-1)), 0)
  expect(counts[0]).toEqual({ skus: lines, movements: lines, units, events: lines })
  expect(await leftovers()).toBe(0)
}, 180_000)

it('stops where it is when its workflow is cancelled, and keeps what it has', async () => {
  const rows = Array.from({ length: 30_000 }, (_, index) => `STOP-${index},Title ${index}`)
  const id = await post(`sku,title\n${rows.join('\n')}\n`)
  await reads(id, 1)
  await temporal.workflow.getHandle(importWorkflowId(id)).cancel()
  const job = await finished(id)
  expect(job).toMatchObject({ state: 'cancelled', failure: 'Stopped by hand.' })
  expect(job.rows_written).toBeLessThan(rows.length)
  const { rows: counts } = await stack.database.pool.query(
    "select count(*)::int as skus from variant where sku like 'STOP-%'",
  )
  expect(counts[0].skus).toBe(job.rows_written)
  await until('the leftovers are deleted', leftovers, (count) => count === 0)
}, 60_000)

it('is begun by the sweep when nobody else began it, and not again when somebody ended it', async () => {
  const begun = await stalled('sku,title\nSWEPT,Swept\n')
  await sweepImports({ pool: stack.database.pool, temporal }, 0)
  expect(await finished(begun)).toMatchObject({ state: 'completed', rows_written: 1 })

  await stack.stack.halt('worker-1', 'SIGKILL')
  const ended = await stalled('sku,title\nENDED,Ended\n')
  await sweepImports({ pool: stack.database.pool, temporal }, 0)
  await sweepImports({ pool: stack.database.pool, temporal }, 0)
  expect(await read(ended)).toMatchObject({ state: 'running' })
  await temporal.workflow.getHandle(importWorkflowId(ended)).terminate()
  await sweepImports({ pool: stack.database.pool, temporal }, 0)
  expect(await read(ended)).toMatchObject({ state: 'failed', failure: 'Its workflow was ended.' })
  expect(await leftovers()).toBe(0)
  await stack.stack.revive('worker-1')
}, 60_000)

it('brings the demo shop, once', async () => {
  const options = { api: stack.api, adminKey: stack.adminKey }
  const { products } = await seedDemoShop(options)
  expect(products).toBeGreaterThan(3_000)
  const { body } = await callApi(stack.api, 'get', `/v1/admin/inventory/${sampleSku}`, { key: stack.adminKey })
  expect(body.levels).toHaveLength(3)
  expect(body.available).toBeGreaterThan(1_000)
  const sample = await callApi(stack.api, 'get', '/v1/store/products/white-hanging-heart-t-light-holder-85123a')
  expect(sample.body.price_range.min).toEqual({ amount: 255, currency: 'GBP' })
  const { rows: imports } = await stack.database.pool.query('select count(*)::int as n from import')
  expect(await seedDemoShop(options)).toEqual({ products })
  expect((await stack.database.pool.query('select count(*)::int as n from import')).rows).toEqual(imports)
}, 60_000)

it('tells people with a key what it rejected', async () => {
  const file = `sku,title,price,currency\n${'X,T,1,GBP\n'.repeat(3)}${Array.from({ length: 1_200 }, (_, index) => `R${index},T,-1,GBP`).join('\n')}`
  const id = await post(file)
  const job = await finished(id)
  expect(job).toMatchObject({ rows_read: 1_203, rows_written: 3, rows_rejected: 1_200 })
  expect(job.rejected).toHaveLength(1_000)
  expect(await listRejections(stack.database.pool, id)).toEqual(job.rejected)
}, 60_000)

async function post(file: string): Promise<ImportId> {
  const { status, body } = await callApi(stack.api, 'post', '/v1/admin/imports', {
    key: stack.adminKey,
    raw: file,
    headers: { 'content-type': 'text/csv' },
  })
  expect(status).toBe(202)
  return body.id
}

/** An upload that is complete and of which nobody told Temporal. */
async function stalled(file: string): Promise<ImportId> {
  const id = await createImport(stack.database.pool)
  await appendChunk(stack.database.pool, { id, firstByte: 0, bytes: Buffer.from(file) })
  await beginImport(stack.database.pool, id)
  return id
}

type Job = Record<string, any> & { state: ImportJob['state']; rows_read: number; rows_written: number }

async function read(id: ImportId): Promise<Job> {
  return (await callApi(stack.api, 'get', `/v1/admin/imports/${id}`, { key: stack.adminKey })).body
}

async function finished(id: ImportId): Promise<Job> {
  return until(
    'the import is over',
    () => read(id),
    ({ state }) => state !== 'running',
    WITHIN_MS,
  )
}

async function reads(id: ImportId, lines: number): Promise<void> {
  await until(
    `${lines} lines are read`,
    () => read(id),
    (job) => job.rows_read >= lines,
    WITHIN_MS,
  )
}

/** Bytes and facts of imports that are over. */
async function leftovers(): Promise<number> {
  const { rows } = await stack.database.pool.query<{ n: number }>(
    'select ((select count(*) from import_chunk) + (select count(*) from import_sku))::int as n',
  )
  return rows[0]?.n ?? 0
}
