import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from '../../config'
import { startStack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { median } from '../measure'
import { Shop } from '../shop'

const CHANGES = 100
const POLL_MS = 5
const BAR_MS = 1_000

/** From the answer to a change of price until every API process shows it on a page that it had cached. */
export async function benchChange(): Promise<Figure[]> {
  const stack = await startStack({ folder: join(ROOT, '.holdfast', 'bench-rest'), portOffset: 6_000, apis: 2 })
  const shop = new Shop(stack)
  try {
    const [sku = ''] = await shop.stock(`CHANGE-${randomUUID().slice(0, 8).toUpperCase()}`, 1)
    const listed = JSON.parse((await shop.call('GET', '/v1/store/products?sort=newest&limit=1', undefined)).body)
    const { id, slug } = listed.data[0] as { id: string; slug: string }
    const times: number[] = []
    for (let amount = 1_001; amount <= 1_000 + CHANGES; amount++) {
      await shop.patchProduct(id, { variants: [{ sku, prices: [{ amount, currency: 'GBP' }] }] })
      const changedAt = performance.now()
      await Promise.all(
        stack.file.apis.map((api) => until(() => shows(`${api}/v1/store/pages/product/${slug}`, amount))),
      )
      times.push(performance.now() - changedAt)
    }
    const worst = Math.max(...times)
    return [
      {
        what: `change of price → both API processes serve it, worst of ${CHANGES}`,
        bar: `≤ ${BAR_MS} ms`,
        value: worst,
        good: worst <= BAR_MS,
        note: `ms; p50 ${median(times).toFixed(0)} ms`,
      },
    ]
  } finally {
    await shop.close()
    await stack.stop()
  }
}

async function shows(url: string, amount: number): Promise<boolean> {
  const answer = await fetch(url)
  return (await answer.text()).includes(`"amount":${amount},`)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(POLL_MS)
}
