import { DomainError } from './errors'

/** ISO 4217 alphabetic code, upper case. */
export type Currency = string

/** An amount in integer minor units (pence, cents, yen) of one currency. Never a float, never converted. */
export interface Money {
  readonly amount: number
  readonly currency: Currency
}

/** Digits behind the point, where they are not two (ISO 4217). */
const MINOR_DIGITS: Readonly<Record<string, number>> = {
  BIF: 0,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  ISK: 0,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  PYG: 0,
  RWF: 0,
  UGX: 0,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
  BHD: 3,
  IQD: 3,
  JOD: 3,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  TND: 3,
}

/** How many digits of `currency` stand behind the point: 2 for GBP, 0 for JPY, 3 for KWD. */
export function minorDigits(currency: Currency): number {
  return MINOR_DIGITS[currency] ?? 2
}

export function money(amount: number, currency: Currency): Money {
  if (!Number.isSafeInteger(amount)) throw new DomainError('amount_out_of_range', `${amount} is not a safe integer`)
  return { amount, currency }
}

/** `quantity × unitAmount`, refused when it leaves the range in which integers are exact. */
export function multiply(unitAmount: number, quantity: number): number {
  const product = unitAmount * quantity
  if (!Number.isSafeInteger(product)) {
    throw new DomainError('amount_out_of_range', `${unitAmount} × ${quantity} leaves the exact range`)
  }
  return product
}

export function sum(amounts: Iterable<number>): number {
  let total = 0
  for (const amount of amounts) total += amount
  if (!Number.isSafeInteger(total)) throw new DomainError('amount_out_of_range', 'the sum leaves the exact range')
  return total
}

/** `"2.55"`, GBP → 255. Null when it is no plain decimal, has more digits than the currency, or is not exact. */
export function parseMajor(text: string, currency: Currency): number | null {
  const match = /^(\d{1,16})(?:\.(\d+))?$/.exec(text)
  if (!match) return null
  const digits = minorDigits(currency)
  const fraction = (match[2] ?? '').replace(/0+$/, '')
  if (fraction.length > digits) return null
  const amount = Number(`${match[1]}${fraction.padEnd(digits, '0')}`)
  return Number.isSafeInteger(amount) ? amount : null
}

/** 255, GBP → `"2.55"`; 255, JPY → `"255"`. */
export function formatMajor({ amount, currency }: Money): string {
  const digits = minorDigits(currency)
  const text = String(Math.abs(amount)).padStart(digits + 1, '0')
  const cut = text.length - digits
  const major = digits === 0 ? text : `${text.slice(0, cut)}.${text.slice(cut)}`
  return amount < 0 ? `-${major}` : major
}
