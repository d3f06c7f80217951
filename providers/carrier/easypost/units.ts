import type { Box } from '../../../domain/fulfillment/shipment'
import { type Money, parseMajor } from '../../../domain/money'
import type { WireRate } from './wire'

const GRAMS_PER_OUNCE = 28.349523125
const MILLIMETRES_PER_INCH = 25.4

/** A box in ounces and inches, to one decimal, rounded up: a parcel that is heavier than its label is charged again. */
export function parcelOf({ weight_grams, length_mm, width_mm, height_mm }: Box): Record<string, number> {
  return {
    weight: tenthsUp(weight_grams / GRAMS_PER_OUNCE),
    length: tenthsUp(length_mm / MILLIMETRES_PER_INCH),
    width: tenthsUp(width_mm / MILLIMETRES_PER_INCH),
    height: tenthsUp(height_mm / MILLIMETRES_PER_INCH),
  }
}

/** What a rate costs, exactly; null where its figure is no amount of its currency. */
export function priceOf({ rate, currency }: Pick<WireRate, 'rate' | 'currency'>): Money | null {
  const code = currency.toUpperCase()
  const amount = parseMajor(rate, code)
  return amount === null ? null : { amount, currency: code }
}

function tenthsUp(figure: number): number {
  return Math.max(1, Math.ceil(figure * 10 - 1e-9)) / 10
}
