/**
 * Sales velocity: how well a product sells now. A day counts half after two weeks. What shoppers do without buying counts
 * a little, and never more than what was sold and one order besides: anybody may report an interaction, an order is paid for.
 */

export const VELOCITY = {
  halfLifeDays: 14,
  /** Older days count less than a hundredth: they are left out. */
  windowDays: 100,
  /** What each is worth in orders. */
  add: 0.1,
  click: 0.02,
  view: 0.01,
} as const

export interface DayOfProduct {
  /** 0: today. */
  readonly ageDays: number
  readonly orders: number
  readonly adds: number
  readonly clicks: number
  readonly views: number
}

/** `v = s + min(e, s + 1)`: orders `s` and interactions `e`, each summed over the days with weight `2^(−age / 14)`. */
export function velocityOf(days: readonly DayOfProduct[]): number {
  let sold = 0
  let seen = 0
  for (const { ageDays, orders, adds, clicks, views } of days) {
    if (ageDays < 0 || ageDays > VELOCITY.windowDays) continue
    const weight = 2 ** (-ageDays / VELOCITY.halfLifeDays)
    sold += weight * orders
    seen += weight * (VELOCITY.add * adds + VELOCITY.click * clicks + VELOCITY.view * views)
  }
  return sold + Math.min(seen, sold + 1)
}
