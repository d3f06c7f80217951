import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { calls, type CpuMeter, cpuMeter, interleave, median, ratio, total } from '../measure'
import { Shop } from '../shop'
import { fillCarts, takeCart } from './carts'
import { startControl } from './control'

const CALLERS = 16
const PAIRS = 5
const CALLS = 400
const SKUS = 50
/** What follows an answer (the relay, the indexes, the page cache) is paid for within this time. */
const FOLLOW_UP_MS = 2_000

/** CPU of all processes of the stack, the Temporal server included: of a checkout against a no-op workflow. */
export async function benchCheckoutCpu(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const control = await startControl(stack)
  const pids = [...stack.file.processes.map(({ pid }) => pid), control.pid]
  try {
    const skus = await shop.stock(`CPU-${randomUUID().slice(0, 8)}`, SKUS)
    await pause(FOLLOW_UP_MS)
    const meter = await cpuMeter(pids)
    const pairs = await interleave(
      PAIRS,
      async () => {
        const carts = await fillCarts(shop, skus, CALLS)
        await pause(FOLLOW_UP_MS)
        return cpuMsPerCall(meter, () => shop.buy(takeCart(carts)))
      },
      () => cpuMsPerCall(meter, control.run),
    )
    return [cpuFigure(pairs)]
  } finally {
    await control.stop()
    await shop.close()
  }
}

async function cpuMsPerCall(meter: CpuMeter, call: () => Promise<void>): Promise<number> {
  const usedMs = await meter(async () => {
    await calls(CALLERS, CALLS, call)
    await pause(FOLLOW_UP_MS)
  })
  return total(usedMs) / CALLS
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
