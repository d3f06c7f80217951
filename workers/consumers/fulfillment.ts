import { planShipments } from '../../db/fulfillment/plan'
import { readFirstLooks } from '../../db/payment/work'
import { isPostgresUnavailable, type Pool } from '../../db/pool'
import type { OrderId } from '../../domain/ids'
import type { OrderWorkflows } from '../../activities/deps'
import type { Log } from '../../log'
import type { Consumer } from './consumer'

/** So many are started at a time. */
const STARTS = 16

/**
 * Gives the units of every order that was confirmed to shipments, and starts its fulfillment. A second start of the same one is
 * refused by Temporal.
 */
export function fulfillmentConsumer(
  pool: Pool,
  orders: Pick<OrderWorkflows, 'awaitFulfillment'>,
  log: Pick<Log, 'warn'>,
): Consumer {
  /** What cannot be done here the workflows of the orders do, one by one: there it is seen when it keeps failing. */
  async function plan(orderIds: readonly OrderId[]): Promise<void> {
    try {
      await planShipments(pool, orderIds)
    } catch (error) {
      if (isPostgresUnavailable(error)) throw error
      log.warn(
        { err: error, orders: orderIds.length },
        'shipments could not be planned together: each order does it by itself',
      )
    }
  }

  return {
    name: 'fulfillment',
    async consume(events) {
      const confirmed = events.flatMap(({ event }) => (event?.type === 'order.confirmed' ? [event.data.order_id] : []))
      for (let begin = 0; begin < confirmed.length; begin += STARTS) {
        const some = confirmed.slice(begin, begin + STARTS)
        await plan(some)
        const looks = await readFirstLooks(pool, some)
        await Promise.all(looks.map(({ orderId, delayMs }) => orders.awaitFulfillment(orderId, delayMs)))
      }
    },
  }
}
