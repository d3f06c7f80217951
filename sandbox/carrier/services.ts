import { minorDigits } from '../amount'
import type { Box, Money, RateRequest } from './label'
import { behaviourOf } from './words'

/** What a service costs for some parcels, and how many of the carrier's days it takes. */
export interface Rate {
  readonly service: string
  readonly price: Money
  readonly days: number
}

interface Service {
  readonly name: string
  /** Hundredths of the currency's unit, and how much more each started half kilo costs; by zone. */
  readonly base: Zoned
  readonly perHalfKilo: Zoned
  readonly days: Zoned
  /** Of one box, in grams. */
  readonly heaviest: number
}

type Zone = 'home' | 'near' | 'far'
type Zoned = Readonly<Record<Zone, number>>

/** A made-up price list. Its figures hold in every currency, for nothing is ever converted. */
const SERVICES: readonly Service[] = [
  {
    name: 'economy',
    base: { home: 190, near: 490, far: 890 },
    perHalfKilo: { home: 20, near: 80, far: 240 },
    days: { home: 5, near: 8, far: 14 },
    heaviest: 20_000,
  },
  {
    name: 'standard',
    base: { home: 290, near: 790, far: 1_490 },
    perHalfKilo: { home: 30, near: 120, far: 380 },
    days: { home: 3, near: 5, far: 9 },
    heaviest: 30_000,
  },
  {
    name: 'express',
    base: { home: 590, near: 1_690, far: 3_190 },
    perHalfKilo: { home: 60, near: 240, far: 720 },
    days: { home: 1, near: 2, far: 3 },
    heaviest: 30_000,
  },
]

const EUROPE = new Set(
  (
    'AD AL AT BA BE BG CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL ' +
    'PT RO RS SE SI SK SM UA VA'
  ).split(' '),
)

/** What each service costs for these parcels, the cheapest first; empty where it does not go, or a box is too heavy. */
export function ratesFor(request: RateRequest): Rate[] {
  if (behaviourOf(request.to).nowhere) return []
  return SERVICES.filter((service) => carries(service, request.boxes)).map((service) => rateOf(service, request))
}

/** Why a service does not take these parcels; null: it does. */
export function refusalOf(service: string, { boxes, to }: RateRequest): string | null {
  const { nowhere, refuses } = behaviourOf(to)
  if (refuses !== undefined) return refuses
  if (nowhere) return 'not_served'
  const known = SERVICES.find(({ name }) => name === service)
  if (!known) return 'unknown_service'
  return carries(known, boxes) ? null : 'too_heavy'
}

function carries({ heaviest }: Service, boxes: readonly Box[]): boolean {
  return boxes.every(({ weight_grams }) => weight_grams <= heaviest)
}

/** Each box is charged by its own weight. */
function rateOf({ name, base, perHalfKilo, days }: Service, { from, to, boxes, value }: RateRequest): Rate {
  const zone = zoneOf(from.country, to.country)
  const hundredths = boxes
    .map(({ weight_grams }) => base[zone] + perHalfKilo[zone] * Math.ceil(weight_grams / 500))
    .reduce((sum, one) => sum + one, 0)
  const amount = hundredths * 10 ** Math.max(0, minorDigits(value.currency) - 2)
  return { service: name, price: { amount, currency: value.currency }, days: days[zone] }
}

function zoneOf(from: string, to: string): Zone {
  if (from === to) return 'home'
  return EUROPE.has(from) && EUROPE.has(to) ? 'near' : 'far'
}
