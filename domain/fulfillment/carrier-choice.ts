import type { Currency, Money } from '../money'
import type { ShippingMethod } from '../pricing/shipping'

/** What a carrier's service costs, and how long it takes. */
export interface ServiceRate {
  readonly carrier: string
  readonly service: string
  readonly price: Money
  /** Days until it arrives; null: the carrier does not say. */
  readonly days: number | null
}

/** How often a carrier's service has arrived in time, in the country that a parcel goes to. */
export interface OnTimeRecord {
  readonly carrier: string
  readonly service: string
  readonly delivered: number
  readonly onTime: number
}

/** A rate, and how it was judged. */
export interface RankedRate<R extends ServiceRate> {
  readonly rate: R
  /** It arrives within what the shipping method promises. */
  readonly isInTime: boolean
  /** The share of deliveries that were on time, in basis points, the prior counted in. */
  readonly onTimeBps: number
  /** Its price in minor units, dearer where it is often late. */
  readonly weighed: number
}

/** What the customer was promised by a shipping method, in days at the latest. */
export const LATEST_DAYS: Readonly<Record<ShippingMethod, number>> = { standard: 7, express: 2 }

/** Before anything is known a service counts as if 19 of 20 parcels had been on time: one late one is no record yet. */
const PRIOR = { delivered: 20, onTime: 19 }
/** Basis points: below this share a service is unreliable, and counts as if it cost half as much again. */
const RELIABLE_BPS = 8_500
const UNRELIABLE_FACTOR = { times: 3, per: 2 }

export interface ChoiceRequest {
  readonly method: ShippingMethod
  /** Prices are compared in one currency, for nothing is converted: in this one, where any rate has it. */
  readonly currency: Currency
  readonly records: readonly OnTimeRecord[]
}

/**
 * Orders rates, the one to take first. What arrives in time stands before what does not, or does not say. What arrives in
 * time goes by price, where a service that is often late in that country counts as dearer; what does not, by how fast it is.
 * Equal ones go by price, then by days, then by name, so that the same rates in any order give the same choice. Rates in
 * other currencies than the one compared in stand last: they are for who has nothing else.
 */
export function rankRates<R extends ServiceRate>(rates: readonly R[], request: ChoiceRequest): RankedRate<R>[] {
  const currency = comparedIn(rates, request.currency)
  const ranked = rates.map((rate) => judge(rate, request))
  const isOther = ({ rate }: RankedRate<R>): number => (rate.price.currency === currency ? 0 : 1)
  return ranked.sort((a, b) => isOther(a) - isOther(b) || compare(a, b))
}

function judge<R extends ServiceRate>(rate: R, { method, records }: ChoiceRequest): RankedRate<R> {
  const onTimeBps = onTimeShare(records.find((each) => each.carrier === rate.carrier && each.service === rate.service))
  const { amount } = rate.price
  const dearer = Math.ceil((amount / UNRELIABLE_FACTOR.per) * UNRELIABLE_FACTOR.times)
  return {
    rate,
    isInTime: rate.days !== null && rate.days <= LATEST_DAYS[method],
    onTimeBps,
    weighed: onTimeBps < RELIABLE_BPS ? dearer : amount,
  }
}

function onTimeShare(
  { delivered, onTime }: Pick<OnTimeRecord, 'delivered' | 'onTime'> = { delivered: 0, onTime: 0 },
): number {
  return Math.floor(((onTime + PRIOR.onTime) * 10_000) / (delivered + PRIOR.delivered))
}

function compare(a: RankedRate<ServiceRate>, b: RankedRate<ServiceRate>): number {
  if (a.isInTime !== b.isInTime) return a.isInTime ? -1 : 1
  const [byPrice, bySpeed] = [a.weighed - b.weighed, daysOf(a) - daysOf(b) || 0]
  const wanted = a.isInTime ? byPrice || bySpeed : bySpeed || byPrice
  return wanted || a.rate.price.amount - b.rate.price.amount || byName(a.rate, b.rate)
}

/** What does not say comes last. `Infinity - Infinity` is no number, and counts as equal. */
function daysOf({ rate }: RankedRate<ServiceRate>): number {
  return rate.days ?? Infinity
}

function byName(a: ServiceRate, b: ServiceRate): number {
  const [left, right] = [`${a.carrier} ${a.service}`, `${b.carrier} ${b.service}`]
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** The wanted currency, else the first of the alphabet. */
function comparedIn(rates: readonly ServiceRate[], wanted: Currency): Currency {
  const currencies = rates.map(({ price }) => price.currency)
  return currencies.includes(wanted) ? wanted : (currencies.toSorted()[0] ?? wanted)
}
