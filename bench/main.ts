import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../config'
import { type Stack, startStack } from '../scripts/stack/supervisor'
import { benchCheckout } from './checkout'

/** One row of the table. `bar` is empty for what is only printed. */
export interface Figure {
  readonly what: string
  readonly bar: string
  readonly value: number
  readonly good: boolean
  readonly note: string
}

const BENCHES: Record<string, (stack: Stack) => Promise<Figure[]>> = {
  checkout: benchCheckout,
}

/** `npm run bench [-- --only checkout,cart]`: measures a stack of its own and prints one table. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: Object.keys(BENCHES).join(',') } } })
  const stack = await startStack({
    folder: join(ROOT, '.holdfast', 'bench'),
    portOffset: 5_000,
    say: (text) => console.error(text),
  })
  const figures: Figure[] = []
  try {
    for (const name of values.only.split(',')) {
      const bench = BENCHES[name]
      if (!bench) throw new Error(`There is no bench ${name}, only ${Object.keys(BENCHES).join(', ')}.`)
      console.error(`Measuring ${name} …`)
      figures.push(...(await bench(stack)))
    }
  } finally {
    await stack.stop()
  }
  print(figures)
}

function print(figures: readonly Figure[]): void {
  console.log(
    `${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB; Node ${process.versions.node}\n`,
  )
  console.log('| What | Bar | Measured | |\n|---|---|---|---|')
  for (const { what, bar, value, good, note } of figures) {
    console.log(`| ${what} | ${bar} | ${value.toFixed(2)}${good ? '' : ' (misses)'} | ${note} |`)
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exit(1)
})
