import type { Client } from '@temporalio/client'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { type Gauges, readGauges } from '../../db/platform/gauges'
import type { Pool } from '../../db/pool'
import { TASK_QUEUES } from '../../workflows/contract'

export type Metrics = ReturnType<typeof createMetrics>

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Every series of the API process. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `holdfast_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name: `holdfast_${name}`, help, labelNames, registers })
  collectDefaultMetrics({ register: registry, prefix: 'holdfast_' })
  return {
    registry,
    requests: counter('http_requests_total', 'Requests answered.', ['method', 'route', 'status']),
    durations: new Histogram({
      name: 'holdfast_http_request_duration_seconds',
      help: 'From the request to its answer.',
      labelNames: ['method', 'route'] as const,
      buckets: SECONDS,
      registers,
    }),
    checkoutOutcomes: counter('checkout_outcomes_total', 'What checkout and payment calls answered.', ['outcome']),
    pages: counter('pages_total', 'Pages sent: ready ones, and those that their route had to ask for.', ['state']),
    interactions: counter('store_events_total', 'What storefronts reported: written, dropped, failed.', ['outcome']),
    dependencyUp: gauge('dependency_up', 'Whether the dependency gave a sign of life.', ['dependency']),
    pool: gauge('postgres_pool_connections', 'Connections of this process: idle, busy; and callers waiting.', [
      'state',
    ]),
    outboxUnpublished: gauge('outbox_unpublished', 'Events not published yet.'),
    outboxLag: gauge('outbox_lag_seconds', 'Age of the oldest event not published yet.'),
    inboxWaiting: gauge('inbox_waiting', 'Provider events not acted upon yet.'),
    openOrders: gauge('orders_open', 'Orders from pending to payment_pending.'),
    attentionOpen: gauge('attention_open', 'Cases that wait for a person.'),
    reservations: gauge('reservations_held', 'Reservations held.', ['kind']),
    reservedUnits: gauge('reservations_held_units', 'Units held by reservations.', ['kind']),
    backlog: gauge('task_queue_backlog', 'Tasks that no worker has taken yet (approximate).', ['queue', 'type']),
  }
}

/** Looked at again at most this often, however many scrape. */
const FRESH_MS = 5_000
const DEADLINE_MS = 2_000

/** Brings the gauges up to date. A dependency that is away leaves its gauges as they were; `dependency_up` tells. */
export function gaugeRefresher(
  metrics: Metrics,
  { pool, temporal }: { pool: Pool; temporal: Client },
): () => Promise<void> {
  let latest: { done: Promise<unknown>; until: number } | undefined
  return async () => {
    metrics.pool.set({ state: 'idle' }, pool.idleCount)
    metrics.pool.set({ state: 'busy' }, pool.totalCount - pool.idleCount)
    metrics.pool.set({ state: 'waiting' }, pool.waitingCount)
    if (!latest || latest.until < Date.now()) {
      const done = Promise.allSettled([
        readGauges(pool).then((gauges) => setGauges(metrics, gauges)),
        setBacklogs(metrics, temporal),
      ])
      latest = { done, until: Date.now() + FRESH_MS }
    }
    await latest.done
  }
}

function setGauges(metrics: Metrics, gauges: Gauges): void {
  metrics.outboxUnpublished.set(gauges.outboxUnpublished)
  metrics.outboxLag.set(gauges.outboxLagSeconds)
  metrics.inboxWaiting.set(gauges.inboxWaiting)
  metrics.openOrders.set(gauges.openOrders)
  metrics.attentionOpen.set(gauges.attentionOpen)
  metrics.reservations.reset()
  metrics.reservedUnits.reset()
  for (const { kind, count, units } of gauges.reservations) {
    metrics.reservations.set({ kind }, count)
    metrics.reservedUnits.set({ kind }, units)
  }
}

/** Temporal's TaskQueueType: 1 workflow, 2 activity. */
const QUEUE_TYPES = [
  { type: 'workflow', taskQueueType: 1 },
  { type: 'activity', taskQueueType: 2 },
] as const

async function setBacklogs(metrics: Metrics, temporal: Client): Promise<void> {
  await Promise.all(
    Object.values(TASK_QUEUES).flatMap((queue) =>
      QUEUE_TYPES.map(async ({ type, taskQueueType }) => {
        const { stats } = await temporal.withDeadline(Date.now() + DEADLINE_MS, () =>
          temporal.workflowService.describeTaskQueue({
            namespace: temporal.options.namespace,
            taskQueue: { name: queue },
            taskQueueType,
            reportStats: true,
          }),
        )
        metrics.backlog.set({ queue, type }, Number(stats?.approximateBacklogCount ?? 0))
      }),
    ),
  )
}
