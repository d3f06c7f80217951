import type { Box } from './shipment'

/** Units of one SKU that go into boxes. */
export interface PackedUnits {
  readonly quantity: number
  /** Of one unit; null where nobody has said. */
  readonly weightGrams: number | null
}

/** Of a unit whose weight is not known. */
export const DEFAULT_UNIT_GRAMS = 250

interface StandardBox {
  readonly maxGrams: number
  readonly length_mm: number
  readonly width_mm: number
  readonly height_mm: number
}

/** Boxes that a shop usually has, by what they hold, the smallest first. Inner sizes. */
export const STANDARD_BOXES: readonly StandardBox[] = [
  { maxGrams: 1_000, length_mm: 220, width_mm: 160, height_mm: 80 },
  { maxGrams: 3_000, length_mm: 320, width_mm: 240, height_mm: 120 },
  { maxGrams: 8_000, length_mm: 420, width_mm: 320, height_mm: 220 },
  { maxGrams: 18_000, length_mm: 600, width_mm: 400, height_mm: 400 },
]

const LARGEST = STANDARD_BOXES.at(-1) as StandardBox

/**
 * Packs units into boxes by weight alone, for the sizes of things are not known. Heavy units first, each unit goes into the
 * first box that still holds it, else into a new one of the largest kind; then each box becomes the smallest kind that holds
 * what is in it. A unit that is heavier than any box may hold has one of the largest kind for itself. What the cardboard
 * weighs is not counted. Whoever packs by hand may say otherwise.
 */
export function packBoxes(units: readonly PackedUnits[]): Box[] {
  const filled: number[] = []
  const groups = units.map(({ quantity, weightGrams }) => ({ quantity, grams: unitGrams(weightGrams) }))
  for (const { quantity, grams } of groups.toSorted((a, b) => b.grams - a.grams)) fill(filled, quantity, grams)
  return filled.map(boxFor)
}

/** @param filled what is in each box so far, in grams; grows */
function fill(filled: number[], quantity: number, grams: number): void {
  let left = quantity
  for (let box = 0; box < filled.length && left > 0; box++) {
    const content = filled[box] as number
    const fits = Math.min(left, Math.max(0, Math.floor((LARGEST.maxGrams - content) / grams)))
    filled[box] = content + fits * grams
    left -= fits
  }
  const whole = Math.max(1, Math.floor(LARGEST.maxGrams / grams))
  for (; left > 0; left -= whole) filled.push(Math.min(whole, left) * grams)
}

function boxFor(grams: number): Box {
  const { length_mm, width_mm, height_mm } = STANDARD_BOXES.find(({ maxGrams }) => grams <= maxGrams) ?? LARGEST
  return { weight_grams: grams, length_mm, width_mm, height_mm }
}

function unitGrams(weightGrams: number | null): number {
  return weightGrams === null || weightGrams <= 0 ? DEFAULT_UNIT_GRAMS : weightGrams
}
