import { randomUUID } from 'node:crypto'
import { type History, Worker } from '@temporalio/worker'
import { newId } from '../../db/id'
import { ORDER_ACTIVITIES } from '../../workflows/contract'
import { type StubWorker, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'
import { type reader, tell } from './told-meanwhile/reader'

/**
 * A signal comes while a local activity runs for longer than a workflow task. The history shows it before the end of the
 * activity, but a replay brings both at once.
 */
const READER = { workflowsPath: require.resolve('./told-meanwhile/reader') }
/** Of this the SDK lets four fifths pass, and then asks for another task. */
const TASK_TIMEOUT = '1s'

let worker: StubWorker
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES, READER)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

it('what comes while a local activity is under way is followed by every replay', async () => {
  let letGo: (found: unknown) => void = () => undefined
  const found = new Promise((resolve) => {
    letGo = resolve
  })
  worker.stub({ lookUpCharge: () => found, retryCharge: async () => undefined, resolveCharge: async () => undefined })
  const handle = await worker.temporal.workflow.start<typeof reader>('reader', {
    workflowId: `told-${randomUUID()}`,
    taskQueue: 'checkout',
    workflowTaskTimeout: TASK_TIMEOUT,
    args: [{ paymentId: newId('payment') }],
  })
  await until('the activity is under way', () => worker.calls().includes('lookUpCharge'))
  await handle.signal(tell)
  await until('the workflow has been told', async () => tasksAfterSignal(await handle.fetchHistory()) > 0)
  expect(worker.calls()).toEqual(['lookUpCharge'])
  letGo({ outcome: 'nothing' })
  await handle.result()
  await Worker.runReplayHistory(READER, await handle.fetchHistory(), handle.workflowId)
}, 60_000)

/** How many tasks have begun since the workflow was told. */
function tasksAfterSignal({ events }: History): number {
  const signalled = events?.findIndex((event) => event.workflowExecutionSignaledEventAttributes) ?? -1
  if (signalled < 0) return 0
  return events?.slice(signalled).filter((event) => event.workflowTaskStartedEventAttributes).length ?? 0
}
