import type { OutboxEvent } from '../../db/platform/outbox'
import { dropPages } from '../../db/page/cache'
import { tagsOf, tagsOfCategories, tagsOfCounts } from '../../db/page/tags'
import type { Pool } from '../../db/pool'
import type { Redis } from '../../db/redis'
import { currentLsn } from '../../db/replica'
import { isId, type ProductId, type Sku } from '../../domain/ids'
import type { Sink } from '../loops/relay'

/**
 * Drops the pages that show what has changed, in every API process. What customers buy is left out: pages are renewed
 * often enough for that.
 */
export function pageSink({ pool, redis }: { pool: Pool; redis: Redis }): Sink {
  return {
    name: 'pages',
    async publish(events) {
      const products = productsOf(events)
      const skus = skusOf(events)
      const categories = categoriesOf(events)
      if (products.length === 0 && skus.length === 0 && categories.length === 0) return
      const [tags, lsn] = await Promise.all([tagsOf(pool, { products, skus }), currentLsn(pool)])
      await dropPages(redis, [...new Set([...tags, ...categories])], lsn)
    },
  }
}

/**
 * Drops the pages whose counts come from the search index, once it has what was changed: {@link pageSink} did so before.
 * Without Redis they are soon old by themselves.
 */
export function dropCounts({ pool, redis }: { pool: Pool; redis: Redis }) {
  return async (products: readonly ProductId[]): Promise<void> => {
    await tagsOfCounts(pool, products)
      .then((tags) => dropPages(redis, tags))
      .catch(() => undefined)
  }
}

function productsOf(events: readonly OutboxEvent[]): ProductId[] {
  const ids = events.filter(({ type }) => type.startsWith('product.')).map(({ aggregate }) => aggregate)
  return [...new Set(ids)].filter((id): id is ProductId => isId('product', id))
}

function skusOf(events: readonly OutboxEvent[]): Sku[] {
  const skus = events.filter(({ type }) => type.startsWith('stock.')).map(({ payload }) => String(payload['sku']))
  return [...new Set(skus)]
}

/** Of a category that is gone or has moved the event alone knows who showed it. */
function categoriesOf(events: readonly OutboxEvent[]): string[] {
  return events
    .filter(({ type }) => type.startsWith('category.'))
    .flatMap(({ payload }) => tagsOfCategories(payload['shown_on'] as string[]))
}
