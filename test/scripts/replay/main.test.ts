import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readRetailFile } from '../../../scripts/replay/online-retail'
import { allDifferences } from '../../../scripts/replay/difference'
import { badWorld } from '../../../scripts/replay/fault'
import { leavesAt, type Plan, planReplay } from '../../../scripts/replay/plan'
import type { Progress } from '../../../scripts/replay/progress'
import { describeFile, differencesOf, sumsOf } from '../../../scripts/replay/report'
import { replay, type Replayed } from '../../../scripts/replay/run'
import { readSales, type SalesFile } from '../../../scripts/replay/sales'
import { testStack, type TestStack } from '../../support/stack'

type Row = [invoice: string, sku: string, quantity: number, price: string, description?: string, date?: string]

const HEADER = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country'

/** Every article but 10001 and 10002 is asked for in one quantity only; 20005 is the fifth of those, and not there at all. */
const SCARCE: Row[] = ['20001', '20002', '20003', '20004', '20005'].flatMap((sku, index): Row[] =>
  Array.from({ length: 4 }, (_, n) => [`5${index}${n}`, sku, 3, '1.25']),
)
const PLENTY: Row[] = [...new Set(SCARCE.map(([invoice]) => invoice))]
  .filter((invoice) => invoice !== '540')
  .map((invoice, n) => [invoice, n % 2 === 0 ? '10001' : '10002', n + 1, '2.10'])

const PERFECT = { late_rate: 0, short_rate: 0 }

function planOf(file: SalesFile, { limit = Number.POSITIVE_INFINITY, warehouse = PERFECT } = {}): Plan {
  return planReplay(file, { limit, seed: 1, warehouse })
}

const files: string[] = []
afterAll(() => files.forEach((path) => rmSync(path, { force: true })))

async function read(rows: readonly Row[]): Promise<SalesFile> {
  const path = join(tmpdir(), `holdfast-${randomUUID()}.csv.gz`)
  files.push(path)
  const lines = rows.map(
    ([invoice, sku, quantity, price, description = 'PAPER CHAIN KIT', date = '2010-12-01 08:26:00']) =>
      [invoice, sku, `"${description}"`, quantity, date, price, '17850.0', 'United Kingdom'].join(','),
  )
  writeFileSync(path, gzipSync(`${[HEADER, ...lines].join('\n')}\n`))
  return readSales(readRetailFile(path))
}

test('sums are computed from the file', async () => {
  const plan = planOf(await read([...SCARCE, ...PLENTY]))
  const plenty = PLENTY.reduce((total, [, , quantity]) => total + quantity, 0)
  expect(plan.expected).toEqual({
    // 540 asks for nothing but what is not there.
    orders: 19,
    withoutOrder: 1,
    lines: PLENTY.length + 4 * 2,
    units: plenty + 4 * 2 * 3,
    money: 210 * plenty + 125 * (4 * 2 * 3),
    refusedLines: 4 * 2 + 4,
  })
  expect(plan.articles.get('REPLAY-20001')).toMatchObject({
    sku: 'REPLAY-20001',
    title: 'Paper Chain Kit',
    price: 125,
    onHand: 6,
    spare: 0,
  })
})

test('the price is the one at which most units were sold, of several the lowest', async () => {
  const { articles } = await read([
    ['501', '10001', 5, '2.00'],
    ['502', '10001', 3, '2.50'],
    ['503', '10001', 3, '2.50'],
    ['504', '10002', 4, '0.85'],
    ['505', '10002', 4, '0.80'],
  ])
  expect(articles.get('10001')?.price).toBe(250)
  expect(articles.get('10002')?.price).toBe(80)
})

test('lines of one SKU are one line, whatever their case, and sales come in order of time', async () => {
  const file = await read([
    ['502', '10001a', 1, '2.00', 'MUG', '2010-12-01 09:00:00'],
    ['502', '10001A', 2, '2.00', 'MUG', '2010-12-01 09:00:00'],
    ['501', '10002', 1, '2.00', 'MUG', '2010-12-01 08:00:00'],
  ])
  expect(file.sales.map(({ invoice }) => invoice)).toEqual(['501', '502'])
  expect(file.sales[1]?.units).toEqual(new Map([['10001A', 3]]))
})

test('what cannot be sold is counted and named', async () => {
  const file = await read([
    ['501', '10001', 1, '2.00'],
    ['C502', '10001', -1, '2.00'],
    ['A503', 'B', 1, '-11062.06'],
    ['504', 'POST', 1, '18.00'],
    ['504', 'POST', 1, '18.00'],
    ['505', 'M', 1, '18.00'],
    ['506', '10001', -5, '0.00', 'damages'],
    ['507', '10001', 5, '0.00', ''],
    ['508', '10001', 5, '0.00', 'found'],
    ['509', '10001', 5, '-1.00'],
    ['510', '10001', 5, '0.001'],
    ['511', '10001', 100_001, '1.00'],
  ])
  const lines = new Map(file.skippedLines.map((one) => [one.reason.split(/[:(]/)[0]?.trim(), one.lines]))
  expect(Object.fromEntries(lines)).toEqual({
    'no goods': 3,
    'cancels a sale': 1,
    'adjusts the books': 1,
    'quantity zero, negative or no whole number': 1,
    'price zero and description missing': 1,
    'price zero': 1,
    'price negative': 1,
    'price not in whole pence': 1,
    'more than 100000 units on one line': 1,
  })
  expect(describeFile(file, planOf(file, { limit: 10 }))).toContain('(POST 2, M 1)')
  expect(file.sales).toHaveLength(1)
})

test('a file without the columns is refused', async () => {
  const path = join(tmpdir(), `holdfast-${randomUUID()}.csv.gz`)
  files.push(path)
  writeFileSync(path, gzipSync('a,b\n1,2\n'))
  await expect(readSales(readRetailFile(path))).rejects.toThrow('no column InvoiceNo')
  await expect(readSales(readRetailFile(`${path}.none`))).rejects.toThrow('ENOENT')
})

test('each difference is told', async () => {
  const plan = planOf(await read([['501', '10001', 2, '2.00']]))
  const lines = [{ sku: 'REPLAY-10001', quantity: 2, price: 200 }]
  const order = { id: 'order_1', invoice: '501', day: '2010-12-01', customer: '17850', total: 399, lines }
  const purchases = [{ refused: [], order }]
  const leftOver = new Map([['REPLAY-10001', 1]])
  const failures = [{ invoice: '502', message: 'the checkout was answered 500' }]
  const expectedLeft = new Map([['REPLAY-10002', 3]])
  expect(differencesOf(plan, { purchases, failures, leftOver, expectedLeft })).toEqual([
    'invoice 502: the checkout was answered 500',
    'money: £3.99, not £4.00',
    'REPLAY-10001: 1 units can still be sold, not 0',
    'REPLAY-10002: 0 units can still be sold, not 3',
  ])
})

/** Two customers' carts, the first of which is cancelled in part at once, in whole a minute later; and one cancelled too late. */
const CANCELLED: Row[] = [
  ['601', '10001', 5, '2.10', 'PAPER CHAIN KIT', '2010-12-02 09:00:00'],
  ['602', '10001', 2, '2.10', 'PAPER CHAIN KIT', '2010-12-02 09:01:00'],
  ['602', '10002', 2, '2.10', 'PAPER CHAIN KIT', '2010-12-02 09:01:00'],
  ['C603', '10001', -2, '2.10', 'PAPER CHAIN KIT', '2010-12-02 09:02:00'],
  ['C604', '10001', -5, '2.10', 'PAPER CHAIN KIT', '2010-12-02 09:03:00'],
  ['C605', '10002', -1, '2.10', 'PAPER CHAIN KIT', '2011-06-02 09:03:00'],
  ['C606', 'POST', -1, '18.00', 'POSTAGE', '2010-12-02 09:03:00'],
]

test('what is cancelled before its goods leave is planned, and what comes later waits', async () => {
  const file = await read([...SCARCE, ...PLENTY, ...CANCELLED])
  const plan = planOf(file)
  expect(plan.cancelled).toEqual(
    new Map([
      ['602', new Map([['REPLAY-10001', 2]])],
      ['601', new Map([['REPLAY-10001', 5]])],
    ]),
  )
  expect(plan.articles.get('REPLAY-10001')?.isSouthOnly).toBe(true)
  expect(plan.refusals.has('REPLAY-10001')).toBe(false)
  const text = describeFile(file, plan)
  expect(text).toMatch(/4 lines cancel/)
  expect(text).toMatch(/2 lines +7 units +before its goods left/)
  expect(text).toMatch(/1 lines +1 units +after its goods left/)
  expect(text).toMatch(/1 lines +cancel no goods/)
  const kinds = plan.steps.filter(({ invoice }) => invoice === '602').map(({ kind }) => kind)
  expect(kinds).toEqual(['buy', 'cancel', 'send'])
  expect(planOf(file, { limit: 1 }).cancellations.map(({ kind }) => kind)).toEqual(Array(3).fill('not_played'))
})

test('goods leave at a time that the seed says, later where the warehouse is late, and each unit that is missed is spare', async () => {
  const file = await read([...SCARCE, ...PLENTY])
  const sale = { invoice: '501', time: 0 }
  const how = { limit: 1, seed: 7, warehouse: PERFECT }
  const hours = leavesAt(sale, how) / 3_600_000
  expect(hours).toBeGreaterThanOrEqual(2)
  expect(hours).toBeLessThanOrEqual(96)
  expect(leavesAt(sale, how)).toBe(leavesAt(sale, { ...how, limit: 2 }))
  const late = leavesAt(sale, { ...how, warehouse: { ...PERFECT, late_rate: 1 } })
  expect(late / 3_600_000).toBe(hours + 7 * 24)
  const short = planOf(file, { warehouse: { late_rate: 0, short_rate: 1 } })
  expect(short.short.size).toBe(19)
  for (const sku of short.short.values()) expect(['REPLAY-10001', 'REPLAY-10002', 'REPLAY-20004']).toContain(sku)
  const spare = [...short.articles.values()].reduce((units, article) => units + article.spare, 0)
  expect(spare).toBe(19)
})

describe('on a running shop', () => {
  let shop: TestStack
  beforeAll(async () => {
    shop = await testStack({ apis: 2, env: { RECONCILIATION_QUIET_SECONDS: '0' } })
  }, 60_000)
  afterAll(() => shop.stop())

  test('sums are as computed though a worker and an API are killed in the middle, and once more on the same shop', async () => {
    const plan = planOf(await read([...SCARCE, ...PLENTY, ...CANCELLED]), {
      warehouse: { late_rate: 0.2, short_rate: 0.3 },
    })
    const kills: Promise<void>[] = []
    const first = await replayWith(plan, ({ done }) => {
      if (done === 3) kills.push(shop.stack.kill('worker-1', 'SIGKILL'), shop.stack.kill('api-2', 'SIGKILL'))
    })
    await Promise.all(kills)
    expect(first.repeated.size).toBeGreaterThan(0)
    await shop.stack.ready('api-2')
    await replayWith(plan, () => undefined)
  }, 420_000)

  async function replayWith(plan: Plan, update: Progress['update']): Promise<Replayed> {
    const showProgress = (): Progress => ({ update, stop: () => undefined })
    const { apis, sandbox, carrier } = shop.stack.file
    const world = badWorld(1)
    const options = {
      apis,
      sandbox,
      carrier,
      adminKey: shop.adminKey,
      concurrency: 4,
      seed: 1,
      world: { ...world, carrier: { ...world.carrier, lost_rate: 0.2, return_rate: 0.2 } },
      returnWindowDays: 0,
      showProgress,
    }
    const outcome = await replay(plan, options)
    expect(allDifferences(plan, outcome)).toEqual([])
    expect(sumsOf(outcome.purchases)).toEqual(plan.expected)
    expect(outcome.story.decisions.size).toBeGreaterThan(0)
    expect(outcome.audit).toMatchObject({ invariants: { ok: true, settled: true } })
    return outcome
  }
})
