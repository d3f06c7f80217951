import type { OutboxEvent } from '../../db/platform/outbox'
import type { Pool } from '../../db/pool'
import { markForSearch, markStockChanges } from '../../db/search/pending'
import type { OrderId, ProductId, Sku } from '../../domain/ids'
import type { Consumer } from './consumer'

/**
 * Notes in Postgres whose documents are out of date, and does nothing else: an engine that is away delays no other consumer
 * and no other engine. The indexer of each engine (`workers/loops/indexer.ts`) then writes these documents.
 */
export function searchConsumer(pool: Pool, engines: readonly string[]): Consumer {
  return {
    name: 'search',
    async consume(events) {
      const { products, orders, skus } = changesIn(events)
      await markForSearch(pool, engines, products)
      await markStockChanges(pool, engines, { orders, skus })
    },
  }
}

interface Changes {
  readonly products: ProductId[]
  /** Any event of an order may have changed what is left of its SKUs. */
  readonly orders: OrderId[]
  readonly skus: Sku[]
}

function changesIn(events: readonly OutboxEvent[]): Changes {
  const products = new Set<ProductId>()
  const orders = new Set<OrderId>()
  const skus = new Set<Sku>()
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
      default:
        if (event && 'order_id' in event.data) orders.add(event.data.order_id)
    }
  }
  return { products: [...products], orders: [...orders], skus: [...skus] }
}
