import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { ROOT } from '../config'
import type { Stack } from '../scripts/stack/supervisor'
import { burst, cpuSeconds, interleave, median, ratio } from './measure'
import type { Figure } from './figure'
import { Shop } from './shop'

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
      return burst(callers, SECONDS, () => shop.buy(take(carts)))
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
  const { calls } = await burst(CALLERS, SECONDS, () => shop.buy(take(carts)))
  return before.map(({ name, pid, seconds }) => ({
    what: `CPU per order, ${name}`,
    bar: '',
    value: ((cpuSeconds(pid) - seconds) * 1_000) / calls,
    good: true,
    note: 'ms',
  }))
}

async function fillCarts(shop: Shop, skus: readonly string[], count: number): Promise<{ id: string; token: string }[]> {
  const carts: { id: string; token: string }[] = []
  let next = 0
  const filler = async (): Promise<void> => {
    while (next < count) {
      const n = next++
      carts.push(
        await shop.cart([
          { sku: skus[n % skus.length] as string, quantity: 1 },
          { sku: skus[(n + 7) % skus.length] as string, quantity: 2 },
        ]),
      )
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, filler))
  return carts
}

function take<T>(things: T[]): T {
  const thing = things.pop()
  if (thing === undefined) throw new Error('The carts ran out: prepare more of them.')
  return thing
}

async function startControl(stack: Stack): Promise<{ run: () => Promise<void>; stop: () => Promise<void> }> {
  const { TEMPORAL_ADDRESS: address } = stack.services
  const namespace = stack.env['TEMPORAL_NAMESPACE'] ?? 'default'
  const worker: ChildProcess = spawn(
    process.execPath,
    [join(ROOT, 'dist', 'bench', 'noop', 'worker.js'), address, namespace],
    { stdio: 'ignore' },
  )
  const connection = await Connection.connect({ address })
  const client = new Client({ connection, namespace })
  const run = async (): Promise<void> => {
    await client.workflow.execute('noop', { workflowId: `noop-${randomUUID()}`, taskQueue: 'bench-noop' })
  }
  await run()
  return {
    run,
    stop: async () => {
      worker.kill('SIGTERM')
      await connection.close()
    },
  }
}
