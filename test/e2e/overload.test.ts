import { randomUUID } from 'node:crypto'
import type { PoolClient } from 'pg'
import { seedProducts } from '../support/catalog'
import { type Buyer, Shop } from '../support/shop'
import { type TestStack, testStack } from '../support/stack'
import { until } from '../support/wait'

/**
 * A crowd waits for the connections of one API process: staff change one product, whose row somebody keeps locking. The
 * longer the queue, the less is on a page: recommendations go first, then reviews, then facets. What is bought is bought.
 */

const CONNECTIONS = 4
const PRODUCTS = 600
/** Waiting callers per connection are about twice, five and ten times the connections then. */
const CROWDS = { recommendations: 12, reviews: 24, facets: 44 }
const RECOMMENDATIONS = ['bought_together', 'also_bought', 'similar']
/** What may be missing from a product's page, in this order. */
const PRODUCT_PAGES = [[], RECOMMENDATIONS, ['reviews', ...RECOMMENDATIONS]]

let stack: TestStack
let shop: Shop
let contended: string
let asked = 0

beforeAll(async () => {
  stack = await testStack({ env: { DATABASE_POOL_MAX: String(CONNECTIONS), LOG_LEVEL: 'warn' } })
  const { apis, sandbox } = stack.stack.file
  shop = new Shop({ apis, adminKey: stack.adminKey, sandbox, database: stack.database })
  await seedProducts(
    stack.database.pool,
    Array.from({ length: PRODUCTS }, (_, n) => ({
      sku: `PAGE-${n}`,
      title: `Page ${n}`,
      prices: { GBP: 100 },
      stock: 10,
    })),
  )
  await stack.database.pool.query("update product set slug = lower(replace(title, ' ', '-'))")
  await stack.database.pool.query(
    `insert into category (id, slug, title, path) select id, slug, title, array[id] from (
       select 'cat_' || substr(id, 6) as id, 'branch-' || substr(slug, 6) as slug, 'Branch ' || slug as title from product
     ) as made`,
  )
  const made = await shop.admin('post', '/v1/admin/products', {
    title: 'Contended',
    variants: [{ sku: 'CONTENDED', prices: [{ amount: 100, currency: 'GBP' }] }],
  })
  contended = made.body.id
}, 60_000)
afterAll(() => stack?.stop(), 30_000)

it('an overloaded process gives up recommendations, then reviews, then facets, and goes on selling', async () => {
  const buyers = await Promise.all(Object.keys(CROWDS).map(() => shop.buyerOf()))
  expect(await pages()).toEqual({ product: [], category: [] })

  const staff = new StaffOnOneProduct(shop, contended)
  await staff.grow(CROWDS.recommendations)
  await pagesLack({ product: RECOMMENDATIONS, category: [] })
  await buys(buyers[0] as Buyer)

  await staff.grow(CROWDS.reviews)
  await pagesLack({ product: ['reviews', ...RECOMMENDATIONS], category: [] })
  await buys(buyers[1] as Buyer)

  await staff.grow(CROWDS.facets)
  await pagesLack({ product: ['reviews', ...RECOMMENDATIONS], category: ['facets'] })
  await buys(buyers[2] as Buyer)

  await staff.leave()
  await pagesLack({ product: [], category: [] })
}, 90_000)

interface LeftOut {
  readonly product: readonly string[]
  readonly category: readonly string[]
}

async function pagesLack(expected: LeftOut): Promise<void> {
  const what = `pages lack ${JSON.stringify(expected)}`
  await until(what, pages, (found) => JSON.stringify(found) === JSON.stringify(expected), 20_000)
}

/** Of pages that nobody has asked for yet: a finished one is sent whatever the load. */
async function pages(): Promise<LeftOut> {
  const number = asked++ % PRODUCTS
  const [product, category] = await Promise.all([
    shop.call('get', `/v1/store/pages/product/page-${number}`),
    shop.call('get', `/v1/store/pages/category/branch-${number}`),
  ])
  expect([product.status, category.status]).toEqual([200, 200])
  expect(PRODUCT_PAGES).toContainEqual(product.body.left_out)
  expect(product.body.product.variants[0].price.amount).toBe(100)
  return { product: product.body.left_out, category: category.body.left_out }
}

/** Sent again under its key while it is not answered in time, as a storefront does. */
async function buys(buyer: Buyer): Promise<void> {
  const key = randomUUID()
  const answer = await until(
    'it is bought',
    () => buyer.checkout({ key }),
    ({ status }) => status !== 202,
    20_000,
  )
  expect(answer).toMatchObject({ status: 201, body: { status: 'confirmed' } })
}

/** Staff who change one product as often as they are let, while it is locked most of the time. */
class StaffOnOneProduct {
  private readonly shop: Shop
  private readonly productId: string
  private readonly running: Promise<void>[] = []
  private members = 0
  private open = true

  constructor(shop: Shop, productId: string) {
    this.shop = shop
    this.productId = productId
    this.running.push(this.lockAgainAndAgain())
  }

  async grow(to: number): Promise<void> {
    for (; this.members < to; this.members++) this.running.push(this.changeAgainAndAgain(this.members))
  }

  async leave(): Promise<void> {
    this.open = false
    await Promise.all(this.running)
  }

  private async changeAgainAndAgain(member: number): Promise<void> {
    for (let turn = 0; this.open; turn++) {
      const { status } = await this.shop.call('patch', `/v1/admin/products/${this.productId}`, {
        key: this.shop.address.adminKey,
        headers: { 'if-match': '*' },
        body: { description: `Changed by ${member}, ${turn}` },
      })
      // Neither is a fault: a process that has too much to do may say so.
      if (status !== 200 && status !== 503) throw new Error(`A change was answered ${status}.`)
    }
  }

  private async lockAgainAndAgain(): Promise<void> {
    const holder: PoolClient = await this.shop.address.database.pool.connect()
    try {
      while (this.open) {
        await holder.query('begin')
        await holder.query('select from product where id = $1 for update', [this.productId])
        await holder.query('select pg_sleep(0.04)')
        await holder.query('commit')
      }
    } finally {
      holder.release()
    }
  }
}
