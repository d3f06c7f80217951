import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { ROOT } from '../../config'
import type { Stack } from '../../scripts/stack/supervisor'
import type { Figure } from '../figure'
import { interleave, median, ratio } from '../measure'
import { Shop } from '../shop'

const run = promisify(execFile)
const PROCESSES = 2
const PAIRS = 5
const SECONDS = 6
const MANY = 1_000
const FEW = 10

/** Reservations of one SKU by two processes with their production pools: a thousand callers against ten. */
export async function benchReservation(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const client = new Client({ connectionString: stack.services.DATABASE_URL })
  await client.connect()
  try {
    const [sku = ''] = await shop.stock(`HOT-${randomUUID().slice(0, 8).toUpperCase()}`, 1)
    const { rows } = await client.query<{ warehouse_id: string }>(
      'select warehouse_id from stock_level where sku = $1',
      [sku],
    )
    const warehouse = rows[0]?.warehouse_id ?? ''
    const pairs = await interleave(
      PAIRS,
      () => reserveWith(stack, sku, warehouse, MANY),
      () => reserveWith(stack, sku, warehouse, FEW),
    )
    return [rateFigure(pairs), await oversellFigure(client, sku)]
  } finally {
    await client.end()
    await shop.close()
  }
}

async function reserveWith(stack: Stack, sku: string, warehouse: string, callers: number): Promise<number> {
  const args = [
    join(ROOT, 'dist', 'bench', 'inventory', 'reserve.js'),
    sku,
    warehouse,
    String(callers / PROCESSES),
    String(SECONDS),
  ]
  const outputs = await Promise.all(
    Array.from({ length: PROCESSES }, () => run(process.execPath, args, { env: { ...process.env, ...stack.env } })),
  )
  return outputs.reduce((sum, { stdout }) => sum + Number(stdout), 0) / SECONDS
}

function rateFigure(pairs: readonly { subject: number; control: number }[]): Figure {
  const { median: middle, low, high } = ratio(pairs, (one) => one)
  const many = median(pairs.map((pair) => pair.subject)).toFixed(0)
  const few = median(pairs.map((pair) => pair.control)).toFixed(0)
  return {
    what: `reservations/s on one SKU, ${PROCESSES} processes, ${MANY} callers ÷ ${FEW}`,
    bar: '≥ 0.9',
    value: middle,
    good: middle >= 0.9,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; ${many}/s ÷ ${few}/s`,
  }
}

/** Units promised beyond what the reservations say, or beyond what is there. */
async function oversellFigure(client: Client, sku: string): Promise<Figure> {
  const { rows } = await client.query<{ off: number }>(
    `select abs(s.reserved - (select sum(quantity) from reservation r where r.sku = s.sku and r.state in ('held', 'committed')))::int
            + greatest(0, s.reserved - s.on_hand) as off
     from stock_level s
     where s.sku = $1`,
    [sku],
  )
  const off = rows[0]?.off ?? Number.NaN
  return { what: 'units oversold or miscounted by it', bar: '0', value: off, good: off === 0, note: '' }
}
