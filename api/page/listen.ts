import { DROPS_CHANNEL } from '../../db/page/cache'
import type { Redis } from '../../db/redis'
import type { PageCache } from './cache'

/** A connection that hangs tells of nothing, and does not say so: it is asked so often. */
const PING_MS = 1_000

/**
 * Tells the cache of this process what is dropped anywhere, over a connection of its own, and whether it would be told.
 * Returns how to stop.
 */
export function listenForDrops(redis: Redis, pages: Pick<PageCache, 'listens' | 'drop'>): () => void {
  const subscriber = redis.duplicate({ lazyConnect: true, autoResubscribe: false })
  subscriber.on('error', () => undefined)
  subscriber.on('close', () => pages.listens(false))
  subscriber.on('ready', () => {
    subscriber.subscribe(DROPS_CHANNEL).then(
      () => pages.listens(true),
      () => subscriber.disconnect(true),
    )
  })
  subscriber.on('message', (_channel, message) => pages.drop(JSON.parse(message) as string[]))
  subscriber.connect().catch(() => undefined)
  const pings = setInterval(() => {
    if (subscriber.status !== 'ready') return
    subscriber.ping().catch(() => {
      pages.listens(false)
      subscriber.disconnect(true)
    })
  }, PING_MS)
  pings.unref()
  return () => {
    clearInterval(pings)
    subscriber.disconnect()
  }
}
