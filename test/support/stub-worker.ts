import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { closeTemporalClient, createTemporalClient } from '../../api/http/temporal'
import { connectionOptions } from '../../temporal'
import { BUNDLE_PATH } from '../../workers/bundle'
import type { TaskQueue } from '../../workflows/contract'
import { TEST_VERSIONING, testBuildIsCurrent, testNamespace } from './temporal'

export type Stubs = Readonly<Record<string, (input: never) => Promise<unknown>>>

/** A worker of Holdfast's workflows whose activities are a test's own: no store, no provider, a real Temporal server. */
export interface StubWorker {
  readonly temporal: Client
  /** From now on these answer; the calls of before are forgotten. */
  stub(activities: Stubs): void
  /** The names of the activities that were called, in order. */
  calls(): string[]
  /** The inputs of one activity's calls. */
  inputs(name: string): unknown[]
  /** Another worker takes over, with these workflows, or with none: it knows only what the history shows. */
  takeOver(workflows: Workflows): Promise<void>
  /** No worker runs meanwhile: what comes then waits for one, all of it. */
  pauseWhile(work: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

type Workflows = Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'>

/**
 * @param names every activity that the test's workflows may call
 * @param workflows those of a test's own, instead of Holdfast's
 */
export async function startStubWorker(
  taskQueue: TaskQueue,
  names: readonly string[],
  workflows: Workflows = { workflowBundle: { codePath: BUNDLE_PATH } },
): Promise<StubWorker> {
  const { address, namespace } = await testNamespace()
  const temporal = createTemporalClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace })
  Runtime.install({ logger: new DefaultLogger('ERROR') })
  const connection = await NativeConnection.connect(connectionOptions({ TEMPORAL_ADDRESS: address }))
  let stubs: Stubs = {}
  let called: { name: string; input: unknown }[] = []
  const activity = (name: string) => async (input: unknown) => {
    called.push({ name, input })
    const stub = stubs[name]
    if (!stub) throw new Error(`The test has no stub of ${name}`)
    return stub(input as never)
  }
  async function run(workflows: Workflows): Promise<() => Promise<void>> {
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue,
      workerDeploymentOptions: TEST_VERSIONING,
      ...workflows,
      activities: Object.fromEntries(names.map((name) => [name, activity(name)])),
    })
    const running = worker.run()
    return () => {
      worker.shutdown()
      return running
    }
  }
  let end = await run(workflows)
  await testBuildIsCurrent(temporal, taskQueue)
  return {
    temporal,
    stub(activities) {
      stubs = activities
      called = []
    },
    calls: () => called.map(({ name }) => name),
    inputs: (name) => called.filter((call) => call.name === name).map(({ input }) => input),
    async takeOver(next) {
      await end()
      end = await run(next)
    },
    async pauseWhile(work) {
      await end()
      await work()
      end = await run(workflows)
    },
    async stop() {
      await end()
      await connection.close()
      await closeTemporalClient(temporal)
      await Runtime.instance().shutdown()
    },
  }
}

/** Tells a workflow something that it may have seen by itself, and ended. */
export async function unlessEnded(told: Promise<void>): Promise<void> {
  try {
    await told
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error
  }
}
