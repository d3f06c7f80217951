import type { Client } from '@temporalio/client'

/**
 * Worker Versioning. Every worker says of which build it is. Temporal gives new work to the build that is *current*; what is
 * pinned stays with the build that began it, and all else goes on with the current one.
 */

/** What Temporal calls all builds of Holdfast's workers together. */
export const DEPLOYMENT = 'holdfast'

/** temporal.api.enums.v1.TaskQueueType */
const TASK_KINDS = { workflow: 1, activity: 2 } as const
/** temporal.api.enums.v1.VersioningBehavior */
const PINNED = 1
/** temporal.api.enums.v1.WorkflowExecutionStatus */
const RUNNING = 1
/** temporal.api.workflow.v1.VersioningOverride.PinnedOverrideBehavior */
const OVERRIDE_PINNED = 1
const NOT_FOUND = 5
const FAILED_PRECONDITION = 9

/**
 * A worker asks again within a minute. One that was killed is listed for five minutes more, and so is one that was stopped
 * unless the server is set to forget it (`frontend.enableCancelWorkerPollsOnShutdown`).
 */
const POLLED_WITHIN_MS = 75_000

/** How a worker says of which build it is. What a workflow does not say itself holds for all: it follows the current build. */
export function workerVersioning(buildId: string) {
  return {
    useWorkerVersioning: true,
    version: { deploymentName: DEPLOYMENT, buildId },
    defaultVersioningBehavior: 'AUTO_UPGRADE',
  } as const
}

/** Who works on a task queue. Build ids. */
export interface QueueState {
  /** Null: none, so that no versioned worker gets anything. */
  readonly current: string | null
  readonly served: ReadonlySet<string>
}

/** Costs Temporal next to nothing: it is kept with the queue. */
export async function describeQueue(
  { workflowService, options: { namespace } }: Client,
  taskQueue: string,
  kind: keyof typeof TASK_KINDS = 'workflow',
): Promise<QueueState> {
  const { pollers, versioningInfo } = await workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TASK_KINDS[kind],
  })
  const seen = (pollers ?? []).map(({ deploymentOptions, lastAccessTime }) => ({
    isOurs: deploymentOptions?.deploymentName === DEPLOYMENT,
    buildId: deploymentOptions?.buildId ?? '',
    at: Number(lastAccessTime?.seconds ?? 0) * 1_000,
  }))
  return { current: versioningInfo?.currentDeploymentVersion?.buildId || null, served: servedOf(seen, Date.now()) }
}

/** The builds of those who have asked for work lately enough to be there still. */
export function servedOf(
  pollers: readonly { readonly isOurs: boolean; readonly buildId: string; readonly at: number }[],
  now: number,
): ReadonlySet<string> {
  const there = pollers.filter(({ isOurs, buildId, at }) => isOurs && buildId !== '' && now - at < POLLED_WITHIN_MS)
  return new Set(there.map(({ buildId }) => buildId))
}

/** What Temporal knows of the deployment. Build ids, newest first. */
export interface DeploymentState {
  readonly current: string | null
  readonly builds: readonly string[]
  /** Whoever changes it sends this along: somebody else may have changed it meanwhile. */
  readonly token: Uint8Array
}

/** Null when no versioned worker has ever been there. */
export async function describeDeployment({
  workflowService,
  options: { namespace },
}: Client): Promise<DeploymentState | null> {
  try {
    const { workerDeploymentInfo, conflictToken } = await workflowService.describeWorkerDeployment({
      namespace,
      deploymentName: DEPLOYMENT,
    })
    const summaries = [...(workerDeploymentInfo?.versionSummaries ?? [])]
    summaries.sort((a, b) => Number(b.createTime?.seconds ?? 0) - Number(a.createTime?.seconds ?? 0))
    return {
      current: workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId || null,
      builds: summaries.flatMap(({ deploymentVersion }) => deploymentVersion?.buildId ?? []),
      token: conflictToken ?? new Uint8Array(),
    }
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) return null
    throw error
  }
}

/**
 * From now on new work, and all that is not pinned, goes to workers of this build: null. Else why Temporal refuses: it does not
 * know the build yet, the deployment has changed since `token`, or the build lacks a queue that the current one serves.
 */
export async function makeCurrent(
  { workflowService, options: { namespace } }: Client,
  buildId: string,
  token: Uint8Array,
): Promise<string | null> {
  try {
    await workflowService.setWorkerDeploymentCurrentVersion({
      namespace,
      deploymentName: DEPLOYMENT,
      buildId,
      conflictToken: token,
    })
    return null
  } catch (error) {
    if (codeOf(error) === NOT_FOUND || codeOf(error) === FAILED_PRECONDITION) return (error as Error).message
    throw error
  }
}

/** A run that stays with the build that began it. */
export interface PinnedRun {
  readonly workflowId: string
  readonly workflowType: string
  readonly buildId: string
  readonly since: Date
}

/** Open runs that are pinned to other builds than these, as Temporal's index has it: seconds old. At most `limit`. */
export async function listPinned(
  temporal: Client,
  { except, limit }: { except: readonly string[]; limit: number },
): Promise<PinnedRun[]> {
  const query = [`${OPEN} AND TemporalWorkflowVersioningBehavior = 'Pinned'`]
  if (except.length > 0) query.push(`TemporalWorkerDeploymentVersion NOT IN (${except.map(versionInQuery).join(', ')})`)
  const found: PinnedRun[] = []
  const listed = temporal.workflow.list({ query: query.join(' AND '), pageSize: Math.min(limit, 1_000) })
  for await (const { workflowId, type, startTime, searchAttributes } of listed) {
    const [version] = searchAttributes['TemporalWorkerDeploymentVersion'] ?? []
    const buildId = String(version).slice(DEPLOYMENT.length + 1)
    found.push({ workflowId, workflowType: type, buildId, since: startTime })
    if (found.length === limit) break
  }
  return found
}

/** How many runs of this type are open on a build. Of those that are not pinned: it was the last that worked on them. */
export async function countOpen(temporal: Client, buildId: string, workflowType: string): Promise<number> {
  const query = `${OPEN} AND WorkflowType = '${workflowType}' AND TemporalWorkerDeploymentVersion = ${versionInQuery(buildId)}`
  return (await temporal.workflow.count(query)).count
}

/** To which build the open run of this id is pinned now; null when none is open, or it is not pinned. */
export async function readPinned(
  { workflowService, options: { namespace } }: Client,
  workflowId: string,
): Promise<string | null> {
  try {
    const { workflowExecutionInfo } = await workflowService.describeWorkflowExecution({
      namespace,
      execution: { workflowId },
    })
    return workflowExecutionInfo?.status === RUNNING ? pinnedBuild(workflowExecutionInfo.versioningInfo) : null
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) return null
    throw error
  }
}

/** The open run of this id goes on with this build, from the task that waits. False when none is open. */
export async function moveRun(
  { workflowService, options: { namespace } }: Client,
  workflowId: string,
  buildId: string,
): Promise<boolean> {
  try {
    await workflowService.updateWorkflowExecutionOptions({
      namespace,
      workflowExecution: { workflowId },
      workflowExecutionOptions: {
        versioningOverride: {
          pinned: { behavior: OVERRIDE_PINNED, version: { deploymentName: DEPLOYMENT, buildId } },
        },
      },
      updateMask: { paths: ['versioning_override'] },
    })
    return true
  } catch (error) {
    if (codeOf(error) === NOT_FOUND) return false
    throw error
  }
}

const OPEN = `ExecutionStatus = 'Running'`

/** Build ids have no quotes (`config.ts`). */
function versionInQuery(buildId: string): string {
  return `'${DEPLOYMENT}:${buildId}'`
}

interface VersioningInfo {
  readonly behavior?: number | null
  readonly deploymentVersion?: { readonly buildId?: string | null } | null
  readonly versioningOverride?: {
    readonly autoUpgrade?: boolean | null
    readonly pinned?: { readonly version?: { readonly buildId?: string | null } | null } | null
  } | null
}

/** Where somebody has put a run counts more than what its workflow says. */
function pinnedBuild(info: VersioningInfo | null | undefined): string | null {
  const moved = info?.versioningOverride?.pinned?.version?.buildId
  if (moved) return moved
  if (info?.versioningOverride?.autoUpgrade || info?.behavior !== PINNED) return null
  return info.deploymentVersion?.buildId || null
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}
