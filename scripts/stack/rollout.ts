import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { describeDeployment, describeQueue, listPinned, makeCurrent, moveRun } from '../../deployment'
import { TASK_QUEUES } from '../../workflows/contract'
import type { Say } from './say'

const LOOK_AGAIN_MS = 200
const MOVED_AT_ONCE = 20

export interface Rollout {
  readonly buildId: string
  /** How long workers of the build may take to be there. */
  readonly withinMs: number
  readonly say?: Say
}

/** Every kind of work of every queue, as they are named to a person. */
const POLLED = Object.values(TASK_QUEUES).flatMap((queue) =>
  (['workflow', 'activity'] as const).map((kind) => ({ queue, kind, name: `${queue} (${kind})` })),
)

/** What workers of a build do not ask for. */
export async function unpolledBy(temporal: Client, buildId: string): Promise<string[]> {
  const states = await Promise.all(POLLED.map(({ queue, kind }) => describeQueue(temporal, queue, kind)))
  return POLLED.filter((_, at) => !states[at]?.served.has(buildId)).map(({ name }) => name)
}

/**
 * Makes a build current once its workers are there, on every queue. Returns which was current before, null for none; done
 * before, it changes nothing. Throws when the workers do not come in time.
 */
export async function rollOut(temporal: Client, { buildId, withinMs, say }: Rollout): Promise<string | null> {
  const deadline = Date.now() + withinMs
  await workersThere(temporal, { buildId, deadline, say })
  const before = (await describeDeployment(temporal))?.current ?? null
  for (;;) {
    const deployment = await describeDeployment(temporal)
    if (deployment?.current === buildId) break
    const refusal = deployment && (await makeCurrent(temporal, buildId, deployment.token))
    if (deployment && refusal === null) break
    if (Date.now() > deadline)
      throw new Error(
        `Temporal does not take ${buildId} as the current build: ${refusal ?? 'it does not know it yet'}.`,
      )
    await delay(LOOK_AGAIN_MS)
  }
  await queuesTold(temporal, buildId, deadline)
  return before
}

async function workersThere(
  temporal: Client,
  { buildId, deadline, say }: { buildId: string; deadline: number; say: Say | undefined },
): Promise<void> {
  let last = ''
  for (;;) {
    const missing = (await unpolledBy(temporal, buildId)).join(', ')
    if (missing === '') return
    if (Date.now() > deadline)
      throw new Error(`No worker of build ${buildId} polls: ${missing}. Nothing was changed. Are its workers running?`)
    if (missing !== last) say?.(`Waiting for workers of build ${buildId} on: ${missing} …`)
    last = missing
    await delay(LOOK_AGAIN_MS)
  }
}

/** Temporal tells its queues one after another. */
async function queuesTold(temporal: Client, buildId: string, deadline: number): Promise<void> {
  for (;;) {
    const states = await Promise.all(POLLED.map(({ queue, kind }) => describeQueue(temporal, queue, kind)))
    if (states.every(({ current }) => current === buildId)) return
    if (Date.now() > deadline)
      throw new Error(`Build ${buildId} is current, but not every task queue has heard of it yet.`)
    await delay(LOOK_AGAIN_MS)
  }
}

/** Open runs that are pinned to builds without workers go on with the current one. Returns how many; at most `limit` at a time. */
export async function moveStranded(temporal: Client, limit: number): Promise<number> {
  const { current, served } = await describeQueue(temporal, TASK_QUEUES.checkout)
  if (current === null) return 0
  const stranded = await listPinned(temporal, { except: [...new Set([...served, current])], limit })
  let moved = 0
  for (let at = 0; at < stranded.length; at += MOVED_AT_ONCE) {
    const batch = stranded.slice(at, at + MOVED_AT_ONCE)
    const done = await Promise.all(batch.map(({ workflowId }) => moveRun(temporal, workflowId, current)))
    moved += done.filter(Boolean).length
  }
  return moved
}
