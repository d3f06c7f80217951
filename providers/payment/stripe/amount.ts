import { type Currency, minorDigits, type Money } from '../../../domain/money'
import { ProviderRejected } from '../provider'
import { Refusal } from './api'

/**
 * Digits behind the point in Stripe's amounts, where they are not two (https://docs.stripe.com/currencies, zero-decimal and
 * three-decimal currencies). ISK and UGX have none any more, but Stripe still takes them with two, which must be zeros.
 */
const STRIPE_DIGITS: Readonly<Record<string, number>> = {
  BIF: 0,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  MGA: 0,
  PYG: 0,
  RWF: 0,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
  BHD: 3,
  JOD: 3,
  KWD: 3,
  OMR: 3,
  TND: 3,
}

/** Card networks know two digits of these: Stripe wants the third to be 0. */
const LAST_DIGIT_IS_ZERO = new Set(['BHD', 'JOD', 'KWD', 'OMR', 'TND'])

/** Three digits by ISO 4217, but not in Stripe's table: how it would read an amount is not known. */
const NOT_TAKEN = new Set(['IQD', 'LYD'])

/** Amounts of `currency` in our minor units are multiples of this: 10 for KWD, 100 for MGA, 1 for most. */
export function stripeStep(currency: Currency): number {
  if (LAST_DIGIT_IS_ZERO.has(currency)) return 10
  return Math.max(1, 10 ** (minorDigits(currency) - stripeDigits(currency)))
}

/** Our minor units → Stripe's. Throws a {@link Refusal}, as Stripe would, for an amount that cannot be said exactly. */
export function toStripeAmount(amount: number, currency: Currency): number {
  if (NOT_TAKEN.has(currency)) throw refused(amount, currency, 'Stripe does not take this currency')
  const step = stripeStep(currency)
  if (!Number.isSafeInteger(amount) || amount % step !== 0)
    throw refused(amount, currency, `amounts are multiples of ${step}`)
  const scaled = shifted(amount, stripeDigits(currency) - minorDigits(currency))
  if (!Number.isSafeInteger(scaled)) throw refused(amount, currency, 'it leaves the exact range')
  return scaled
}

/** Stripe's minor units → ours; `currency` as Stripe writes it, in lower case. Throws {@link ProviderRejected} when it is none of ours. */
export function fromStripeAmount(amount: number, currency: string): Money {
  const ours = currency.toUpperCase()
  const scaled = shifted(amount, minorDigits(ours) - stripeDigits(ours))
  if (!Number.isSafeInteger(scaled))
    throw new ProviderRejected(NOT_EXACT, unfit(amount, ours, 'Stripe tells of a fraction of our minor unit'))
  return { amount: scaled, currency: ours }
}

/** `amount` with the point moved by so many digits: divided, not multiplied by a fraction, which would not be exact. */
function shifted(amount: number, digits: number): number {
  return digits < 0 ? amount / 10 ** -digits : amount * 10 ** digits
}

function stripeDigits(currency: Currency): number {
  return STRIPE_DIGITS[currency] ?? 2
}

const NOT_EXACT = 'amount_not_exact'

function refused(amount: number, currency: Currency, why: string): Refusal {
  return new Refusal('request', NOT_EXACT, 'amount', unfit(amount, currency, why))
}

function unfit(amount: number, currency: Currency, why: string): string {
  return `stripe: the amount ${amount} ${currency} cannot be used: ${why}`
}
