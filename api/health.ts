import type { ApiDeps } from './route'

export const DEPENDENCIES = ['postgres', 'redis', 'temporal', 'search'] as const
export type Dependency = (typeof DEPENDENCIES)[number]

export interface DependencyState {
  /** `degraded`: another does its work. */
  readonly status: 'up' | 'degraded' | 'down'
  readonly ms: number
}
export type Health = Readonly<Record<Dependency, DependencyState>>

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

async function checkAll({ pool, redis, temporal, search, metrics }: ApiDeps): Promise<Health> {
  const { connection } = temporal
  const [postgres, redisState, temporalState, searchState] = await Promise.all([
    check(() => pool.query('select 1')),
    check(() => redis.ping()),
    check(() => connection.withDeadline(Date.now() + DEADLINE_MS, () => connection.workflowService.getSystemInfo({}))),
    check(() => search.check()),
  ])
  // Postgres searches while the engine of choice is away.
  const searching: DependencyState =
    searchState.status === 'down' && postgres.status === 'up' ? { ...searchState, status: 'degraded' } : searchState
  const health: Health = { postgres, redis: redisState, temporal: temporalState, search: searching }
  for (const name of DEPENDENCIES) metrics.dependencyUp.set({ dependency: name }, health[name].status === 'up' ? 1 : 0)
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
