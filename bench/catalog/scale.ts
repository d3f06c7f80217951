import { join } from 'node:path'
import { ROOT } from '../../config'
import { startStack } from '../../scripts/stack/supervisor'
import { type GeneratedCatalog, skuNumbered, writeCatalog } from './generate'
import { LARGE, LARGE_FOLDER, prepareLarge } from './large'
import { deleteData } from '../data'
import type { Figure } from '../figure'
import { interleave, median, ratio } from '../measure'
import { Shop } from '../shop'

const SMALL: GeneratedCatalog = { count: 1_000, seed: 7 }
const PAIRS = 5
/** Per turn; of each step no more in all than the small shop has products, so that none is asked for twice. */
const CALLS = 150
const BAR = 1.4
/** Departments that fill a page in the small shop too. */
const LISTS = 8

/** What a list, a page that nobody has asked for yet, a change of a cart and a purchase cost at a million SKUs and at a thousand. */
export async function benchScale(): Promise<Figure[]> {
  await prepareLarge()
  const folder = join(ROOT, '.holdfast', 'bench-scale-small')
  deleteData(folder)
  const [large, small] = [
    await startStack({ folder: LARGE_FOLDER, portOffset: 8_500 }),
    await startStack({ folder, portOffset: 9_000 }),
  ]
  const shops = [new Shop(large), new Shop(small)] as const
  try {
    await writeCatalog(small.services.DATABASE_URL, SMALL)
    const buyers = [new Buyer(shops[0], LARGE.count), new Buyer(shops[1], SMALL.count)] as const
    const figures: Figure[] = []
    for (const [name, prepare] of Object.entries(STEPS)) {
      const measured = (buyer: Buyer) => async () => calls(CALLS, await prepare(buyer))
      figures.push(figureOf(name, await interleave(PAIRS, measured(buyers[0]), measured(buyers[1]))))
    }
    return figures
  } finally {
    await Promise.all(shops.map((shop) => shop.close()))
    await small.stop()
    await large.stop()
    deleteData(folder)
  }
}

/** The median time of one call after another, in ms. */
async function calls(count: number, call: () => Promise<void>): Promise<number> {
  const times: number[] = []
  for (let turn = 0; turn < count; turn++) {
    const begun = performance.now()
    await call()
    times.push(performance.now() - begun)
  }
  return median(times)
}

function figureOf(what: string, pairs: readonly { subject: number; control: number }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one)
  const [large, small] = [pairs.map(({ subject }) => subject), pairs.map(({ control }) => control)].map(median)
  return {
    what: `${what}, p50 at ${LARGE.count} SKUs ÷ at ${SMALL.count}`,
    bar: `≤ ${BAR}`,
    value: middle,
    good: middle <= BAR,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${large?.toFixed(1)} ms ÷ ${small?.toFixed(1)} ms`,
  }
}

/** Each makes ready what it needs, and then does what is measured. */
const STEPS: Readonly<Record<string, (buyer: Buyer) => Promise<() => Promise<void>>>> = {
  'a page of a list': async (buyer) => () => buyer.list(),
  'a product page that is made': async (buyer) => () => buyer.page(),
  'add to cart': async (buyer) => {
    const carts = await buyer.carts(CALLS, 0)
    return () => buyer.add(carts.pop())
  },
  'place and pay': async (buyer) => {
    const carts = await buyer.carts(CALLS, 1)
    return () => buyer.buy(carts.pop())
  },
}

interface Cart {
  readonly id: string
  readonly token: string
}

/** Asks for ever other products, so that nothing is found made. */
class Buyer {
  private readonly shop: Shop
  private readonly count: number
  private next = 0

  constructor(shop: Shop, count: number) {
    this.shop = shop
    this.count = count
  }

  async list(): Promise<void> {
    const from = this.number() % LISTS
    await this.get(`/v1/store/products?category=department-${from}&sort=price_asc&currency=GBP&limit=20`)
  }

  async page(): Promise<void> {
    await this.get(`/v1/store/pages/product/generated-${this.number()}`)
  }

  async carts(count: number, lines: number): Promise<Cart[]> {
    const carts: Cart[] = []
    while (carts.length < count) {
      const cart = await this.shop.cart([])
      if (lines === 0 || (await this.tryAdd(cart))) carts.push(cart)
    }
    return carts
  }

  async add(cart: Cart | undefined): Promise<void> {
    if (cart) await this.tryAdd(cart)
  }

  async buy(cart: Cart | undefined): Promise<void> {
    if (cart) await this.shop.buy(cart)
  }

  /** False when that SKU is sold out: one in twenty is. */
  private async tryAdd({ id, token }: Cart): Promise<boolean> {
    const sku = skuNumbered(this.number())
    const body = { lines: [{ sku, quantity: 1 }] }
    const answer = await this.shop.call('POST', `/v1/store/carts/${id}/lines`, body, { 'x-cart-token': token })
    return answer.status === 200 && !answer.body.includes('"out_of_stock"')
  }

  private async get(path: string): Promise<void> {
    const answer = await this.shop.call('GET', path, undefined)
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.body}`)
  }

  /** All of them, far from each other, none twice. 7,919 is prime. */
  private number(): number {
    return (this.next++ * 7_919) % this.count
  }
}
