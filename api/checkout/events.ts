import { setTimeout as pause } from 'node:timers/promises'
import type { ServerResponse } from 'node:http'
import { z } from 'zod'
import { hashToken } from '../../db/cart/cart'
import { type Order, readOrder, readOwnOrder } from '../../db/order/read'
import { DomainError } from '../../domain/errors'
import { isOpen } from '../../domain/order'
import { presentCheckout } from './answer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { idOf } from '../http/schemas'
import { isStreamToken } from '../http/stream-token'

const POLL_MS = 500
const COMMENT_EVERY_MS = 15_000
/** Event sources connect again by themselves. */
const LIFE_MS = 10 * 60_000
/** Each stream asks Postgres twice a second. */
const STREAMS_MAX = 500

let streams = 0

const getEvents = defineRoute({
  method: 'get',
  path: '/v1/store/checkouts/{id}/events',
  tag: 'Checkout',
  summary: 'Follow a checkout',
  description:
    'Server-sent events named `checkout`, each the whole checkout; ends when it is over. Open `events_url`, or send X-Cart-Token.',
  caller: 'anyone',
  params: z.object({ id: idOf('order') }),
  query: z.strictObject({ stream: z.string().max(200).optional() }),
  answers: { 200: { mediaType: 'text/event-stream' }, 404: ['not_found'] },
}).handle(async ({ params, query, headers }, deps) => {
  const order = await findOrder(params.id, query.stream, headers['x-cart-token'], deps)
  if (!order) throw new DomainError('not_found', 'There is no such checkout, or the stream token is too old.')
  if (streams >= STREAMS_MAX)
    throw new DomainError('unavailable', 'Too many streams are open. Read the checkout instead.', {
      dependency: 'streams',
    })
  return {
    status: 200,
    headers: { 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' },
    send: (response) => follow(order, response, deps),
  }
})

async function findOrder(
  id: Order['id'],
  stream: string | undefined,
  token: string | string[] | undefined,
  deps: ApiDeps,
): Promise<Order | null> {
  if (stream !== undefined && isStreamToken(deps.settings.TOKEN_SECRET, id, stream)) return readOrder(deps.pool, id)
  return typeof token === 'string' ? readOwnOrder(deps.pool, id, hashToken(token)) : null
}

async function follow(first: Order, response: ServerResponse, deps: ApiDeps): Promise<void> {
  streams++
  const until = Date.now() + LIFE_MS
  let order: Order | null = first
  let told = 0
  let lastWrite = Date.now()
  try {
    while (order && !response.closed && Date.now() < until && !deps.lifecycle.stopping) {
      if (order.updatedAt.getTime() !== told) {
        told = order.updatedAt.getTime()
        lastWrite = Date.now()
        response.write(`event: checkout\nid: ${told}\ndata: ${JSON.stringify(presentCheckout(order, deps))}\n\n`)
        if (!isOpen(order.status)) break
      } else if (Date.now() - lastWrite > COMMENT_EVERY_MS) {
        lastWrite = Date.now()
        response.write(': still here\n\n')
      }
      await pause(POLL_MS)
      order = await readOrder(deps.pool, first.id)
    }
  } catch (error) {
    deps.log.debug({ err: error, order_id: first.id }, 'a checkout stream ended early')
  } finally {
    streams--
    response.end()
  }
}

export const checkoutEventRoutes: Route[] = [getEvents]
