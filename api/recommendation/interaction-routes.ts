import { z } from 'zod'
import { withIdempotency } from '../../db/platform/idempotency'
import { rememberProducts, sessionKey } from '../../db/recommendation/session-interest'
import { listSearches } from '../../db/recommendation/product-stat'
import {
  countedQuery,
  INTERACTIONS_PER_REQUEST_MAX,
  PRODUCT_INTERACTIONS,
} from '../../domain/recommendation/interaction'
import type { CountedInteraction } from './interaction-buffer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { wholeList } from '../http/pagination'
import { exampleId, idOf, sessionId } from '../http/schemas'

const productInteraction = z.strictObject({ type: z.enum(PRODUCT_INTERACTIONS), product_id: idOf('product') })
const searchInteraction = z.strictObject({
  type: z.literal('search'),
  query: z.string().min(1).max(200),
  results: z.int().min(0).optional().meta({ description: 'how many were found' }),
})

const newInteractions = z.strictObject({
  session: sessionId.optional(),
  events: z
    .array(z.discriminatedUnion('type', [productInteraction, searchInteraction]))
    .min(1)
    .max(INTERACTIONS_PER_REQUEST_MAX),
})

const postInteractions = defineRoute({
  method: 'post',
  path: '/v1/store/events',
  tag: 'Events',
  summary: 'Report what shoppers look at',
  description:
    'Feeds bestsellers, recommendations and the order of search. Send no personal data: of the interactions only daily counts are ' +
    'kept, of a session the products it looked at last, for a day at most, under a name that changes every day. They are ' +
    'counted in memory first and written within a second or two; a process that is killed loses those. `dropped` were too many.',
  caller: 'anyone',
  body: newInteractions,
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
  let counted: Taken | undefined
  const count = (): Taken => (counted ??= countInteractions(body, deps))
  const answer = idempotency
    ? await withIdempotency(
        deps.pool,
        idempotency,
        async () => ({ status: 202, resource: count() }),
        async (taken) => taken,
      )
    : ({ status: 202, body: count() } as const)
  // After the commit: a process that dies before it has lost a hint, and what it counted as well.
  if (counted) await rememberLooked(body, deps)
  return answer
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
  return { status: 200, body: wholeList(data) }
})

export const interactionRoutes: readonly Route[] = [postInteractions, getSearches]

interface Taken {
  readonly accepted: number
  readonly dropped: number
}

function countInteractions(body: z.output<typeof newInteractions>, { interactions, metrics }: ApiDeps): Taken {
  let accepted = 0
  for (const interaction of body.events) {
    const counted = countedInteraction(interaction)
    if (counted === null || interactions.add(counted)) accepted++
  }
  const dropped = body.events.length - accepted
  if (dropped > 0) metrics.interactions.inc({ outcome: 'dropped' }, dropped)
  return { accepted, dropped }
}

async function rememberLooked(
  { session, events }: z.output<typeof newInteractions>,
  { redis, settings }: ApiDeps,
): Promise<void> {
  if (session === undefined) return
  const looked = events.flatMap((interaction) => (interaction.type === 'search' ? [] : [interaction.product_id]))
  await rememberProducts(redis, sessionKey(settings.TOKEN_SECRET, session, new Date()), looked)
}

/** Null for a search that may name a person: it is not counted. */
function countedInteraction(
  interaction: z.output<typeof productInteraction> | z.output<typeof searchInteraction>,
): CountedInteraction | null {
  if (interaction.type !== 'search') return { type: interaction.type, productId: interaction.product_id }
  const query = countedQuery(interaction.query)
  return query === null ? null : { type: 'search', query, fruitless: interaction.results === 0 }
}
