import { dropPages } from '../db/page-cache'
import { orElse } from '../db/redis'
import { currentLsn } from '../db/replica'
import type { ApiDeps } from './route'

/**
 * Tells at once what the outbox tells a moment later: whoever has changed the catalog sees it with the next call. To be
 * called once the change is committed.
 *
 * @param ids of what has changed: products, categories
 */
export async function announceChange(
  { pool, redis, reads }: Pick<ApiDeps, 'pool' | 'redis' | 'reads'>,
  ids: readonly string[],
): Promise<void> {
  const lsn = reads.hasReplica ? await currentLsn(pool) : null
  await orElse(redis, (redis) => dropPages(redis, ids, lsn), null)
}
