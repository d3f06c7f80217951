import { ApplicationFailure } from '@temporalio/common'
import type { PaymentId } from '../../domain/ids'
import { newId } from '../../db/id'
import {
  attemptSignal,
  attemptUpdate,
  cancelSignal,
  checkoutStart,
  forceCancelUpdate,
  ORDER_ACTIVITIES,
  providerNewsSignal,
  WORKFLOWS,
} from '../../workflows/contract'
import { MoneyStubs } from '../support/money-stubs'
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

/** Of the money of an order that is over. */
const NOTHING_TO_DO = { isOver: true, currency: 'GBP', total: 1_000, items: [], renewInMs: null, patienceMs: 300 }

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
  ...new MoneyStubs().stubs,
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
    resolveCharge: async () => undefined,
    readPaymentWork: async () => NOTHING_TO_DO,
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

describe('a step of our own that keeps failing', () => {
  const fails = () => Promise.reject(new Error('a constraint'))
  /** It becomes a case at once: patience is not known before an order is placed, and long. */
  const failsForGood = () => Promise.reject(ApplicationFailure.nonRetryable('a constraint'))

  it('is nothing that anybody sees when the second try succeeds', async () => {
    let tries = 0
    const outcome = await outcomeOf({ confirm: async () => (++tries < 2 ? fails() : true) })
    expect(outcome).toBe('confirmed')
    expect(worker.calls()).not.toContain('openCase')
  })

  it('becomes a case, is tried on, and closes the case when it succeeds: a paid order is confirmed in the end', async () => {
    const first = attempt(1)
    let isMended = false
    const handle = await start({
      place: async () => placed({ attempt: first }),
      confirm: async () => (isMended ? true : fails()),
    })
    await called('openCase')
    const { workflowId } = handle
    const key = { workflowId, step: 'confirm', object: first.paymentId }
    expect(worker.inputs('openCase')).toEqual([expect.objectContaining({ ...key, code: 'step_failing' })])
    isMended = true
    expect(await handle.result()).toEqual({ outcome: 'confirmed' })
    expect(worker.inputs('closeCase')).toEqual([key])
    expect(worker.calls()).not.toContain('cancelOrder')
  })

  it('when it is an undo, says so', async () => {
    let isMended = false
    const handle = await start({
      charge: async () => DECLINED,
      cancelOrder: async () => (isMended ? undefined : fails()),
    })
    await called('openCase')
    expect(worker.inputs('openCase')).toEqual([
      expect.objectContaining({ step: 'cancelOrder', object: null, code: 'undo_failed' }),
    ])
    isMended = true
    expect(await handle.result()).toEqual({ outcome: 'cancelled' })
    expect(worker.calls()).toContain('closeCase')
  })

  it('ends at the deadline when it is the next attempt', async () => {
    const handle = await start({ charge: async () => DECLINED, startNextAttempt: fails })
    await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 1 }] })
    await handle.executeUpdate(attemptUpdate, { args: [{ attempt: 2 }] })
    expect(await handle.result()).toEqual({ outcome: 'cancelled' })
    expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'expired' })])
  })

  it.each(['place', 'startNextAttempt'])('can be given up by forceCancel when it is %s', async (step) => {
    const handle = await start({
      place: step === 'place' ? failsForGood : async () => placed({ holdMs: 60_000 }),
      charge: async () => DECLINED,
      startNextAttempt: failsForGood,
      recordRepair: async () => undefined,
    })
    if (step !== 'place') {
      await called('charge')
      await handle.signal(attemptSignal, { attempt: 2 })
    }
    await called('openCase')
    const by = newId('apiKey')
    await handle.executeUpdate(forceCancelUpdate, { args: [{ step, reason_code: 'checked', by }] })
    expect(await handle.result()).toEqual({ outcome: 'cancelled' })
    expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'merchant' })])
    expect(worker.calls()).toContain('closeCase')
  })

  it('ends when the buyer cancels an order that cannot be placed', async () => {
    const handle = await start({ place: fails })
    await until('it is tried on', () => worker.inputs('place').length > 2)
    await handle.signal(cancelSignal)
    expect(await handle.result()).toEqual({ outcome: 'cancelled' })
    expect(worker.inputs('cancelOrder')).toEqual([expect.objectContaining({ reason: 'customer' })])
  })
})

function idOf({ paymentId }: { paymentId: PaymentId }): { paymentId: PaymentId } {
  return { paymentId }
}
