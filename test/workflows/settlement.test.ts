import type { WorkflowHandle } from '@temporalio/client'
import { newId } from '../../db/id'
import { createOrderWorkflows } from '../../workers/order-workflows'
import {
  ORDER_ACTIVITIES,
  providerNewsSignal,
  REPAIR_UPDATES,
  type SettlementInput,
  settlementStart,
  WORKFLOWS,
} from '../../workflows/contract'
import { MoneyStubs } from '../support/money-stubs'
import { type StubWorker, type Stubs, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'

/** The story of a settlement alone, with stubs for its effects. */
let worker: StubWorker
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const MONEY = { amount: 1_000, currency: 'GBP' }
const settled =
  (needsSync: boolean, patienceMs = 60_000, pays = false) =>
  async () => ({
    key: 'order/charge/1',
    patienceMs,
    money: MONEY,
    needsSync,
    pays,
  })

let money: MoneyStubs

async function begin(stubs: Stubs): Promise<{ handle: WorkflowHandle; payment: SettlementInput }> {
  money = new MoneyStubs()
  money.isOver = true
  worker.stub({ ...money.stubs, readSettlement: settled(false), ...stubs })
  const payment = { orderId: newId('order'), paymentId: newId('payment') }
  return { payment, handle: await worker.temporal.workflow.start(WORKFLOWS.settlement, settlementStart(payment)) }
}

/** The effects in order, once it has ended. */
async function settle(stubs: Stubs): Promise<string[]> {
  await (await begin(stubs)).handle.result()
  return worker.calls()
}

it('ends when the charge took nothing', async () => {
  const calls = await settle({ resolveCharge: async () => undefined })
  expect(calls).toEqual(['readSettlement', 'resolveCharge', 'readPaymentWork'])
})

it('lets go and gives back what the charge took', async () => {
  const calls = await settle({
    resolveCharge: async ({ paymentId }: SettlementInput) => {
      money.release(paymentId)
      money.refund(paymentId)
    },
  })
  expect(calls.filter((name) => name !== 'readPaymentWork')).toEqual([
    'readSettlement',
    'resolveCharge',
    'releasePayment',
    'refundPayment',
  ])
  expect(worker.inputs('readPaymentWork')[0]).toMatchObject({ paymentId: expect.stringMatching(/^pay_/) })
})

it('whose refund is refused asks a person, and gives it back under a new key', async () => {
  const { handle } = await begin({
    resolveCharge: async ({ paymentId }: SettlementInput) => void money.refused.add(money.refund(paymentId).object),
  })
  await until('a person is asked', () => worker.calls().includes('openCase'))
  expect(worker.inputs('openCase')).toEqual([
    expect.objectContaining({ code: 'refund_refused', object: 'ref_1', workflowId: handle.workflowId }),
  ])
  await handle.executeUpdate(REPAIR_UPDATES.retryStep, { args: [{ reason_code: 'checked', by: newId('apiKey') }] })
  await handle.result()
  expect(worker.inputs('decideRefund')).toEqual([{ refundId: 'ref_1', decision: 'retry' }])
  expect(worker.inputs('refundPayment')).toEqual([{ refundId: 'ref_1' }, { refundId: 'ref_2' }])
})

it('whose refund takes the provider its time waits without a case, and ends with the news', async () => {
  const { handle, payment } = await begin({
    readSettlement: settled(false, 1_000),
    resolveCharge: async ({ paymentId }: SettlementInput) => void money.accepted.add(money.refund(paymentId).object),
  })
  await until('it is taken', () => worker.inputs('refundPayment').length > 0)
  // The second look comes by itself, after the patience of everything else.
  await until('it is asked about again', () => worker.inputs('refundPayment').length > 1, undefined, 20_000)
  money.items = []
  await handle.signal(providerNewsSignal, payment)
  await handle.result()
  expect(worker.calls()).not.toContain('openCase')
}, 30_000)

it('goes on where it was when it was ended by hand and started anew', async () => {
  const { handle, payment } = await begin({
    resolveCharge: async ({ paymentId }: SettlementInput) => {
      if (money.items.length === 0) money.away.add(money.refund(paymentId).object)
    },
  })
  await until('it is tried', () => worker.inputs('refundPayment').length > 1)
  await handle.terminate()
  expect(await createOrderWorkflows(worker.temporal).startSettlement(payment)).toBe(true)
  money.away.clear()
  await worker.temporal.workflow.getHandle(handle.workflowId).result()
  expect(money.items).toEqual([])
})

it('takes the word of a person for what the provider does not say', async () => {
  const { handle } = await begin({
    readSettlement: settled(false, 100),
    resolveCharge: () => Promise.reject(new Error('away')),
    recordDecision: async ({ paymentId }: SettlementInput) => void money.release(paymentId),
  })
  await until('a person is asked', () => worker.calls().includes('openCase'))
  await handle.executeUpdate(REPAIR_UPDATES.resolveStep, {
    args: [{ reason_code: 'checked', by: newId('apiKey'), outcome: 'done' }],
  })
  await handle.result()
  expect(worker.inputs('recordDecision')).toEqual([expect.objectContaining({ happened: true })])
  expect(worker.calls()).toContain('releasePayment')
})

it('first makes true at the provider what a person decided while it was away', async () => {
  const calls = await settle({
    readSettlement: settled(true),
    syncDecision: async () => undefined,
    resolveCharge: async () => undefined,
  })
  expect(calls).toEqual(['readSettlement', 'syncDecision', 'resolveCharge', 'readPaymentWork'])
})

it('goes on asking until the provider answers', async () => {
  let asked = 0
  const calls = await settle({
    resolveCharge: async () => (++asked < 3 ? Promise.reject(new Error('away')) : undefined),
  })
  expect(calls).toEqual(['readSettlement', 'resolveCharge', 'resolveCharge', 'resolveCharge', 'readPaymentWork'])
})

it('leaves what is new about a payment that pays to the owner of its money', async () => {
  const calls = await settle({ readSettlement: settled(true, 60_000, true), syncDecision: async () => undefined })
  expect(calls).toEqual(['readSettlement', 'syncDecision'])
})
