import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readRetailFile } from '../../../scripts/replay/online-retail'
import { faultsOf } from '../../../scripts/replay/fault'
import { moneyDifferencesOf } from '../../../scripts/replay/money-report'
import { type Plan, planReplay } from '../../../scripts/replay/plan'
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
  const plan = planReplay(await read([...SCARCE, ...PLENTY]), Number.POSITIVE_INFINITY)
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
  expect(plan.articles.get('REPLAY-20001')).toEqual({
    sku: 'REPLAY-20001',
    title: 'Paper Chain Kit',
    price: 125,
    onHand: 6,
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
  expect(describeFile(file, planReplay(file, 10))).toContain('(POST 2, M 1)')
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
  const plan = planReplay(await read([['501', '10001', 2, '2.00']]), 1)
  const lines = [{ sku: 'REPLAY-10001', quantity: 2, price: 200 }]
  const order = { id: 'order_1', invoice: '501', day: '2010-12-01', total: 399, lines }
  const purchases = [{ refused: [], order }]
  const leftOver = new Map([['REPLAY-10001', 1]])
  const failures = [{ invoice: '502', message: 'the checkout was answered 500' }]
  expect(differencesOf(plan, { purchases, failures, leftOver, returned: new Map([['REPLAY-10002', 3]]) })).toEqual([
    'invoice 502: the checkout was answered 500',
    'money: £3.99, not £4.00',
    'REPLAY-10001: 1 units can still be sold, not 0',
    'REPLAY-10002: 0 units can still be sold, not 3',
  ])
})

describe('on a running shop', () => {
  let shop: TestStack
  beforeAll(async () => {
    shop = await testStack({ apis: 2, env: { RECONCILIATION_QUIET_SECONDS: '0' } })
  }, 60_000)
  afterAll(() => shop.stop())

  test('sums are as computed though a worker and an API are killed in the middle, and once more on the same shop', async () => {
    const plan = planReplay(await read([...SCARCE, ...PLENTY]), Number.POSITIVE_INFINITY)
    const kills: Promise<void>[] = []
    const first = await replayWith(plan, ({ done }) => {
      if (done === 3) kills.push(shop.stack.kill('worker-1', 'SIGKILL'), shop.stack.kill('api-2', 'SIGKILL'))
    })
    await Promise.all(kills)
    expect(first.repeated.size).toBeGreaterThan(0)
    await shop.stack.ready('api-2')
    await replayWith(plan, () => undefined)
  }, 180_000)

  async function replayWith(plan: Plan, update: Progress['update']): Promise<Replayed> {
    const showProgress = (): Progress => ({ update, stop: () => undefined })
    const { apis, sandbox } = shop.stack.file
    const options = {
      apis,
      sandbox,
      adminKey: shop.adminKey,
      concurrency: 4,
      seed: 1,
      faults: faultsOf(1),
      showProgress,
    }
    const outcome = await replay(plan, options)
    expect(differencesOf(plan, outcome)).toEqual([])
    expect(sumsOf(outcome.purchases)).toEqual(plan.expected)
    expect(moneyDifferencesOf(outcome.money, outcome.reconciled)).toEqual([])
    expect(outcome.audit).toMatchObject({ invariants: { ok: true, settled: true } })
    return outcome
  }
})
