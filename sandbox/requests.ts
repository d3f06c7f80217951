import { z } from 'zod'
import type { ChargeRequest } from './charge'
import type { FaultSettings } from './faults'

const minorUnits = z.int().min(1).max(1e12)
const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as GBP')
const webAddress = z.string().max(2_000).refine(isWebAddress, 'must be an http or https address')
const rate = z.number().min(0).max(1)

export const chargeBody = z.strictObject({
  amount: minorUnits,
  currency,
  method: z.string().min(1).max(200),
  reference: z.string().min(1).max(200),
  capture: z.boolean().default(false),
  return_url: webAddress.nullish().transform((value) => value ?? null),
  expires_at: z.iso
    .datetime({ offset: true })
    .nullish()
    .transform((value) => value ?? null),
}) satisfies z.ZodType<ChargeRequest>

/** Without an amount: all that is there. */
export const refundBody = z.strictObject({ amount: minorUnits.optional(), currency: currency.optional() })

export const captureBody = refundBody.extend({ final: z.boolean().default(false) })

export const disputeBody = z.strictObject({ amount: minorUnits.optional() })

export const settleBody = z.strictObject({ status: z.enum(['succeeded', 'failed']) })

export const closeBody = z.strictObject({ status: z.enum(['won', 'lost']) })

export const cancelBody = z.strictObject({ key: z.string().min(1).max(255) })

/** Null for a body that asks for nothing: the faults end. */
export const faultsBody = z
  .strictObject({
    delay_ms: z.int().min(0).max(600_000).optional(),
    error_rate: rate.optional(),
    drop_answer_rate: rate.optional(),
    seed: z.int().optional(),
    find_lag_ms: z.int().min(0).max(86_400_000).optional(),
    authorization_seconds: z.int().min(1).max(2_678_400).optional(),
  })
  .transform((body): FaultSettings | null => {
    const { delay_ms = 0, error_rate = 0, drop_answer_rate = 0, seed = 1 } = body
    const { find_lag_ms = 0, authorization_seconds = null } = body
    const fails = delay_ms > 0 || error_rate > 0 || drop_answer_rate > 0
    if (!fails && find_lag_ms === 0 && authorization_seconds === null) return null
    return { delay_ms, error_rate, drop_answer_rate, seed, find_lag_ms, authorization_seconds }
  })

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))
const limit = z.coerce.number().int().min(1).max(1_000).default(100)
const position = z.coerce.number().int().min(0).default(0)

/** `updated_since` orders by the last change, the longest unchanged first; without it by creation. */
export const chargeQuery = z.strictObject({
  reference: z.string().optional(),
  key: z.string().optional(),
  updated_since: instant.optional(),
  limit,
  cursor: position,
})

/** `after` is a number, or the cursor of the next list page, which is one. */
export const movementQuery = z.strictObject({ after: position, since: instant.default(0), limit })

export const emptyBody = z.strictObject({})

function isWebAddress(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  return url?.protocol === 'http:' || url?.protocol === 'https:'
}
