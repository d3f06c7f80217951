import Redis from 'ioredis'
import type { Settings } from '../config'

export type { Redis }

const COMMAND_TIMEOUT_MS = 250
const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_DELAY_MAX_MS = 1_000

/**
 * The Redis connection of one process. Nothing is queued while it is away and nothing is sent twice: a command then
 * fails at once, and every caller goes on without (see {@link orElse}).
 */
export function createRedis(settings: Pick<Settings, 'REDIS_URL'>): Redis {
  const redis = new Redis(settings.REDIS_URL, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (tries) => Math.min(tries * 50, RECONNECT_DELAY_MAX_MS),
    enableAutoPipelining: true,
  })
  // It reconnects by itself; the failures that matter are those of the commands.
  redis.on('error', () => undefined)
  redis.connect().catch(() => undefined)
  return redis
}

/**
 * The command's answer, or `fallback` when Redis is away, slow or refuses. The deadline is our own: after a broken
 * connection ioredis 6.0.0 may leave a command unsettled (ioredis#2193).
 */
export async function orElse<T, F>(command: () => Promise<T>, fallback: F): Promise<T | F> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<F>((resolve) => {
    timer = setTimeout(resolve, COMMAND_TIMEOUT_MS, fallback)
  })
  try {
    return await Promise.race([command(), deadline])
  } catch {
    return fallback
  } finally {
    clearTimeout(timer)
  }
}
