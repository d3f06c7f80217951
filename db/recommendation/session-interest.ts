import { createHmac } from 'node:crypto'
import { isId, type ProductId } from '../../domain/ids'
import { type Affinity, NO_AFFINITY } from '../../domain/search'
import type { Db } from '../pool'
import { withFallback, type Redis } from '../redis'

/** The products that a session looked at last. In Redis alone, for a day at most: lost, the shop is less personal. */

const PRODUCTS_MAX = 20
const DAY_SECONDS = 86_400

/**
 * What a session is kept under: its id hashed with the day's salt, so that two days of one shopper cannot be brought
 * together, not even by whoever reads Redis.
 */
export function sessionKey(secret: string, session: string, now: Date): string {
  const salt = createHmac('sha256', secret)
    .update(`session/${now.toISOString().slice(0, 10)}`)
    .digest()
  return `seen:${createHmac('sha256', salt).update(session).digest('base64url').slice(0, 32)}`
}

/** The newest first; only so many are kept. */
export async function rememberProducts(redis: Redis, key: string, products: readonly ProductId[]): Promise<void> {
  if (products.length === 0) return
  const newest = [...new Set(products.toReversed())].slice(0, PRODUCTS_MAX)
  await withFallback(
    redis,
    async (redis) => {
      const commands = redis.multi()
      for (const product of newest) commands.lrem(key, 0, product)
      await commands
        .lpush(key, ...newest.toReversed())
        .ltrim(key, 0, PRODUCTS_MAX - 1)
        .expire(key, DAY_SECONDS)
        .exec()
    },
    undefined,
  )
}

/** The newest first; none when Redis is away. */
export async function recentProducts(redis: Redis, key: string): Promise<ProductId[]> {
  const stored: string[] = await withFallback(redis, (redis) => redis.lrange(key, 0, PRODUCTS_MAX - 1), [])
  return stored.filter((id) => isId('product', id))
}

/** What a session looked at, and the categories of that, the most frequent first; none when Redis is away. */
export async function readAffinity(db: Db, redis: Redis, key: string): Promise<Affinity> {
  const products = await recentProducts(redis, key)
  if (products.length === 0) return NO_AFFINITY
  const { rows } = await db.query<{ slug: string }>({
    name: 'sessionInterest.categories',
    text: `
      select c.slug
      from product_category pc join category c on c.id = pc.category_id
      where pc.product_id = any ($1::text[])
      group by c.id
      order by count(*) desc, c.id`,
    values: [products],
  })
  return { products, categories: rows.map(({ slug }) => slug) }
}
