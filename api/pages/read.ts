import { readCatalogLsn } from '../../db/page-cache'
import type { Pool } from '../../db/pool'
import type { ApiDeps } from '../route'

/** Reads for a page: from a replica only when that has seen everything whose change made pages old. */
export async function readForPage<T>({ reads, redis }: ApiDeps, work: (db: Pool) => Promise<T>): Promise<T> {
  return reads.read(reads.hasReplica ? await readCatalogLsn(redis) : null, work)
}
