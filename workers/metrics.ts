import { Counter } from 'prom-client'

/** What the loops of a worker count. Shown in `/metrics` of its process. */

export const unmatchedTracking = new Counter({
  name: 'holdfast_tracking_unmatched_total',
  help: 'Events of carriers that were given up, because no label ever had their tracking number.',
  labelNames: ['carrier'] as const,
  registers: [],
})
