import { createHmac } from 'node:crypto'
import { DomainError } from '../domain/errors'
import type { ApiKeyId, ProductId, ReviewId } from '../domain/ids'
import { averageOf, countOf, type Histogram, NO_RATINGS, type ReviewStatus } from '../domain/review'
import { newId } from './id'
import type { Db, Tx } from './pool'
import { statement } from './sql'
import { touchProducts } from './catalog/product'

export interface Review {
  readonly id: ReviewId
  readonly productId: ProductId
  readonly rating: number
  readonly title: string | null
  readonly text: string
  /** The cart that it was written with bought the product. */
  readonly verified: boolean
  readonly status: ReviewStatus
  /** Why staff decided as they did. */
  readonly reason: string | null
  /** Rises with every change. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface ReviewInput {
  readonly rating: number
  readonly title: string | null
  readonly text: string
}

const REVIEW = `
  id, product_id as "productId", rating, title, text, verified, status, reason, version,
  created_at as "createdAt", updated_at as "updatedAt"`

/** An order that is paid, and not cancelled since. */
const BOUGHT = `o.confirmed_at is not null and o.status <> 'cancelled'`

/** The id of a product on sale, by id or slug; null: there is none. */
export async function findReviewed(db: Db, idOrSlug: string): Promise<ProductId | null> {
  const column = idOrSlug.includes('_') ? 'id' : 'slug'
  const { rows } = await db.query<{ id: ProductId }>({
    name: `review.product.${column}`,
    text: `select id from product where ${column} = $1 and status = 'active'`,
    values: [idOrSlug],
  })
  return rows[0]?.id ?? null
}

/**
 * Writes the review of whoever holds this cart token, or changes the one that its buyer wrote; either waits for staff. The
 * buyer is the e-mail of the cart's order, else of the cart: kept as a hash with `secret`, never as it is.
 * Throws `unauthenticated` for a token that opens nothing, `email_required`, and `review_exists` when it would change what
 * was written with another cart's token: an address in a cart is said, not proven. Only who has bought the product by this
 * token may replace what somebody wrote under the address who has not.
 */
export async function writeReview(
  tx: Tx,
  {
    productId,
    tokenHash,
    secret,
    input,
  }: {
    productId: ProductId
    tokenHash: Buffer
    secret: string
    input: ReviewInput
  },
): Promise<{ id: ReviewId; made: boolean }> {
  const buyer = await findBuyer(tx, tokenHash, productId)
  const key = buyerKey(secret, buyer.email)
  await tx.query('select pg_advisory_xact_lock($1)', [key.readBigInt64BE().toString()])
  const { rows } = await tx.query<{ id: ReviewId; status: ReviewStatus; verified: boolean; own: boolean }>(
    `select id, status, verified, token_hash = $3 as own
     from review
     where product_id = $1 and buyer_key = $2
     for update`,
    [productId, key, tokenHash],
  )
  const existing = rows[0]
  if (!existing) return { id: await insertReview(tx, { productId, tokenHash, key, input, ...buyer }), made: true }
  if (!existing.own && (existing.verified || !buyer.verified)) {
    throw new DomainError(
      'review_exists',
      'There is a review by this address. Send the token of the cart that it was written with.',
    )
  }
  await tx.query(REPLACE({ ...input, id: existing.id, verified: buyer.verified, tokenHash }))
  if (existing.status === 'approved') await publishRating(tx, productId)
  return { id: existing.id, made: false }
}

const REPLACE = statement(
  null,
  `
    update review
    set rating = :rating, title = :title, text = :text, verified = :verified, token_hash = :tokenHash, status = 'pending', reason = null,
        moderated_by = null, moderated_at = null, version = version + 1, updated_at = now()
    where id = :id`,
)

/** Approved reviews, the newest or the best first, after the last one of the list before. */
export async function listReviews(
  db: Db,
  {
    productId,
    sort,
    after,
    limit,
  }: {
    productId: ProductId
    sort: 'newest' | 'rating'
    after: { rating: number; id: string } | null
    limit: number
  },
): Promise<Review[]> {
  const byRating = sort === 'rating'
  const { rows } = await db.query<Review>({
    name: `review.${sort}`,
    text: `
      select ${REVIEW}
      from review
      where product_id = $1 and status = 'approved'
        and ($2::text is null or ${byRating ? '(rating, id) < ($3::smallint, $2)' : 'id < $2'})
      order by ${byRating ? 'rating desc, id desc' : 'id desc'}
      limit ${byRating ? '$4' : '$3'}`,
    values: byRating
      ? [productId, after?.id ?? null, after?.rating ?? null, limit]
      : [productId, after?.id ?? null, limit],
  })
  return rows
}

/** How many approved reviews gave which rating. */
export async function readHistogram(db: Db, productId: ProductId): Promise<Histogram> {
  const { rows } = await db.query<{ histogram: Histogram }>({
    name: 'review.histogram',
    text: 'select histogram from review_summary where product_id = $1',
    values: [productId],
  })
  return rows[0]?.histogram ?? NO_RATINGS
}

/** Reviews as staff see them, oldest first: who waits longest comes first. */
export async function listReviewsByStatus(
  db: Db,
  { status, after, limit }: { status: ReviewStatus | null; after: string | null; limit: number },
): Promise<Review[]> {
  const { rows } = await db.query<Review>({
    name: 'review.byStatus',
    text: `
      select ${REVIEW}
      from review
      where ($1::text is null or status = $1) and id > $2
      order by id
      limit $3`,
    values: [status, after ?? '', limit],
  })
  return rows
}

export async function findReview(db: Db, id: ReviewId): Promise<Review | null> {
  const { rows } = await db.query<Review>({
    name: 'review.byId',
    text: `select ${REVIEW} from review where id = $1`,
    values: [id],
  })
  return rows[0] ?? null
}

/**
 * What staff decided about a review, if it still says what they read: `mayChange` judges its version. What changes the
 * product's rating announces the product. Throws `not_found`, `precondition_failed`.
 */
export async function moderateReview(
  tx: Tx,
  {
    id,
    status,
    reason,
    by,
    mayChange,
  }: {
    id: ReviewId
    status: 'approved' | 'rejected'
    reason: string | null
    by: ApiKeyId
    mayChange: (version: number) => boolean
  },
): Promise<void> {
  const { rows } = await tx.query<{ version: number; status: ReviewStatus; productId: ProductId }>(
    'select version, status, product_id as "productId" from review where id = $1 for update',
    [id],
  )
  const review = rows[0]
  if (!review) throw new DomainError('not_found', 'There is no review with this id.')
  if (!mayChange(review.version)) {
    throw new DomainError('precondition_failed', 'The review has changed since you read it. Read it again.')
  }
  await tx.query(
    `update review
     set status = $2, reason = $3, moderated_by = $4, moderated_at = now(), version = version + 1, updated_at = now()
     where id = $1`,
    [id, status, reason, by],
  )
  if (review.status === 'approved' || status === 'approved') await publishRating(tx, review.productId)
}

interface BuyerOfToken {
  readonly email: string
  /** The order that the token opens is paid and has the product. What others bought by the same address proves nothing. */
  readonly verified: boolean
}

async function findBuyer(tx: Tx, tokenHash: Buffer, productId: ProductId): Promise<BuyerOfToken> {
  const { rows } = await tx.query<{ email: string | null; verified: boolean }>({
    name: 'review.buyer',
    text: `
      with held as (
        select id, email from cart where token_hash = $1
      ),
      own as (
        select o.id, o.email, ${BOUGHT} as bought
        from held
        join orders o on o.cart_id = held.id
        order by bought desc, o.id desc
        limit 1
      )
      select coalesce(own.email, held.email) as email,
             coalesce(own.bought, false)
               and exists (select from order_line l where l.order_id = own.id and l.product_id = $2) as verified
      from held
      left join own on true`,
    values: [tokenHash, productId],
  })
  const buyer = rows[0]
  if (!buyer) throw new DomainError('unauthenticated', 'No cart has this token.')
  if (buyer.email === null) {
    throw new DomainError(
      'email_required',
      'Give the cart an e-mail address first: a product has one review per buyer.',
    )
  }
  return { ...buyer, email: buyer.email }
}

function buyerKey(secret: string, email: string): Buffer {
  return createHmac('sha256', secret).update(`review/${email.trim().toLowerCase()}`).digest()
}

async function insertReview(
  tx: Tx,
  {
    productId,
    tokenHash,
    key,
    input,
    verified,
  }: {
    productId: ProductId
    tokenHash: Buffer
    key: Buffer
    input: ReviewInput
    verified: boolean
  },
): Promise<ReviewId> {
  const id = newId('review')
  await tx.query(INSERT({ ...input, id, productId, buyerKey: key, tokenHash, verified }))
  return id
}

const INSERT = statement(
  null,
  `
    insert into review (id, product_id, buyer_key, token_hash, rating, title, text, verified)
    values (:id, :productId, :buyerKey, :tokenHash, :rating, :title, :text, :verified)`,
)

/** Counts the approved reviews anew. The product's row is locked first: of two moderators the second counts both. */
async function publishRating(tx: Tx, productId: ProductId): Promise<void> {
  await touchProducts(tx, [productId])
  const { rows } = await tx.query<{ histogram: Histogram }>(
    `select array[
       count(*) filter (where rating = 1), count(*) filter (where rating = 2), count(*) filter (where rating = 3),
       count(*) filter (where rating = 4), count(*) filter (where rating = 5)
     ]::int[] as histogram
     from review
     where product_id = $1 and status = 'approved'`,
    [productId],
  )
  const histogram = rows[0]?.histogram ?? NO_RATINGS
  await tx.query(
    `insert into review_summary (product_id, histogram)
     values ($1, $2)
     on conflict (product_id) do update set histogram = excluded.histogram`,
    [productId, histogram],
  )
  await tx.query(
    `insert into product_signal (product_id, rating, rating_count)
     values ($1, $2, $3)
     on conflict (product_id) do update
     set rating = excluded.rating, rating_count = excluded.rating_count, updated_at = now()`,
    [productId, averageOf(histogram), countOf(histogram)],
  )
}
