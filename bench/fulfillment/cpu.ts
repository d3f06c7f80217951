import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import type { Stack } from '../../scripts/stack/supervisor'
import { fillCarts, takeCart } from '../checkout/carts'
import type { Figure } from '../figure'
import { calls, cpuMeter, interleave, median, ratio, total } from '../measure'
import { Shop } from '../shop'

const CALLERS = 16
const PAIRS = 5
const CALLS = 200
const SKUS = 50
const BAR = 0.4
/** What follows the last order (the relay, the indexes, the end of its workflow) is paid for within this time. */
const FOLLOW_UP_MS = 2_000
const POLL_MS = 500
const GIVE_UP_MS = 300_000

/**
 * CPU of all processes of the stack, the Temporal server included: of an order that is led from confirmed to completed, against
 * its checkout. Bought is the same way in two warehouses: from the one that works by itself an order is picked, packed, labelled,
 * captured, shipped, delivered by the sandbox carrier (four events, each told by itself) and completed; in the other one it
 * waits for people. What an order costs there is its checkout; what it costs more in the first one, its fulfillment. That an
 * order's units are given to a warehouse, and its workflow is started, is in both: the note has the whole order besides.
 */
export async function benchFulfillmentCpu(stack: Stack): Promise<Figure[]> {
  const shop = new Shop(stack)
  const client = new Client({ connectionString: stack.services.DATABASE_URL })
  await client.connect()
  // An order is complete as soon as it has arrived.
  const returnWindow = await shop.setReturnWindow(0)
  try {
    const led = await shop.stockIn('automatic', `LED-${randomUUID().slice(0, 8)}`, SKUS)
    const left = await shop.stockIn('manual', `LEFT-${randomUUID().slice(0, 8)}`, SKUS)
    await pause(FOLLOW_UP_MS)
    const { processes } = stack.file
    const meter = await cpuMeter(processes.map(({ pid }) => pid))
    let completed = 0
    const measured = async ({ skus, warehouseId }: typeof led): Promise<number[]> => {
      const carts = await fillCarts(shop, skus, CALLS)
      await pause(FOLLOW_UP_MS)
      if (warehouseId === led.warehouseId) completed += CALLS
      const usedMs = await meter(async () => {
        await calls(CALLERS, CALLS, () => shop.buy(takeCart(carts)))
        await untilCompleted(client, led.warehouseId, completed)
        await pause(FOLLOW_UP_MS)
      })
      return usedMs.map((ms) => ms / CALLS)
    }
    const pairs = await interleave(
      PAIRS,
      () => measured(led),
      () => measured(left),
    )
    const whole = pairs.map(({ subject, control }) => ({ subject: total(subject), control: total(control) }))
    const alone = processes.map(({ name }, n) => {
      const ms = pairs.map(({ subject, control }) => (subject[n] as number) - (control[n] as number))
      return { what: `CPU per fulfillment, ${name}`, bar: '', value: median(ms), good: true, note: 'ms' }
    })
    return [figureOf(whole), ...alone]
  } finally {
    await shop.setReturnWindow(returnWindow)
    await client.end()
    await shop.close()
  }
}

async function untilCompleted(client: Client, warehouseId: string, wanted: number): Promise<void> {
  for (const giveUp = Date.now() + GIVE_UP_MS; ; ) {
    const { rows } = await client.query<{ completed: number }>({
      name: 'completed',
      text: `
        select count(*)::int as completed
        from shipment s
        join orders o on o.id = s.order_id
        where s.warehouse_id = $1 and s.status = 'delivered' and o.status = 'completed'`,
      values: [warehouseId],
    })
    const completed = rows[0]?.completed ?? 0
    if (completed >= wanted) return
    if (Date.now() > giveUp) throw new Error(`Of ${wanted} orders ${completed} were completed.`)
    await pause(POLL_MS)
  }
}

/** @param pairs CPU milliseconds of a whole order, and of one whose goods stay. */
function figureOf(pairs: readonly { subject: number; control: number }[]): Figure {
  const alone = pairs.map(({ subject, control }) => ({ subject: subject - control, control }))
  const { median: middle, low, high } = ratio(alone, (ms) => 1 / ms)
  const fulfillment = median(alone.map(({ subject }) => subject)).toFixed(1)
  const checkout = median(pairs.map(({ control }) => control)).toFixed(1)
  const whole = median(pairs.map(({ subject, control }) => control / subject)).toFixed(2)
  return {
    what: 'orders led from confirmed to completed ÷ checkouts, per CPU second of all processes and the Temporal server',
    bar: `≥ ${BAR}`,
    value: middle,
    good: middle >= BAR,
    note: `${low.toFixed(2)} to ${high.toFixed(2)}; a checkout takes ${checkout} ms, its fulfillment ${fulfillment} ms more; whole orders ÷ checkouts ${whole}`,
  }
}
