import { newId } from '../../db/id'
import { ORDER_ACTIVITIES, settlementStart, WORKFLOWS } from '../../workflows/contract'
import { type StubWorker, type Stubs, startStubWorker } from '../support/stub-worker'

/** The story of a settlement alone, with stubs for its effects. */
let worker: StubWorker
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const MONEY = { amount: 1_000, currency: 'GBP' }
const settled = (needsSync: boolean) => async () => ({
  key: 'order/charge/1',
  patienceMs: 60_000,
  money: MONEY,
  needsSync,
})

async function settle(stubs: Stubs): Promise<string[]> {
  worker.stub({
    readSettlement: settled(false),
    openCase: async () => undefined,
    closeCase: async () => undefined,
    ...stubs,
  })
  const payment = { orderId: newId('order'), paymentId: newId('payment') }
  await (await worker.temporal.workflow.start(WORKFLOWS.settlement, settlementStart(payment))).result()
  return worker.calls()
}

it('ends when the charge took nothing', async () => {
  const calls = await settle({ resolveCharge: async () => ({ outcome: 'dead' }) })
  expect(calls).toEqual(['readSettlement', 'resolveCharge'])
})

it('gives back what the charge took', async () => {
  const calls = await settle({
    resolveCharge: async () => ({ outcome: 'money_taken' }),
    returnMoney: async () => undefined,
  })
  expect(calls).toEqual(['readSettlement', 'resolveCharge', 'returnMoney'])
})

it('first makes true at the provider what a person decided while it was away', async () => {
  const calls = await settle({
    readSettlement: settled(true),
    syncDecision: async () => undefined,
    resolveCharge: async () => ({ outcome: 'dead' }),
  })
  expect(calls).toEqual(['readSettlement', 'syncDecision', 'resolveCharge'])
})

it('goes on asking until the provider answers', async () => {
  let asked = 0
  const calls = await settle({
    resolveCharge: async () => (++asked < 3 ? Promise.reject(new Error('away')) : { outcome: 'dead' }),
  })
  expect(calls).toEqual(['readSettlement', 'resolveCharge', 'resolveCharge', 'resolveCharge'])
})
