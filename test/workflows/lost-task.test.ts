import { randomUUID } from 'node:crypto'
import type { WorkflowHandle } from '@temporalio/client'
import { newId } from '../../db/id'
import { ORDER_ACTIVITIES } from '../../workflows/contract'
import { type StubWorker, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'
import type { several } from './several-cases/several'

/**
 * A worker dies in the task that has just written a case. Its history shows nothing of that, and the next task sees the end
 * of the step beside the end of the patience: staged here by letting both come while no worker takes workflow tasks.
 */
const SEVERAL = { workflowsPath: require.resolve('./several-cases/several') }
const NO_WORKFLOWS = {}
const PATIENCE_MS = 1_000

let worker: StubWorker
let isAway = true
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES, SEVERAL)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

it('closes the case that a lost task may have written about a step that has ended meanwhile', async () => {
  worker.stub({
    resolveCharge: async () => (isAway ? Promise.reject(new Error('away')) : { outcome: 'dead' }),
    openCase: async () => undefined,
    closeCase: async () => undefined,
  })
  const payment = newId('payment')
  const handle = await worker.temporal.workflow.start<typeof several>('several', {
    workflowId: `lost-${randomUUID()}`,
    taskQueue: 'checkout',
    args: [{ orderId: newId('order'), payments: [payment], patienceMs: PATIENCE_MS }],
  })
  await until('the provider was asked', () => worker.calls().includes('resolveCharge'))
  await worker.takeOver(NO_WORKFLOWS)
  isAway = false
  await until(
    'the step has ended, and its patience too',
    async () => (await handle.fetchHistory()).events ?? [],
    (events) => events.some(isTimerFired) && events.some(isActivityCompleted),
  )
  await worker.takeOver(SEVERAL)
  await handle.result()
  expect(worker.calls()).not.toContain('openCase')
  expect(worker.inputs('closeCase')).toEqual([
    { workflowId: handle.workflowId, step: 'resolveCharge', object: payment },
  ])
}, 60_000)

type Event = NonNullable<Awaited<ReturnType<WorkflowHandle['fetchHistory']>>['events']>[number]
const isTimerFired = (event: Event): boolean => Boolean(event.timerFiredEventAttributes)
const isActivityCompleted = (event: Event): boolean => Boolean(event.activityTaskCompletedEventAttributes)
