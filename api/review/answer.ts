import { z } from 'zod'
import type { Db } from '../../db/pool'
import { listReviews, readHistogram, type Review } from '../../db/review'
import type { ProductId } from '../../domain/ids'
import { averageOf, countOf, type Histogram } from '../../domain/review'
import { listPageFrom } from '../http/pagination'
import { idOf, listPageOf, timestamp } from '../http/schemas'

/** Reviews as shoppers are answered them: their shape, pages of them, and how they are made from rows. */

export const rating = z.int().min(1).max(5)

export const storeReview = z
  .strictObject({
    id: idOf('review'),
    rating,
    title: z.string().nullable(),
    text: z.string().meta({ description: 'plain text; show it as text' }),
    verified: z.boolean().meta({ description: 'the cart that it was written with bought the product' }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Review' })

const summary = z
  .strictObject({
    average: z.number().nullable(),
    count: z.int(),
    histogram: z.strictObject({ '1': z.int(), '2': z.int(), '3': z.int(), '4': z.int(), '5': z.int() }),
  })
  .meta({ id: 'ReviewSummary' })

export const reviewListPage = listPageOf(storeReview).extend({ summary })

/** The approved reviews of a product with what they come to. */
export async function listPageOfReviews(
  db: Db,
  productId: ProductId,
  { sort, after, limit }: { sort: 'newest' | 'rating'; after: { rating: number; id: string } | null; limit: number },
): Promise<z.input<typeof reviewListPage>> {
  const [reviews, histogram] = await Promise.all([
    listReviews(db, { productId, sort, after, limit: limit + 1 }),
    readHistogram(db, productId),
  ])
  const listPage = listPageFrom(reviews, limit, {
    keyOf: ({ rating, id }) => ({ rating, id }),
    present: presentStoreReview,
  })
  return { ...listPage, summary: presentSummary(histogram) }
}

export function presentStoreReview(review: Review): z.input<typeof storeReview> {
  return {
    id: review.id,
    rating: review.rating,
    title: review.title,
    text: review.text,
    verified: review.verified,
    created_at: review.createdAt.toISOString(),
    updated_at: review.updatedAt.toISOString(),
  }
}

function presentSummary(histogram: Histogram): z.input<typeof summary> {
  const [one, two, three, four, five] = histogram
  return {
    average: averageOf(histogram),
    count: countOf(histogram),
    histogram: { '1': one, '2': two, '3': three, '4': four, '5': five },
  }
}
