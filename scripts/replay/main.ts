import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { ROOT } from '../../config'
import { describeInvariants } from '../ops/invariants'
import { readRetailFile } from './online-retail'
import { planReplay, type Plan } from './plan'
import { showProgress } from './progress'
import { describeFile, describeOutcome, differencesOf } from './report'
import { replay } from './run'
import { readSales } from './sales'
import { holderOf } from '../stack/claim'
import { removePostgresData } from '../stack/postgres'
import { lockFile, readStack, STACK_FOLDER, type StackFile } from '../stack/state'
import { startStack } from '../stack/supervisor'

/**
 * `npm run replay -- <csv.gz>` buys the real orders of an "Online Retail" file over REST and compares what came of it with
 * sums computed from the file beforehand.
 *
 * - A sale invoice is one customer's cart and checkout; lines of one SKU are added up. What is no sale of goods is left out
 *   by the rules of `online-retail.ts`, counted and named.
 * - Price: of a SKU with several, the one at which most of its units were sold in the whole file; of several, the lowest.
 * - Stock: as `replay/plan.ts` says, so that some lines run out and the sums are known all the same.
 * - It sells its own articles (`REPLAY-…`, in two warehouses of its own), and can be repeated on the same shop.
 *
 * It buys from the stack that runs in this clone, else from one of its own that it ends. Exits 1 on any difference, and
 * when an invariant is violated.
 */

const OWN_FOLDER = join(ROOT, '.holdfast', 'replay')
const OWN_PORT_OFFSET = 6_000

interface Options {
  readonly limit: number
  readonly concurrency: number
}

const command = new Command('npm run replay --')
  .description('Buys the real orders of an "Online Retail" file and checks what came of it.')
  .argument('<csv.gz>', 'the gzipped file')
  .option('--limit <number>', 'buy the first sales only', wholeNumber, Number.POSITIVE_INFINITY)
  .option('--concurrency <number>', 'buyers at once', wholeNumber, 16)
  .parse()

main(command.args[0] ?? '', command.opts<Options>()).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  // Buyers may still be at work.
  process.exit(1)
})

async function main(path: string, { limit, concurrency }: Options): Promise<void> {
  const file = await readSales(readRetailFile(path))
  const plan = planReplay(file, limit)
  if (plan.baskets.length === 0) throw new Error('There is no sale in this file.')
  console.log(`${describeFile(file, plan)}\n`)
  const running = holderOf(lockFile(STACK_FOLDER)) && readStack()
  process.exitCode = (await (running ? replayOn(running, plan, concurrency) : replayOnOwn(plan, concurrency))) ? 0 : 1
}

/** True when everything came as computed. */
async function replayOn({ api, apis, admin_key }: StackFile, plan: Plan, concurrency: number): Promise<boolean> {
  console.error(
    `Importing ${plan.articles.size} articles, buying ${plan.baskets.length} baskets at ${api}, then checking …`,
  )
  const outcome = await replay(plan, { apis, adminKey: admin_key, concurrency, showProgress })
  const { audit, seconds, repeated } = outcome
  const differences = differencesOf(plan, outcome)
  const rate = (outcome.purchases.length / seconds).toFixed(1)
  const again = [...repeated].map(([reason, times]) => `${times} × ${reason}`).join(', ')
  console.log(describeOutcome(plan, outcome))
  console.log(`\n${seconds.toFixed(0)} s, ${rate} baskets/s; calls made again: ${again || 'none'}\n`)
  console.log(
    'invariants' in audit ? describeInvariants(audit.invariants) : `No invariant was checked: ${audit.failure}`,
  )
  if (differences.length > 0) console.log(`\nNOT as computed:\n${differences.map((one) => `  ${one}`).join('\n')}`)
  else console.log('\nAll as computed, to the penny and to the unit.')
  return differences.length === 0 && 'invariants' in audit && audit.invariants.ok && audit.invariants.settled
}

async function replayOnOwn(plan: Plan, concurrency: number): Promise<boolean> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort())
  console.error('Holdfast is not running in this folder: starting one for this replay …')
  const stack = await startStack({
    folder: OWN_FOLDER,
    portOffset: OWN_PORT_OFFSET,
    say: console.error,
    interrupted: interrupted.signal,
  })
  const stop = new Promise<never>((_, reject) => {
    interrupted.signal.addEventListener('abort', () => reject(new Error('It was interrupted.')))
  })
  try {
    const equal = await Promise.race([replayOn(stack.file, plan, concurrency), stop])
    await stack.stop()
    if (equal) deleteData()
    else console.error(`What it left is in ${OWN_FOLDER}.`)
    return equal
  } finally {
    await stack.stop()
  }
}

function deleteData(): void {
  removePostgresData(OWN_FOLDER)
  rmSync(OWN_FOLDER, { recursive: true, force: true })
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('A whole number from 1.')
  return value
}
