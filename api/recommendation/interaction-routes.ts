import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { rememberProducts, sessionKey } from '../../db/recommendation/session-interest'
import { listSearches } from '../../db/recommendation/product-stat'
import { countedQuery, EVENTS_PER_REQUEST_MAX, PRODUCT_EVENTS } from '../../domain/recommendation/interaction'
import type { CountedEvent } from './interaction-buffer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { exampleId, idOf, sessionId } from '../http/schemas'

const productEvent = z.strictObject({ type: z.enum(PRODUCT_EVENTS), product_id: idOf('product') })
const searchEvent = z.strictObject({
  type: z.literal('search'),
  query: z.string().min(1).max(200),
  results: z.int().min(0).optional().meta({ description: 'how many were found' }),
})

const newEvents = z.strictObject({
  session: sessionId.optional(),
  events: z
    .array(z.discriminatedUnion('type', [productEvent, searchEvent]))
    .min(1)
    .max(EVENTS_PER_REQUEST_MAX),
})

const postEvents = defineRoute({
  method: 'post',
  path: '/v1/store/events',
  tag: 'Events',
  summary: 'Report what shoppers look at',
  description:
    'Feeds bestsellers, recommendations and the order of search. Send no personal data: of the events only daily counts are ' +
    'kept, of a session the products it looked at last, for a day at most, under a name that changes every day. They are ' +
    'counted in memory first and written within a second or two; a process that is killed loses those. `dropped` were too many.',
  caller: 'anyone',
  body: newEvents,
  answers: {
    202: z.strictObject({ accepted: z.int(), dropped: z.int() }).meta({ id: 'EventsTaken' }),
    409: ['request_in_progress'],
    422: ['idempotency_key_reused'],
  },
  example: {
    answer: 202,
    body: {
      session: 'b6f0c4de2a1947d38f51',
      events: [
        { type: 'view', product_id: exampleId('product') },
        { type: 'search', query: 'heart', results: 12 },
      ],
    },
  },
}).handle(async ({ body, idempotency }, deps) => {
  if (!idempotency) return { status: 202, body: await takeEvents(body, deps) }
  return withIdempotency(
    deps.pool,
    idempotency,
    async () => ({ status: 202, resource: await takeEvents(body, deps) }),
    async (taken) => taken,
  )
})

const getSearches = defineRoute({
  method: 'get',
  path: '/v1/admin/searches',
  tag: 'Events',
  summary: 'List what shoppers searched for most in the last 30 days',
  description: 'As storefronts reported it. With `fruitless=true` those that found nothing, the most frequent first.',
  caller: { admin: 'catalog', access: 'read' },
  query: z.strictObject({
    limit: z.coerce.number().int().min(1).max(100).default(20),
    fruitless: z.enum(['true', 'false']).default('false'),
  }),
  answers: {
    200: z
      .strictObject({
        data: z.array(z.strictObject({ query: z.string(), searches: z.int(), fruitless: z.int() })),
        has_more: z.literal(false),
        next_cursor: z.null(),
      })
      .meta({ id: 'Searches' }),
  },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => {
  const data = await listSearches(pool, { days: 30, limit: query.limit, fruitless: query.fruitless === 'true' })
  return { status: 200, body: { data, has_more: false, next_cursor: null } }
})

export const storeEventRoutes: readonly Route[] = [postEvents, getSearches]

async function takeEvents(
  body: z.output<typeof newEvents>,
  { events, metrics, redis, settings }: ApiDeps,
): Promise<{ accepted: number; dropped: number }> {
  let accepted = 0
  for (const event of body.events) {
    const counted = countedEvent(event)
    if (counted === null || events.add(counted)) accepted++
  }
  const dropped = body.events.length - accepted
  if (dropped > 0) metrics.storeEvents.inc({ outcome: 'dropped' }, dropped)
  if (body.session !== undefined) {
    const looked = body.events.flatMap((event) => (event.type === 'search' ? [] : [event.product_id]))
    await rememberProducts(redis, sessionKey(settings.TOKEN_SECRET, body.session, new Date()), looked)
  }
  return { accepted, dropped }
}

/** Null for a search that may name a person: it is not counted. */
function countedEvent(event: z.output<typeof productEvent> | z.output<typeof searchEvent>): CountedEvent | null {
  if (event.type !== 'search') return { type: event.type, productId: event.product_id }
  const query = countedQuery(event.query)
  return query === null ? null : { type: 'search', query, fruitless: event.results === 0 }
}
