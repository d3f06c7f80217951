import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import type { Pool } from '../../db/pool'
import { type CaseKey, closeCase, listCasesOf, openCase } from '../../db/support/attention'
import {
  DEPLOYMENT,
  describeDeployment,
  describeQueue,
  listPinned,
  makeCurrent,
  type PinnedRun,
  type QueueState,
  readPinned,
} from '../../deployment'
import { CURRENT_BUILD, PINNED_BUILD } from '../../domain/support'
import { orderIdOf } from '../../domain/workflow-id'
import type { Log } from '../../log'
import { TASK_QUEUES } from '../../workflows/contract'

const AGAIN_MS = 10_000
/** A server that is new, or has lost its store: nothing works before a build is current. */
const SOON_MS = 200
const CALL_MS = 10_000
/** Pinned runs without workers that one round looks at, and cases that it opens. */
const RUNS_MAX = 1_000
const CASES_PER_ROUND = 200

interface VersionsDeps {
  readonly temporal: Client
  readonly pool: Pool
  readonly log: Log
  /** Of this process. */
  readonly buildId: string
  /** How long a build may be without workers before a person is asked. */
  readonly attentionSeconds: number
}

/**
 * Sees to it that some build is current, and asks for a person about what waits for workers of a build that has none, until
 * `signal` is aborted. It is no part of the sweep: that itself runs on the current build only.
 */
export async function runVersions(deps: VersionsDeps, signal: AbortSignal): Promise<void> {
  const watch = new VersionWatch(deps)
  while (!signal.aborted) {
    let isSet = true
    try {
      isSet = await deps.temporal.withDeadline(Date.now() + CALL_MS, () => setFirst(deps))
      if (isSet) await watch.look()
    } catch (error) {
      deps.log.warn({ err: error }, 'could not see to the builds of the workers')
    }
    await delay(isSet ? AGAIN_MS : SOON_MS, undefined, { signal }).catch(() => undefined)
  }
}

/**
 * Makes this process's build current when none is; of several builds that begin at once, one wins. What comes later waits for
 * `npm run rollout`. False when none is current yet, as Temporal has not heard of this build.
 */
export async function setFirst({
  temporal,
  log,
  buildId,
}: Pick<VersionsDeps, 'temporal' | 'log' | 'buildId'>): Promise<boolean> {
  if ((await describeQueue(temporal, TASK_QUEUES.platform)).current !== null) return true
  const deployment = await describeDeployment(temporal)
  if (deployment === null) return false
  // The queue hears of it a moment later.
  if (deployment.current !== null) return true
  if ((await makeCurrent(temporal, buildId, deployment.token)) !== null) return false
  log.info({ buildId }, 'no build of the workers was current: this one is now')
  return true
}

/** What one process has seen of builds without workers. */
export class VersionWatch {
  /** Since when, by build; of the current build by queue. */
  private since = new Map<string, number>()
  private readonly deps: Omit<VersionsDeps, 'log' | 'buildId'>

  constructor(deps: Omit<VersionsDeps, 'log' | 'buildId'>) {
    this.deps = deps
  }

  /** One round: opens and closes cases. */
  async look(): Promise<void> {
    const { temporal, pool } = this.deps
    const { queues, runs } = await temporal.withDeadline(Date.now() + CALL_MS, () => this.seen())
    const open = await listCasesOf(pool, 'version_without_workers', RUNS_MAX)
    const late = this.lateOf([...queues.unserved.map(queueKey), ...new Set(runs.map(({ buildId }) => buildId))])
    await this.askAboutCurrent(queues, late)
    await this.askAboutRuns(runs, { open, late, current: queues.current })
    // What the list leaves out may still be without workers.
    if (runs.length < RUNS_MAX) await this.closeRuns(open, { runs, queues })
  }

  private async seen(): Promise<{ queues: Queues; runs: PinnedRun[] }> {
    const { temporal } = this.deps
    const queues = await describeQueues(temporal)
    // The current build has one case, however many runs are pinned to it: moving them would not help.
    const except = [...new Set([...queues.checkout.served, queues.current ?? ''])].filter(Boolean)
    return { queues, runs: await listPinned(temporal, { except, limit: RUNS_MAX }) }
  }

  /** Of these, those that were without workers in every round for long enough. The others are forgotten. */
  private lateOf(unserved: readonly string[]): ReadonlySet<string> {
    const now = Date.now()
    this.since = new Map(unserved.map((key) => [key, this.since.get(key) ?? now]))
    const late = [...this.since].filter(([, since]) => now - since >= this.deps.attentionSeconds * 1_000)
    return new Set(late.map(([key]) => key))
  }

  private async askAboutCurrent({ current, unserved }: Queues, late: ReadonlySet<string>): Promise<void> {
    const { pool } = this.deps
    const key = { workflowId: DEPLOYMENT, step: CURRENT_BUILD, object: null }
    if (unserved.length === 0) await closeCase(pool, key)
    const without = unserved.filter((queue) => late.has(queueKey(queue)))
    if (without.length === 0) return
    const detail = `The current build ${current} has no worker of ${without.join(', ')}. Start some, or make the build that has workers current: npm run rollout.`
    await openCase(pool, { ...key, orderId: null, code: 'version_without_workers', detail })
  }

  private async askAboutRuns(
    runs: readonly PinnedRun[],
    { open, late, current }: { open: readonly CaseKey[]; late: ReadonlySet<string>; current: string | null },
  ): Promise<void> {
    const { temporal, pool } = this.deps
    const isOpen = new Set(open.map(({ workflowId }) => workflowId))
    const fresh = runs.filter(({ workflowId, buildId }) => late.has(buildId) && !isOpen.has(workflowId))
    for (const { workflowId, buildId } of fresh.slice(0, CASES_PER_ROUND)) {
      // The list is seconds old: it may have been moved, or have ended.
      if ((await readPinned(temporal, workflowId)) !== buildId) continue
      await openCase(pool, {
        ...keyOf(workflowId),
        orderId: orderIdOf(workflowId),
        code: 'version_without_workers',
        detail: `It began with build ${buildId}, which has no worker of ${TASK_QUEUES.checkout} any more. Current is ${current ?? 'none'}.`,
      })
    }
  }

  private async closeRuns(
    open: readonly CaseKey[],
    { runs, queues }: { runs: readonly PinnedRun[]; queues: Queues },
  ): Promise<void> {
    const { temporal, pool } = this.deps
    const isWithout = new Set(runs.map(({ workflowId }) => workflowId))
    const doubtful = open.filter(({ workflowId, step }) => step === PINNED_BUILD && !isWithout.has(workflowId))
    for (const { workflowId } of doubtful.slice(0, CASES_PER_ROUND)) {
      const buildId = await readPinned(temporal, workflowId)
      if (buildId === null || buildId === queues.current || queues.checkout.served.has(buildId))
        await closeCase(pool, keyOf(workflowId))
    }
  }
}

interface Queues {
  readonly current: string | null
  /** What is pinned runs on this one. */
  readonly checkout: QueueState
  /** Queues without a worker of the current build. */
  readonly unserved: readonly string[]
}

async function describeQueues(temporal: Client): Promise<Queues> {
  const names = Object.values(TASK_QUEUES)
  const states = await Promise.all(names.map((name) => describeQueue(temporal, name)))
  const checkout = states[names.indexOf(TASK_QUEUES.checkout)] as QueueState
  const { current } = checkout
  const unserved = names.filter((_, at) => current !== null && !states[at]?.served.has(current))
  return { current, checkout, unserved }
}

function keyOf(workflowId: string): CaseKey {
  return { workflowId, step: PINNED_BUILD, object: null }
}

/** No build is named like this. */
function queueKey(queue: string): string {
  return `queue ${queue}`
}
