import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { calls, cpuSeconds, interleave, median, ratio } from '../measure'
import { Shop } from '../shop'
import { fillCarts, takeCart } from './carts'
import { startControl } from './control'

const CALLERS = 16
const PAIRS = 5
const CALLS = 400
const SKUS = 50
/** What follows an answer (the relay, the indexes, the page cache) is paid for within this time. */
const FOLLOW_UP_MS = 2_000
/** What the stack uses without any call (polls, timers) is measured first and taken off. */
const IDLE_MS = 5_000

/** CPU of all processes of the stack, the Temporal server included: of a checkout against a no-op workflow. */
export async function benchCheckoutCpu(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const control = await startControl(stack)
  const pids = [...stack.file.processes.map(({ pid }) => pid), control.pid]
  try {
    const skus = await shop.stock(`CPU-${randomUUID().slice(0, 8)}`, SKUS)
    await pause(FOLLOW_UP_MS)
    const idleCores = await idleCoresOf(pids)
    const pairs = await interleave(
      PAIRS,
      async () => {
        const carts = await fillCarts(shop, skus, CALLS)
        await pause(FOLLOW_UP_MS)
        return cpuMsPerCall(pids, idleCores, () => shop.buy(takeCart(carts)))
      },
      () => cpuMsPerCall(pids, idleCores, control.run),
    )
    return [cpuFigure(pairs)]
  } finally {
    await control.stop()
    await shop.close()
  }
}

/** CPU seconds per second. */
async function idleCoresOf(pids: readonly number[]): Promise<number> {
  const before = usedMs(pids)
  await pause(IDLE_MS)
  return (usedMs(pids) - before) / IDLE_MS
}

async function cpuMsPerCall(pids: readonly number[], idleCores: number, call: () => Promise<void>): Promise<number> {
  const before = usedMs(pids)
  const begun = performance.now()
  await calls(CALLERS, CALLS, call)
  await pause(FOLLOW_UP_MS)
  const idleMs = idleCores * (performance.now() - begun)
  return (usedMs(pids) - before - idleMs) / CALLS
}

function usedMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) * 1_000
}

function cpuFigure(pairs: readonly { subject: number; control: number }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one)
  const checkout = median(pairs.map(({ subject }) => subject)).toFixed(1)
  const noop = median(pairs.map(({ control }) => control)).toFixed(1)
  return {
    what: 'CPU per checkout ÷ CPU per no-op workflow, all processes and the Temporal server',
    bar: '',
    value: middle,
    good: true,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${checkout} ms ÷ ${noop} ms`,
  }
}
