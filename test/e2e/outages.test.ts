import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createPool, type Pool } from '../../db/pool'
import { type Stack, startStack } from '../../scripts/stack/supervisor'
import { replicatedDatabase, type ReplicatedDatabase } from '../support/replica'
import { testServices } from '../support/services'
import { Shop } from '../support/shop'
import { testNamespace } from '../support/temporal'
import { startTypesenseStub, type TypesenseStub } from '../support/typesense-stub'
import { until } from '../support/wait'

/**
 * Two API processes with everything that may be away: Typesense (its stub), Redis, a replica. While shoppers browse and
 * buy, each is killed and comes back. Nobody notices: there is no allowance for errors, not one.
 */

const PORTS = { primary: 26_511, replica: 26_512 }
const PORT_OFFSET = 16_000
const SEARCH_KEY = 'outage'
const BROWSERS = 4
const BUYERS = 2
/** What a merchant changes is seen on pages within this. */
const SEEN_WITHIN_MS = 1_000

interface Seen {
  readonly path: string
  readonly api: number
  readonly status: number
  readonly engine: string | undefined
  readonly at: number
}

interface Item {
  readonly id: string
  readonly slug: string
  readonly sku: string
}

let database: ReplicatedDatabase
let typesense: TypesenseStub
let stack: Stack
let pool: Pool
let shop: Shop
/** Changed all the time; what is bought is another, for a price that rises is a purchase refused. */
let item: Item
let sold: Item
let folder: string

const seen: Seen[] = []
const bought: { status: number; code: string | undefined; at: number }[] = []
let open = true
const load: Promise<unknown>[] = []

beforeAll(async () => {
  folder = join(testServices().folder, 'stacks', randomUUID())
  const temporal = await testNamespace()
  typesense = await startTypesenseStub({ apiKey: SEARCH_KEY })
  database = await replicatedDatabase(join(folder, 'postgres'), PORTS)
  stack = await startStack({
    folder: join(folder, 'stack'),
    apis: 2,
    given: {
      DATABASE_URL: database.primaryUrl,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_UI_URL: testServices().temporalUi,
    },
    env: {
      DATABASE_REPLICA_URL: database.replicaUrl,
      TYPESENSE_URL: typesense.url,
      TYPESENSE_API_KEY: SEARCH_KEY,
      LOG_LEVEL: 'warn',
    },
    namespace: temporal.namespace,
    durable: false,
    portOffset: PORT_OFFSET,
  })
  const { apis, admin_key: adminKey, sandbox } = stack.file
  pool = createPool({ DATABASE_URL: database.primaryUrl, DATABASE_POOL_MAX: 2 }, { name: 'holdfast-test' })
  shop = new Shop({
    apis,
    adminKey,
    sandbox,
    database: { url: database.primaryUrl, pool, drop: async () => undefined },
  })
  item = await makeItem('Item')
  sold = await makeItem('Sold')
  await everythingIsUp()
  for (let browser = 0; browser < BROWSERS; browser++) load.push(browse(browser))
  for (let buyer = 0; buyer < BUYERS; buyer++) load.push(buy(buyer))
}, 120_000)
afterAll(async () => {
  open = false
  await Promise.all(load)
  await stack?.stop()
  await pool?.end()
  await Promise.all([typesense?.stop(), database?.stop()])
  rmSync(folder, { recursive: true, force: true })
}, 60_000)

it('without Typesense Postgres finds, and what changed meanwhile is in Typesense when it is back', async () => {
  const word = newWord()
  await outage({
    begin: async () => {
      await typesense.kill()
      await retitle(word)
      await until('Postgres finds the new title', () => finds(word))
      expect(await enginesOf(word)).toEqual(['postgres', 'postgres'])
    },
    end: async () => {
      await typesense.revive()
      await until('Typesense answers', () => enginesOf(word), isTypesense, 15_000)
      await until('Typesense finds the new title', () => finds(word))
    },
  })
  expect(enginesDuring()).toEqual(new Set(['typesense', 'postgres']))
}, 60_000)

it('without Redis pages are made as before, and what changes is seen', async () => {
  await outage({
    begin: async () => {
      await stack.halt('redis', 'SIGKILL')
      await reprice(1_111)
    },
    end: async () => {
      await stack.revive('redis')
      await reprice(1_222)
    },
  })
}, 60_000)

it('without its replica the primary is read, and the replica again when it is back', async () => {
  await outage({
    begin: async () => {
      await database.killReplica()
      await reprice(1_333)
    },
    end: async () => {
      await database.reviveReplica()
      await until('both read the replica', replicaStates, (states) => states.every((state) => state === 'up'), 20_000)
      await reprice(1_444)
    },
  })
}, 60_000)

interface Outage {
  readonly begin: () => Promise<void>
  readonly end: () => Promise<void>
}

let begun = 0

/** Something goes and comes back, each with enough of browsing and buying to tell. */
async function outage({ begin, end }: Outage): Promise<void> {
  begun = Date.now()
  await begin()
  await enoughHappens('while it is away')
  await end()
  await enoughHappens('now that it is back')
  expect(seen.filter(({ status }) => status >= 500)).toEqual([])
  expect(bought.filter(({ status }) => status !== 201)).toEqual([])
}

async function enoughHappens(when: string): Promise<void> {
  const from = Date.now()
  const since = ({ at }: { at: number }): boolean => at > from
  const enough = (): boolean => bought.filter(since).length >= 6 && seen.filter(since).length >= 200
  await until(`six purchases and 200 pages ${when}`, enough, Boolean, 20_000)
}

/** Product page, category page, list, search, in turn, at one process after the other. */
async function browse(browser: number): Promise<void> {
  const paths = [
    `/v1/store/pages/product/${item.slug}`,
    '/v1/store/pages/category/outages',
    '/v1/store/products?category=outages&sort=newest',
    '/v1/store/search?q=item',
    '/v1/store/pages/home',
  ]
  for (let turn = browser; open; turn++) {
    const path = paths[turn % paths.length] as string
    const api = Math.floor(turn / paths.length) % 2
    const at = Date.now()
    const { status, engine } = await get(path, api)
    seen.push({ path, api, status, engine, at })
    await pause(5)
  }
}

/** From an empty cart to the order, over and over. What gets no answer is sent again under its key. */
async function buy(number: number): Promise<void> {
  for (let turn = number; open; turn++) {
    const at = Date.now()
    const buyer = await shop.buyer({ [sold.sku]: 1 })
    const key = randomUUID()
    const checkout = () => buyer.checkout({ key, api: turn % 2 }).catch(() => null)
    let answer = await checkout()
    for (let tries = 1; tries < 5 && (answer === null || answer.status === 202); tries++) answer = await checkout()
    bought.push({ status: answer?.status ?? 0, code: answer?.body.code, at })
  }
}

async function get(path: string, api: number): Promise<{ status: number; engine: string | undefined; body: any }> {
  // No answer counts as the worst one.
  const response = await fetch((stack.file.apis[api] as string) + path).catch(() => null)
  if (!response) return { status: 599, engine: undefined, body: null }
  const body = (await response.json()) as any
  return { status: response.status, engine: body.engine, body }
}

function enginesDuring(): Set<string | undefined> {
  return new Set(seen.filter(({ path, at }) => path.includes('/search') && at >= begun).map(({ engine }) => engine))
}

const onBoth = <T>(ask: (api: number) => Promise<T>): Promise<T[]> => Promise.all([0, 1].map(ask))

async function enginesOf(word: string): Promise<(string | undefined)[]> {
  return onBoth(async (api) => (await get(`/v1/store/search?q=${word}`, api)).engine)
}

const isTypesense = (engines: readonly (string | undefined)[]): boolean =>
  engines.every((engine) => engine === 'typesense')

async function finds(word: string): Promise<boolean> {
  const totals = await onBoth(async (api) => (await get(`/v1/store/search?q=${word}`, api)).body?.total)
  return totals.every((total) => total === 1)
}

async function replicaStates(): Promise<(string | undefined)[]> {
  return onBoth(async (api) => (await get('/readyz', api)).body?.dependencies?.replica?.status)
}

async function everythingIsUp(): Promise<void> {
  await until('both read the replica', replicaStates, (states) => states.every((state) => state === 'up'), 40_000)
  await until('Typesense answers', () => enginesOf('item'), isTypesense, 20_000)
  await until('it is found', () => finds('item'), Boolean, 20_000)
}

/** Letters alone: no word is a misspelling of another. */
function newWord(): string {
  return randomUUID()
    .replace(/[^a-f]/g, '')
    .concat('xyzzy')
}

async function retitle(word: string): Promise<void> {
  await change({ title: `Item ${word}` })
}

/** Both processes show it within the bound, counted from the answer. */
async function reprice(amount: number): Promise<void> {
  await change({ variants: [{ sku: item.sku, prices: [{ amount, currency: 'GBP' }] }] })
  const answered = Date.now()
  const prices = (): Promise<number[]> =>
    onBoth(async (api) => {
      const { body } = await get(`/v1/store/pages/product/${item.slug}`, api)
      return body.product.variants[0].price.amount
    })
  await until(`the price is ${amount}`, prices, (both) => both.every((price) => price === amount))
  expect(Date.now() - answered).toBeLessThan(SEEN_WITHIN_MS)
}

async function change(body: object): Promise<void> {
  const { status } = await shop.call('patch', `/v1/admin/products/${item.id}`, {
    key: shop.address.adminKey,
    headers: { 'if-match': '*' },
    body,
  })
  expect(status).toBe(200)
}

async function makeItem(title: string): Promise<Item> {
  const sku = `OUTAGE-${title}`
  const { body } = await shop.admin('post', '/v1/admin/products', {
    title,
    categories: ['Outages'],
    variants: [{ sku, prices: [{ amount: 1_000, currency: 'GBP' }] }],
  })
  const warehouse = await shop.admin('post', '/v1/admin/warehouses', { name: title, country: 'GB' })
  await shop.admin('post', '/v1/admin/inventory/adjustments', {
    sku,
    warehouse_id: warehouse.body.id,
    set_on_hand: 100_000,
    reason: 'stocktake',
  })
  return { id: body.id, slug: body.slug, sku }
}
