import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../../activities'
import { createPool, type Pool } from '../../db/pool'
import { createRedis } from '../../db/redis'
import { createPaymentProviders } from '../../providers/payment'
import { createSearch } from '../../providers/search'
import { noTaxProvider } from '../../providers/tax'
import { startSandbox, type Sandbox } from '../../sandbox/sandbox'
import { connectionOptions } from '../../temporal'
import { BUNDLE_PATH } from '../../workers/bundle'
import { createOrderWorkflows } from '../../workers/order-workflows'
import { SEARCH_ATTRIBUTES, TASK_QUEUES } from '../../workflows/contract'
import { startApi, type TestApi } from '../support/http'
import { type Buyer, Shop } from '../support/shop'
import { testNamespace } from '../support/temporal'

/**
 * API and checkout worker in this process, so that what they ask of Postgres can be counted. Nothing else runs: no
 * relay, no inbox, no sweep.
 */
let sandbox: Sandbox
let api: TestApi
let shop: Shop
let temporal: Client
let pool: Pool
let stopWorker: () => Promise<void>
const journal = join(tmpdir(), `budget-${randomUUID()}.journal`)
const queries: string[] = []

beforeAll(async () => {
  const secret = `whsec_${Buffer.from(randomUUID()).toString('base64')}`
  // Webhooks go nowhere: they are not part of the call.
  const nowhere = 'http://127.0.0.1:9/'
  sandbox = await startSandbox({ host: '127.0.0.1', port: 0, journal, webhookUrl: nowhere, secret, onFailure: fail })
  const { namespace } = await testNamespace()
  api = await startApi({ TEMPORAL_NAMESPACE: namespace, SANDBOX_URL: sandbox.url, SANDBOX_WEBHOOK_SECRET: secret })
  shop = new Shop({ apis: [api.url], adminKey: await api.key(), sandbox: sandbox.url, database: api.database })
  temporal = api.deps.temporal
  count(api.deps.pool, 'api')
  await writeDownWriters()
  const { settings } = api.deps
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const connection = await NativeConnection.connect(connectionOptions(settings))
  pool = createPool(settings, { name: 'holdfast-worker' })
  count(pool, 'worker')
  const redis = createRedis(settings)
  const providers = createPaymentProviders(settings)
  const orders = createOrderWorkflows(temporal)
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: TASK_QUEUES.checkout,
    workflowBundle: { codePath: BUNDLE_PATH },
    activities: createActivities({
      settings,
      pool,
      redis,
      providers,
      tax: noTaxProvider,
      search: createSearch(settings, pool),
      orders,
    }),
  })
  const running = worker.run()
  stopWorker = async () => {
    worker.shutdown()
    await running
    redis.disconnect()
    await Promise.all([connection.close(), pool.end(), providers.close()])
    await Runtime.instance().shutdown()
  }
}, 60_000)

afterAll(async () => {
  await stopWorker?.()
  await api?.close()
  await sandbox?.stop()
  await rm(journal, { force: true })
}, 30_000)

function fail(error: unknown): void {
  throw error
}

/** Notes every statement of the connections of a pool, by its name. */
function count(counted: Pool, who: string): void {
  counted.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    Object.assign(client, {
      query: (...args: unknown[]) => {
        const [asked] = args
        queries.push(`${who} ${typeof asked === 'string' ? asked : (asked as { name?: string }).name}`)
        return query(...args)
      },
    })
  })
}

/** Lets the database note every transaction that changes a row: a statement that changes none is no commit. */
async function writeDownWriters(): Promise<void> {
  await api.database.pool.query(`
    create table writer (xid text, relation text, application text);
    create function note_writer() returns trigger language plpgsql as $$
    begin
      insert into writer values (pg_current_xact_id()::text, tg_table_name, current_setting('application_name'));
      return null;
    end $$;
    do $$
    declare relation text;
    begin
      for relation in select tablename from pg_tables where schemaname = 'public' and tablename <> 'writer' loop
        execute format('create trigger zz_writer after insert or update or delete on %I for each row execute function note_writer()', relation);
      end loop;
    end $$`)
}

async function commits(): Promise<string[][]> {
  const { rows } = await api.database.pool.query<{ relations: string[] }>(
    `select array_agg(distinct relation order by relation) as relations
     from writer
     where application <> 'holdfast-test'
     group by xid
     order by min(xid::bigint)`,
  )
  await api.database.pool.query('truncate writer')
  return rows.map((row) => row.relations)
}

/** A buyer who has bought the like before, so that prepared statements, caches and connections are there. */
async function warmBuyer(lines = 1): Promise<Buyer> {
  const before = await shop.buyerOf()
  expect(await before.checkout()).toMatchObject({ status: 201 })
  const skus = await Promise.all(Array.from({ length: lines }, () => shop.product()))
  const buyer = await shop.buyer(Object.fromEntries(skus.map((sku) => [sku, 2])))
  await commits()
  queries.length = 0
  return buyer
}

describe('a happy checkout', () => {
  it('takes three commits and few statements', async () => {
    const buyer = await warmBuyer(3)
    expect(await buyer.checkout()).toMatchObject({ status: 201 })
    // The store's settings are kept for two seconds.
    const asked = queries.filter((name) => !name.endsWith('settings.read'))
    const written = await commits()
    expect(written).toHaveLength(3)
    expect(written[0]).toEqual(['cart', 'idempotency', 'order_event', 'orders', 'outbox', 'payment'])
    expect(written[1]).toEqual([
      'order_event',
      'order_line',
      'orders',
      'outbox',
      'payment',
      'reservation',
      'stock_level',
    ])
    expect(written[2]).toEqual(['cart', 'ledger_entry', 'order_event', 'orders', 'outbox', 'payment', 'reservation'])
    expect(asked.filter((name) => name.startsWith('api'))).toEqual([
      'api checkoutKey.read',
      'api cart.read',
      'api order.accept',
      'api order.read',
    ])
    expect(asked.filter((name) => name.startsWith('worker')).sort()).toEqual([
      'worker inventory.supply',
      'worker order.confirm',
      'worker order.place',
      'worker order.toPlace',
      'worker payment.read',
      'worker pricing.read',
    ])
  })

  it('takes one workflow task, at most 12 events and 6 KB of history, no activity, no timer, no upsert', async () => {
    const buyer = await warmBuyer(3)
    const { body } = await buyer.checkout()
    const handle = temporal.workflow.getHandle(`checkout-${body.id}`)
    await handle.result()
    const { events } = await handle.fetchHistory()
    const kinds = (events ?? []).map((event) => Object.keys(event).find((name) => name.endsWith('EventAttributes')))
    const tasks = kinds.filter((kind) => kind === 'workflowTaskStartedEventAttributes')
    expect(tasks).toHaveLength(1)
    expect(kinds.length).toBeLessThanOrEqual(12)
    for (const kind of ['activityTaskScheduled', 'timerStarted', 'upsertWorkflowSearchAttributes']) {
      expect(kinds).not.toContain(`${kind}EventAttributes`)
    }
    const { historySize, raw } = await handle.describe()
    expect(historySize).toBeLessThanOrEqual(6 * 1024)
    expect(Object.keys(raw.workflowExecutionInfo?.searchAttributes?.indexedFields ?? {})).not.toEqual(
      expect.arrayContaining([SEARCH_ATTRIBUTES.needsAttention.name]),
    )
  })

  it('is one attempt of each step, however often its answer is asked for', async () => {
    const buyer = await warmBuyer()
    const key = randomUUID()
    await buyer.checkout({ key })
    await commits()
    queries.length = 0
    for (let times = 0; times < 3; times++) expect(await buyer.checkout({ key })).toMatchObject({ status: 201 })
    expect(await commits()).toEqual([])
    expect(queries.filter((name) => name.startsWith('worker'))).toEqual([])
  })
})
