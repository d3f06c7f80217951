import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from '../../config'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { Shop } from '../shop'

const WORKERS = 2
const APIS = 1
const TURNS = 3
const GIVE_UP_MS = 60_000

interface Kill {
  readonly name: string
  readonly what: string
  readonly barSeconds: number
  /** Resolves when what was lost is back. */
  readonly recovered: (shop: Shop, skus: readonly string[]) => Promise<boolean>
}

const KILLS: readonly Kill[] = [
  { name: 'api-1', what: 'API killed: it answers', barSeconds: 3, recovered: answers('/livez') },
  { name: 'worker-1', what: 'worker killed, another up: a new checkout is paid', barSeconds: 10, recovered: buys },
  { name: 'redis', what: 'Redis killed: carts answer', barSeconds: 2, recovered: fillsCart },
  { name: 'postgres', what: 'Postgres killed: a new checkout is paid', barSeconds: 10, recovered: buys },
  { name: 'temporal', what: 'Temporal killed: a new checkout is paid', barSeconds: 30, recovered: buys },
]

/** How long after SIGKILL of one process things work again; the worst of some turns. */
export async function benchRecovery(): Promise<Figure[]> {
  const stack = await startStack({
    folder: join(ROOT, '.holdfast', 'bench-recovery'),
    portOffset: 7_000,
    apis: APIS,
    workers: WORKERS,
  })
  const shop = new Shop(stack)
  try {
    const skus = await shop.stock(`KILL-${randomUUID().slice(0, 8).toUpperCase()}`, 5)
    const figures = [await inFlightFigure(stack, shop, skus)]
    for (const kill of KILLS) figures.push(await killFigure(stack, shop, skus, kill))
    return figures
  } finally {
    await shop.close()
    await stack.stop()
  }
}

async function killFigure(
  stack: Stack,
  shop: Shop,
  skus: readonly string[],
  { name, what, barSeconds, recovered }: Kill,
): Promise<Figure> {
  const times: number[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const before = performance.now()
    await stack.kill(name, 'SIGKILL')
    await until(() => recovered(shop, skus))
    times.push((performance.now() - before) / 1_000)
    await stack.ready(name)
    await until(() => buys(shop, skus))
  }
  const worst = Math.max(...times)
  return { what, bar: `≤ ${barSeconds} s`, value: worst, good: worst <= barSeconds, note: `s, worst of ${TURNS}` }
}

/** Checkouts that a killed worker had in hand: from the kill until the last of them is over. */
async function inFlightFigure(stack: Stack, shop: Shop, skus: readonly string[]): Promise<Figure> {
  const times: number[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const carts = await Promise.all(
      Array.from({ length: 12 }, () => shop.cart([{ sku: skus[0] as string, quantity: 1 }])),
    )
    const buying = Promise.all(carts.map((cart) => shop.buyEventually(cart)))
    await pause(100)
    const before = performance.now()
    await stack.kill('worker-1', 'SIGKILL')
    await buying
    times.push((performance.now() - before) / 1_000)
    await stack.ready('worker-1')
  }
  const worst = Math.max(...times)
  return {
    what: 'worker killed, another up: those in flight are paid',
    bar: '≤ 15 s',
    value: worst,
    good: worst <= 15,
    note: `s, worst of ${TURNS}`,
  }
}

function answers(path: string) {
  return async (shop: Shop): Promise<boolean> => (await shop.call('GET', path, undefined)).status === 200
}

async function fillsCart(shop: Shop, skus: readonly string[]): Promise<boolean> {
  await shop.cart([{ sku: skus[0] as string, quantity: 1 }])
  return true
}

async function buys(shop: Shop, skus: readonly string[]): Promise<boolean> {
  await shop.buy(await shop.cart([{ sku: skus[0] as string, quantity: 1 }]))
  return true
}

async function until(attempt: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + GIVE_UP_MS
  for (;;) {
    try {
      if (await attempt()) return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await pause(50)
  }
}
