import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import type { Stack } from '../scripts/stack/supervisor'
import type { Figure } from './figure'
import { burst, interleave, median, ratio } from './measure'
import { Shop } from './shop'

const LARGE = 200
const SMALL = 2
const PAIRS = 5
const SECONDS = 5

/** Adding to a cart of many lines against one of two, one buyer at a time. */
export async function benchCart(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  try {
    const skus = await shop.stock(`CART-${randomUUID().slice(0, 8).toUpperCase()}`, LARGE)
    await analyze(stack)
    const adding = (lines: number) => async () => {
      const { id, token } = await shop.cart(skus.slice(0, lines).map((sku) => ({ sku, quantity: 1 })))
      let next = 0
      return burst(1, SECONDS, async () => {
        const sku = skus[next++ % lines]
        const answer = await shop.call(
          'POST',
          `/v1/store/carts/${id}/lines`,
          { sku, quantity: 1 },
          { 'x-cart-token': token },
        )
        if (answer.status !== 200) throw new Error(`lines: ${answer.status} ${answer.body}`)
      })
    }
    const pairs = await interleave(PAIRS, adding(LARGE), adding(SMALL))
    const { median: middle, low, high } = ratio(pairs, (one) => one.p95)
    const large = median(pairs.map((pair) => pair.subject.p95)).toFixed(1)
    const small = median(pairs.map((pair) => pair.control.p95)).toFixed(1)
    return [
      {
        what: `add to cart, p95, cart of ${LARGE} lines ÷ of ${SMALL}`,
        bar: '≤ 2',
        value: middle,
        good: middle <= 2,
        note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${large} ms ÷ ${small} ms`,
      },
    ]
  } finally {
    await shop.close()
  }
}

/** Statistics as any database has them that has run for a minute: autovacuum has not come by yet. */
async function analyze(stack: Stack): Promise<void> {
  const client = new Client({ connectionString: stack.services.DATABASE_URL })
  await client.connect()
  await client.query('analyze')
  await client.end()
}
