import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { ROOT } from '../../config'
import { describeInvariants } from '../ops/invariants'
import { faultsOf } from './fault'
import { describeMoney, moneyDifferencesOf } from './money-report'
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
 * - Money: each order is captured; some in two parts, some are cancelled or refunded, by the rule of `replay/money.ts`. What
 *   that comes to, by day of the invoices, is computed there and told by the orders, the ledger and the provider; and the shop
 *   has to find no difference itself.
 * - It sells its own articles (`REPLAY-…`, in two warehouses of its own), and can be repeated on the same shop.
 *
 * It buys from the stack that runs in this clone, else from one of its own that it ends. Exits 1 on any difference, and
 * when an invariant is violated.
 */

const OWN_FOLDER = join(ROOT, '.holdfast', 'replay')
const OWN_PORT_OFFSET = 6_000

/** Of its own stack: what was done just now is compared, too. */
const OWN_ENV = { RECONCILIATION_QUIET_SECONDS: '0' }

interface Options {
  readonly limit: number
  readonly concurrency: number
  readonly seed: number
  readonly faults?: number
}

const command = new Command('npm run replay --')
  .description('Buys the real orders of an "Online Retail" file and checks what came of it.')
  .argument('<csv.gz>', 'the gzipped file')
  .option('--limit <number>', 'buy the first sales only', wholeNumber, Number.POSITIVE_INFINITY)
  .option('--concurrency <number>', 'buyers at once', wholeNumber, 16)
  .option('--seed <number>', 'of the rule by which orders are captured, refunded and cancelled', wholeNumber, 1)
  .option('--faults <seed>', 'the payment provider fails and loses answers meanwhile', wholeNumber)
  .parse()

main(command.args[0] ?? '', command.opts<Options>()).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  // Buyers may still be at work.
  process.exit(1)
})

async function main(path: string, { limit, ...options }: Options): Promise<void> {
  const file = await readSales(readRetailFile(path))
  const plan = planReplay(file, limit)
  if (plan.baskets.length === 0) throw new Error('There is no sale in this file.')
  console.log(`${describeFile(file, plan)}\n`)
  const running = holderOf(lockFile(STACK_FOLDER)) && readStack()
  process.exitCode = (await (running ? replayOn(running, plan, options) : replayOnOwn(plan, options))) ? 0 : 1
}

type HowToReplay = Omit<Options, 'limit'>

/** True when everything came as computed. */
async function replayOn(
  { api, apis, admin_key: adminKey, sandbox }: StackFile,
  plan: Plan,
  { concurrency, seed, faults: faultSeed }: HowToReplay,
): Promise<boolean> {
  const faults = faultSeed === undefined ? null : faultsOf(faultSeed)
  if (faults) console.error(`The provider meanwhile: ${JSON.stringify(faults)}`)
  console.error(
    `Importing ${plan.articles.size} articles, buying ${plan.baskets.length} baskets at ${api}, then checking …`,
  )
  const outcome = await replay(plan, { apis, adminKey, sandbox, concurrency, seed, faults, showProgress })
  const { audit, seconds, repeated, money, reconciled } = outcome
  const differences = [...differencesOf(plan, outcome), ...moneyDifferencesOf(money, reconciled)]
  const rate = (outcome.purchases.length / seconds).toFixed(1)
  const again = [...repeated].map(([reason, times]) => `${times} × ${reason}`).join(', ')
  console.log(describeOutcome(plan, outcome))
  console.log(`\n${describeMoney(money, reconciled)}`)
  console.log(`\n${seconds.toFixed(0)} s, ${rate} baskets/s; calls made again: ${again || 'none'}\n`)
  console.log(
    'invariants' in audit ? describeInvariants(audit.invariants) : `No invariant was checked: ${audit.failure}`,
  )
  if (differences.length > 0) console.log(`\nNOT as computed:\n${differences.map((one) => `  ${one}`).join('\n')}`)
  else console.log('\nAll as computed, to the penny and to the unit.')
  return differences.length === 0 && 'invariants' in audit && audit.invariants.ok && audit.invariants.settled
}

async function replayOnOwn(plan: Plan, options: HowToReplay): Promise<boolean> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort())
  console.error('Holdfast is not running in this folder: starting one for this replay …')
  const stack = await startStack({
    folder: OWN_FOLDER,
    env: OWN_ENV,
    portOffset: OWN_PORT_OFFSET,
    say: console.error,
    interrupted: interrupted.signal,
  })
  const stop = new Promise<never>((_, reject) => {
    interrupted.signal.addEventListener('abort', () => reject(new Error('It was interrupted.')))
  })
  try {
    const equal = await Promise.race([replayOn(stack.file, plan, options), stop])
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
