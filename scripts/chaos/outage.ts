/** A time in which the provider was broken, in milliseconds since 1970. */
export interface Outage {
  readonly from: number
  readonly to: number
}

/** The longest time without a break between `from` and `to` in which the provider could be asked, in milliseconds. */
export function longestCalm(outages: readonly Outage[], { from, to }: Outage): number {
  let calm = 0
  let since = from
  for (const outage of [...outages].sort((a, b) => a.from - b.from)) {
    if (outage.from >= to) break
    calm = Math.max(calm, outage.from - since)
    since = Math.max(since, outage.to)
  }
  return Math.max(calm, to - since, 0)
}

/** When the provider could be asked again after it was broken last; 0: it never was. */
export function backAt(outages: readonly Outage[]): number {
  return Math.max(0, ...outages.map(({ to }) => to))
}
