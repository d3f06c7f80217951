import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { type IdempotencyScope, withIdempotency } from '../../db/platform/idempotency'
import type { Db } from '../../db/pool'
import {
  findReview,
  findReviewed,
  listReviewsByStatus,
  moderateReview,
  type Review,
  writeReview,
} from '../../db/review'
import { DomainError } from '../../domain/errors'
import { isId, type ReviewId } from '../../domain/ids'
import { RATINGS, REVIEW_STATUSES, REVIEW_TEXT_MAX, REVIEW_TITLE_MAX } from '../../domain/review'
import { etagOf, ifMatch } from '../http/etag'
import { listPageFrom, readCursor } from '../http/pagination'
import { listPageOfReviews, presentStoreReview, rating, reviewListPage, storeReview } from './answer'
import type { ApiDeps } from '../deps'
import { defineRoute, type Route } from '../http/route'
import { EXAMPLE_PRODUCT, idOf, listPageOf, listPageQuery, pathId } from '../http/schemas'

const productParams = z.object({
  id: z.string().min(1).max(100).meta({ description: 'id or slug', example: EXAMPLE_PRODUCT }),
})

/** Plain text: it is kept and answered as it was written, and whoever shows it shows it as text. */
const newReview = z.strictObject({
  rating,
  title: z
    .string()
    .trim()
    .max(REVIEW_TITLE_MAX)
    .nullish()
    .transform((title) => title || null),
  text: z
    .string()
    .trim()
    .min(1)
    .max(REVIEW_TEXT_MAX)
    .meta({ description: 'plain text; show it as text', example: 'Sturdy.' }),
})

const ownReview = storeReview
  .extend({ product_id: idOf('product'), status: z.enum(REVIEW_STATUSES) })
  .meta({ id: 'OwnReview' })

const adminReview = ownReview
  .extend({ reason: z.string().nullable(), version: z.int() })
  .meta({ id: 'ModeratedReview' })

const getReviews = defineRoute({
  method: 'get',
  path: '/v1/store/products/{id}/reviews',
  tag: 'Reviews',
  summary: 'List the approved reviews of a product',
  caller: 'anyone',
  params: productParams,
  query: listPageQuery.extend({ sort: z.enum(['newest', 'rating']).default('newest') }),
  answers: { 200: reviewListPage },
  example: { answer: 200 },
}).handle(async ({ params, query }, { pool }) => {
  const after = readCursor(query.cursor, isReviewCursor)
  const productId = await requireProduct(pool, params.id)
  return {
    status: 200,
    body: await listPageOfReviews(pool, productId, { sort: query.sort, after, limit: query.limit }),
  }
})

const postReview = defineRoute({
  method: 'post',
  path: '/v1/store/products/{id}/reviews',
  tag: 'Reviews',
  summary: 'Review a product',
  description:
    "With a cart's token; the buyer is the e-mail address on its order, else on the cart. A buyer has one review per product: " +
    'a second one changes the first, with the token that wrote it. It is shown once staff have approved it, `verified` when ' +
    'this cart bought the product: an address alone proves nothing.',
  caller: 'cart',
  params: productParams,
  body: newReview,
  answers: {
    200: ownReview,
    201: ownReview,
    409: ['review_exists', 'request_in_progress'],
    422: ['email_required', 'idempotency_key_reused'],
  },
  example: { answer: 201, body: { rating: 5, title: 'Lovely', text: 'Sturdy, and it hangs straight.' } },
}).handle(async ({ params, body, caller, idempotency }, { pool, settings }) => {
  const productId = await requireProduct(pool, params.id)
  const answer = await withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      const { tokenHash } = caller
      const written = await writeReview(tx, { productId, tokenHash, secret: settings.TOKEN_SECRET, input: body })
      return { status: written.made ? 201 : 200, resource: written.id }
    },
    async (id, db) => presentOwn(await requireReview(db, id)),
  )
  return answer.status === 201 ? { ...answer, status: 201 } : { ...answer, status: 200 }
})

const listForStaff = defineRoute({
  method: 'get',
  path: '/v1/admin/reviews',
  tag: 'Reviews',
  summary: 'List reviews, the oldest first',
  caller: { admin: 'catalog', access: 'read' },
  query: listPageQuery.extend({ status: z.enum(REVIEW_STATUSES).optional() }),
  answers: { 200: listPageOf(adminReview) },
  example: { answer: 200 },
}).handle(async ({ query }, { pool }) => {
  const after = readCursor(query.cursor, (key): key is string => typeof key === 'string' && isId('review', key))
  const reviews = await listReviewsByStatus(pool, { status: query.status ?? null, after, limit: query.limit + 1 })
  return {
    status: 200,
    body: listPageFrom(reviews, query.limit, { keyOf: ({ id }) => id, present: presentAdminReview }),
  }
})

const getForStaff = defineRoute({
  method: 'get',
  path: '/v1/admin/reviews/{id}',
  tag: 'Reviews',
  summary: 'Read a review with its ETag',
  caller: { admin: 'catalog', access: 'read' },
  params: pathId('review'),
  answers: { 200: adminReview },
  example: { answer: 200 },
}).handle(async ({ params }, { pool }) => staffAnswer(await requireReview(pool, params.id)))

const MODERATED = {
  200: adminReview,
  409: ['request_in_progress'],
  412: ['precondition_failed'],
  422: ['idempotency_key_reused'],
  428: ['precondition_required'],
} as const
const reason = z.string().trim().min(1).max(500)

const approve = defineRoute({
  method: 'post',
  path: '/v1/admin/reviews/{id}/approve',
  tag: 'Reviews',
  summary: 'Show a review in the shop',
  description: 'Takes the ETag of what you read (`"<version>"`) in `If-Match`: its writer may have changed it since.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('review'),
  body: z.strictObject({ reason: reason.nullish() }),
  answers: MODERATED,
}).handle(async ({ params, body, caller, headers, idempotency }, deps) => {
  const decision = { id: params.id, status: 'approved', reason: body.reason ?? null, by: caller.keyId } as const
  return moderate(deps, decision, { headers, idempotency })
})

const reject = defineRoute({
  method: 'post',
  path: '/v1/admin/reviews/{id}/reject',
  tag: 'Reviews',
  summary: 'Keep a review out of the shop',
  description: 'Takes the ETag of what you read (`"<version>"`) in `If-Match`. One that is shown disappears.',
  caller: { admin: 'catalog', access: 'write' },
  params: pathId('review'),
  body: z.strictObject({ reason }),
  answers: MODERATED,
}).handle(async ({ params, body, caller, headers, idempotency }, deps) => {
  const decision = { id: params.id, status: 'rejected', reason: body.reason, by: caller.keyId } as const
  return moderate(deps, decision, { headers, idempotency })
})

export const reviewRoutes: readonly Route[] = [getReviews, postReview, listForStaff, getForStaff, approve, reject]

async function moderate(
  { pool }: Pick<ApiDeps, 'pool'>,
  decision: Omit<Parameters<typeof moderateReview>[1], 'mayChange'>,
  { headers, idempotency }: { headers: IncomingHttpHeaders; idempotency: IdempotencyScope | null },
) {
  const { headers: replayed } = await withIdempotency(
    pool,
    idempotency,
    async (tx) => {
      await moderateReview(tx, { ...decision, mayChange: ifMatch(headers) })
      return { status: 200, resource: decision.id }
    },
    async () => null,
  )
  const answer = staffAnswer(await requireReview(pool, decision.id))
  return { ...answer, headers: { ...answer.headers, ...replayed } }
}

function staffAnswer(review: Review) {
  return { status: 200, body: presentAdminReview(review), headers: { ETag: etagOf(review.version) } } as const
}

async function requireProduct(db: Db, idOrSlug: string) {
  const id = await findReviewed(db, idOrSlug)
  if (!id) throw new DomainError('not_found', 'There is no such product on sale.')
  return id
}

async function requireReview(db: Db, id: ReviewId): Promise<Review> {
  const review = await findReview(db, id)
  if (!review) throw new DomainError('not_found', 'There is no review with this id.')
  return review
}

function presentOwn(review: Review): z.input<typeof ownReview> {
  return { ...presentStoreReview(review), product_id: review.productId, status: review.status }
}

function presentAdminReview(review: Review): z.input<typeof adminReview> {
  return { ...presentOwn(review), reason: review.reason, version: review.version }
}

function isReviewCursor(key: unknown): key is { rating: number; id: string } {
  if (typeof key !== 'object' || key === null) return false
  const { rating, id } = key as { rating?: unknown; id?: unknown }
  return RATINGS.some((known) => known === rating) && typeof id === 'string' && isId('review', id)
}
