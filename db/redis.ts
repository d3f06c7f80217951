import { createHash } from 'node:crypto'
import Redis from 'ioredis'
import type { Settings } from '../config'
import { guarded } from '../transaction-guard'

export type { Redis }

const COMMAND_TIMEOUT_MS = 250
const CONNECT_TIMEOUT_MS = 1_000
const RECONNECT_DELAY_MAX_MS = 1_000

/**
 * The Redis connection of one process. Nothing is queued while it is away and nothing is sent twice: a command then
 * fails at once, and every caller goes on without (see {@link withFallback}).
 *
 * @param commandTimeout ms until a command's answer is given up
 */
export function createRedis(settings: Pick<Settings, 'REDIS_URL'>, commandTimeout = COMMAND_TIMEOUT_MS): Redis {
  const redis = new Redis(settings.REDIS_URL, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (tries) => Math.min(tries * 50, RECONNECT_DELAY_MAX_MS),
    enableAutoPipelining: true,
  })
  // It reconnects by itself; the failures that matter are those of the commands.
  redis.on('error', () => undefined)
  redis.connect().catch(() => undefined)
  return guarded(redis, 'Redis')
}

/** While Redis hangs, most requests must not wait for it at all: after a missed deadline it is left alone this long. */
const REST_MS = 1_000
const restingUntil = new WeakMap<Redis, number>()

/**
 * The command's answer, or `fallback` when Redis is away, slow or refuses. The deadline is our own: after a broken
 * connection ioredis 6.0.0 may leave a command unsettled (ioredis#2193).
 */
export async function withFallback<T, F>(
  redis: Redis,
  command: (redis: Redis) => Promise<T>,
  fallback: F,
): Promise<T | F> {
  if ((restingUntil.get(redis) ?? 0) > Date.now()) return fallback
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<F>((resolve) => {
    timer = setTimeout(() => {
      restingUntil.set(redis, Date.now() + REST_MS)
      resolve(fallback)
    }, redis.options.commandTimeout)
  })
  try {
    return await Promise.race([command(redis), deadline])
  } catch {
    return fallback
  } finally {
    clearTimeout(timer)
  }
}

/** A Lua script and the digest that Redis knows it by once it has run. */
export interface Script {
  readonly text: string
  readonly sha1: string
}

export function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

/** Runs a script by its digest; a Redis that has forgotten it (restarted, flushed) is sent the text. */
export async function runScript(
  redis: Redis,
  { text, sha1 }: Script,
  keys: readonly string[],
  values: readonly (string | number | Buffer)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha1, keys.length, ...keys, ...values)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return redis.eval(text, keys.length, ...keys, ...values)
  }
}
