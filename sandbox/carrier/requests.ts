import { z } from 'zod'
import type { RequestFaultSettings } from '../faults'
import type { Odds } from './journey'
import type { LabelRequest, RateRequest } from './label'

const text = z.string().max(200)
const optionalText = text.nullish().transform((value) => value ?? null)

const address = z.strictObject({
  name: text,
  company: optionalText,
  line1: text,
  line2: optionalText,
  city: optionalText,
  region: optionalText,
  postal_code: optionalText,
  country: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 code such as GB'),
  phone: optionalText,
})

const millimetres = z.int().min(1).max(10_000)

const box = z.strictObject({
  weight_grams: z.int().min(1).max(1_000_000_000),
  length_mm: millimetres,
  width_mm: millimetres,
  height_mm: millimetres,
})

const parcels = {
  from: address,
  to: address,
  boxes: z.array(box).min(1).max(10_000),
  value: z.strictObject({
    amount: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
    currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as GBP'),
  }),
}

export const rateBody = z.strictObject(parcels) satisfies z.ZodType<RateRequest>

export const labelBody = z.strictObject({
  ...parcels,
  service: z.string().min(1).max(50),
}) satisfies z.ZodType<LabelRequest>

export const voidBody = z.strictObject({ key: z.string().min(1).max(255) })

export const emptyBody = z.strictObject({})

/** What `PUT /v1/faults` asks of the carrier. */
export interface CarrierFaultSettings extends RequestFaultSettings, Odds {}

const rate = z.number().min(0).max(1)

/** Null for a body that asks for nothing: the faults end. */
export const faultsBody = z
  .strictObject({
    delay_ms: z.int().min(0).max(600_000).optional(),
    error_rate: rate.optional(),
    drop_answer_rate: rate.optional(),
    seed: z.int().optional(),
    lost_rate: rate.optional(),
    return_rate: rate.optional(),
    late_rate: rate.optional(),
    speed: z.number().min(0.001).max(1_000_000).optional(),
  })
  .transform((body): CarrierFaultSettings | null => {
    if (Object.keys(body).length === 0) return null
    const { delay_ms = 0, error_rate = 0, drop_answer_rate = 0, seed = 1 } = body
    const { lost_rate = 0, return_rate = 0, late_rate = 0, speed = 1 } = body
    return { delay_ms, error_rate, drop_answer_rate, seed, lost_rate, return_rate, late_rate, speed }
  })

export const labelQuery = z.strictObject({
  key: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  cursor: z.coerce.number().int().min(0).default(0),
})
