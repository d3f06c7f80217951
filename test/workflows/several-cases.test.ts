import { randomUUID } from 'node:crypto'
import type { WorkflowHandle } from '@temporalio/client'
import { newId } from '../../db/id'
import type { PaymentId } from '../../domain/ids'
import { ORDER_ACTIVITIES, REPAIR_UPDATES, type Repair } from '../../workflows/contract'
import { isFoundBy } from '../support/attention'
import { type StubWorker, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'
import type { again, several } from './several-cases/several'

/** A workflow that supervises several steps at a time, beside its own waiting. */
let worker: StubWorker
let away: Set<PaymentId>
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES, {
    workflowsPath: require.resolve('./several-cases/several'),
  })
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const BY = newId('apiKey')

async function begin(count: number, patienceMs = 200, workflow: 'several' | 'again' = 'several') {
  const payments = Array.from({ length: count }, () => newId('payment'))
  away = new Set(payments)
  worker.stub({
    resolveCharge: async ({ paymentId }: { paymentId: PaymentId }) =>
      away.has(paymentId) ? Promise.reject(new Error('away')) : { outcome: 'dead' },
    openCase: async () => undefined,
    closeCase: async () => undefined,
    recordRepair: async () => undefined,
  })
  const handle = await worker.temporal.workflow.start<typeof several | typeof again>(workflow, {
    workflowId: `several-${randomUUID()}`,
    taskQueue: 'checkout',
    args: [{ orderId: newId('order'), payments, patienceMs }],
  })
  return { handle, payments: payments as [PaymentId, PaymentId, ...PaymentId[]] }
}

async function withCases(count: number) {
  const begun = await begin(count)
  await until('all have a case', () => worker.inputs('openCase').length === count)
  return begun
}

const repair = (handle: WorkflowHandle, more: object) =>
  handle.executeUpdate(REPAIR_UPDATES.resolveStep, {
    args: [{ reason_code: 'checked', by: BY, outcome: 'done', ...more } as Repair],
  })

const detailsOf = async (handle: WorkflowHandle): Promise<string> =>
  (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails

it('has a case for each object, closes each alone, and needs attention until the last is closed', async () => {
  const { handle, payments } = await withCases(2)
  const [first, second] = payments
  const { workflowId } = handle
  expect(worker.inputs('openCase')).toEqual(
    expect.arrayContaining(
      payments.map((object) =>
        expect.objectContaining({ workflowId, step: 'resolveCharge', object, detail: `GBP 5.00 of ${object}` }),
      ),
    ),
  )
  away.delete(first)
  await until('one is closed', () => worker.calls().includes('closeCase'), undefined, 20_000)
  expect(worker.inputs('closeCase')).toEqual([{ workflowId, step: 'resolveCharge', object: first }])
  await isFoundBy(handle, 'late_money')
  away.delete(second)
  await handle.result()
  expect(worker.inputs('closeCase')).toHaveLength(2)
  await isFoundBy(handle)
})

it('shows all cases, with the JSON that tells one from the other, and what it waits for besides', async () => {
  const { handle, payments } = await withCases(2)
  const details = await detailsOf(handle)
  for (const object of payments) {
    expect(details).toContain(`**Waits for** charge ${object}`)
    expect(details).toContain(`**What is known** GBP 5.00 of ${object}`)
    const named = details.match(/```json\n[\s\S]*?```/g)?.filter((json) => json.includes(`"object": "${object}"`))
    expect(named).toHaveLength(2)
  }
  expect(details).toContain('**Waits for** the customer.')
  away.clear()
  await handle.result()
})

it('shows what waits besides while nothing needs a person', async () => {
  const { handle, payments } = await begin(2, 60_000)
  await until(
    'both are asked',
    () => new Set(worker.inputs('resolveCharge').map((one) => JSON.stringify(one))).size === 2,
  )
  const details = await detailsOf(handle)
  expect(details).toContain('**Waits for** the customer.')
  for (const object of payments) expect(details).toContain(`**Waits also for** charge ${object}`)
  away.clear()
  await handle.result()
})

it('refuses a repair that fits several, says which wait, and takes it once it names one', async () => {
  const { handle, payments } = await withCases(2)
  const [first, second] = payments
  const refused = repair(handle, { step: 'resolveCharge' })
  await expect(refused).rejects.toMatchObject({
    cause: {
      message: expect.stringMatching(new RegExp(`Several steps wait.*(${first}.*${second}|${second}.*${first})`)),
    },
  })
  await expect(repair(handle, { object: newId('payment') })).rejects.toMatchObject({
    cause: { message: expect.stringContaining('nothing waits for a person') },
  })
  await repair(handle, { object: first })
  await until('its case is closed', () => worker.calls().includes('closeCase'))
  expect(worker.inputs('closeCase')).toEqual([expect.objectContaining({ object: first })])
  expect(worker.inputs('recordRepair')).toEqual([
    expect.objectContaining({ repair: expect.objectContaining({ object: first }) }),
  ])
  // Now there is only one that fits.
  await repair(handle, {})
  await handle.result()
  expect(worker.inputs('closeCase')).toHaveLength(2)
})

it('closes a case before it opens another one of the same step and object', async () => {
  const { handle, payments } = await begin(1, 200, 'again')
  await until('there is a second case', () => worker.inputs('openCase').length === 2, undefined, 20_000)
  expect(worker.calls().filter((name) => name.endsWith('Case'))).toEqual(['openCase', 'closeCase', 'openCase'])
  await repair(handle, { object: payments[0] })
  expect(await handle.result()).toEqual(['interrupted', 'resolved'])
})
