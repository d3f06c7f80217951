import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, Pool as PlainPool } from 'pg'
import { readComparedPayments } from '../../db/payment/compared'
import { migrate } from '../../db/platform/migrate'
import { createPool, type Pool } from '../../db/pool'
import type { PaymentId } from '../../domain/ids'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { interleave, ratio } from '../measure'
import { orderIdOf, providerOf, writePaidOrders } from './history'
import { reconcileOnce, reconciliationOf } from './run'

const ORDERS = 100_000
const PAIRS = 2
const BAR = 10
/** The largest heap with all orders ÷ with a tenth of them. */
const FLAT = 1.2
const DATABASE = 'bench_reconciliation'

/** A reconciliation of 100,000 paid orders that none has seen yet, against one `select` of the same rows; and its memory. */
export async function benchReconciliation(stack: Stack): Promise<Figure[]> {
  const url = await freshDatabase(stack.services.DATABASE_URL)
  await writePaidOrders(url, { from: 0, to: ORDERS, hoursAgo: 1, isMatched: false })
  const pool = createPool({ DATABASE_URL: url, DATABASE_POOL_MAX: 4 }, { name: 'holdfast-bench' })
  // What reads or changes all rows at once takes longer than any statement of the shop may.
  const whole = new PlainPool({ connectionString: url, max: 1 })
  const measured = (orders: number) => reconcile({ pool, whole, orders })
  try {
    const pairs = await interleave(
      PAIRS,
      () => measured(ORDERS).then(({ seconds }) => seconds),
      () => selectAll(whole),
    )
    const { median, low, high } = ratio(pairs, (seconds) => seconds)
    const [few, all] = [await measured(ORDERS / 10), await measured(ORDERS)]
    const heap = all.heapMb / few.heapMb
    const [first] = pairs
    return [
      {
        what: `reconciliation of ${ORDERS.toLocaleString('en')} orders ÷ one select of the same rows`,
        bar: `≤ ${BAR}`,
        value: median,
        good: median <= BAR,
        note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${first?.subject.toFixed(1)} s ÷ ${first?.control.toFixed(1)} s`,
      },
      {
        what: 'its largest heap ÷ with a tenth of the orders',
        bar: `≤ ${FLAT}`,
        value: heap,
        good: heap <= FLAT,
        note: `${all.heapMb.toFixed(0)} MB ÷ ${few.heapMb.toFixed(0)} MB`,
      },
    ]
  } finally {
    await Promise.all([pool.end(), whole.end()])
    await asOwner(stack.services.DATABASE_URL, `drop database if exists ${DATABASE} with (force)`)
  }
}

interface Measured {
  readonly seconds: number
  readonly heapMb: number
}

/** As the first run of all would see so many of them: nothing is matched, and there is no watermark. The others are matched. */
async function reconcile({ pool, whole, orders }: { pool: Pool; whole: PlainPool; orders: number }): Promise<Measured> {
  await whole.query('delete from reconciliation_watermark')
  for (const table of ['capture', 'refund']) {
    await whole.query(
      `update ${table} set movement = case when order_id >= $1 then reference end
       where (movement is not null) is distinct from (order_id >= $1)`,
      [orderIdOf(orders)],
    )
  }
  await whole.query('vacuum analyze capture, refund')
  let heapMb = 0
  let pages = 0
  const provider = providerOf({ from: 0, to: orders, hoursAgo: 1 }, () => {
    if (pages++ % 20 === 0) heapMb = Math.max(heapMb, liveHeapMb())
  })
  const begun = performance.now()
  const { healed, waiting } = await reconcileOnce(reconciliationOf(pool, provider))
  if (healed + waiting > 0) throw new Error('The orders are not at rest.')
  return { seconds: (performance.now() - begun) / 1_000, heapMb }
}

/** All that a reconciliation reads of our rows, in one statement. */
async function selectAll(pool: PlainPool): Promise<number> {
  const { rows } = await pool.query<{ id: PaymentId }>('select id from payment')
  const ids = rows.map(({ id }) => id)
  const begun = performance.now()
  const read = await readComparedPayments(pool, { ids, quietSeconds: 600 })
  if (read.length !== ORDERS) throw new Error(`${read.length} payments were read`)
  return (performance.now() - begun) / 1_000
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function liveHeapMb(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / 2 ** 20
}

async function freshDatabase(databaseUrl: string): Promise<string> {
  await asOwner(databaseUrl, `drop database if exists ${DATABASE} with (force)`)
  await asOwner(databaseUrl, `create database ${DATABASE}`)
  const url = new URL(databaseUrl)
  url.pathname = `/${DATABASE}`
  await migrate(url.href)
  return url.href
}

async function asOwner(connectionString: string, text: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
