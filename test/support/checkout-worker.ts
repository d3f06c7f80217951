import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { createActivities } from '../../activities'
import type { OrderWorkflows } from '../../activities/deps'
import { type OutboxRow, readRow } from '../../db/platform/outbox'
import { createPool, type Pool } from '../../db/pool'
import { createRedis } from '../../db/redis'
import { createPaymentProviders } from '../../providers/payment'
import { createSearch } from '../../providers/search'
import { noFraudCheck } from '../../providers/fraud'
import { createWarehouseSystems } from '../../providers/warehouse'
import { noTaxProvider } from '../../providers/tax'
import { startCarrier } from '../../sandbox/carrier/carrier'
import { startSandbox } from '../../sandbox/sandbox'
import { connectionOptions } from '../../temporal'
import { fulfillmentConsumer } from '../../workers/consumers/fulfillment'
import { createOrderWorkflows } from '../../workers/order-workflows'
import { TASK_QUEUES } from '../../workflows/contract'
import { startApi, type TestApi } from './http'
import { Shop } from './shop'
import { TEST_VERSIONING, testBuildIsCurrent, testNamespace } from './temporal'

/** API, workers of orders, payment provider and carrier in this process, on real services. No relay, no inbox, no sweep. */
export interface CheckoutWorker {
  readonly api: TestApi
  readonly shop: Shop
  /** Where the sandbox carrier listens. */
  readonly carrier: string
  readonly temporal: Client
  readonly orders: OrderWorkflows
  /** The worker's pool. */
  readonly pool: Pool
  /** What the relay does with the events of an order: it is confirmed, and its fulfillment waits. */
  relay(orderId: string): Promise<void>
  stop(): Promise<void>
}

interface Options {
  readonly env?: Readonly<Record<string, string>>
  /** What the worker runs: a bundle, or the path of a file that exports workflows. */
  readonly workflows: Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'>
  /** Beside the activities of Holdfast. */
  readonly activities?: Readonly<Record<string, (...args: never[]) => Promise<unknown>>>
}

export async function startCheckoutWorker({ env, workflows, activities }: Options): Promise<CheckoutWorker> {
  const [journal, labels] = ['money', 'labels'].map((of) =>
    join(tmpdir(), `checkout-worker-${randomUUID()}.${of}.journal`),
  ) as [string, string]
  const secret = `whsec_${Buffer.from(randomUUID()).toString('base64')}`
  // Webhooks go nowhere: they are not part of the call.
  const webhookUrl = 'http://127.0.0.1:9/'
  const company = { host: '127.0.0.1', port: 0, webhookUrl, secret, onFailure: fail }
  const sandbox = await startSandbox({ ...company, journal })
  const carrier = await startCarrier({ ...company, journal: labels })
  const { namespace } = await testNamespace()
  const own = {
    TEMPORAL_NAMESPACE: namespace,
    SANDBOX_URL: sandbox.url,
    SANDBOX_WEBHOOK_SECRET: secret,
    CARRIER_SANDBOX_URL: carrier.url,
    CARRIER_SANDBOX_WEBHOOK_SECRET: secret,
  }
  const api = await startApi({ ...own, ...env })
  const { settings, temporal, carriers } = api.deps
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const connection = await NativeConnection.connect(connectionOptions(settings))
  const pool = createPool(settings, { name: 'holdfast-worker' })
  const redis = createRedis(settings)
  const providers = createPaymentProviders(settings)
  const orders = createOrderWorkflows(temporal)
  const search = createSearch(settings, pool)
  const worker = (taskQueue: string) =>
    Worker.create({
      connection,
      namespace,
      taskQueue,
      workerDeploymentOptions: TEST_VERSIONING,
      ...workflows,
      activities: {
        ...createActivities({
          settings,
          pool,
          redis,
          providers,
          carriers,
          warehouses: createWarehouseSystems(settings),
          tax: noTaxProvider,
          fraud: noFraudCheck,
          search,
          orders,
        }),
        ...activities,
      },
    })
  const workers = await Promise.all([worker(TASK_QUEUES.checkout), worker(TASK_QUEUES.fulfillment)])
  const running = Promise.all(workers.map((each) => each.run()))
  await testBuildIsCurrent(temporal, TASK_QUEUES.checkout)
  const consumer = fulfillmentConsumer(pool, orders, { warn: fail })
  return {
    api,
    shop: new Shop({ apis: [api.url], adminKey: await api.key(), sandbox: sandbox.url, database: api.database }),
    carrier: carrier.url,
    temporal,
    orders,
    pool,
    relay: async (orderId) => {
      const { rows } = await pool.query<OutboxRow>(
        `select id, event_id as "eventId", aggregate, seq, type, payload, created_at as "createdAt"
         from outbox
         where aggregate = $1
         order by id`,
        [orderId],
      )
      await consumer.consume(rows.map(readRow))
    },
    stop: async () => {
      for (const each of workers) each.shutdown()
      await running
      redis.disconnect()
      await Promise.all([connection.close(), pool.end(), providers.close(), search.close()])
      await Runtime.instance().shutdown()
      await api.close()
      await Promise.all([sandbox.stop(), carrier.stop()])
      for (const file of [journal, labels]) await rm(file, { force: true })
    },
  }
}

function fail(error: unknown): void {
  throw error
}
