import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Client } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../activities'
import { readSettings, type Settings, SettingsError } from '../config'
import { appendEvents } from '../db/platform/event-stream'
import { RELAY_PARTITIONS } from '../db/platform/outbox'
import { createPool } from '../db/pool'
import { createRedis } from '../db/redis'
import { statementName, withFaultPoints } from '../fault-point'
import { createLog, type Log } from '../log'
import { createPaymentProviders } from '../providers/payment'
import { createSearch } from '../providers/search'
import { noTaxProvider } from '../providers/tax'
import { connectionOptions } from '../temporal'
import { SEARCH_ATTRIBUTES, TASK_QUEUES, type TaskQueue } from '../workflows/contract'
import { BUNDLE_PATH } from './bundle'
import { runExpiry } from './loops/expiry'
import { runImports } from './loops/imports'
import { runInbox } from './loops/inbox'
import { createOrderWorkflows } from './order-workflows'
import { dropCounts, pageSink } from './consumers/page'
import { runRelay, type Sink } from './loops/relay'
import { runIndexer, runSearchCare, searchSink } from './loops/indexer'
import { registerSchedules } from './loops/schedules'
import { createWorkerServer } from './server'

/** Work in hand gets this long to end when a worker is asked to stop. */
const GRACE = '10s'
const FORCE = '14s'

/**
 * One queue's share of a process. Most checkouts are over in one task and leave the cache; those that wait for a customer
 * are replayed when something happens.
 */
const TUNING = {
  maxCachedWorkflows: 100,
  maxConcurrentWorkflowTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 100,
  maxConcurrentActivityTaskExecutions: 40,
  workflowTaskPollerBehavior: { type: 'simple-maximum', maximum: 4 },
  activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
} as const

async function main(): Promise<void> {
  const settings = readSettings()
  const queues = readQueues()
  const log = createLog(settings.LOG_LEVEL, 'worker')
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log.info({ level, ...pick(meta) }, message)),
  })

  const connection = await connect(settings, log)
  await requireSearchAttributes(connection, settings)
  const temporal = new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE })
  const pool = withFaultPoints(createPool(settings, { name: 'holdfast-worker' }), settings.FAULT_DIR, statementName)
  const redis = createRedis(settings)
  const providers = createPaymentProviders(settings)
  const search = createSearch(settings, pool)
  const orders = createOrderWorkflows(temporal)
  const activities = withFaultPoints(
    createActivities({ settings, pool, redis, providers, tax: noTaxProvider, search, orders }),
    settings.FAULT_DIR,
    (activity) => activity,
  )
  // What needs nothing but Postgres comes first: a sink that is away holds up those behind it.
  const sinks: readonly Sink[] = [
    searchSink(
      pool,
      search.engines.map(({ name }) => name),
    ),
    pageSink({ pool, redis }),
    { name: 'redis-stream', publish: async (events) => void (await appendEvents(redis, events)) },
  ]

  const workers = await Promise.all(
    queues.map((queue) =>
      Worker.create({
        connection,
        namespace: settings.TEMPORAL_NAMESPACE,
        taskQueue: TASK_QUEUES[queue],
        workflowBundle: { codePath: BUNDLE_PATH },
        activities,
        stickyQueueScheduleToStartTimeout: '2s',
        shutdownGraceTime: GRACE,
        shutdownForceTime: FORCE,
        ...TUNING,
      }),
    ),
  )
  const server = createWorkerServer({ pool, workers, settings })
  await listen(server, settings)

  const stopping = new AbortController()
  const loops = queues.includes('platform')
    ? [
        ...Array.from({ length: RELAY_PARTITIONS }, (_, partition) =>
          runRelay(
            {
              settings,
              sinks: sinks.map((sink) => withFaultPoints(sink, settings.FAULT_DIR, (call) => `${sink.name}.${call}`)),
              log,
            },
            partition,
            stopping.signal,
          ),
        ),
        runInbox({ pool, temporal, orders, log }, stopping.signal),
        runExpiry({ temporal, log }, stopping.signal),
        runImports({ pool, temporal, log }, stopping.signal),
        ...search.engines.flatMap((engine) => [
          runIndexer(
            {
              pool,
              engine: withFaultPoints(engine, settings.FAULT_DIR, indexing),
              log,
              indexed: dropCounts({ pool, redis }),
            },
            stopping.signal,
          ),
          runSearchCare({ pool, engine, temporal, log }, stopping.signal),
        ]),
        registerSchedules({ temporal, log }, stopping.signal),
      ]
    : []
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping')
      stopping.abort()
      for (const worker of workers) worker.shutdown()
    })
  }
  log.info({ queues, address: server.address() }, 'working')
  await Promise.all(workers.map((worker) => worker.run()))
  stopping.abort()
  await Promise.all(loops)
  server.close()
  redis.disconnect()
  await Promise.allSettled([providers.close(), search.close()])
  await pool.end().catch(() => undefined)
  await connection.close()
  log.info('stopped')
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
