import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** What one burst of equal calls came to. Times in milliseconds. */
export interface Burst {
  readonly calls: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50: number
  readonly p95: number
}

/** Makes calls with `callers` at once until `seconds` are over. A call that throws ends the measurement. */
export async function burst(callers: number, seconds: number, call: () => Promise<void>): Promise<Burst> {
  const times: number[] = []
  const startedAt = performance.now()
  const until = startedAt + seconds * 1_000
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      const before = performance.now()
      await call()
      times.push(performance.now() - before)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const took = (performance.now() - startedAt) / 1_000
  times.sort((a, b) => a - b)
  return {
    calls: times.length,
    seconds: took,
    perSecond: times.length / took,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
  }
}

/** Makes so many calls with `callers` at once. A call that throws ends the measurement. */
export async function calls(callers: number, count: number, call: () => Promise<void>): Promise<void> {
  let made = 0
  const caller = async (): Promise<void> => {
    while (made++ < count) await call()
  }
  await Promise.all(Array.from({ length: callers }, caller))
}

/** Of sorted numbers; NaN of none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

export function median(numbers: readonly number[]): number {
  return quantile(
    [...numbers].sort((a, b) => a - b),
    0.5,
  )
}

/**
 * Measures `subject` against `control` in the same minutes: A B B A, `pairs` times, after one unmeasured turn of each.
 * Returns the pairs, so that a ratio can be made of any figure of theirs.
 */
export async function interleave<T>(
  pairs: number,
  subject: () => Promise<T>,
  control: () => Promise<T>,
): Promise<{ subject: T; control: T }[]> {
  await subject()
  await control()
  const measured: { subject: T; control: T }[] = []
  for (let pair = 0; pair < pairs; pair++) {
    if (pair % 2 === 0) {
      const a = await subject()
      measured.push({ subject: a, control: await control() })
    } else {
      const b = await control()
      measured.push({ subject: await subject(), control: b })
    }
  }
  return measured
}

/** The median of the pairs' ratios, with the lowest and the highest. */
export function ratio<T>(
  pairs: readonly { subject: T; control: T }[],
  figure: (one: T) => number,
): { median: number; low: number; high: number } {
  const ratios = pairs.map((pair) => figure(pair.subject) / figure(pair.control))
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']).toString())

/** CPU seconds that a process and all below it have used so far, children that ended included. */
export function cpuSeconds(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + ticksOf(each), 0) / TICKS_PER_SECOND
}

/** What processes use without any call (polls, timers) is measured first, for so long, and taken off. */
const IDLE_MS = 10_000

/** CPU milliseconds that each process, with all below it, uses while something is done, over what it uses anyway. */
export type CpuMeter = (work: () => Promise<void>) => Promise<readonly number[]>

/** To be made while they do nothing. */
export async function cpuMeter(pids: readonly number[]): Promise<CpuMeter> {
  const usedMs = (): number[] => pids.map((pid) => cpuSeconds(pid) * 1_000)
  const before = usedMs()
  await pause(IDLE_MS)
  const idleCores = usedMs().map((used, n) => (used - (before[n] as number)) / IDLE_MS)
  return async (work) => {
    const [earlier, begun] = [usedMs(), performance.now()]
    await work()
    const tookMs = performance.now() - begun
    return usedMs().map((used, n) => used - (earlier[n] as number) - (idleCores[n] as number) * tookMs)
  }
}

/** Of any numbers; that of `domain/money` takes whole minor units alone. */
export function total(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0)
}

/** Resident memory of a process and all below it, in MB. */
export function residentMb(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + residentKb(each), 0) / 1_024
}

function treeOf(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number)
  return [pid, ...children.flatMap(treeOf)]
}

/** Fields 14 to 17 of proc(5): user and system time of its own, and of the children it has waited for. */
function ticksOf(pid: number): number {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ')
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0)
}

function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
