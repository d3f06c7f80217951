import { createServer, type Server } from 'node:http'
import type { Worker } from '@temporalio/worker'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Settings } from '../config'
import type { Pool } from '../db/pool'
import type { Carriers } from '../providers/carrier'
import type { PaymentProviders } from '../providers/payment'
import { unmatchedTracking } from './metrics'

interface WorkerServerDeps {
  readonly pool: Pool
  readonly workers: readonly Worker[]
  readonly providers: Pick<PaymentProviders, 'states'>
  readonly carriers: Pick<Carriers, 'states'>
  readonly settings: Settings
}

/** `/livez`, `/readyz` and `/metrics` of a worker process. Ready: every queue is polled and Postgres answers. */
export function createWorkerServer(deps: WorkerServerDeps): Server {
  const { pool, workers } = deps
  const registry = createRegistry(deps)
  return createServer((request, response) => {
    const answer = async (): Promise<void> => {
      const path = request.url?.split('?')[0]
      if (path === '/livez') return void response.end('ok\n')
      if (path === '/metrics') {
        response.setHeader('Content-Type', registry.contentType)
        return void response.end(await registry.metrics())
      }
      if (path !== '/readyz') response.statusCode = 404
      else if (!(await isReady({ pool, workers }))) response.statusCode = 503
      response.end(`${response.statusCode === 200 ? 'ready' : 'not ready'}\n`)
    }
    answer().catch(() => {
      response.statusCode = 503
      response.end()
    })
  })
}

async function isReady({ pool, workers }: Pick<WorkerServerDeps, 'pool' | 'workers'>): Promise<boolean> {
  if (!workers.every((worker) => worker.getState() === 'RUNNING')) return false
  return pool.query('select 1').then(
    () => true,
    () => false,
  )
}

function createRegistry({ pool, workers, providers, carriers }: WorkerServerDeps): Registry {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'holdfast_' })
  new Gauge({
    name: 'holdfast_payment_provider_up',
    help: '1: the provider is asked. 0: it did not answer, and is left alone for a moment, or it refuses our key.',
    labelNames: ['provider'] as const,
    registers,
    collect() {
      for (const [provider, state] of providers.states()) this.set({ provider }, state === 'closed' ? 1 : 0)
    },
  })
  new Gauge({
    name: 'holdfast_carrier_up',
    help: '1: the carrier is asked. 0: it did not answer, and is left alone for a moment, or it refuses our key.',
    labelNames: ['carrier'] as const,
    registers,
    collect() {
      for (const [carrier, state] of carriers.states()) this.set({ carrier }, state === 'closed' ? 1 : 0)
    },
  })
  registry.registerMetric(unmatchedTracking)
  new Gauge({
    name: 'holdfast_worker_tasks',
    help: 'Tasks in hand, by task queue and kind.',
    labelNames: ['queue', 'kind'] as const,
    registers,
    collect() {
      for (const worker of workers) {
        const { numInFlightActivities, numInFlightWorkflowActivations } = worker.getStatus()
        this.set({ queue: worker.options.taskQueue, kind: 'activity' }, numInFlightActivities)
        this.set({ queue: worker.options.taskQueue, kind: 'workflow' }, numInFlightWorkflowActivations)
      }
    },
  })
  new Gauge({
    name: 'holdfast_pg_connections',
    help: 'Connections of the pool, by state.',
    labelNames: ['state'] as const,
    registers,
    collect() {
      this.set({ state: 'total' }, pool.totalCount)
      this.set({ state: 'idle' }, pool.idleCount)
      this.set({ state: 'waiting' }, pool.waitingCount)
    },
  })
  return registry
}
