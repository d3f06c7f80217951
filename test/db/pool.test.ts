import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onSnapshot } from '../../db/support/invariant/check'
import { createReplicaPool, type Tx, withTransaction } from '../../db/pool'
import { withFallback } from '../../db/redis'
import type { PaymentProvider } from '../../providers/payment/provider'
import { TransactionGuardError } from '../../transaction-guard'
import { startApi, type TestApi } from '../support/http'

let api: TestApi
let server: Server
let url: string
beforeAll(async () => {
  api = await startApi({ IMAGE_STORE: '/dev/null/nothing' })
  server = createServer((_request, response) => response.end('here'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  await api.close()
  await new Promise((resolve) => server.close(resolve))
})

const inTransaction = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => withTransaction(api.deps.pool, work)
const provider = (): PaymentProvider => api.deps.providers.get('sandbox') as PaymentProvider

/** I/O to everything that there is. What it comes to does not matter: some of it is not there. */
const CALLS: Readonly<Record<string, () => Promise<unknown>>> = {
  'a query of the pool': () => api.deps.pool.query('select 1'),
  'a connection of the pool': async () => (await api.deps.pool.connect()).release(),
  'another transaction': () => inTransaction((tx) => tx.query('select 1')),
  'a pool of another database': async () => {
    const replica = createReplicaPool({ DATABASE_REPLICA_URL: api.database.url, DATABASE_POOL_MAX: 1 })
    await replica?.query('select 1').finally(() => replica?.end())
  },
  'a command of Redis': () => api.deps.redis.get('x'),
  'a pipeline of Redis': () => api.deps.redis.pipeline().get('x').exec(),
  'a call of Temporal': () => api.deps.temporal.workflow.getHandle('nobody').describe(),
  'a call of Temporal with a deadline': () =>
    api.deps.temporal.withDeadline(Date.now() + 2_000, () => api.deps.temporal.workflow.count('')),
  'the image store': () => api.deps.images.get('x'),
  'a payment provider': () => provider().find({} as never),
  'a search engine': () => (api.deps.search.engines[0] as { check(): Promise<boolean> }).check(),
  fetch: () => fetch(url).then((response) => response.text()),
}

const RULE = 'No connection is held across I/O to anything else'

describe.each(Object.entries(CALLS))('%s', (_name, call) => {
  it('is refused inside a transaction', async () => {
    await expect(inTransaction(call)).rejects.toThrow(RULE)
    await expect(onSnapshot(api.deps.pool, call)).rejects.toThrow(RULE)
  })

  it('is refused however far down, and whoever catches it', async () => {
    const caught = inTransaction(async (tx) => {
      await tx.query('create table caught ()')
      await Promise.allSettled([1, 2].map(async () => call()))
    })
    await expect(caught).rejects.toThrow(RULE)
    const { rows } = await api.deps.pool.query("select to_regclass('caught') as made")
    expect(rows).toEqual([{ made: null }])
  })

  it('is free before and after', async () => {
    await inTransaction((tx) => tx.query('select 1'))
    await call().catch((error: unknown) => expect(error).not.toBeInstanceOf(TransactionGuardError))
  })
})

it('what a transaction leaves running is refused, too', async () => {
  let release: () => void = () => undefined
  const ended = new Promise<void>((resolve) => (release = resolve))
  let left: Promise<unknown> | undefined
  await inTransaction(async () => {
    left = ended.then(() => api.deps.redis.get('x'))
  })
  const refused = expect(left).rejects.toThrow(RULE)
  release()
  await refused
})

it('a command that is allowed to fail fails the transaction', async () => {
  await expect(inTransaction(() => withFallback(api.deps.redis, (redis) => redis.get('x'), null))).rejects.toThrow(RULE)
})

it('the connection of the transaction itself is free', async () => {
  await expect(inTransaction(async (tx) => (await tx.query('select 1 as one')).rows)).resolves.toEqual([{ one: 1 }])
})
