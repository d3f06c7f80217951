export const REVIEW_STATUSES = ['pending', 'approved', 'rejected'] as const
export type ReviewStatus = (typeof REVIEW_STATUSES)[number]

export const RATINGS = [1, 2, 3, 4, 5] as const
export const REVIEW_TITLE_MAX = 200
export const REVIEW_TEXT_MAX = 5_000

/** How many reviews gave 1, 2, … 5. */
export type Histogram = readonly [number, number, number, number, number]
export const NO_RATINGS: Histogram = [0, 0, 0, 0, 0]

/** To two places; null without a review. */
export function averageOf(histogram: Histogram): number | null {
  const count = countOf(histogram)
  const sum = histogram.reduce((total, reviews, index) => total + reviews * (index + 1), 0)
  return count === 0 ? null : Math.round((100 * sum) / count) / 100
}

export function countOf(histogram: Histogram): number {
  return histogram.reduce((total, reviews) => total + reviews, 0)
}
