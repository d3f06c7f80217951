import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { createActivities } from '../../activities'
import type { OrderWorkflows } from '../../activities/deps'
import { createPool, type Pool } from '../../db/pool'
import { createRedis } from '../../db/redis'
import { createPaymentProviders } from '../../providers/payment'
import { createSearch } from '../../providers/search'
import { noTaxProvider } from '../../providers/tax'
import { startSandbox } from '../../sandbox/sandbox'
import { connectionOptions } from '../../temporal'
import { createOrderWorkflows } from '../../workers/order-workflows'
import { TASK_QUEUES } from '../../workflows/contract'
import { startApi, type TestApi } from './http'
import { Shop } from './shop'
import { testNamespace } from './temporal'

/** API, checkout worker and payment provider in this process, on real services. No relay, no inbox, no sweep. */
export interface CheckoutWorker {
  readonly api: TestApi
  readonly shop: Shop
  readonly temporal: Client
  readonly orders: OrderWorkflows
  /** The worker's pool. */
  readonly pool: Pool
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
  const journal = join(tmpdir(), `checkout-worker-${randomUUID()}.journal`)
  const secret = `whsec_${Buffer.from(randomUUID()).toString('base64')}`
  // Webhooks go nowhere: they are not part of the call.
  const webhookUrl = 'http://127.0.0.1:9/'
  const sandbox = await startSandbox({ host: '127.0.0.1', port: 0, journal, webhookUrl, secret, onFailure: fail })
  const { namespace } = await testNamespace()
  const own = { TEMPORAL_NAMESPACE: namespace, SANDBOX_URL: sandbox.url, SANDBOX_WEBHOOK_SECRET: secret }
  const api = await startApi({ ...own, ...env })
  const { settings, temporal } = api.deps
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const connection = await NativeConnection.connect(connectionOptions(settings))
  const pool = createPool(settings, { name: 'holdfast-worker' })
  const redis = createRedis(settings)
  const providers = createPaymentProviders(settings)
  const orders = createOrderWorkflows(temporal)
  const search = createSearch(settings, pool)
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: TASK_QUEUES.checkout,
    ...workflows,
    activities: {
      ...createActivities({ settings, pool, redis, providers, tax: noTaxProvider, search, orders }),
      ...activities,
    },
  })
  const running = worker.run()
  return {
    api,
    shop: new Shop({ apis: [api.url], adminKey: await api.key(), sandbox: sandbox.url, database: api.database }),
    temporal,
    orders,
    pool,
    stop: async () => {
      worker.shutdown()
      await running
      redis.disconnect()
      await Promise.all([connection.close(), pool.end(), providers.close(), search.close()])
      await Runtime.instance().shutdown()
      await api.close()
      await sandbox.stop()
      await rm(journal, { force: true })
    },
  }
}

function fail(error: unknown): void {
  throw error
}
