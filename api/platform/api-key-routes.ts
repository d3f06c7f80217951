import { z } from 'zod'
import { type ApiKey, createApiKey, findApiKeyById, listApiKeys, ROLES, revokeApiKey } from '../../db/platform/api-key'
import { withIdempotency } from '../../db/platform/idempotency'
import { DomainError } from '../../domain/errors'
import { isId } from '../../domain/ids'
import { listPageFrom, readCursor } from '../http/pagination'
import { invalid } from '../http/problem'
import { defineRoute, type Route } from '../http/route'
import { idOf, listPageOf, listPageQuery, pathId, timestamp } from '../http/schemas'

const TAG = 'API keys'
const name = z.string().trim().min(1).max(100)

const apiKey = z
  .strictObject({
    id: idOf('apiKey'),
    name,
    role: z.enum(ROLES),
    hint: z.string().meta({ description: 'the last characters of the secret' }),
    created_at: timestamp,
    last_used_at: timestamp.nullable(),
    expires_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
    secret: z
      .string()
      .optional()
      .meta({ description: 'answered once, when the key is made; not when that is repeated' }),
  })
  .meta({ id: 'ApiKey' })

const listKeys = defineRoute({
  method: 'get',
  path: '/v1/admin/api-keys',
  tag: TAG,
  summary: 'List keys, newest first',
  caller: { admin: 'keys', access: 'read' },
  query: listPageQuery,
  answers: { 200: listPageOf(apiKey) },
}).handle(async ({ query }, { pool }) => {
  const before = readCursor(query.cursor, (value) => typeof value === 'string' && isId('apiKey', value))
  const rows = await listApiKeys(pool, { limit: query.limit + 1, before })
  return { status: 200, body: listPageFrom(rows, query.limit, { keyOf: (row) => row.id, present: presentKey }) }
})

const createKey = defineRoute({
  method: 'post',
  path: '/v1/admin/api-keys',
  tag: TAG,
  summary: 'Make a key',
  description: 'The secret is in this answer and nowhere else.',
  caller: { admin: 'keys', access: 'write' },
  body: z.strictObject({ name, role: z.enum(ROLES), expires_at: z.iso.datetime({ offset: true }).nullish() }),
  answers: { 201: apiKey, 409: ['request_in_progress'], 422: ['idempotency_key_reused'] },
}).handle(async ({ body, idempotency }, { pool }) => {
  const expiresAt = body.expires_at ? new Date(body.expires_at) : null
  if (expiresAt && expiresAt.getTime() <= Date.now()) {
    throw invalid([{ in: 'body', pointer: '/expires_at', code: 'in_the_past', message: 'Send a time to come.' }])
  }
  let secret: string | undefined
  return withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      const made = await createApiKey(tx, { name: body.name, role: body.role, expiresAt })
      secret = made.secret
      return { status: 201, resource: made.key.id }
    },
    async (id, db) => {
      const key = await findApiKeyById(db, id)
      if (!key) throw new DomainError('not_found', 'There is no such key.')
      return { ...presentKey(key), ...(secret === undefined ? {} : { secret }) }
    },
  )
})

const deleteKey = defineRoute({
  method: 'delete',
  path: '/v1/admin/api-keys/{id}',
  tag: TAG,
  summary: 'Revoke a key',
  description: 'Every process refuses it within 5 seconds. It stays in the list.',
  caller: { admin: 'keys', access: 'write' },
  params: pathId('apiKey'),
  answers: { 204: null },
}).handle(async ({ params }, { pool }) => {
  if (!(await revokeApiKey(pool, params.id))) throw new DomainError('not_found', 'There is no such key.')
  return { status: 204 }
})

export const apiKeyRoutes: readonly Route[] = [listKeys, createKey, deleteKey]

function presentKey(key: ApiKey): Omit<z.input<typeof apiKey>, 'secret'> {
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    hint: key.hint,
    created_at: key.createdAt.toISOString(),
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
  }
}
