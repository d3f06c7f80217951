import { readCatalogLsn } from '../../db/page'
import type { Pool } from '../../db/pool'
import type { ApiDeps } from '../deps'

/** Reads what a shop shows: from a replica only when that has seen everything that a merchant has changed. */
export async function readCatalog<T>(
  { reads, redis }: Pick<ApiDeps, 'reads' | 'redis'>,
  work: (db: Pool) => Promise<T>,
): Promise<T> {
  return reads.read(reads.hasReplica ? await readCatalogLsn(redis) : null, work)
}
