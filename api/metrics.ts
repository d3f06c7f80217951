import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Every series of the API process, in Prometheus's names. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'holdfast_' })
  return {
    registry,
    requests: new Counter({
      name: 'holdfast_http_requests_total',
      help: 'Requests answered, by route and status.',
      labelNames: ['method', 'route', 'status'] as const,
      registers,
    }),
    durations: new Histogram({
      name: 'holdfast_http_request_duration_seconds',
      help: 'From the request to the end of its answer, by route.',
      labelNames: ['method', 'route'] as const,
      buckets: SECONDS,
      registers,
    }),
    checkoutOutcomes: new Counter({
      name: 'holdfast_checkout_outcomes_total',
      help: 'What checkout and payment calls answered, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    dependencyUp: new Gauge({
      name: 'holdfast_dependency_up',
      help: 'Whether Postgres, Redis and Temporal answered the last look (1) or not (0).',
      labelNames: ['dependency'] as const,
      registers,
    }),
  }
}
