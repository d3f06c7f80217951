import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { type ApiKey, findApiKey, type Role } from '../../db/platform/api-key'
import { hashToken } from '../../db/cart/cart'
import { DomainError } from '../../domain/errors'
import type { ApiDeps } from '../deps'
import type { Access, AdminCaller, Area, Caller, CallerRule } from './route'

/** A revoked key is refused everywhere within this. */
const KEY_CACHE_MS = 5_000
const KEY_CACHE_MAX = 1_000

/** What each role may do. `admin` may do everything. */
const ROLE_SCOPES: Readonly<Record<Role, Partial<Record<Area, Access>>>> = {
  admin: { catalog: 'write', inventory: 'write', orders: 'write', support: 'write', settings: 'write', keys: 'write' },
  support: { catalog: 'read', inventory: 'read', orders: 'write', support: 'write', settings: 'read' },
  catalog: { catalog: 'write', inventory: 'write', settings: 'read' },
  readonly: { catalog: 'read', inventory: 'read', orders: 'read', support: 'read', settings: 'read' },
}

/**
 * Who is calling, by the route's rule. Throws `unauthenticated` when the credential is missing or unknown and
 * `insufficient_scope` when the key's role does not allow it.
 */
export async function authenticate(rule: CallerRule, request: Request, deps: Pick<ApiDeps, 'pool'>): Promise<Caller> {
  if (rule === 'anyone') return { kind: 'anyone' }
  if (rule === 'cart') return { kind: 'cart', tokenHash: cartTokenHash(request) }
  return authenticateAdmin(rule, request, deps)
}

/** Whether the role may do this. */
export function allows(role: Role, area: Area, access: Access): boolean {
  const granted = ROLE_SCOPES[role][area]
  return granted === 'write' || granted === access
}

/** A short stable name for the caller: scopes idempotency keys. Addresses are hashed. */
export function callerScope(caller: Caller, request: Request): string {
  if (caller.kind === 'cart') return `cart:${caller.tokenHash.toString('base64url')}`
  if (caller.kind === 'admin') return caller.keyId
  return `anyone:${createHash('sha256')
    .update(request.ip ?? '')
    .digest('base64url')
    .slice(0, 22)}`
}

function cartTokenHash(request: Request): Buffer {
  const token = request.headers['x-cart-token']
  if (typeof token !== 'string' || token === '') {
    throw new DomainError('unauthenticated', "Send the cart's token in X-Cart-Token.")
  }
  return hashToken(token)
}

async function authenticateAdmin(
  rule: Exclude<CallerRule, string>,
  request: Request,
  { pool }: Pick<ApiDeps, 'pool'>,
): Promise<AdminCaller> {
  const secret = /^Bearer (\S{1,200})$/i.exec(request.headers.authorization ?? '')?.[1]
  const key = secret === undefined ? null : await cachedKey(secret, pool)
  if (!key) throw new DomainError('unauthenticated', 'Send a valid key: Authorization: Bearer hf_…')
  if (!allows(key.role, rule.admin, rule.access)) {
    throw new DomainError('insufficient_scope', `A key with the role ${key.role} may not ${rule.access} ${rule.admin}.`)
  }
  return { kind: 'admin', keyId: key.id, role: key.role }
}

interface CachedKey {
  readonly key: ApiKey
  readonly until: number
}
/** Per pool, so that two apps in one process (the tests) share nothing. Unknown keys are not kept. */
const caches = new WeakMap<ApiDeps['pool'], Map<string, CachedKey>>()

async function cachedKey(secret: string, pool: ApiDeps['pool']): Promise<ApiKey | null> {
  let cache = caches.get(pool)
  if (!cache) caches.set(pool, (cache = new Map()))
  const now = Date.now()
  const cached = cache.get(secret)
  if (cached && cached.until > now && (cached.key.expiresAt === null || cached.key.expiresAt.getTime() > now))
    return cached.key
  const key = await findApiKey(pool, secret)
  if (cache.size >= KEY_CACHE_MAX) cache.clear()
  if (key) cache.set(secret, { key, until: now + KEY_CACHE_MS })
  else cache.delete(secret)
  return key
}
