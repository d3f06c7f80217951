import type { WorkflowHandle } from '@temporalio/client'
import { newId } from '../../db/id'
import {
  ORDER_ACTIVITIES,
  type Repair,
  type RepairAction,
  REPAIR_UPDATES,
  settlementStart,
  WORKFLOWS,
} from '../../workflows/contract'
import { isFoundBy } from '../support/attention'
import { MoneyStubs } from '../support/money-stubs'
import { type StubWorker, type Stubs, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'

/** Supervised steps, cases and repairs, seen in the workflow that has the fewest steps besides: a settlement. */
let worker: StubWorker
let providerIsAway: boolean
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES)
}, 30_000)
beforeEach(() => {
  providerIsAway = true
})
afterAll(() => worker?.stop(), 30_000)

const BY = newId('apiKey')

async function begin(stubs: Stubs = {}, patienceMs = 200): Promise<WorkflowHandle> {
  worker.stub({
    readSettlement: async () => ({
      key: 'order/charge/1',
      patienceMs,
      money: { amount: 1_000, currency: 'GBP' },
      needsSync: false,
    }),
    resolveCharge: async () => (providerIsAway ? Promise.reject(new Error('away')) : { outcome: 'dead' }),
    ...new MoneyStubs().stubs,
    ...stubs,
  })
  const payment = { orderId: newId('order'), paymentId: newId('payment') }
  return worker.temporal.workflow.start(WORKFLOWS.settlement, settlementStart(payment))
}

async function withCase(stubs?: Stubs): Promise<WorkflowHandle> {
  const handle = await begin(stubs)
  await until('a case is open', () => worker.calls().includes('openCase'))
  return handle
}

const repair = (handle: WorkflowHandle, action: RepairAction, more: object = {}) =>
  handle.executeUpdate(REPAIR_UPDATES[action], { args: [{ reason_code: 'checked', by: BY, ...more } as Repair] })

it('opens no case for a step that succeeds within its patience', async () => {
  providerIsAway = false
  await (await begin()).result()
  expect(worker.calls()).not.toContain('openCase')
})

it('opens one case for a step that keeps failing, goes on trying, and closes it when the step succeeds', async () => {
  const handle = await withCase()
  expect(worker.inputs('openCase')).toEqual([
    expect.objectContaining({ code: 'provider_unreachable', step: 'resolveCharge', workflowId: handle.workflowId }),
  ])
  await isFoundBy(handle, 'provider_unreachable')
  providerIsAway = false
  await handle.result()
  expect(worker.calls().filter((name) => name === 'openCase' || name === 'closeCase')).toEqual([
    'openCase',
    'closeCase',
  ])
  await isFoundBy(handle)
})

it('takes a decision of a person for the answer of the provider', async () => {
  const handle = await withCase({ recordDecision: async () => ({ outcome: 'dead' }) })
  await repair(handle, 'resolveStep', { outcome: 'not_done' })
  await handle.result()
  expect(worker.inputs('recordDecision')).toEqual([expect.objectContaining({ happened: false })])
  expect(worker.inputs('recordRepair')).toEqual([expect.objectContaining({ action: 'resolveStep' })])
})

it('tries again at once when a person says so', async () => {
  const handle = await withCase()
  const before = worker.inputs('resolveCharge').length
  providerIsAway = false
  await repair(handle, 'retryPayment')
  await handle.result()
  expect(worker.inputs('resolveCharge').length).toBeGreaterThan(before)
})

it.each([
  ['a repair that does not fit the case', 'retryStep', {}, /takes retryPayment, resolveStep/],
  ['a repair of another step', 'retryPayment', { step: 'place' }, /nothing waits for a person. Waiting: resolveCharge/],
  ['a decision without an outcome', 'resolveStep', {}, /`outcome` must be/],
  ['a cancellation of what is cancelled', 'forceCancel', {}, /cancelled already/],
  ['a sentence where a code belongs', 'retryPayment', { reason_code: 'Jane asked' }, /short code/],
  ['a repair by nobody', 'retryPayment', { by: 'Jane' }, /admin key/],
  ['a note', 'retryPayment', { note: 'Jane' }, /Leave out note/],
] as const)('refuses %s', async (_what, action, more, message) => {
  const handle = await withCase()
  await expect(repair(handle, action, more)).rejects.toMatchObject({
    cause: { message: expect.stringMatching(message) },
  })
  expect(worker.calls()).not.toContain('recordRepair')
  providerIsAway = false
  await handle.result()
})

it('refuses every repair while nothing waits for a person', async () => {
  const handle = await begin({}, 60_000)
  await until('it is asked', () => worker.calls().includes('resolveCharge'))
  await expect(repair(handle, 'retryPayment')).rejects.toMatchObject({
    cause: { message: 'Nothing waits for a person here' },
  })
  providerIsAway = false
  await handle.result()
})
