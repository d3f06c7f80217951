import { DROPS_CHANNEL } from '../../db/page'
import type { Redis } from '../../db/redis'
import type { PageCache } from './cache'

/** How often the connection is pinged: one that hangs would otherwise go unnoticed. */
const PING_MS = 1_000

/**
 * Subscribes the page cache of this process to what any process drops, over a Redis connection of its own, and tells the
 * cache whether the subscription stands. Returns a function that ends it.
 */
export function subscribeToDrops(redis: Redis, pages: Pick<PageCache, 'setSubscribed' | 'drop'>): () => void {
  const subscriber = redis.duplicate({ lazyConnect: true, autoResubscribe: false })
  subscriber.on('error', () => undefined)
  subscriber.on('close', () => pages.setSubscribed(false))
  subscriber.on('ready', () => {
    subscriber.subscribe(DROPS_CHANNEL).then(
      () => pages.setSubscribed(true),
      () => subscriber.disconnect(true),
    )
  })
  subscriber.on('message', (_channel, message) => pages.drop(JSON.parse(message) as string[]))
  subscriber.connect().catch(() => undefined)
  const pings = setInterval(() => {
    if (subscriber.status !== 'ready') return
    subscriber.ping().catch(() => {
      pages.setSubscribed(false)
      subscriber.disconnect(true)
    })
  }, PING_MS)
  pings.unref()
  return () => {
    clearInterval(pings)
    subscriber.disconnect()
  }
}
