import type { Client } from '@temporalio/client'
import { reindexWorkflowId } from '../../domain/workflow-id'
import { createTemporalClient } from '../../api/http/temporal'
import { callApi } from '../support/http'
import { type TestStack, testStack } from '../support/stack'
import { startTypesenseStub, type TypesenseStub } from '../support/typesense-stub'
import { seedProducts } from '../support/catalog'
import { until } from '../support/wait'

const PRODUCTS = 2_000
const WITHIN_MS = 60_000

let stub: TypesenseStub
let stack: TestStack
let temporal: Client
beforeAll(async () => {
  stub = await startTypesenseStub({ apiKey: 'secret' })
  stack = await testStack({ env: { TYPESENSE_URL: stub.url, TYPESENSE_API_KEY: 'secret', SEARCH_TIMEOUT_MS: '2000' } })
  const { TEMPORAL_ADDRESS = '', TEMPORAL_NAMESPACE = '' } = stack.stack.env
  temporal = createTemporalClient({ TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE })
  // Written past the outbox: only a rebuild finds them.
  await seedProducts(
    stack.database.pool,
    Array.from({ length: PRODUCTS }, (_, index) => ({
      sku: `R-${index}`,
      title: `Seeded thing ${index}`,
      prices: { GBP: 100 + index },
      stock: 1,
    })),
  )
}, 120_000)
afterAll(async () => {
  await temporal?.connection.close()
  await stack?.stop()
  await stub?.stop()
}, 60_000)

const admin = (method: string, path: string, body?: unknown, headers = {}) =>
  callApi(stack.api, method, path, { key: stack.adminKey, headers, ...(body === undefined ? {} : { body }) })

interface Rebuild {
  readonly engine: string
  readonly build: string
  readonly state: string
  readonly done: number
}

async function rebuilds(): Promise<Record<string, Rebuild>> {
  const { body } = await admin('get', '/v1/admin/search/reindex')
  return Object.fromEntries(body.data.map((one: Rebuild) => [one.engine, one]))
}

async function completed(wanted: readonly Rebuild[]): Promise<void> {
  await until(
    'the rebuilds are completed',
    rebuilds,
    (now) => wanted.every(({ engine, build }) => now[engine]?.build === build && now[engine]?.state === 'completed'),
    WITHIN_MS,
  )
}

/** Every document of the collection that is searched, by product. */
function stored(): Map<string, Record<string, unknown>> {
  const name = stub.aliases.get('holdfast_products') ?? ''
  return new Map(stub.collections.get(name)?.documents)
}

async function titles(): Promise<Map<string, string>> {
  const { rows } = await stack.database.pool.query<{ id: string; title: string }>(
    `select id, title from product where status = 'active'`,
  )
  return new Map(rows.map(({ id, title }) => [id, title]))
}

it('fills an engine by itself when it is new', async () => {
  await until(
    'both are searched',
    rebuilds,
    (now) => ['typesense', 'postgres'].every((name) => now[name]?.state === 'completed'),
    WITHIN_MS,
  )
  expect((await callApi(stack.api, 'get', '/v1/store/search?q=seeded')).body.engine).toBe('typesense')
}, 90_000)

it('drops and doubles nothing under load, has no gap for searchers, and goes on after its worker is killed', async () => {
  const begun = (await admin('post', '/v1/admin/search/reindex', {})).body.data as Rebuild[]
  expect(begun.map(({ engine }) => engine)).toEqual(['typesense', 'postgres'])
  // A worker may have taken one up, and the smaller one even have ended, before the answer was written.
  for (const { state } of begun) expect(['requested', 'running', 'completed']).toContain(state)
  await completed(begun)
  expect(stored().size).toBe(PRODUCTS)

  const again = (await admin('post', '/v1/admin/search/reindex', {})).body.data as Rebuild[]
  let isOver = false
  const gaps: number[] = []
  const searching = (async () => {
    while (!isOver) {
      const { body } = await callApi(stack.api, 'get', '/v1/store/search?q=seeded&limit=1')
      if (body.total < PRODUCTS) gaps.push(body.total)
    }
  })()
  const ids = [...(await titles()).keys()]
  const writing = (async () => {
    for (let n = 0; !isOver; n++) {
      const id = ids[(n * 37) % ids.length] as string
      const patch = n % 10 === 9 ? { description: `Seeded ${n}` } : { title: `Seeded anew ${n}` }
      expect((await admin('patch', `/v1/admin/products/${id}`, patch, { 'if-match': '*' })).status).toBe(200)
      if (n % 20 !== 0) continue
      const body = { title: `Seeded new ${n}`, variants: [{ sku: `N-${n}`, price: { amount: 5, currency: 'GBP' } }] }
      expect((await admin('post', '/v1/admin/products', body)).status).toBe(201)
    }
  })()
  await until('it is on its way', rebuilds, (now) => (now['typesense']?.done ?? 0) > 0, WITHIN_MS)
  await stack.stack.kill('worker-1', 'SIGKILL')
  await completed(again)
  isOver = true
  await Promise.all([searching, writing])
  expect(gaps).toEqual([])
  const wanted = await titles()
  await until(
    'both show what Postgres has',
    async () => {
      const { rows } = await stack.database.pool.query<{ n: number }>(
        `select count(*)::int as n from product p left join search_document d on d.product_id = p.id
       where p.status = 'active' and d.title is distinct from p.title`,
      )
      const documents = stored()
      const differing = [...wanted].filter(([id, title]) => documents.get(id)?.['title'] !== title).length
      return rows[0]?.n === 0 && differing === 0 && documents.size === wanted.size
    },
    Boolean,
    30_000,
  )
  // What was filled before is gone.
  expect([...stub.collections.keys()]).toHaveLength(1)
}, 180_000)

it('throws away what it filled when it is cancelled, and the next one begins anew', async () => {
  const before = stub.aliases.get('holdfast_products')
  await stack.stack.halt('worker-1', 'SIGKILL')
  const [begun] = (await admin('post', '/v1/admin/search/reindex', { engine: 'typesense' })).body.data as [Rebuild]
  await temporal.workflow.getHandle(reindexWorkflowId('typesense')).cancel()
  await stack.stack.revive('worker-1')
  await until(
    'it has ended',
    async () => (await temporal.workflow.getHandle(reindexWorkflowId('typesense')).describe()).status.name,
    (name) => name !== 'RUNNING',
    WITHIN_MS,
  )
  expect(stub.aliases.get('holdfast_products')).toBe(before)
  expect([...stub.collections.keys()]).toEqual([before])
  expect(begun.build).not.toBe((await rebuilds())['typesense']?.build)
  const next = (await admin('post', '/v1/admin/search/reindex', { engine: 'typesense' })).body.data as Rebuild[]
  await completed(next)
  expect(stub.aliases.get('holdfast_products')).not.toBe(before)
}, 120_000)

it('is begun when an engine has lost what it had; meanwhile Postgres answers', async () => {
  const name = stub.aliases.get('holdfast_products') as string
  ;(stub.collections as Map<string, unknown>).delete(name)
  ;(stub.aliases as Map<string, unknown>).clear()
  expect((await callApi(stack.api, 'get', '/v1/store/search?q=seeded')).body.engine).toBe('postgres')
  await until('it is filled again', async () => stored().size > 0, Boolean, WITHIN_MS)
  await until(
    'it answers',
    async () => (await callApi(stack.api, 'get', '/v1/store/search?q=seeded')).body.engine === 'typesense',
    Boolean,
    20_000,
  )
}, 120_000)

it('begins anew when an engine loses what is being filled', async () => {
  stub.slowDown(300)
  const [begun] = (await admin('post', '/v1/admin/search/reindex', { engine: 'typesense' })).body.data as [Rebuild]
  await until(
    'it is on its way',
    rebuilds,
    ({ typesense }) => typesense?.build === begun.build && typesense.done > 0,
    WITHIN_MS,
  )
  ;(stub.collections as Map<string, unknown>).clear()
  ;(stub.aliases as Map<string, unknown>).clear()
  stub.slowDown(0)
  await until(
    'another one is completed',
    rebuilds,
    ({ typesense }) => typesense?.build !== begun.build && typesense?.state === 'completed',
    WITHIN_MS,
  )
  expect([...stored().keys()].sort()).toEqual([...(await titles()).keys()].sort())
}, 120_000)
