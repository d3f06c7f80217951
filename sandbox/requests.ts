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

/** Of a capture or a refund. Without an amount: all that is there. */
export const amountBody = z.strictObject({ amount: minorUnits.optional(), currency: currency.optional() })

export const cancelBody = z.strictObject({ key: z.string().min(1).max(255) })

/** Null for a body that asks for nothing: the faults end. */
export const faultsBody = z
  .strictObject({
    delay_ms: z.int().min(0).max(600_000).optional(),
    error_rate: rate.optional(),
    drop_answer_rate: rate.optional(),
    seed: z.int().optional(),
  })
  .transform(({ delay_ms = 0, error_rate = 0, drop_answer_rate = 0, seed = 1 }): FaultSettings | null => {
    const none = delay_ms === 0 && error_rate === 0 && drop_answer_rate === 0
    return none ? null : { delay_ms, error_rate, drop_answer_rate, seed }
  })

export const chargeQuery = z.strictObject({
  reference: z.string().optional(),
  key: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  cursor: z.coerce.number().int().min(0).default(0),
})

export const emptyBody = z.strictObject({})

function isWebAddress(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  return url?.protocol === 'http:' || url?.protocol === 'https:'
}
