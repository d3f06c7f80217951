import { dropPages, tagsOf, tagsOfCategories } from '../../db/page'
import { withFallback } from '../../db/redis'
import { currentLsn } from '../../db/replica'
import type { ApiDeps } from '../deps'

/**
 * Tell at once what the outbox tells a moment later: whoever has changed the catalog sees it with the next call, also where
 * a replica is read. To be called once the change is committed.
 */

type ChangeDeps = Pick<ApiDeps, 'pool' | 'redis' | 'reads'>

export async function announceProduct(deps: ChangeDeps, id: string): Promise<void> {
  await announce(deps, await tagsOf(deps.pool, { products: [id], skus: [] }))
}

/** @param shownOn the categories whose pages show the changed one, or did */
export async function announceCategory(deps: ChangeDeps, shownOn: readonly string[]): Promise<void> {
  await announce(deps, tagsOfCategories(shownOn))
}

async function announce({ pool, redis, reads }: ChangeDeps, tags: readonly string[]): Promise<void> {
  const lsn = reads.hasReplica ? await currentLsn(pool) : null
  await withFallback(redis, (redis) => dropPages(redis, tags, lsn), null)
}
