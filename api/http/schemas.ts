import { z } from 'zod'
import { isRequiredIn } from '../../domain/address'
import { isCurrency } from '../../domain/currency'
import { SESSION_PATTERN } from '../../domain/recommendation/interaction'
import { type Id, ID_PREFIXES, isId, type Noun } from '../../domain/ids'

/** The shapes that many routes share. Those with an `id` in their meta become components of the OpenAPI document. */

export const currency = z
  .string()
  .regex(/^[A-Z]{3}$/, { error: 'Send an ISO 4217 code in capitals, such as GBP.', abort: true })
  .refine(isCurrency, 'There is no such currency.')
  .meta({ id: 'Currency', description: 'ISO 4217 code', example: 'GBP' })

export const money = z
  .strictObject({ amount: z.int().meta({ description: 'minor units' }), currency: z.string().regex(/^[A-Z]{3}$/) })
  .meta({ id: 'Money', example: { amount: 255, currency: 'GBP' } })

export const timestamp = z.iso.datetime().meta({ description: 'RFC 3339 in UTC' })

/** SKUs are compared without regard to case; which exist is for the catalog to say. */
export const sku = z.string().min(1).max(64).meta({ description: 'compared without regard to case', example: '85123A' })

/** Units of an order's lines. A SKU stands in it once. */
export const units = z
  .array(z.strictObject({ sku, quantity: z.int().min(1).max(100_000) }))
  .min(1)
  .max(1_000)
  .refine((lines) => new Set(lines.map((line) => line.sku.toUpperCase())).size === lines.length, {
    message: 'Send each SKU once.',
  })

/** A code, never a sentence: nothing personal may come into a history. */
export const reasonCode = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,63}$/, 'Send a short code, such as customer_request.')
  .meta({ example: 'customer_request' })

/** Length first: the pattern then runs over a short text only. */
export const email = z
  .string()
  .max(254, { abort: true })
  .regex(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'Send an e-mail address.')
  .meta({ description: 'e-mail address', example: 'buyer@example.com' })

const text = (length: number) => z.string().trim().min(1).max(length)

/** What people may leave empty: blank is null; left out, it stays undefined. */
export const blankable = (length: number) =>
  z
    .string()
    .trim()
    .max(length)
    .transform((value) => (value === '' ? null : value))
    .nullish()
const optionalText = (length: number) => blankable(length).transform((value) => value ?? null)

export const EXAMPLE_ADDRESS = {
  name: 'Sample Buyer',
  line1: '1 High St',
  line2: null,
  city: 'Leeds',
  postal_code: 'LS1 4DY',
  region: null,
  country: 'GB',
}

type Complete = (given: { country: string; city: string | null; postal_code: string | null }) => boolean

/** Named with whatever else is wrong in the address. */
function requiredIn(field: 'city' | 'postal_code'): [Complete, object] {
  return [
    (given) => given[field] !== null || !isRequiredIn(given.country, field),
    {
      path: [field],
      message: 'It is required in this country.',
      when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null,
    },
  ]
}

export const address = z
  .strictObject({
    name: text(200),
    company: optionalText(200),
    line1: text(200),
    line2: optionalText(200),
    city: optionalText(100),
    postal_code: optionalText(20),
    region: optionalText(100),
    country: z
      .string()
      .trim()
      .regex(/^[A-Z]{2}$/, 'Send an ISO 3166-1 code in capitals, such as GB.'),
    phone: optionalText(50),
  })
  .refine(...requiredIn('city'))
  .refine(...requiredIn('postal_code'))
  .meta({
    id: 'Address',
    description: '`city` and `postal_code` are required where the post of the country requires them',
    example: EXAMPLE_ADDRESS,
  })

/** A component that may be null. (`.nullable()` would make the component itself nullable wherever it stands.) */
export function orNull<S extends z.ZodType>(schema: S) {
  return z.union([schema, z.null()])
}

/** An id of this noun in an answer. */
export function idOf<N extends Noun>(noun: N) {
  return z
    .string()
    .refine((given): given is Id<N> => isId(noun, given), 'This is no such id.')
    .meta({ pattern: `^${ID_PREFIXES[noun]}_[0-7][0-9a-hjkmnp-tv-z]{25}$`, example: exampleId(noun) })
}

/** Of nothing: whoever calls puts in one that an answer gave. */
export function exampleId(noun: Noun): string {
  return `${ID_PREFIXES[noun]}_01h455vb4pex5vsknk084sn02q`
}

/** The demo shop has them. */
export const EXAMPLE_PRODUCT = 'white-hanging-heart-t-light-holder'
export const EXAMPLE_CATEGORY = 'kitchen'

/** A category, as those who refer to it show it. */
export const categoryRef = z.strictObject({ id: idOf('category'), slug: z.string(), title: z.string() })

/** `{id}` in a path. */
export function pathId<N extends Noun>(noun: N) {
  return z.object({ id: idOf(noun) })
}

/** What every list takes. */
export const listPageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(1_000).optional().meta({ description: '`next_cursor` of the page before' }),
})

/** What every list answers. */
export function listPageOf<S extends z.ZodType>(item: S) {
  return z.strictObject({ data: z.array(item), has_more: z.boolean(), next_cursor: z.string().nullable() })
}

/** What was read besides: whoever sends it back changes nothing by it. */
export const readOnlyField = z.unknown().optional().meta({ description: 'as it was read; changes nothing' })

/** What a storefront calls a visit: anything random, never who it is. */
export const sessionId = z
  .string()
  .max(64, { abort: true })
  .regex(SESSION_PATTERN, 'Send 16 to 64 letters, digits, hyphens or underscores, at random.')
  .meta({ description: 'random, made by the storefront; kept hashed, for a day', example: 'b6f0c4de2a1947d38f51' })
