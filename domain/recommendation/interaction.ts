/** What a storefront reports of its shoppers, besides searches. */
export const PRODUCT_INTERACTIONS = ['view', 'click', 'add'] as const
export type ProductInteraction = (typeof PRODUCT_INTERACTIONS)[number]

export const INTERACTIONS_PER_REQUEST_MAX = 100
export const SESSION_PATTERN = /^[A-Za-z0-9_-]{16,64}$/
/** Of a search as it is counted; what is asked may be longer. */
export const COUNTED_QUERY_LENGTH_MAX = 60

/**
 * A search as it is counted: lower case, single spaces. Null for what is empty or may name a person: anything with an
 * `@`, or with as many digits as a telephone or card number has.
 */
export function countedQuery(query: string): string | null {
  const plain = query.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
  const words = Array.from(plain).slice(0, COUNTED_QUERY_LENGTH_MAX).join('').trim()
  const digits = plain.replace(/\P{Nd}/gu, '').length
  return words === '' || plain.includes('@') || digits >= 7 ? null : words
}
