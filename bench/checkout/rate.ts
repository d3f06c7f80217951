import { randomUUID } from 'node:crypto'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { burst, cpuSeconds, interleave, median, ratio } from '../measure'
import { Shop } from '../shop'
import { fillCarts, takeCart } from './carts'
import { startControl } from './control'

const CALLERS = 16
const PAIRS = 5
const SECONDS = 6
const SKUS = 50

/** Checkouts against the no-op workflow: rate with 16 callers, time of one call alone, and CPU per order. */
export async function benchCheckout(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const control = await startControl(stack)
  try {
    const skus = await shop.stock(`BENCH-${randomUUID().slice(0, 8)}`, SKUS)
    const buying = (callers: number) => async () => {
      const carts = await fillCarts(shop, skus, callers === 1 ? 300 : 900)
      return burst(callers, SECONDS, () => shop.buy(takeCart(carts)))
    }
    const rates = await interleave(PAIRS, buying(CALLERS), () => burst(CALLERS, SECONDS, control.run))
    const times = await interleave(PAIRS, buying(1), () => burst(1, SECONDS, control.run))
    return [rateFigure(rates), timeFigure(times), ...(await cpuFigures(stack, shop, skus))]
  } finally {
    await control.stop()
    await shop.close()
  }
}

type Pairs = Awaited<ReturnType<typeof interleave<Awaited<ReturnType<typeof burst>>>>>

function rateFigure(pairs: Pairs): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one.perSecond)
  const subject = median(pairs.map((pair) => pair.subject.perSecond)).toFixed(1)
  const control = median(pairs.map((pair) => pair.control.perSecond)).toFixed(1)
  return {
    what: `checkouts/s ÷ no-op workflows/s, ${CALLERS} callers`,
    bar: '≥ 0.85',
    value: middle,
    good: middle >= 0.85,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${subject}/s ÷ ${control}/s`,
  }
}

function timeFigure(pairs: Pairs): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one.p50)
  const subject = median(pairs.map((pair) => pair.subject.p50)).toFixed(1)
  const control = median(pairs.map((pair) => pair.control.p50)).toFixed(1)
  return {
    what: 'completing call, one buyer, p50 ÷ no-op workflow',
    bar: '≤ 1.4',
    value: middle,
    good: middle <= 1.4,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${subject} ms ÷ ${control} ms`,
  }
}

async function cpuFigures(stack: Stack, shop: Shop, skus: readonly string[]): Promise<Figure[]> {
  const carts = await fillCarts(shop, skus, 900)
  const before = stack.file.processes.map(({ name, pid }) => ({ name, pid, seconds: cpuSeconds(pid) }))
  const { calls } = await burst(CALLERS, SECONDS, () => shop.buy(takeCart(carts)))
  return before.map(({ name, pid, seconds }) => ({
    what: `CPU per order, ${name}`,
    bar: '',
    value: ((cpuSeconds(pid) - seconds) * 1_000) / calls,
    good: true,
    note: 'ms',
  }))
}
