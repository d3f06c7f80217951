import { type Currency, minorDigits } from '../money'

/**
 * Two flat methods. Their prices are stated in hundredths of the currency's unit: 495 is £4.95 and KWD 4.950, and in a
 * currency without minor units (JPY) the figure stands for whole units.
 */
const METHODS = [
  { id: 'standard', label: 'Standard', estimate: '3 to 5 working days', hundredths: 0 },
  { id: 'express', label: 'Express', estimate: 'next working day', hundredths: 495 },
] as const

export const SHIPPING_METHODS = METHODS.map((method) => method.id)
export type ShippingMethod = (typeof METHODS)[number]['id']

export interface ShippingOption {
  readonly id: ShippingMethod
  readonly label: string
  readonly estimate: string
  /** Minor units. */
  readonly price: number
}

/** What can be chosen for a parcel priced in `currency`. */
export function shippingOptions(currency: Currency): ShippingOption[] {
  return METHODS.map(({ id, label, estimate, hundredths }) => ({
    id,
    label,
    estimate,
    price: inMinorUnits(hundredths, currency),
  }))
}

/** What the method costs, in minor units; 0 while none is chosen. */
export function shippingPrice(method: string | null, currency: Currency): number {
  const chosen = METHODS.find(({ id }) => id === method)
  return chosen ? inMinorUnits(chosen.hundredths, currency) : 0
}

function inMinorUnits(hundredths: number, currency: Currency): number {
  return hundredths * 10 ** Math.max(0, minorDigits(currency) - 2)
}
