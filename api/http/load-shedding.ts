import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Pool } from '../../db/pool'

/** How busy this process is: 0 serves everything, each level above it sheds one more optional part of a page. */
export type LoadLevel = 0 | 1 | 2 | 3

/** The level from which on a page sheds a part. What is needed to buy is no optional part and is never shed. */
export const SHED_FROM = { recommendations: 1, reviews: 2, facets: 3 } as const satisfies Record<string, LoadLevel>
export type OptionalPart = keyof typeof SHED_FROM

export function isShed(part: OptionalPart, level: LoadLevel): boolean {
  return level >= SHED_FROM[part]
}

/** What the load level is computed from. */
export interface Pressure {
  /** Callers that wait for a Postgres connection, divided by the connections of the pool. */
  readonly queue: number
  /** How late the event loop of this process is, in milliseconds. */
  readonly lagMs: number
}

const QUEUE_THRESHOLDS: readonly number[] = [1, 3, 6]
const LAG_MS_THRESHOLDS: readonly number[] = [100, 250, 500]

/** The number of thresholds that the queue has reached, or the lag, whichever is higher. */
export function loadLevelOf({ queue, lagMs }: Pressure): LoadLevel {
  return Math.max(reached(queue, QUEUE_THRESHOLDS), reached(lagMs, LAG_MS_THRESHOLDS)) as LoadLevel
}

function reached(value: number, thresholds: readonly number[]): number {
  return thresholds.filter((threshold) => value >= threshold).length
}

const RESOLUTION_MS = 20
const WINDOW_MS = 1_000

/** Measures this process once a second. `level()` only reads the last measurement. */
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

  level(): LoadLevel {
    return loadLevelOf({ queue: this.pool.waitingCount / this.pool.options.max, lagMs: this.lagMs })
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
