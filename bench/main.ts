import { cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../config'
import type { Stack } from '../scripts/stack/supervisor'
import { benchCart } from './cart'
import { benchChange } from './page/change'
import { benchCheckoutCpu } from './checkout/cpu'
import { benchCheckoutFiles } from './checkout/files'
import { benchCheckout } from './checkout/rate'
import { benchSweep } from './checkout/sweep'
import { benchImport } from './import'
import { benchPage } from './page/product'
import { benchWebhook } from './payment/webhook'
import { benchRecovery } from './process/recovery'
import { benchReconciliation } from './payment/reconciliation'
import { benchFulfillmentCpu } from './fulfillment/cpu'
import { benchTracking } from './fulfillment/tracking'
import { benchDelivery, benchWaiting } from './fulfillment/waiting'
import { benchReservation } from './inventory/reservation'
import { benchLargeSearch, benchSearch } from './search/search'
import { benchScale } from './catalog/scale'
import { deleteData } from './data'
import type { Figure } from './figure'
import { benchStorefront } from './page/storefront'
import { benchMemory } from './process/memory'
import { benchStart } from './process/start'
import { startStackOf } from './programs'

const PROGRAMS = join(ROOT, 'dist')

const BENCHES: Record<string, (stack: Stack) => Promise<Figure[]>> = {
  checkout: benchCheckout,
  'checkout-cpu': benchCheckoutCpu,
  'fulfillment-cpu': benchFulfillmentCpu,
  webhook: benchWebhook,
  tracking: benchTracking,
  reservation: benchReservation,
  reconciliation: benchReconciliation,
  cart: benchCart,
  page: benchPage,
  sweep: benchSweep,
}
/** Those that start and kill stacks of their own, beside nothing else. */
const ALONE: Record<string, (programs: string) => Promise<Figure[]>> = {
  files: benchCheckoutFiles,
  start: benchStart,
  memory: benchMemory,
  recovery: benchRecovery,
  waiting: benchWaiting,
  delivery: benchDelivery,
  change: benchChange,
  search: benchSearch,
  'search-large': benchLargeSearch,
  scale: benchScale,
  import: benchImport,
  storefront: benchStorefront,
}
const NAMES = [...Object.keys(BENCHES), ...Object.keys(ALONE)]

/**
 * `npm run bench [-- --only checkout,cart]`: measures on stacks of its own and prints one table. With `--programs <dist>`
 * of another tree, `files` and those that share a stack measure the programs of that tree.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: NAMES.join(',') },
      programs: { type: 'string', default: PROGRAMS },
    },
  })
  const programs = resolve(values.programs)
  const wanted = values.only.split(',')
  const unknown = wanted.filter((name) => !NAMES.includes(name))
  if (unknown.length > 0) throw new Error(`There is no bench ${unknown.join(', ')}, only ${NAMES.join(', ')}.`)
  printHead()
  await measureTogether(wanted, programs)
  for (const [name, bench] of Object.entries(ALONE)) {
    if (wanted.includes(name)) await printed(name, () => bench(programs))
  }
}

async function measureTogether(wanted: readonly string[], programs: string): Promise<void> {
  const benches = Object.entries(BENCHES).filter(([name]) => wanted.includes(name))
  if (benches.length === 0) return
  const isOurs = programs === PROGRAMS
  const folder = join(ROOT, '.holdfast', isOurs ? 'bench' : 'bench-compared')
  // What other programs have left may have another schema.
  if (!isOurs) deleteData(folder)
  const stack = await startStackOf(programs)({ folder, portOffset: 5_000 })
  try {
    for (const [name, bench] of benches) await printed(name, () => bench(stack))
  } finally {
    await stack.stop()
  }
}

function printHead(): void {
  console.log(
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB; Node ${process.versions.node}\n`,
  )
  console.log('| What | Bar | Measured | |\n|---|---|---|---|')
}

/** Each at once: what a later one does does not take it away. */
async function printed(name: string, bench: () => Promise<Figure[]>): Promise<void> {
  console.error(`Measuring ${name} …`)
  for (const { what, bar, value, good, note } of await bench()) {
    console.log(`| ${what} | ${bar} | ${value.toFixed(2)}${good ? '' : ' (misses)'} | ${note} |`)
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
