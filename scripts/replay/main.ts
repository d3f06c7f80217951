import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { ROOT } from '../../config'
import { describeInvariants } from '../ops/invariants'
import { badWorld, goodWorld, type World } from './fault'
import { readRetailFile } from './online-retail'
import { planReplay, type Plan } from './plan'
import { showProgress } from './progress'
import { allDifferences, describeReconciled } from './difference'
import { describeMoney, describeParcels } from './order-report'
import { describeFile, describeOutcome } from './report'
import { replay } from './run'
import { readSales } from './sales'
import { customersFile, describeCustomers, describeMonths } from './sum-report'
import { holderOf } from '../stack/claim'
import { removePostgresData } from '../stack/postgres'
import { lockFile, readStack, STACK_FOLDER, type StackFile } from '../stack/state'
import { startStack } from '../stack/supervisor'

/**
 * `npm run replay -- <csv.gz>` plays the real orders of an "Online Retail" file over REST and compares what came of them with
 * sums computed from the file beforehand.
 *
 * - A sale invoice is one customer's cart and checkout; lines of one SKU are added up. What is no sale of goods is left out
 *   by the rules of `online-retail.ts`, counted and named.
 * - Price: of a SKU with several, the one at which most of its units were sold in the whole file; of several, the lowest.
 * - Stock: as `replay/plan.ts` says, so that some lines run out and the sums are known all the same.
 * - Cancellations (`C…`) are matched with sales by the rule of `replay/cancellations.ts`. Those that come before the goods of their
 *   sale leave are cancelled, in whole or in part; later ones wait for returns. What matches nothing is counted by kind.
 * - Time: the steps of the file are played in its order, as fast as the shop works. When goods leave, the seed says.
 * - Goods: one warehouse works by itself, one is run by people, who miss a unit now and then. The carrier loses some parcels, and
 *   some come back: `replay/support.ts` sends them once more, or gives the money back.
 * - Money: a parcel captures what it is worth as it leaves. Some of it is taken in advance, and some given back, by the rule of
 *   `replay/money.ts`. What each order comes to is computed there and told by the order, the ledger and the provider; and the
 *   shop has to find no difference itself.
 * - It sells its own articles (`REPLAY-…`, in two warehouses of its own), and can be repeated on the same shop.
 *
 * It plays on the stack that runs in this clone, else on one of its own that it ends. Exits 1 on any difference, when an
 * invariant is violated, and when a case is left open.
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
  readonly customers?: string
}

/** Named one by one: who sees more of them looks for one cause. */
const DIFFERENCES_SHOWN = 200

const command = new Command('npm run replay --')
  .description('Plays the real orders of an "Online Retail" file and checks what came of it.')
  .argument('<csv.gz>', 'the gzipped file')
  .option('--limit <number>', 'play the first sales only', wholeNumber, Number.POSITIVE_INFINITY)
  .option('--concurrency <number>', 'steps at once', wholeNumber, 16)
  .option(
    '--seed <number>',
    'of what is left to chance: when goods leave, what goes astray, who gets money back',
    wholeNumber,
    1,
  )
  .option('--faults <seed>', 'provider, carrier and warehouses fail more often, and lose answers', wholeNumber)
  .option('--customers <file>', 'write the sums of every customer to this file, as CSV')
  .parse()

main(command.args[0] ?? '', command.opts<Options>()).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  // Buyers may still be at work.
  process.exit(1)
})

async function main(path: string, { limit, faults, ...options }: Options): Promise<void> {
  const world = faults === undefined ? goodWorld(options.seed) : badWorld(faults)
  const file = await readSales(readRetailFile(path))
  const plan = planReplay(file, { limit, seed: options.seed, warehouse: world.warehouse })
  if (plan.baskets.length === 0) throw new Error('There is no sale in this file.')
  console.log(`${describeFile(file, plan)}\n`)
  const running = holderOf(lockFile(STACK_FOLDER)) && readStack()
  const how = { ...options, world }
  const equal = running ? replayOn(running, plan, { ...how, returnWindowDays: null }) : replayOnOwn(plan, how)
  process.exitCode = (await equal) ? 0 : 1
}

type HowToReplay = Omit<Options, 'limit' | 'faults'> & { readonly world: World }

/** True when everything came as computed. */
async function replayOn(
  { api, apis, admin_key: adminKey, sandbox, carrier }: StackFile,
  plan: Plan,
  { customers, ...how }: HowToReplay & { readonly returnWindowDays: number | null },
): Promise<boolean> {
  console.error(`The world meanwhile: ${JSON.stringify(how.world)}`)
  console.error(
    `Importing ${plan.articles.size} articles, playing ${plan.baskets.length} baskets in ${plan.steps.length} steps at ${api}, then checking …`,
  )
  const outcome = await replay(plan, { apis, adminKey, sandbox, carrier, ...how, showProgress })
  const { audit, seconds, repeated, story, reconciled } = outcome
  const differences = allDifferences(plan, outcome)
  const rate = (outcome.purchases.length / seconds.played).toFixed(1)
  const again = [...repeated].map(([reason, times]) => `${times} × ${reason}`).join(', ')
  if (customers !== undefined) writeFileSync(customers, customersFile(plan, story))
  const sections = [
    describeOutcome(plan, outcome),
    describeMonths(plan, story),
    describeCustomers(plan, story),
    describeParcels(story),
    `${describeMoney(story)}\n${describeReconciled(reconciled)}`,
    `${seconds.played.toFixed(0)} s, ${rate} baskets/s; ${seconds.ended.toFixed(0)} s until all had ended; calls made again: ${again || 'none'}`,
    'invariants' in audit ? describeInvariants(audit.invariants) : `No invariant was checked: ${audit.failure}`,
    differences.length === 0 ? 'All as computed, to the penny and to the unit.' : inWords(differences),
  ]
  console.log(sections.join('\n\n'))
  return differences.length === 0 && 'invariants' in audit && audit.invariants.ok && audit.invariants.settled
}

function inWords(differences: readonly string[]): string {
  const more = differences.length - DIFFERENCES_SHOWN
  return [
    'NOT as computed:',
    ...differences.slice(0, DIFFERENCES_SHOWN).map((one) => `  ${one}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join('\n')
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
    const equal = await Promise.race([replayOn(stack.file, plan, { ...options, returnWindowDays: 0 }), stop])
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
