import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Pool } from '../../db/pool'

/** What a page may still afford: everything, or all but the parts that are given up first. */
export type Load = 0 | 1 | 2 | 3

/** In this order a page gives up its parts as the load rises; what is bought with never is. */
export const GIVEN_UP_AT = { recommendations: 1, reviews: 2, facets: 3 } as const satisfies Record<string, Load>
export type OptionalPart = keyof typeof GIVEN_UP_AT

export interface Strain {
  /** Callers waiting for a Postgres connection, per connection there is. */
  readonly queue: number
  /** How late this process comes to what it has to do. */
  readonly lagMs: number
}

const QUEUE_AT: readonly number[] = [1, 3, 6]
const LAG_MS_AT: readonly number[] = [100, 250, 500]

/** The higher of what queue and lag say: how many of their thresholds are reached. */
export function loadOf({ queue, lagMs }: Strain): Load {
  const reached = (value: number, thresholds: readonly number[]) => thresholds.filter((at) => value >= at).length
  return Math.max(reached(queue, QUEUE_AT), reached(lagMs, LAG_MS_AT)) as Load
}

const RESOLUTION_MS = 20
const WINDOW_MS = 1_000

/** Watches this process. `load()` costs nothing to ask. */
export class LoadMeter {
  private readonly histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private readonly pool: Pool
  private readonly timer: NodeJS.Timeout
  private lagMs = 0

  constructor(pool: Pool) {
    this.pool = pool
    this.histogram.enable()
    this.timer = setInterval(() => this.sample(), WINDOW_MS)
    this.timer.unref()
  }

  load(): Load {
    return loadOf({ queue: this.pool.waitingCount / this.pool.options.max, lagMs: this.lagMs })
  }

  stop(): void {
    clearInterval(this.timer)
    this.histogram.disable()
  }

  private sample(): void {
    // The histogram counts its own interval as well.
    this.lagMs = Math.max(0, this.histogram.mean / 1e6 - RESOLUTION_MS)
    this.histogram.reset()
  }
}
