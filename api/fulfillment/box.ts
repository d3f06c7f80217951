import { z } from 'zod'

/** A box as it is packed. Grams and millimetres. */
export const box = z.strictObject({
  weight_grams: z.int().min(1).max(1_000_000),
  length_mm: z.int().min(1).max(10_000),
  width_mm: z.int().min(1).max(10_000),
  height_mm: z.int().min(1).max(10_000),
})
