import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from '../../config'
import { createPool, type Pool } from '../../db/pool'
import { listProductIds } from '../../db/catalog/product'
import { NO_AFFINITY, NO_FILTERS, type SearchQuery } from '../../domain/search'
import { wordsOf } from '../../domain/words'
import { PostgresSearch } from '../../providers/search/postgres/engine'
import { seedDemoShop } from '../../scripts/demo/seed'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import { LARGE, LARGE_FOLDER, prepareLarge } from '../catalog/large'
import type { Figure } from '../figure'
import { burst, interleave, median, quantile, ratio } from '../measure'
import { type Asked, titleBeginnings, demoTitles, generatedSample, misspeltTitles, MIX_NOTE, mixOf } from './query-set'
import { Shop } from '../shop'

const PAIRS = 5
const SECONDS = 5
const WRITES_PER_SECOND = 50
const WRITE_SECONDS = 20

/** Search in Postgres on the demo shop: its cost, what it finds of misspelt titles, and how soon it knows of changes. */
export async function benchSearch(): Promise<Figure[]> {
  const stack = await startStack({ folder: join(ROOT, '.holdfast', 'bench-search'), portOffset: 8_000 })
  const pool = createPool({ DATABASE_URL: stack.services.DATABASE_URL, DATABASE_POOL_MAX: 4 }, { name: 'bench' })
  try {
    const { products } = await seedDemoShop({ api: stack.file.api, adminKey: stack.file.admin_key })
    await indexed(pool, products)
    const engine = new PostgresSearch(pool)
    await engine.swap()
    const titles = demoTitles()
    return [
      await costFigure(pool, engine, titles, { what: `${products} products`, bar: 20 }),
      ...(await recallFigures(engine, titles)),
      await freshnessFigure(stack, pool),
    ]
  } finally {
    await pool.end()
    await stack.stop()
  }
}

/** The same at a million generated SKUs, in a database of its own that is kept for the next time. */
export async function benchLargeSearch(): Promise<Figure[]> {
  await prepareLarge()
  const stack = await startStack({ folder: LARGE_FOLDER, portOffset: 8_500, apis: 0, durable: false })
  const pool = createPool({ DATABASE_URL: stack.services.DATABASE_URL, DATABASE_POOL_MAX: 4 }, { name: 'bench' })
  try {
    const engine = new PostgresSearch(pool)
    const titles = generatedSample(LARGE)
    return [
      await costFigure(pool, engine, titles, { what: `${LARGE.count} SKUs`, bar: 100 }),
      ...(await recallFigures(engine, titles)),
    ]
  } finally {
    await pool.end()
    await stack.stop()
  }
}

/** One caller; the control reads one product's row by its id through the same pool. */
async function costFigure(
  pool: Pool,
  engine: PostgresSearch,
  titles: readonly string[],
  { what, bar }: { what: string; bar: number },
): Promise<Figure> {
  const ids = await listProductIds(pool, '', 5_000)
  const categories = await pool.query<{ slug: string }>('select slug from category order by slug')
  const queries = mixOf(
    titles,
    categories.rows.map(({ slug }) => slug),
  )
  let turn = 0
  const searching = () =>
    burst(1, SECONDS, async () => {
      await engine.search(queries[turn++ % queries.length] as SearchQuery)
    })
  const reading = () =>
    burst(1, SECONDS, async () => {
      const id = ids[turn++ % ids.length]
      await pool.query({ name: 'bench.byId', text: 'select * from product where id = $1', values: [id] })
    })
  const pairs = await interleave(PAIRS, searching, reading)
  const { median: middle, low, high } = ratio(pairs, (one) => one.p95)
  const subject = median(pairs.map((pair) => pair.subject.p95)).toFixed(2)
  const control = median(pairs.map((pair) => pair.control.p95)).toFixed(2)
  const half = median(pairs.map((pair) => pair.subject.p50)).toFixed(2)
  return {
    what: `search on Postgres, p95 ÷ one select by id, ${what}`,
    bar: `≤ ${bar}`,
    value: middle,
    good: middle <= bar,
    note: `${low.toFixed(1)} to ${high.toFixed(1)}; ${subject} ms ÷ ${control} ms; p50 ${half} ms; ${MIX_NOTE}`,
  }
}

async function recallFigures(engine: PostgresSearch, titles: readonly string[]): Promise<Figure[]> {
  const figure = async (what: string, asked: readonly Asked[]): Promise<Figure> => {
    const value = await recall(engine, asked)
    return {
      what: `recall at 10, ${what}`,
      bar: '≥ 0.9',
      value,
      good: value >= 0.9,
      note: `${asked.length} titles of three words or more; the title itself counts`,
    }
  }
  return [
    await figure('one word misspelt (swap, drop, double)', misspeltTitles(titles)),
    await figure('last word a beginning of 2 to 4 letters', titleBeginnings(titles)),
  ]
}

async function recall(engine: PostgresSearch, queries: readonly Asked[]): Promise<number> {
  let found = 0
  for (const { title, text } of queries) {
    const { hits } = await engine.search({
      text,
      currency: 'GBP',
      filters: NO_FILTERS,
      sort: 'relevance',
      offset: 0,
      limit: 10,
      affinity: NO_AFFINITY,
    })
    // Products of one title cannot be told apart by it.
    const plain = wordsOf(title).join(' ')
    if (hits.some(({ highlight }) => wordsOf(plainOf(highlight?.title ?? '')).join(' ') === plain)) found++
  }
  return found / queries.length
}

function plainOf(html: string): string {
  return html
    .replace(/<\/?mark>/g, '')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

/** Staff change descriptions at a steady rate over HTTP; a change is searchable when its document says so. */
async function freshnessFigure(stack: Stack, pool: Pool): Promise<Figure> {
  const shop = new Shop(stack)
  const ids = await listProductIds(pool, '', WRITES_PER_SECOND * WRITE_SECONDS)
  const waiting = new Map<string, { version: number; writtenAt: number }>()
  const times: number[] = []
  let isWriting = true
  const watch = (async () => {
    while (isWriting || waiting.size > 0) {
      const { rows } = await pool.query<{ id: string; version: number }>({
        name: 'bench.fresh',
        text: 'select product_id as id, version from search_document where product_id = any ($1::text[])',
        values: [[...waiting.keys()]],
      })
      const now = performance.now()
      for (const { id, version } of rows) {
        const wanted = waiting.get(id)
        if (!wanted || version < wanted.version) continue
        times.push(now - wanted.writtenAt)
        waiting.delete(id)
      }
      await pause(5)
    }
  })()
  const begun = performance.now()
  const writes = ids.map(async (id, index) => {
    await pause(begun + (1_000 * index) / WRITES_PER_SECOND - performance.now())
    const body = await shop.patchProduct(id, { description: `Changed for the ${index}th time` })
    waiting.set(id, { version: body.version, writtenAt: performance.now() })
  })
  await Promise.all(writes)
  isWriting = false
  await watch
  await shop.close()
  times.sort((a, b) => a - b)
  const worst = quantile(times, 0.99)
  return {
    what: `product write → searchable, p99, ${WRITES_PER_SECOND} writes/s`,
    bar: '≤ 500 ms',
    value: worst,
    good: worst <= 500,
    note: `ms from the answer to the write; p50 ${quantile(times, 0.5).toFixed(0)} ms, ${times.length} writes`,
  }
}

async function indexed(pool: Pool, products: number): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ n: number }>(
      'select (select count(*) from search_document)::int - (select count(*) from search_pending)::int as n',
    )
    if ((rows[0]?.n ?? 0) >= products) return
    await pause(200)
  }
}
