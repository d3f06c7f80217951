import { expiryWorkflowId } from '../../domain/workflow-id'
import { EXPIRY_SHARDS, TASK_QUEUES, WORKFLOWS } from '../../workflows/contract'
import { type StubWorker, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'

/** The rounds of an expiry workflow, with a stub for the sweep. */
let worker: StubWorker
let shard = 0
beforeAll(async () => {
  worker = await startStubWorker('platform', ['sweep'])
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

/** Starts one whose sweeps answer what `sweep` says, and returns how it is ended. */
async function run(
  sweep: () => Promise<{ nextDueMs: number | null; after?: string }>,
): Promise<() => Promise<unknown>> {
  worker.stub({ sweep })
  const handle = await worker.temporal.workflow.start(WORKFLOWS.expiry, {
    workflowId: expiryWorkflowId(++shard),
    taskQueue: TASK_QUEUES.platform,
    args: [{ shard }],
  })
  return () => handle.terminate()
}

const rounds = (count: number) => until(`${count} rounds`, () => worker.calls().length >= count)

it('sweeps its shard, round after round, soon when a hold is due soon', async () => {
  const end = await run(async () => ({ nextDueMs: 1 }))
  await rounds(4)
  await end()
  expect(worker.inputs('sweep')[0]).toEqual({ shard, shards: EXPIRY_SHARDS, after: '' })
})

it('goes on where a round that was too long has stopped', async () => {
  const end = await run(async () => ({ nextDueMs: 1, after: 'order_5' }))
  await rounds(2)
  await end()
  expect(worker.inputs('sweep')[1]).toMatchObject({ after: 'order_5' })
})

it('waits no longer than five seconds when no hold is due', async () => {
  const times: number[] = []
  const end = await run(async () => {
    times.push(Date.now())
    return { nextDueMs: null }
  })
  await rounds(2)
  await end()
  const [first = 0, second = 0] = times
  expect(second - first).toBeGreaterThanOrEqual(4_500)
}, 20_000)

it('goes on after a sweep that failed', async () => {
  let tries = 0
  const end = await run(async () => (++tries < 3 ? Promise.reject(new Error('away')) : { nextDueMs: 1 }))
  await rounds(5)
  await end()
})
