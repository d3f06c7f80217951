import type { OutboxEvent } from '../../db/platform/outbox'
import { dropPages, tagsOf, tagsOfCategories } from '../../db/page'
import type { Pool } from '../../db/pool'
import type { Redis } from '../../db/redis'
import { currentLsn } from '../../db/replica'
import type { ProductId, Sku } from '../../domain/ids'
import type { Consumer } from './consumer'

/**
 * Drops the pages that show what has changed, in every API process. What customers buy is left out: pages are renewed
 * often enough for that.
 */
export function pageConsumer({ pool, redis }: { pool: Pool; redis: Redis }): Consumer {
  return {
    name: 'page',
    async consume(events) {
      const { products, skus, categoryTags } = changesIn(events)
      if (products.length === 0 && skus.length === 0 && categoryTags.length === 0) return
      const [tags, lsn] = await Promise.all([tagsOf(pool, { products, skus }), currentLsn(pool)])
      await dropPages(redis, [...new Set([...tags, ...categoryTags])], lsn)
    },
  }
}

interface Changes {
  readonly products: ProductId[]
  readonly skus: Sku[]
  /** Of the pages that show a changed category. If the category was deleted or moved, only the event still knows these tags. */
  readonly categoryTags: string[]
}

function changesIn(events: readonly OutboxEvent[]): Changes {
  const products = new Set<ProductId>()
  const skus = new Set<Sku>()
  const categoryTags = new Set<string>()
  for (const { event } of events) {
    switch (event?.type) {
      case 'product.created':
      case 'product.updated':
        products.add(event.data.product_id)
        break
      case 'stock.adjusted':
      case 'stock.sold_out':
      case 'stock.back_in_stock':
        skus.add(event.data.sku)
        break
      case 'category.created':
      case 'category.updated':
      case 'category.deleted':
        for (const tag of tagsOfCategories(event.data.shown_on)) categoryTags.add(tag)
        break
      default:
    }
  }
  return { products: [...products], skus: [...skus], categoryTags: [...categoryTags] }
}
