import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { type ClientRateLimitInfo, MemoryStore, type Options, rateLimit, type Store } from 'express-rate-limit'
import { countHit } from '../../db/platform/rate-limit'
import { withFallback, type Redis } from '../../db/redis'
import { DomainError } from '../../domain/errors'
import type { ApiDeps } from '../deps'

const WINDOW_MS = 60_000

/**
 * Counts requests per address, over all API processes. Loopback is left out, which is how replays and benchmarks come in,
 * and so are webhooks and probes.
 */
export function limitRate({ settings, redis }: Pick<ApiDeps, 'settings' | 'redis'>): RequestHandler {
  const limiter = rateLimit({
    windowMs: WINDOW_MS,
    limit: settings.RATE_LIMIT_PER_MINUTE,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    store: new SharedStore(redis),
    handler: (request, _response, next) => {
      const { resetTime } = (request as Request & { rateLimit: ClientRateLimitInfo }).rateLimit
      const seconds = Math.max(1, Math.ceil(((resetTime?.getTime() ?? 0) - Date.now()) / 1_000))
      next(new DomainError('rate_limited', `Too many requests. Try again in ${seconds} s.`, { retry_after: seconds }))
    },
  })
  return (request: Request, response: Response, next: NextFunction) => {
    if (!request.url.startsWith('/v1/') || (!settings.RATE_LIMIT_LOOPBACK && isLoopback(request.ip))) next()
    else void limiter(request, response, next)
  }
}

/** In Redis; in this process alone while Redis is away. */
class SharedStore implements Store {
  readonly localKeys = false
  readonly #redis: Redis
  readonly #local = new MemoryStore()

  constructor(redis: Redis) {
    this.#redis = redis
  }

  init(options: Options): void {
    this.#local.init(options)
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    const counted = await withFallback(this.#redis, (redis) => countHit(redis, key, WINDOW_MS), null)
    if (!counted) return this.#local.increment(key)
    return { totalHits: counted.hits, resetTime: new Date(Date.now() + counted.resetsInMs) }
  }

  async decrement(key: string): Promise<void> {
    await this.#local.decrement(key)
  }

  async resetKey(key: string): Promise<void> {
    await this.#local.resetKey(key)
  }
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.'))
}
