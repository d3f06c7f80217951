import type { CartId } from '../domain/ids'
import { orElse, type Redis, runScript, script } from './redis'

/**
 * Priced carts as they were answered, for reads: one hash per cart, gone when the cart would expire. Filled from
 * Postgres after each change and whenever it is missing or old; nothing is decided by it.
 */

/** Prices and stock in a cached cart are at most this old. */
const FRESH_MS = 5_000

export interface CachedCart {
  readonly version: number
  readonly tokenHash: Buffer
  /** The answer's body, as JSON. */
  readonly json: string
  readonly expiresAt: Date
}

/** The cart's answer when it is there, fresh, and of this token; else null, and Postgres is to be asked. */
export async function readCachedCart(redis: Redis, cartId: CartId, tokenHash: Buffer): Promise<string | null> {
  const found = await orElse(redis, (redis) => redis.hmget(keyOf(cartId), 'token', 'priced_at', 'json'), null)
  const [token, pricedAt, json] = found ?? []
  if (!token || !pricedAt || !json || token !== tokenHash.toString('base64')) return null
  const age = Date.now() - Number(pricedAt)
  return age >= 0 && age < FRESH_MS ? json : null
}

/** Keeps the cart unless a newer version is there already. */
export async function cacheCart(
  redis: Redis,
  cartId: CartId,
  { version, tokenHash, json, expiresAt }: CachedCart,
): Promise<void> {
  const values = [version, tokenHash.toString('base64'), json, Date.now(), expiresAt.getTime()]
  await orElse(redis, (redis) => runScript(redis, KEEP_NEWEST, [keyOf(cartId)], values), null)
}

/**
 * To be called after whatever changes a cart besides its lines: a lock, a hold, an order that bought it. The version
 * stays, so that nobody who read the cart earlier fills in an older one.
 */
export async function dropCart(redis: Redis, cartId: CartId): Promise<void> {
  await orElse(redis, (redis) => redis.hdel(keyOf(cartId), 'token', 'priced_at', 'json'), 0)
}

const KEEP_NEWEST = script(`
local version = tonumber(redis.call('hget', KEYS[1], 'version') or 0)
if version > tonumber(ARGV[1]) then return 0 end
redis.call('hset', KEYS[1], 'version', ARGV[1], 'token', ARGV[2], 'json', ARGV[3], 'priced_at', ARGV[4])
redis.call('pexpireat', KEYS[1], ARGV[5])
return 1
`)

/** The braces keep a cart's keys together in a Redis Cluster. */
function keyOf(cartId: CartId): string {
  return `cart:{${cartId}}`
}
