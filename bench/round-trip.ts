import type { Control } from './checkout/control'
import type { Figure } from './figure'
import { median, quantile, ratio } from './measure'

/** Of some calls, one after another. Milliseconds. */
export interface Times {
  readonly p50: number
  readonly p99: number
}

export async function timesOf(calls: number, measured: () => Promise<number>): Promise<Times> {
  const times: number[] = []
  while (times.length < calls) times.push(await measured())
  times.sort((a, b) => a - b)
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

/** Milliseconds from a signal to the end of the workflow that waited for it. */
export async function timeOfSignal(control: Control): Promise<number> {
  const waiting = await control.startWaiting()
  const begun = performance.now()
  await waiting.signal()
  await waiting.end()
  return performance.now() - begun
}

const BAR = 3

/** @param what comes in, and changes a state */
export function roundTripFigure(what: string, pairs: readonly { subject: Times; control: Times }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, ({ p99 }) => p99)
  const of = (figure: (pair: { subject: Times; control: Times }) => number): string =>
    median(pairs.map(figure)).toFixed(1)
  const p99 = `p99 ${of(({ subject }) => subject.p99)} ms ÷ ${of(({ control }) => control.p99)} ms`
  const p50 = `p50 ${of(({ subject }) => subject.p50)} ms ÷ ${of(({ control }) => control.p50)} ms`
  return {
    what: `${what} → state changed, p99 ÷ a no-op signal's round trip`,
    bar: `≤ ${BAR}`,
    value: middle,
    good: middle <= BAR,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${p99}; ${p50}`,
  }
}
