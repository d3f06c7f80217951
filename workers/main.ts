import { setMaxListeners } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../activities'
import type { OrderWorkflows } from '../activities/deps'
import { readSettings, type Settings, SettingsError, warningsOf } from '../config'
import { applyTracking } from '../db/fulfillment/tracking-apply'
import { RELAY_PARTITIONS } from '../db/platform/outbox'
import { createPool, type Pool } from '../db/pool'
import { createRedis, type Redis } from '../db/redis'
import { workerVersioning } from '../deployment'
import { withFaultPoints, withStatementPoints } from '../fault-point'
import { createLog, type Log } from '../log'
import { createCarriers, type Carriers } from '../providers/carrier'
import { createPaymentProviders, type PaymentProviders } from '../providers/payment'
import { noFraudCheck } from '../providers/fraud'
import { createSearch, type Search } from '../providers/search'
import { noTaxProvider } from '../providers/tax'
import { createWarehouseSystems } from '../providers/warehouse'
import { connectionOptions, guardConnection } from '../temporal'
import { SEARCH_ATTRIBUTES, TASK_QUEUES, type TaskQueue } from '../workflows/contract'
import { readBuildId } from './build-id'
import { BUNDLE_PATH } from './bundle'
import type { Consumer } from './consumers/consumer'
import { fulfillmentConsumer } from './consumers/fulfillment'
import { pageConsumer } from './consumers/page'
import { searchConsumer } from './consumers/search'
import { streamConsumer } from './consumers/stream'
import { dropCountedPages } from './loops/counted-pages'
import { runExpiry } from './loops/expiry'
import { runImports } from './loops/imports'
import { runInbox } from './loops/inbox'
import { runIndexer } from './loops/indexer'
import { runKeys } from './loops/keys'
import { watchReconciliation } from './loops/reconciliation'
import { runRelay } from './loops/relay'
import { registerSchedules } from './loops/schedules'
import { runSearchMaintenance } from './loops/search-maintenance'
import { runTracking } from './loops/tracking'
import { runVersions } from './loops/versions'
import { createOrderWorkflows } from './order-workflows'
import { createWorkerServer } from './server'
import { CACHED_WORKFLOWS, TUNING } from './tuning'

/** Work in hand gets this long to end when a worker is asked to stop. */
const GRACE = '10s'
const FORCE = '14s'

async function main(): Promise<void> {
  const settings = readSettings()
  const queues = readQueues()
  const log = createLog(settings.LOG_LEVEL, 'worker')
  const providers = createPaymentProviders(settings, (provider, state) =>
    log.warn({ provider, state }, 'the payment provider is left alone, asked again, or refuses our key'),
  )
  const carriers = createCarriers(settings, (carrier, state) =>
    log.warn({ carrier, state }, 'the carrier is left alone, asked again, or refuses our key'),
  )
  const warehouses = createWarehouseSystems(settings)
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log.info({ level, ...pick(meta) }, message)),
  })

  const connection = await connect(settings, log)
  await requireSearchAttributes(connection, settings)
  const temporal = new Client({ connection: guardConnection(connection), namespace: settings.TEMPORAL_NAMESPACE })
  const pool = withStatementPoints(createPool(settings, { name: 'holdfast-worker' }), settings.FAULT_DIR)
  const redis = createRedis(settings)
  const search = createSearch(settings, pool)
  const orders = createOrderWorkflows(temporal)
  const activities = withFaultPoints(
    createActivities({
      settings,
      pool,
      redis,
      providers,
      carriers,
      warehouses,
      tax: noTaxProvider,
      fraud: noFraudCheck,
      search,
      orders,
    }),
    settings.FAULT_DIR,
    (activity) => activity,
  )
  for (const warning of warningsOf(settings)) log.warn(warning)
  const workers = await Promise.all(queues.map((queue) => createWorker(queue, { connection, settings, activities })))
  const server = createWorkerServer({ pool, workers, providers, carriers, settings })
  await listen(server, settings)

  const stopping = new AbortController()
  // Every loop listens for the end.
  setMaxListeners(0, stopping.signal)
  const loops = queues.includes('platform')
    ? startLoops({ settings, pool, redis, providers, carriers, temporal, search, orders, log }, stopping.signal)
    : []
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      stopping.abort()
      for (const worker of workers) worker.shutdown()
    })
  }
  log.info({ queues, build: readBuildId(settings), address: server.address() }, 'working')
  await Promise.all(workers.map((worker) => worker.run()))
  stopping.abort()
  await Promise.all(loops)
  server.close()
  redis.disconnect()
  await Promise.allSettled([providers.close(), carriers.close(), warehouses.close(), search.close()])
  await pool.end().catch(() => undefined)
  await connection.close()
  log.info('stopped')
}

interface WorkerDeps {
  readonly connection: NativeConnection
  readonly settings: Settings
  readonly activities: ReturnType<typeof createActivities>
}

function createWorker(queue: TaskQueue, { connection, settings, activities }: WorkerDeps): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: settings.TEMPORAL_NAMESPACE,
    taskQueue: TASK_QUEUES[queue],
    workflowBundle: { codePath: BUNDLE_PATH },
    workerDeploymentOptions: workerVersioning(readBuildId(settings)),
    activities,
    stickyQueueScheduleToStartTimeout: '2s',
    shutdownGraceTime: GRACE,
    shutdownForceTime: FORCE,
    ...TUNING,
    maxCachedWorkflows: CACHED_WORKFLOWS[queue],
  })
}

interface LoopDeps {
  readonly settings: Settings
  readonly pool: Pool
  readonly redis: Redis
  readonly providers: PaymentProviders
  readonly carriers: Carriers
  readonly temporal: Client
  readonly search: Search
  readonly orders: OrderWorkflows
  readonly log: Log
}

/** What runs beside the workflows until `signal` is aborted. Any number of processes may do so at a time. */
function startLoops(deps: LoopDeps, signal: AbortSignal): Promise<void>[] {
  const { settings, pool, redis, providers, carriers, temporal, search, orders, log } = deps
  const consumers = createConsumers(deps)
  return [
    ...Array.from({ length: RELAY_PARTITIONS }, (_, partition) =>
      runRelay({ settings, consumers, log }, partition, signal),
    ),
    runInbox({ settings, pool, providers, temporal, orders, log }, signal),
    runTracking({ settings, pool, carriers, orders, log, apply: applyTracking }, signal),
    runExpiry({ temporal, pool, log }, signal),
    runImports({ pool, temporal, log }, signal),
    ...search.engines.flatMap((engine) => [
      runIndexer(
        {
          pool,
          engine: withFaultPoints(engine, settings.FAULT_DIR, indexing),
          log,
          indexed: dropCountedPages({ pool, redis }),
        },
        signal,
      ),
      runSearchMaintenance({ pool, engine, temporal, log }, signal),
    ]),
    registerSchedules({ temporal, log }, signal),
    runKeys({ providers }, signal),
    watchReconciliation({ pool, log }, signal),
    runVersions(
      { temporal, pool, log, buildId: readBuildId(settings), attentionSeconds: settings.ATTENTION_AFTER_SECONDS },
      signal,
    ),
  ]
}

/** Those that need Postgres alone come first: one that waits for something that is away delays those behind it. */
function createConsumers({ settings, pool, redis, search, orders, log }: LoopDeps): Consumer[] {
  const engines = search.engines.map(({ name }) => name)
  return [
    searchConsumer(pool, engines),
    pageConsumer({ pool, redis }),
    streamConsumer(redis),
    fulfillmentConsumer(pool, orders, log),
  ].map((consumer) => withFaultPoints(consumer, settings.FAULT_DIR, (call) => `${consumer.name}.${call}`))
}

function indexing(call: string): string | null {
  return call === 'index' ? 'search.index' : null
}

function readQueues(): TaskQueue[] {
  const { values } = parseArgs({ options: { queues: { type: 'string', default: Object.keys(TASK_QUEUES).join(',') } } })
  const names = values.queues
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
  const unknown = names.filter((name) => !(name in TASK_QUEUES))
  if (unknown.length > 0 || names.length === 0) {
    throw new SettingsError(
      `--queues takes a list of ${Object.keys(TASK_QUEUES).join(', ')}${unknown.length > 0 ? `, not ${unknown.join(', ')}` : ''}`,
    )
  }
  return names as TaskQueue[]
}

/** The SDK does not try again when it cannot reach Temporal at first; a worker that starts before it does. */
async function connect(settings: Settings, log: Log): Promise<NativeConnection> {
  for (;;) {
    try {
      return await NativeConnection.connect(connectionOptions(settings))
    } catch (error) {
      log.warn({ address: settings.TEMPORAL_ADDRESS, reason: (error as Error).message }, 'Temporal is not there yet')
      await delay(1_000)
    }
  }
}

/** An upsert of an attribute that the server does not know fails its workflow task for ever. */
async function requireSearchAttributes(connection: NativeConnection, settings: Settings): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({
    namespace: settings.TEMPORAL_NAMESPACE,
  })
  const missing = Object.values(SEARCH_ATTRIBUTES)
    .map(({ name }) => name)
    .filter((name) => customAttributes?.[name] === undefined)
  if (missing.length === 0) return
  throw new SettingsError(
    `Temporal namespace ${settings.TEMPORAL_NAMESPACE} lacks the search attributes ${missing.join(', ')}. Run \`npm run setup\`.`,
  )
}

async function listen(server: Server, settings: Settings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(settings.WORKER_PORT, settings.WORKER_HOST, resolve)
  })
}

function pick(meta: Record<string, unknown> | undefined): Record<string, unknown> {
  return {
    workflowId: meta?.['workflowId'],
    workflowType: meta?.['workflowType'],
    activityType: meta?.['activityType'],
    error: meta?.['error'],
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof SettingsError ? error.message : error)
  process.exit(1)
})
