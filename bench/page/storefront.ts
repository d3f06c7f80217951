import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { ROOT } from '../../config'
import { startBrowser } from '../../scripts/stack/browser'
import { seedDemoShop } from '../../scripts/demo/seed'
import { startStack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { interleave, median, ratio } from '../measure'

const PAIRS = 5
const VISITS = 3
const PAGES = {
  home: '/',
  category: '/category/kitchen',
  search: '/search?q=heart',
  product: '/product/white-hanging-heart-t-light-holder',
  cart: '/cart',
} as const
/** What is painted and asked for after the page is filled: pictures, the icon. */
const SETTLE_MS = 300
const BARS = { paint: 3, requests: 10, script: 60 } as const

interface Visit {
  /** The largest contentful paint, ms from the beginning of navigation. */
  readonly paint: number
  readonly requests: number
  /** kB as they come. */
  readonly script: number
}

/** Every page of the storefront of the demo shop in headless Chromium, without cache, against a page with one line. */
export async function benchStorefront(): Promise<Figure[]> {
  const stack = await startStack({ folder: join(ROOT, '.holdfast', 'bench-search'), portOffset: 8_000 })
  const empty = createServer((_, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><html lang="en"><title>Empty</title><p>Nothing</p></html>')
  }).listen(0, '127.0.0.1')
  const browser = await startBrowser()
  try {
    await seedDemoShop({ api: stack.file.api, adminKey: stack.file.admin_key })
    const control = `http://127.0.0.1:${(empty.address() as AddressInfo).port}/`
    const figures: Figure[] = []
    for (const [name, path] of Object.entries(PAGES)) {
      const pairs = await interleave(
        PAIRS,
        () => visits(browser, stack.file.api + path),
        () => visits(browser, control),
      )
      figures.push(...figuresOf(name, pairs))
    }
    return figures
  } finally {
    await browser.close()
    empty.close()
    await stack.stop()
  }
}

async function visits(browser: Browser, url: string): Promise<Visit> {
  const all: Visit[] = []
  while (all.length < VISITS) all.push(await visit(browser, url))
  return {
    paint: median(all.map(({ paint }) => paint)),
    requests: Math.max(...all.map(({ requests }) => requests)),
    script: Math.max(...all.map(({ script }) => script)),
  }
}

async function visit(browser: Browser, url: string): Promise<Visit> {
  const context = await browser.newContext()
  const page = await context.newPage()
  let requests = 0
  let script = 0
  page.on('response', (response) => {
    requests++
    if (!response.url().endsWith('.mjs')) return
    response.body().then(
      (body) => (script += body.length / 1_024),
      () => undefined,
    )
  })
  await page.goto(url, { waitUntil: 'load' })
  await page.locator('main[aria-busy]').waitFor({ state: 'detached' })
  await page.waitForTimeout(SETTLE_MS)
  const paint = await page.evaluate<number>(LARGEST_PAINT)
  await context.close()
  return { paint, requests, script }
}

/** Runs in the page: whoever observes afterwards is told of all its paints at once. */
const LARGEST_PAINT = `new Promise((resolve) => {
  new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime))
    .observe({ type: 'largest-contentful-paint', buffered: true })
})`

function figuresOf(name: string, pairs: readonly { subject: Visit; control: Visit }[]): Figure[] {
  const { median: middle, low, high } = ratio(pairs, ({ paint }) => paint)
  const ours = median(pairs.map(({ subject }) => subject.paint)).toFixed(0)
  const theirs = median(pairs.map(({ control }) => control.paint)).toFixed(0)
  const most = (figure: (visit: Visit) => number): number => Math.max(...pairs.map(({ subject }) => figure(subject)))
  const row = (what: string, unit: string, bar: number, value: number, note = ''): Figure => ({
    what: `storefront, ${name}: ${what}`,
    bar: `≤ ${bar}${unit}`,
    value,
    good: value <= bar,
    note,
  })
  const spread = `${low.toFixed(1)} to ${high.toFixed(1)}; ${ours} ms ÷ ${theirs} ms`
  return [
    row('largest paint ÷ of an empty page', '', BARS.paint, middle, spread),
    row(
      'requests',
      '',
      BARS.requests,
      most(({ requests }) => requests),
    ),
    row(
      'script',
      ' kB',
      BARS.script,
      most(({ script }) => script),
    ),
  ]
}
