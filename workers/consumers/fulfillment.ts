import { readFirstLooks } from '../../db/payment/work'
import type { Pool } from '../../db/pool'
import type { OrderWorkflows } from '../../activities/deps'
import type { Consumer } from './consumer'

/** So many are started at a time. */
const STARTS = 16

/** Starts the fulfillment of every order that was confirmed. A second start of the same one is refused by Temporal. */
export function fulfillmentConsumer(pool: Pool, orders: Pick<OrderWorkflows, 'awaitFulfillment'>): Consumer {
  return {
    name: 'fulfillment',
    async consume(events) {
      const confirmed = events.flatMap(({ event }) => (event?.type === 'order.confirmed' ? [event.data.order_id] : []))
      for (let begin = 0; begin < confirmed.length; begin += STARTS) {
        const some = await readFirstLooks(pool, confirmed.slice(begin, begin + STARTS))
        await Promise.all(some.map(({ orderId, delayMs }) => orders.awaitFulfillment(orderId, delayMs)))
      }
    },
  }
}
