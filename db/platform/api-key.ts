import { createHash, randomBytes } from 'node:crypto'
import type { ApiKeyId } from '../../domain/ids'
import { newId } from '../id'
import { type Db, type Pool, withTransaction } from '../pool'

export const ROLES = ['admin', 'support', 'catalog', 'readonly'] as const
export type Role = (typeof ROLES)[number]

export interface ApiKey {
  readonly id: ApiKeyId
  readonly name: string
  readonly role: Role
  /** The last four characters, so that a person can tell keys apart. */
  readonly hint: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
}

const COLUMNS = `id, name, role, hint, created_at as "createdAt", last_used_at as "lastUsedAt",
  expires_at as "expiresAt", revoked_at as "revokedAt"`

/** Makes a key. The secret is in the answer only: what is stored is its SHA-256. */
export async function createApiKey(
  db: Db,
  { name, role, expiresAt }: { name: string; role: Role; expiresAt: Date | null },
): Promise<{ key: ApiKey; secret: string }> {
  const secret = `hf_${randomBytes(32).toString('base64url')}`
  const { rows } = await db.query<ApiKey>(
    `insert into api_key (id, name, role, secret_hash, hint, expires_at)
     values ($1, $2, $3, $4, $5, $6)
     returning ${COLUMNS}`,
    [newId('apiKey'), name, role, hashOf(secret), secret.slice(-4), expiresAt],
  )
  return { key: rows[0] as ApiKey, secret }
}

/** The live key with this secret, or null. Notes when it was last used, to the minute. */
export async function findApiKey(db: Db, secret: string): Promise<ApiKey | null> {
  const { rows } = await db.query<ApiKey>({
    name: 'find_api_key',
    text: `select ${COLUMNS}
           from api_key
           where secret_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
    values: [hashOf(secret)],
  })
  const key = rows[0]
  if (!key) return null
  await db.query(
    `update api_key set last_used_at = now()
     where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    [key.id],
  )
  return key
}

export async function findApiKeyById(db: Db, id: ApiKeyId): Promise<ApiKey | null> {
  const { rows } = await db.query<ApiKey>(`select ${COLUMNS} from api_key where id = $1`, [id])
  return rows[0] ?? null
}

/** Newest first, `limit` of them, those made before `before` when it is given. */
export async function listApiKeys(
  db: Db,
  { limit, before }: { limit: number; before: ApiKeyId | null },
): Promise<ApiKey[]> {
  const { rows } = await db.query<ApiKey>(
    `select ${COLUMNS} from api_key where $1::text is null or id < $1 order by id desc limit $2`,
    [before, limit],
  )
  return rows
}

/** Revokes the key; null when there is none. A second time changes nothing. */
export async function revokeApiKey(db: Db, id: ApiKeyId): Promise<ApiKey | null> {
  const { rows } = await db.query<ApiKey>(
    `update api_key set revoked_at = coalesce(revoked_at, now()) where id = $1 returning ${COLUMNS}`,
    [id],
  )
  return rows[0] ?? null
}

/** The key that the start command prints: a new one named `stack`; the one of the last start is revoked. */
export async function issueStackKey(pool: Pool): Promise<string> {
  return withTransaction(pool, async (tx) => {
    await tx.query(`update api_key set revoked_at = now() where name = 'stack' and revoked_at is null`)
    const { secret } = await createApiKey(tx, { name: 'stack', role: 'admin', expiresAt: null })
    return secret
  })
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
