import { dropPages, tagsOfCounts } from '../../db/page'
import type { Pool } from '../../db/pool'
import type { Redis } from '../../db/redis'
import type { ProductId } from '../../domain/ids'

/**
 * What the indexer calls once a change can be found: drops the pages that show counts of the search index. The page
 * consumer dropped them when the change was made, and they may have been made again since, with the old counts.
 * While Redis is away they stay: they expire soon.
 */
export function dropCountedPages({ pool, redis }: { pool: Pool; redis: Redis }) {
  return async (products: readonly ProductId[]): Promise<void> => {
    await tagsOfCounts(pool, products)
      .then((tags) => dropPages(redis, tags))
      .catch(() => undefined)
  }
}
