import { withFallback, type Redis } from '../redis'

/**
 * Counts in Redis what merchants change: prices, products, stock on hand, settings. What was computed from the catalog
 * carries the epoch it began in, and is old as soon as the number has moved on.
 */

export const CATALOG_EPOCH_KEY = 'catalog:epoch'

/** To be called once a change is committed. Lost with Redis, as is all that it would have made old. */
export async function nextCatalogEpoch(redis: Redis): Promise<void> {
  await withFallback(redis, (redis) => redis.incr(CATALOG_EPOCH_KEY), 0)
}

/** Null while Redis is away: then nothing may be taken for new. */
export async function readCatalogEpoch(redis: Redis): Promise<string | null> {
  return withFallback(redis, async (redis) => (await redis.get(CATALOG_EPOCH_KEY)) ?? '', null)
}
