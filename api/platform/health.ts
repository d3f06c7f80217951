import type { ApiDeps } from '../deps'

export interface DependencyState {
  /** `degraded`: another does its work. */
  readonly status: 'up' | 'degraded' | 'down'
  readonly ms: number
}
export interface Health {
  readonly postgres: DependencyState
  readonly redis: DependencyState
  readonly temporal: DependencyState
  readonly search: DependencyState
  /** Only where there is one. */
  readonly replica?: DependencyState
}

const DEADLINE_MS = 1_000
/** Probes of many kinds come at once; the dependencies are asked once for all of them. */
const FRESH_MS = 500

const latest = new WeakMap<ApiDeps['pool'], { health: Promise<Health>; until: number }>()

/** Asks each dependency for a sign of life, each within a second. Never throws. */
export function checkHealth(deps: ApiDeps): Promise<Health> {
  const cached = latest.get(deps.pool)
  if (cached && cached.until > Date.now()) return cached.health
  const health = checkAll(deps)
  latest.set(deps.pool, { health, until: Date.now() + FRESH_MS })
  return health
}

async function checkAll({ pool, redis, temporal, search, metrics, reads }: ApiDeps): Promise<Health> {
  const [postgres, redisState, temporalState, searchState] = await Promise.all([
    check(() => pool.query('select 1')),
    check(() => redis.ping()),
    check(() => temporal.withDeadline(Date.now() + DEADLINE_MS, () => temporal.workflowService.getSystemInfo({}))),
    check(() => search.check()),
  ])
  // Postgres searches while the engine of choice is away.
  const searching: DependencyState =
    searchState.status === 'down' && postgres.status === 'up' ? { ...searchState, status: 'degraded' } : searchState
  // The primary is read while the replica is away or behind.
  const replica: DependencyState | null = reads.hasReplica
    ? { status: reads.isUpToDate() ? 'up' : 'degraded', ms: 0 }
    : null
  const health: Health = {
    postgres,
    redis: redisState,
    temporal: temporalState,
    search: searching,
    ...(replica && { replica }),
  }
  for (const [dependency, { status }] of Object.entries(health) as [string, DependencyState][]) {
    metrics.dependencyUp.set({ dependency }, status === 'up' ? 1 : 0)
  }
  return health
}

async function check(ask: () => Promise<unknown>): Promise<DependencyState> {
  const startedAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), DEADLINE_MS)
  })
  const status = await Promise.race([ask(), deadline]).then(
    () => 'up' as const,
    () => 'down' as const,
  )
  clearTimeout(timer)
  return { status, ms: Math.round(performance.now() - startedAt) }
}
