import { type IdempotencyScope, noteStatus } from '../../db/platform/idempotency'
import type { ApiDeps } from '../deps'

/**
 * The headers of an answer whose status shows only after its work: 202 while that is not finished. What was answered by 202 was not
 * kept as an answer: no repetition of it is called a replay.
 */
export async function headersOf(
  done: { readonly status: number; readonly headers: Record<string, string> },
  { status, idempotency }: { status: number; idempotency: IdempotencyScope | null },
  { pool }: Pick<ApiDeps, 'pool'>,
): Promise<Record<string, string>> {
  if (done.status !== status) await noteStatus(pool, idempotency, status)
  return status === 202 || done.status === 202 ? {} : done.headers
}
