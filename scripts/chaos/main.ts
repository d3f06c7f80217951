import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { keepEvidence } from './evidence'
import { CELLS, type Cell, FAULTS, faultsAt, STEPS } from './matrix'
import { type Harness, startHarness } from './harness'
import { runSeeds, type SeedResult } from './run'
import { faultsOf } from './schedule'
import { ROOT } from '../../config'

const options = new Command('npm run chaos --')
  .description(
    'Breaks a stack of its own while buyers are at work, and checks what is left. A seed repeats its schedule.',
  )
  .option('--seeds <number>', 'how many seeds', wholeNumber, 200)
  .option('--from <number>', 'the first seed', wholeNumber, 1)
  .option('--short', 'fewer buyers and shorter holds')
  .option('--together <number>', 'so many seeds side by side', wholeNumber, 4)
  .option('--keep', 'end at the first seed that fails, and leave the data and logs of the stack')
  .parse()
  .opts<{ seeds: number; from: number; together: number; short?: true; keep?: true }>()

/** Below the ports that outgoing connections are given: a killed process has to find its own free again. */
const PORT_OFFSET = 10_000

async function main(): Promise<void> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      console.error(`Stopping at ${signal} …`)
      interrupted.abort()
    })
  }
  const folder = join(ROOT, '.holdfast', 'chaos')
  const start = () => startHarness({ folder, portOffset: PORT_OFFSET, interrupted: interrupted.signal })
  const current = { harness: await start() }
  interrupted.signal.addEventListener('abort', () => void current.harness.stop().finally(() => process.exit(1)))
  try {
    await run(current, start)
  } catch (error) {
    // A harness that is being stopped fails whoever uses it; the listener above ends the process.
    if (interrupted.signal.aborted) return
    await current.harness.stop()
    throw error
  }
}

async function run(current: { harness: Harness }, start: () => Promise<Harness>): Promise<void> {
  const results: SeedResult[] = []
  const end = options.from + options.seeds
  for (let from = options.from; from < end; from += options.together) {
    const seeds = Array.from({ length: Math.min(options.together, end - from) }, (_, index) => from + index)
    const wave = await runSeeds(current.harness, seeds, { short: options.short === true })
    results.push(...wave)
    wave.forEach(report)
    if (!wave.some(hasFailed)) continue
    console.log(`    kept: ${await keepEvidence(current.harness, seeds).catch(String)}`)
    if (options.keep) break
    // What is wrong with its orders would be found wrong again by the next wave.
    await current.harness.stop()
    current.harness = await start()
  }
  const { harness } = current
  const failed = results.filter(hasFailed)
  printCoverage(results)
  console.log(
    `${results.length - failed.length} seeds passed, ${failed.length} failed${failed.length > 0 ? `: ${failed.map(({ schedule }) => schedule.seed).join(', ')}` : ''}`,
  )
  if (failed.length > 0 && options.keep) await harness.stack.stop()
  else await harness.stop()
  process.exit(failed.length > 0 ? 1 : 0)
}

function hasFailed({ faults }: SeedResult): boolean {
  return faults.length > 0
}

function report({ schedule, faults, missed, seconds }: SeedResult): void {
  const cells = faultsOf(schedule).map(({ step, fault, point }) => `${step} × ${point ?? fault}`)
  const late = missed.length > 0 ? `  not reached: ${missed.map(nameOf).join(', ')}` : ''
  console.log(
    `seed ${schedule.seed}  ${faults.length === 0 ? 'ok' : 'FAILED'}  ${seconds.toFixed(1)} s  ${cells.join(', ')}${late}`,
  )
  if (faults.length === 0) return
  for (const fault of faults) console.log(`    ${fault}`)
  console.log(`    schedule: ${JSON.stringify(schedule)}`)
}

/** How often each step met each fault; – where it cannot. */
function printCoverage(results: readonly SeedResult[]): void {
  const hits = results.flatMap(({ hit }) => hit.map(nameOf))
  const count = (cell: Cell): number => hits.filter((name) => name === nameOf(cell)).length
  const width = Math.max(...FAULTS.map((fault) => fault.length))
  console.log(`\n${''.padEnd(width)}  ${STEPS.join('  ')}`)
  for (const fault of FAULTS)
    console.log(
      `${fault.padEnd(width)}  ${STEPS.map((step) => (faultsAt(step).includes(fault) ? String(count({ step, fault })) : '–').padStart(step.length)).join('  ')}`,
    )
  console.log(
    `\n${CELLS.filter((cell) => count(cell) > 0).length} of ${CELLS.length} pairs of step and fault were hit.`,
  )
}

function nameOf({ step, fault }: Cell): string {
  return `${step} × ${fault}`
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('A whole number from 1.')
  return number
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
