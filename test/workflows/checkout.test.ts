import type { PaymentId } from '../../domain/ids'
import { newId } from '../../db/id'
import {
  attemptUpdate,
  cancelSignal,
  checkoutStart,
  ORDER_ACTIVITIES,
  providerNewsSignal,
  WORKFLOWS,
} from '../../workflows/contract'
import { type StubWorker, type Stubs, startStubWorker } from '../support/stub-worker'
import { until } from '../support/wait'

/** The story of a checkout alone: what it calls, in which order, and what it waits for. Its effects are stubs. */
let worker: StubWorker
beforeAll(async () => {
  worker = await startStubWorker('checkout', ORDER_ACTIVITIES)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const HOLD_MS = 600
const PAID = { outcome: 'paid', charge: { status: 'authorized', reference: 'ch_1' } }
const DECLINED = { outcome: 'declined' }
const CHALLENGED = { outcome: 'waiting', status: 'requires_action' }

const attempt = (number: number) => ({
  paymentId: newId('payment'),
  attempt: number,
  key: `order/charge/${number}`,
  status: 'sent',
})

const placed = (more: object = {}) => ({
  outcome: 'placed',
  due: 1_000,
  currency: 'GBP',
  attempt: attempt(1),
  holdMs: HOLD_MS,
  patienceMs: 300,
  repeated: false,
  cancelWanted: false,
  ...more,
})

/** All goes well, but for what the test says otherwise. */
const stubs = (more: Stubs = {}): Stubs => ({
  place: async () => placed(),
  charge: async () => PAID,
  confirm: async () => true,
  cancelCharge: async () => ({ outcome: 'dead' }),
  cancelOrder: async () => undefined,
  openCase: async () => undefined,
  closeCase: async () => undefined,
  ...more,
})

async function start(more?: Stubs) {
  worker.stub(stubs(more))
  const orderId = newId('order')
  return worker.temporal.workflow.start(WORKFLOWS.checkout, checkoutStart(orderId, { summary: 'HF-1' }))
}

async function outcomeOf(more?: Stubs): Promise<string> {
  const { outcome } = (await (await start(more)).result()) as { outcome: string }
  return outcome
}

const called = (...names: string[]) =>
  until(`${names} are called`, () => names.every((name) => worker.calls().includes(name)))

it('places, charges and confirms', async () => {
  expect(await outcomeOf()).toBe('confirmed')
  expect(worker.calls()).toEqual(['place', 'charge', 'confirm'])
})

it('confirms at once when nothing is due', async () => {
  expect(await outcomeOf({ place: async () => placed({ due: 0, attempt: null }) })).toBe('confirmed')
  expect(worker.calls()).toEqual(['place', 'confirm'])
  expect(worker.inputs('confirm')).toEqual([expect.objectContaining({ paid: null })])
})

it('does nothing more for an order that is over', async () => {
  expect(await outcomeOf({ place: async () => ({ outcome: 'over' }) })).toBe('over')
  expect(worker.calls()).toEqual(['place'])
})

it('gives the stock back when the hold ends without another card', async () => {
  expect(await outcomeOf({ charge: async () => DECLINED })).toBe('cancelled')
  expect(worker.calls()).toEqual(['place', 'charge', 'cancelOrder'])
  expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'expired' })])
})

it('takes another card after a decline', async () => {
  const second = attempt(2)
  let tries = 0
  const handle = await start({
    charge: async () => (tries++ === 0 ? DECLINED : PAID),
    startNextAttempt: async () => ({ outcome: 'started', attempt: second, holdMs: 60_000 }),
    place: async () => placed({ holdMs: 60_000 }),
  })
  await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 1 }] })
  await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 2 }] })
  expect(await handle.result()).toEqual({ outcome: 'confirmed' })
  expect(worker.calls()).toEqual(['place', 'charge', 'startNextAttempt', 'charge', 'confirm'])
  expect(worker.inputs('confirm')).toEqual([expect.objectContaining({ paid: expect.objectContaining(idOf(second)) })])
})

it('undoes in reverse when the customer cancels: first the charge, then the order', async () => {
  const handle = await start({ charge: async () => CHALLENGED, place: async () => placed({ holdMs: 60_000 }) })
  await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 1 }] })
  await handle.signal(cancelSignal)
  expect(await handle.result()).toEqual({ outcome: 'cancelled' })
  expect(worker.calls()).toEqual(['place', 'charge', 'cancelCharge', 'cancelOrder'])
  expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'customer' })])
})

it('looks up what waits when the provider has news', async () => {
  const handle = await start({
    charge: async () => CHALLENGED,
    lookUpCharge: async () => PAID,
    place: async () => placed({ holdMs: 60_000 }),
  })
  await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 1 }] })
  await handle.signal(providerNewsSignal, { paymentId: newId('payment') })
  expect(await handle.result()).toEqual({ outcome: 'confirmed' })
  expect(worker.calls()).toEqual(['place', 'charge', 'lookUpCharge', 'confirm'])
})

it('looks up what waits by itself: the word of the provider may be lost, and its silence is no case', async () => {
  let lookUps = 0
  const outcome = await outcomeOf({
    charge: async () => CHALLENGED,
    lookUpCharge: async () => (lookUps++ === 0 ? { outcome: 'unknown' } : PAID),
    place: async () => placed({ holdMs: 60_000 }),
  })
  expect(outcome).toBe('confirmed')
  expect(new Set(worker.calls())).toEqual(new Set(['place', 'charge', 'lookUpCharge', 'confirm']))
})

it('confirms at the end of the hold what turns out to be paid', async () => {
  const outcome = await outcomeOf({ charge: async () => CHALLENGED, cancelCharge: async () => PAID })
  expect(outcome).toBe('confirmed')
  expect(worker.inputs('cancelCharge')).toEqual([expect.objectContaining({ keepIfPaid: true, reason: 'expired' })])
})

it('asks again, in an activity that support sees, when the charge is not answered', async () => {
  const outcome = await outcomeOf({ charge: async () => ({ outcome: 'unknown' }), retryCharge: async () => PAID })
  expect(outcome).toBe('confirmed')
  expect(worker.calls()).toEqual(['place', 'charge', 'retryCharge', 'confirm'])
})

it('gives the stock back before it finds out about a charge that cannot be cancelled', async () => {
  const outcome = await outcomeOf({
    charge: async () => CHALLENGED,
    cancelCharge: async () => Promise.reject(new Error('away')),
    lookUpChargeAgain: async () => ({ outcome: 'unknown' }),
    resolveCharge: async () => ({ outcome: 'dead' }),
  })
  expect(outcome).toBe('cancelled')
  const calls = worker.calls()
  expect(calls.indexOf('cancelOrder')).toBeLessThan(calls.indexOf('resolveCharge'))
  expect(calls.indexOf('lookUpChargeAgain')).toBeLessThan(calls.indexOf('cancelOrder'))
})

it('is cancelled by hand as by the merchant', async () => {
  const handle = await start({ charge: async () => DECLINED, place: async () => placed({ holdMs: 60_000 }) })
  await called('charge')
  await handle.cancel()
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
  expect(worker.calls()).toEqual(['place', 'charge', 'cancelOrder'])
  expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'merchant' })])
})

it('is cancelled by hand while it is placed: what may have been reserved is given back', async () => {
  let end: (placed: object) => void = () => undefined
  const handle = await start({
    place: () =>
      new Promise((resolve) => {
        end = resolve
      }),
  })
  await called('place')
  await handle.cancel()
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
  end(placed())
  expect(worker.calls()).toEqual(['place', 'cancelOrder'])
  expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'merchant' })])
})

function idOf({ paymentId }: { paymentId: PaymentId }): { paymentId: PaymentId } {
  return { paymentId }
}
