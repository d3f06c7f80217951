import { createHash } from 'node:crypto'
import { DomainError } from '../../domain/errors'
import { type Db, type Pool, type Tx, withTransaction } from '../pool'

/** What a caller's key stands for: unique within caller, method and path. */
export interface IdempotencyScope {
  /** Who: the cart token's hash, the admin key, or the (hashed) address of an anonymous caller. */
  readonly scope: string
  /** Method and path. */
  readonly operation: string
  readonly key: string
  /** SHA-256 of the body as canonical JSON. */
  readonly bodyHash: Buffer
}

export interface Done<S extends number, R> {
  readonly status: S
  /** What `present` needs to find it again: an id, small and without secrets. It is stored. */
  readonly resource: R
}

/**
 * Runs `work` at most once per key. The key's row and what `work` does commit together, under an advisory lock that a
 * killed process gives up at once; a refusal (anything thrown) stores nothing. A repetition answers the same status with
 * the resource as it stands now. Without a key `work` just runs in its transaction.
 *
 * @param work statements on `tx`, nothing else: what it wants of Redis, Temporal or a store follows after the commit
 * @param present turns the resource into the answer's body, after the commit
 * @param isRefused that what was stored has come to nothing since then: `work` runs anew
 * @throws `request_in_progress` while the same key runs elsewhere, `idempotency_key_reused` for another body
 */
export async function withIdempotency<const S extends number, R, B>(
  pool: Pool,
  idempotency: IdempotencyScope | null,
  work: (tx: Tx) => Promise<Done<S, R>>,
  present: (resource: R, db: Db) => Promise<B>,
  isRefused: (resource: R, db: Db) => Promise<boolean> = async () => false,
): Promise<{ status: S; body: B; headers: Record<string, string> }> {
  const { done, replayed } = await withTransaction(pool, async (tx) => {
    if (!idempotency) return { done: await work(tx), replayed: false }
    await lockKey(tx, idempotency)
    const stored = await findDone<S, R>(tx, idempotency)
    if (stored && !(await isRefused(stored.resource, tx))) return { done: stored, replayed: true }
    const fresh = await work(tx)
    await writeDone(tx, idempotency, fresh)
    return { done: fresh, replayed: false }
  })
  const headers: Record<string, string> = replayed ? { 'Idempotent-Replayed': 'true' } : {}
  return { status: done.status, body: await present(done.resource, pool), headers }
}

/**
 * After {@link withIdempotency}: notes by which status the request was answered in the end, where that is not the one that its
 * work had: 202 while it is not finished.
 */
export async function noteStatus(db: Db, idempotency: IdempotencyScope | null, status: number): Promise<void> {
  if (!idempotency) return
  const { scope, operation, key } = idempotency
  await db.query(
    'update idempotency set status = $4 where scope = $1 and operation = $2 and key = $3 and status <> $4',
    [scope, operation, key, status],
  )
}

/**
 * After {@link withIdempotency}: what it stored has come to a refusal, which is not kept. What a repetition has stored since then
 * stays.
 */
export async function forgetKey(db: Db, idempotency: IdempotencyScope | null, resource: unknown): Promise<void> {
  if (!idempotency) return
  const { scope, operation, key } = idempotency
  await db.query('delete from idempotency where scope = $1 and operation = $2 and key = $3 and resource = $4::jsonb', [
    scope,
    operation,
    key,
    JSON.stringify(resource),
  ])
}

async function lockKey(tx: Tx, { scope, operation, key }: IdempotencyScope): Promise<void> {
  const digest = createHash('sha256').update(`${scope}\n${operation}\n${key}`).digest()
  const { rows } = await tx.query<{ locked: boolean }>('select pg_try_advisory_xact_lock($1) as locked', [
    digest.readBigInt64BE().toString(),
  ])
  if (!rows[0]?.locked)
    throw new DomainError('request_in_progress', 'A request with this Idempotency-Key is still running.')
}

async function findDone<S extends number, R>(
  tx: Tx,
  { scope, operation, key, bodyHash }: IdempotencyScope,
): Promise<Done<S, R> | null> {
  const { rows } = await tx.query<{ body_hash: Buffer; status: S; resource: R }>(
    `select body_hash, status, resource
     from idempotency
     where scope = $1 and operation = $2 and key = $3`,
    [scope, operation, key],
  )
  const row = rows[0]
  if (!row) return null
  requireSameBody(row.body_hash, bodyHash)
  return { status: row.status, resource: row.resource }
}

/** Throws `idempotency_key_reused` when a key comes with another body than the first time. */
export function requireSameBody(stored: Buffer, given: Buffer): void {
  if (stored.equals(given)) return
  throw new DomainError('idempotency_key_reused', 'This Idempotency-Key was used with another body. Use a new key.')
}

async function writeDone<S extends number, R>(
  tx: Tx,
  { scope, operation, key, bodyHash }: IdempotencyScope,
  { status, resource }: Done<S, R>,
): Promise<void> {
  await tx.query(
    `insert into idempotency (scope, operation, key, body_hash, status, resource)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (scope, operation, key) do update set status = excluded.status, resource = excluded.resource`,
    [scope, operation, key, bodyHash, status, JSON.stringify(resource)],
  )
}
