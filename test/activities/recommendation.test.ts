import { MockActivityEnvironment } from '@temporalio/testing'
import { createRecommendationActivities, type Slice } from '../../activities/recommendation'
import { newId } from '../../db/id'
import { withTransaction } from '../../db/pool'
import { addInteractionCounts } from '../../db/recommendation/product-stat'
import { createProduct } from '../../db/catalog/product'
import { listRecommended } from '../../db/recommendation/lists'
import { listBestsellers, listCategoryCollections, listForInterest, listNewest } from '../../db/catalog/collection'
import type { ProductId } from '../../domain/ids'
import { readSettings } from '../../config'
import { createSearch } from '../../providers/search'
import type { RecommendationKind } from '../../domain/recommendation/similarity'
import { velocityOf } from '../../domain/recommendation/velocity'
import { type TestDatabase, testDatabase } from '../support/database'
import { pastOrders } from '../support/orders'

let database: TestDatabase
let activities: ReturnType<typeof createRecommendationActivities>
const products = new Map<string, ProductId>()
beforeAll(async () => {
  database = await testDatabase()
  activities = createRecommendationActivities({
    pool: database.pool,
    search: createSearch(readSettings({ DATABASE_URL: database.url }), database.pool),
  })
  for (const [sku, title, category] of [
    ['TEA', 'Blue Owl Tea Cup', 'Kitchen'],
    ['SAUCER', 'Blue Owl Saucer', 'Kitchen'],
    ['POT', 'Tea Pot', 'Kitchen'],
    ['LAMP', 'Desk Lamp', 'Home'],
    ['BULB', 'Bulb', 'Home'],
    ['OFF', 'Blue Owl Plate', 'Kitchen'],
    ['EURO', 'Blue Owl Bowl', 'Kitchen'],
  ] as const) {
    const price = { amount: 100, currency: sku === 'EURO' ? 'EUR' : 'GBP' }
    const id = await withTransaction(database.pool, (tx) =>
      createProduct(tx, { title, categories: [category], variants: [{ sku, price }] }),
    )
    products.set(sku, id)
  }
  await database.pool.query("update product set status = 'archived' where id = $1", [products.get('OFF')])
  await pastOrders(database.pool, [
    ...Array.from({ length: 6 }, (_, n) => ({ email: `t${n}@example.com`, skus: ['TEA', 'SAUCER', 'OFF', 'EURO'] })),
    { email: 'one@example.com', skus: ['TEA', 'LAMP'] },
    ...Array.from({ length: 3 }, () => ({ email: 'Fan@example.com', skus: ['POT'] })),
    ...Array.from({ length: 3 }, (_, n) => [
      { email: `l${n}@example.com`, skus: ['LAMP'] },
      { email: `L${n}@Example.com`, skus: ['BULB'] },
    ]).flat(),
    { email: 'nobody@example.com', skus: ['LAMP', 'POT'], status: 'cancelled' },
    { email: 'nobody@example.com', skus: ['LAMP', 'POT'], status: 'cancelled' },
    { email: 'nobody@example.com', skus: ['LAMP', 'POT'], status: 'pending' },
    { email: 'nobody@example.com', skus: ['LAMP', 'POT'], status: 'pending' },
  ])
})
afterAll(() => database.drop())

/** What the workflow does, slice by slice. */
async function runAll(): Promise<void> {
  await run(activities.countSales, undefined)
  await inSlices(activities.rankVelocity)
  await inSlices(activities.rankCategories)
  await inSlices(activities.gatherOrders)
  await inSlices(activities.gatherFeatures)
  await inSlices(activities.recommendProducts)
  await run(activities.forgetGathered, undefined)
}

async function inSlices<Id extends string>(step: (input: { after: Id | null }) => Promise<Slice<Id>>): Promise<void> {
  for (let after: Id | null = null; ; ) {
    const slice: Slice<Id> = await run(step, { after })
    if (slice.after === null) return
    after = slice.after
  }
}

const run = <I, O>(activity: (input: I) => Promise<O>, input: I): Promise<O> =>
  new MockActivityEnvironment().run(activity, input)

const titles = (list: readonly { title: string }[] | null) => list?.map(({ title }) => title)

async function recommended(sku: string, kind: RecommendationKind): Promise<string[]> {
  const { rows } = await database.pool.query<{ sku: string }>(
    `select v.sku from recommendation r join variant v on v.product_id = r.other_id
     where r.product_id = $1 and r.kind = $2 order by r.rank`,
    [products.get(sku), kind],
  )
  return rows.map((row) => row.sku)
}

describe('the nightly run', () => {
  beforeAll(runAll)

  it('finds what is bought together in confirmed orders, more than once', async () => {
    expect(await recommended('TEA', 'bought_together')).toEqual(expect.arrayContaining(['SAUCER', 'OFF', 'EURO']))
    expect(await recommended('TEA', 'bought_together')).not.toContain('LAMP')
    expect(await recommended('LAMP', 'bought_together')).toEqual([])
  })

  it('finds what the same buyers bought in other orders, however they wrote their address', async () => {
    expect(await recommended('LAMP', 'also_bought')).toEqual(['BULB'])
    expect(await recommended('POT', 'also_bought')).toEqual([])
  })

  it('finds what is alike, the likest first, and nothing that is not on sale', async () => {
    const similar = await recommended('TEA', 'similar')
    expect(similar.slice(0, 2).toSorted()).toEqual(['EURO', 'SAUCER'])
    expect(similar).not.toContain('OFF')
    expect(similar).not.toContain('LAMP')
  })

  it('leaves nothing of what it gathered', async () => {
    const { rows } = await database.pool.query(
      'select (select count(*) from recommendation_basket) + (select count(*) from recommendation_feature) as left',
    )
    expect(rows[0].left).toBe(0)
  })

  it('comes to the same when it runs again, and writes nothing then', async () => {
    const read = async () =>
      (
        await database.pool.query(
          'select product_id, kind, rank, other_id, score, xmin::text from recommendation order by 1, 2, 3',
        )
      ).rows
    const before = await read()
    await runAll()
    expect(await read()).toEqual(before)
  })

  it('goes on after a killed slice as if nothing had been', async () => {
    await run(activities.gatherOrders, { after: null })
    const again = await run(activities.gatherOrders, { after: null })
    expect(again.after).toBeNull()
    const { rows } = await database.pool.query(
      `select (select sum(baskets) from recommendation_basket_count)::int as counted,
              (select count(*) from recommendation_basket) as gathered`,
    )
    expect(rows[0].counted).toBe(rows[0].gathered)
  })
})

describe('listRecommended', () => {
  const list = (product: string, currency = 'GBP', limit = 3) =>
    listRecommended(database.pool, { product, kind: 'bought_together', currency, limit })

  it('shows what is on sale in the currency, then what sells best beside it', async () => {
    const tea = products.get('TEA') as ProductId
    expect(titles(await list(tea))).toEqual(['Blue Owl Saucer', 'Tea Pot'])
    expect(titles(await list('blue-owl-tea-cup', 'EUR'))).toEqual(['Blue Owl Bowl'])
    expect(titles(await list(tea, 'GBP', 1))).toEqual(['Blue Owl Saucer'])
    expect(await list(tea, 'USD')).toEqual([])
  })

  it.each(['nothing', 'prod_01h455vb4pex5vsknk084sn02q', 'blue-owl-plate'])('knows no %s', async (product) =>
    expect(await list(product)).toBeNull(),
  )
})

describe('collections', () => {
  it('shows what sells best first', async () => {
    const best = await listBestsellers(database.pool, { currency: 'GBP', limit: 3 })
    expect(titles(best)?.[0]).toBe('Blue Owl Tea Cup')
    expect(titles(await listNewest(database.pool, { currency: 'GBP', limit: 2 }))).toEqual(['Bulb', 'Desk Lamp'])
  })

  it('shows the categories with their bestsellers', async () => {
    const collections = await listCategoryCollections(database.pool, { currency: 'GBP', limit: 2, categories: 5 })
    expect(collections.map(({ category, products }) => [category.title, titles(products)])).toEqual([
      ['Kitchen', ['Blue Owl Tea Cup', 'Blue Owl Saucer']],
      ['Home', ['Desk Lamp', 'Bulb']],
    ])
  })

  it('shows what goes with what was seen, without that', async () => {
    const seen = [products.get('TEA') as ProductId, products.get('SAUCER') as ProductId]
    expect(titles(await listForInterest(database.pool, { currency: 'EUR', limit: 4, seen }))).toEqual(['Blue Owl Bowl'])
  })
})

describe('velocity', () => {
  it('is what the formula says', async () => {
    const [lamp, bulb] = [products.get('LAMP') as ProductId, products.get('BULB') as ProductId]
    await pastOrders(database.pool, [
      { skus: ['LAMP'], daysAgo: 1 },
      { skus: ['LAMP'], daysAgo: 2, email: 'x@example.com' },
    ])
    await addInteractionCounts(
      database.pool,
      new Map([
        [lamp, { view: 30, click: 10, add: 2 }],
        [bulb, { view: 1_000, click: 0, add: 0 }],
        [newId('product'), { view: 1, click: 1, add: 1 }],
      ]),
    )
    await run(activities.countSales, undefined)
    await inSlices(activities.rankVelocity)
    const nothing = { adds: 0, clicks: 0, views: 0 }
    expect(await velocity(lamp)).toBeCloseTo(
      velocityOf([
        { ageDays: 0, orders: 4, adds: 2, clicks: 10, views: 30 },
        { ageDays: 1, orders: 1, ...nothing },
        { ageDays: 2, orders: 1, ...nothing },
      ]),
      4,
    )
    expect(await waitsForSearch(bulb)).toBe(true)
    expect(await velocity(bulb)).toBeCloseTo(3 + 4, 4)
  })

  it('is written with the mark that search is to be told, or not at all', async () => {
    const { pool } = database
    const bulb = products.get('BULB') as ProductId
    const before = await velocity(bulb)
    await pool.query('delete from search_pending')
    await pool.query('update product_stat set orders = orders + 5 where product_id = $1', [bulb])
    await pool.query('alter table search_pending rename to away')
    await expect(inSlices(activities.rankVelocity)).rejects.toThrow('search_pending')
    await pool.query('alter table away rename to search_pending')
    expect(await velocity(bulb)).toBe(before)
    await inSlices(activities.rankVelocity)
    expect(await velocity(bulb)).toBeGreaterThan(before)
    expect(await waitsForSearch(bulb)).toBe(true)
  })

  it('falls to nothing, and old days are deleted', async () => {
    const pot = products.get('POT') as ProductId
    await database.pool.query('update product_stat set day = day - 500 where product_id = $1', [pot])
    await database.pool.query(
      "update orders set confirmed_at = now() - interval '500 days' where email = 'Fan@example.com'",
    )
    await run(activities.countSales, undefined)
    await inSlices(activities.rankVelocity)
    expect(await velocity(pot)).toBe(0)
    const { rows } = await database.pool.query('select 1 from product_stat where product_id = $1', [pot])
    expect(rows).toEqual([])
  })
})

async function waitsForSearch(id: ProductId): Promise<boolean> {
  const { rowCount } = await database.pool.query('select from search_pending where product_id = $1', [id])
  return rowCount === 1
}

async function velocity(id: ProductId): Promise<number> {
  const { rows } = await database.pool.query<{ velocity: number }>(
    'select velocity from product_signal where product_id = $1',
    [id],
  )
  return rows[0]?.velocity ?? 0
}
