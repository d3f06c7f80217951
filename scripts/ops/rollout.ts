import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { Command, InvalidArgumentError } from 'commander'
import { readSettings } from '../../config'
import { countOpen, DEPLOYMENT, describeDeployment, listPinned, type PinnedRun } from '../../deployment'
import { connectTemporal } from '../../temporal'
import { readBuildId } from '../../workers/build-id'
import { WORKFLOWS } from '../../workflows/contract'
import { moveStranded, rollOut, unpolledBy } from '../stack/rollout'
import { readStack } from '../stack/state'

interface Options {
  readonly buildId?: string
  readonly status?: true
  readonly dryRun?: true
  readonly drain?: true
  readonly moveStranded?: true
  readonly within: number
  readonly drainWithin: number
}

const DRAIN_LOOK_MS = 2_000
/** Runs whose beginning is compared; that many open checkouts on an old build are counted all the same. */
const RUNS_MAX = 10_000

/**
 * `npm run rollout`: makes the build of this installation current once its workers are there, and says what is still open on
 * others. Exits 1 when it could not, or when the old builds have not drained in time.
 */
async function main(): Promise<void> {
  const options = readOptions()
  const settings = readSettings({ ...addressOfStack(), ...process.env })
  const buildId = options.buildId ?? readBuildId(settings)
  const temporal = await connectTemporal(settings)
  try {
    console.log(`Build ${buildId} of the deployment ${DEPLOYMENT}, namespace ${settings.TEMPORAL_NAMESPACE}.`)
    if (options.status || options.dryRun) await foretell(temporal, buildId, options)
    else await carryOut(temporal, buildId, options)
  } finally {
    await temporal.connection.close()
  }
}

function readOptions(): Options {
  return new Command('npm run rollout --')
    .description('Makes the build of this installation the one that gets all new work, once its workers are there.')
    .option('--build-id <id>', 'another build, to go back to it')
    .option('--status', 'say how things stand, and change nothing')
    .option('--dry-run', 'say what would be done, and change nothing')
    .option('--drain', 'wait until nothing is pinned to the other builds: their workers may then be stopped')
    .option('--move-stranded', 'let checkouts of builds without workers go on with the current one')
    .option('--within <seconds>', 'how long the workers may take to be there', seconds, 120)
    .option('--drain-within <seconds>', 'how long draining may take', seconds, 3_600)
    .parse()
    .opts<Options>()
}

function seconds(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 86_400)
    throw new InvalidArgumentError('Seconds, from 1 to 86400.')
  return value
}

/** Beside `npm start` nothing has to be set. */
function addressOfStack(): Record<string, string> {
  const stack = readStack()
  return stack ? { TEMPORAL_ADDRESS: stack.temporal } : {}
}

async function foretell(temporal: Client, buildId: string, { status }: Options): Promise<void> {
  const [deployment, missing] = await Promise.all([describeDeployment(temporal), unpolledBy(temporal, buildId)])
  const current = deployment?.current ?? null
  console.log(`Current: ${current ?? 'none'}.`)
  console.log(missing.length === 0 ? 'Its workers poll every queue.' : `No worker of it polls: ${missing.join(', ')}.`)
  if (!status) {
    if (current === buildId) console.log('Nothing would be changed.')
    else if (missing.length === 0) console.log(`It would become current, in place of ${current ?? 'none'}.`)
    else console.log('It would wait for its workers, then become current.')
  }
  await reportOthers(temporal, buildId)
}

async function carryOut(temporal: Client, buildId: string, options: Options): Promise<void> {
  const before = await rollOut(temporal, { buildId, withinMs: options.within * 1_000, say: console.log })
  console.log(
    before === buildId
      ? 'It was current before; nothing was changed.'
      : `It is current now, in place of ${before ?? 'none'}.`,
  )
  if (options.moveStranded) {
    const moved = await moveStranded(temporal, RUNS_MAX)
    console.log(`Checkouts of builds without workers that were moved to it: ${moved}.`)
  }
  const pinned = await reportOthers(temporal, buildId)
  if (options.drain) await drained(temporal, buildId, { pinned, withinMs: options.drainWithin * 1_000 })
}

/** Says what is open on other builds. Returns how much of it is pinned to them. */
async function reportOthers(temporal: Client, buildId: string): Promise<number> {
  const pinned = await listPinned(temporal, { except: [buildId], limit: RUNS_MAX })
  const known = (await describeDeployment(temporal))?.builds ?? []
  const others = [...new Set([...known, ...pinned.map((run) => run.buildId)])].filter((other) => other !== buildId)
  let isClear = true
  for (const other of others) {
    const lines = await linesOf(
      temporal,
      other,
      pinned.filter((run) => run.buildId === other),
    )
    if (lines.length === 0) continue
    isClear = false
    const missing = await unpolledBy(temporal, other)
    console.log(
      `Open on ${other} (${missing.length === 0 ? 'its workers are there' : `no worker polls: ${missing.join(', ')}`}):`,
    )
    for (const line of lines) console.log(`  ${line}`)
  }
  if (isClear) console.log('Nothing is open on any other build.')
  return pinned.length
}

async function linesOf(temporal: Client, buildId: string, pinned: readonly PinnedRun[]): Promise<string[]> {
  const lines: string[] = []
  for (const type of Object.values(WORKFLOWS)) {
    const ofType = pinned.filter((run) => run.workflowType === type)
    const count = await countOpen(temporal, buildId, type)
    if (ofType.length > 0) {
      const oldest = ofType.reduce((first, { since }) => (since < first ? since : first), new Date())
      lines.push(`${type}: ${Math.max(count, ofType.length)}, pinned, the oldest since ${oldest.toISOString()}`)
    } else if (count > 0) lines.push(`${type}: ${count}, which go on with the current build at their next step`)
  }
  return lines
}

async function drained(
  temporal: Client,
  buildId: string,
  { pinned, withinMs }: { pinned: number; withinMs: number },
): Promise<void> {
  const deadline = Date.now() + withinMs
  let left = pinned
  while (left > 0) {
    console.log(`Waiting for ${left} pinned ${left === 1 ? 'run' : 'runs'} to end …`)
    if (Date.now() > deadline)
      throw new Error(
        `${left} of them are still open. Leave their workers running; \`npm run rollout -- --drain\` waits on.`,
      )
    left = await leftAfter(temporal, buildId, { left, deadline })
  }
  console.log('Nothing is pinned to another build: the workers of all others may be stopped.')
}

/** Comes back when there are fewer or more, or at the deadline. */
async function leftAfter(
  temporal: Client,
  buildId: string,
  { left, deadline }: { left: number; deadline: number },
): Promise<number> {
  for (;;) {
    await delay(DRAIN_LOOK_MS)
    const now = (await listPinned(temporal, { except: [buildId], limit: RUNS_MAX })).length
    if (now !== left || Date.now() > deadline) return now
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
