import type { CartId } from '../../domain/ids'
import { CATALOG_EPOCH_KEY } from '../catalog/epoch'
import { withFallback, type Redis, runScript, script } from '../redis'

/**
 * Priced carts as they were answered, for reads: one hash per cart, gone when the cart would expire. Whatever changes a
 * cart drops it, the next read fills it again from Postgres. Nothing is decided by it.
 */

/** Stock that others buy makes no new epoch: what a cached cart says of it is at most this old. */
const FRESH_MS = 5_000

/** What was there before Postgres was read: when it has changed by the time of filling, what was read may be old. */
export interface CacheMark {
  readonly drops: string
  readonly epoch: string
}

/** The answer's body as JSON; or what to fill the cache with, `null` while Redis is away. */
export type CachedCart = { readonly json: string } | { readonly json: null; readonly mark: CacheMark | null }

/** The cart's answer when it is there, not old, and of this token. */
export async function readCachedCart(redis: Redis, cartId: CartId, tokenHash: Buffer): Promise<CachedCart> {
  const stored = await withFallback(
    redis,
    (redis) =>
      Promise.all([
        redis.hmget(keyOf(cartId), 'token', 'priced_at', 'epoch', 'drops', 'json'),
        redis.get(CATALOG_EPOCH_KEY),
      ]),
    null,
  )
  if (!stored) return { json: null, mark: null }
  const [[token, pricedAt, pricedIn, drops, json], epoch] = stored
  const mark = { drops: drops ?? '', epoch: epoch ?? '' }
  const age = Date.now() - Number(pricedAt)
  const isFresh = token === tokenHash.toString('base64') && pricedIn === mark.epoch && age >= 0 && age < FRESH_MS
  return json && isFresh ? { json } : { json: null, mark }
}

/** Keeps a cart that was read after its mark was taken, unless it was dropped since. */
export async function cacheCart(
  redis: Redis,
  cartId: CartId,
  { mark, tokenHash, json, expiresAt }: { mark: CacheMark; tokenHash: Buffer; json: string; expiresAt: Date },
): Promise<void> {
  const values = [mark.drops, mark.epoch, tokenHash.toString('base64'), json, Date.now(), expiresAt.getTime()]
  await withFallback(redis, (redis) => runScript(redis, KEEP_UNLESS_DROPPED, [keyOf(cartId)], values), null)
}

/**
 * To be called once after each change of a cart (its lines, a lock, a hold, an order that bought it), by whoever has
 * written the change. Should it be killed in between, a cached cart is still no older than {@link FRESH_MS}.
 */
export async function dropCart(redis: Redis, cartId: CartId): Promise<void> {
  await withFallback(redis, (redis) => runScript(redis, DROP, [keyOf(cartId)], [DROPS_LIFE_MS]), null)
}

/** No read of Postgres takes as long: whoever took a mark before the drop is done by then. */
const DROPS_LIFE_MS = 60_000

const KEEP_UNLESS_DROPPED = script(`
if (redis.call('hget', KEYS[1], 'drops') or '') ~= ARGV[1] then return 0 end
redis.call('hset', KEYS[1], 'epoch', ARGV[2], 'token', ARGV[3], 'json', ARGV[4], 'priced_at', ARGV[5])
redis.call('pexpireat', KEYS[1], ARGV[6])
return 1
`)

const DROP = script(`
redis.call('hdel', KEYS[1], 'token', 'json')
redis.call('hincrby', KEYS[1], 'drops', 1)
redis.call('pexpire', KEYS[1], ARGV[1])
return 1
`)

/** The braces keep a cart's keys together in a Redis Cluster. */
function keyOf(cartId: CartId): string {
  return `cart:{${cartId}}`
}
