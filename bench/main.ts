import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../config'
import { type Stack, startStack } from '../scripts/stack/supervisor'
import { benchCart } from './cart'
import { benchChange } from './change'
import { benchCheckout } from './checkout'
import { benchImport } from './import'
import { benchPage } from './page'
import { benchRecovery } from './recovery'
import { benchReservation } from './reservation'
import { benchLargeSearch, benchSearch } from './search'
import { benchScale } from './scale'
import type { Figure } from './figure'
import { benchStorefront } from './storefront'
import { benchMemory, benchStart } from './rest'

const BENCHES: Record<string, (stack: Stack) => Promise<Figure[]>> = {
  checkout: benchCheckout,
  reservation: benchReservation,
  cart: benchCart,
  page: benchPage,
}
/** Those that start and kill stacks of their own, beside nothing else. */
const ALONE: Record<string, () => Promise<Figure[]>> = {
  start: benchStart,
  memory: benchMemory,
  recovery: benchRecovery,
  change: benchChange,
  search: benchSearch,
  'search-large': benchLargeSearch,
  scale: benchScale,
  import: benchImport,
  storefront: benchStorefront,
}
const NAMES = [...Object.keys(BENCHES), ...Object.keys(ALONE)]

/** `npm run bench [-- --only checkout,cart]`: measures on stacks of its own and prints one table. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: NAMES.join(',') } } })
  const wanted = values.only.split(',')
  const unknown = wanted.filter((name) => !NAMES.includes(name))
  if (unknown.length > 0) throw new Error(`There is no bench ${unknown.join(', ')}, only ${NAMES.join(', ')}.`)
  printHead()
  await measureTogether(wanted)
  for (const [name, bench] of Object.entries(ALONE)) {
    if (wanted.includes(name)) await printed(name, bench)
  }
}

async function measureTogether(wanted: readonly string[]): Promise<void> {
  const benches = Object.entries(BENCHES).filter(([name]) => wanted.includes(name))
  if (benches.length === 0) return
  const stack = await startStack({ folder: join(ROOT, '.holdfast', 'bench'), portOffset: 5_000 })
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
