import { mulberry32 } from '../faults'
import type { Step, TrackingType } from './label'
import type { Outcome } from './words'

/** How often parcels are lost, returned or late, 0 to 1, by which seed, and how much faster than usual all goes. */
export interface Odds {
  readonly seed: number
  readonly lost_rate: number
  readonly return_rate: number
  readonly late_rate: number
  readonly speed: number
}

/** One of the carrier's days, at speed 1: a demo delivers within seconds. */
export const DAY_MS = 1_000

/** Steps by outcome: what happens, how much of the stated time is over by then, and what is said of it. */
const WAYS: Readonly<Record<Outcome, readonly (readonly [TrackingType, number, string?])[]>> = {
  delivered: [
    ['accepted', 0.05],
    ['in_transit', 0.25],
    ['out_for_delivery', 0.7],
    ['delivered', 0.85],
  ],
  late: [
    ['accepted', 0.05],
    ['in_transit', 0.4],
    ['exception', 0.95, 'delayed'],
    ['out_for_delivery', 1.7],
    ['delivered', 1.9],
  ],
  held: [
    ['accepted', 0.05],
    ['in_transit', 0.25],
    ['exception', 0.5, 'held_at_customs'],
    ['in_transit', 0.65],
    ['out_for_delivery', 0.8],
    ['delivered', 0.95],
  ],
  lost: [
    ['accepted', 0.05],
    ['in_transit', 0.25],
    ['lost', 1.5, 'not_found'],
  ],
  found: [
    ['accepted', 0.05],
    ['in_transit', 0.25],
    ['lost', 1.2, 'not_found'],
    ['delivered', 2.2, 'found'],
  ],
  returned: [
    ['accepted', 0.05],
    ['in_transit', 0.25],
    ['exception', 0.8, 'recipient_refused'],
    ['returned', 1.6, 'recipient_refused'],
  ],
  vanished: [],
}

/** What becomes of the parcel with this key. Equal seeds decide alike, in whatever order parcels come. */
export function outcomeOf(key: string, { seed, lost_rate, return_rate, late_rate }: Odds): Outcome {
  const drawn = mulberry32(seed ^ hashOf(key))()
  if (drawn < lost_rate) return 'lost'
  if (drawn < lost_rate + return_rate) return 'returned'
  return drawn < lost_rate + return_rate + late_rate ? 'late' : 'delivered'
}

/** The whole way of a parcel that is handed over at `start` (milliseconds since 1970) and is to take so many days. */
export function journey(
  outcome: Outcome,
  { start, days, speed }: { start: number; days: number; speed: number },
): Step[] {
  const duration = durationOf(days, speed)
  const expected = new Date(start + duration).toISOString()
  return WAYS[outcome].map(([type, share, detail = null]) => ({
    type,
    happened_at: new Date(start + Math.round(duration * share)).toISOString(),
    detail,
    expected_at: type === 'lost' || type === 'returned' ? null : expected,
  }))
}

/** Milliseconds. */
export function durationOf(days: number, speed: number): number {
  return (days * DAY_MS) / speed
}

/** FNV-1a. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193)
  return hash
}
