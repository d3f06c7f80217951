import { setTimeout as delay } from 'node:timers/promises'
import type { WorkflowHandle } from '@temporalio/client'
import { newId } from '../../db/id'
import type { OrderId, PaymentId } from '../../domain/ids'
import { fulfillmentWorkflowId } from '../../domain/workflow-id'
import { createOrderWorkflows } from '../../workers/order-workflows'
import {
  ORDER_ACTIVITIES,
  paymentWorkSignal,
  providerNewsSignal,
  type Repair,
  REPAIR_UPDATES,
  type RepairAction,
} from '../../workflows/contract'
import { isFoundBy } from '../support/attention'
import { MoneyStubs } from '../support/money-stubs'
import { type StubWorker, startStubWorker, unlessEnded } from '../support/stub-worker'
import { until } from '../support/wait'

/** The story of a confirmed order's money alone, with stubs for its effects. */
let worker: StubWorker
let orders: ReturnType<typeof createOrderWorkflows>
beforeAll(async () => {
  worker = await startStubWorker('fulfillment', ORDER_ACTIVITIES)
  orders = createOrderWorkflows(worker.temporal)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const BY = newId('apiKey')
/** Long enough that others would be written meanwhile. */
const WRITING_MS = 50
/** Long enough for messages to reach the server. */
const SENDING_MS = 500

interface Started {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly money: MoneyStubs
  readonly handle: WorkflowHandle
}

/** A confirmed order whose money asks for what `ask` says; its workflow has been told. */
async function begin(ask: (money: MoneyStubs, paymentId: PaymentId) => unknown, patienceMs?: number): Promise<Started> {
  const [orderId, paymentId] = [newId('order'), newId('payment')]
  const money = new MoneyStubs(patienceMs === undefined ? {} : { patienceMs })
  ask(money, paymentId)
  worker.stub(money.stubs)
  expect(await orders.startFulfillment({ orderId, isOver: false })).toBe(true)
  return { orderId, paymentId, money, handle: worker.temporal.workflow.getHandle(fulfillmentWorkflowId(orderId)) }
}

/** The order is over, and its workflow is told. */
async function end({ money, handle }: Started): Promise<void> {
  money.isOver = true
  await unlessEnded(handle.signal(paymentWorkSignal))
  await handle.result()
}

const called = (name: string): unknown[] => worker.inputs(name)
const waitForCalls = (name: string, count: number): Promise<unknown> =>
  until(`${name} is called ${count} times`, () => called(name).length >= count, undefined, 20_000)
const isIdle = (money: MoneyStubs): Promise<unknown> => until('nothing is left', () => money.items.length === 0)

const repair = ({ handle }: Started, action: RepairAction, more: object = {}) =>
  handle.executeUpdate(REPAIR_UPDATES[action], { args: [{ reason_code: 'checked', by: BY, ...more } as Repair] })

const eventsOf = async (handle: WorkflowHandle): Promise<string[]> =>
  ((await handle.fetchHistory()).events ?? []).map(
    (event) => Object.keys(event).find((name) => name.endsWith('EventAttributes')) ?? '',
  )

describe('a confirmed order', () => {
  it('costs no workflow task until it is told of something, and then none is lost', async () => {
    const [orderId, paymentId] = [newId('order'), newId('payment')]
    const money = new MoneyStubs()
    worker.stub(money.stubs)
    await orders.awaitFulfillment(orderId, 3_600_000)
    await orders.awaitFulfillment(orderId, 3_600_000)
    const handle = worker.temporal.workflow.getHandle(fulfillmentWorkflowId(orderId))
    expect(await eventsOf(handle)).toEqual(['workflowExecutionStartedEventAttributes'])
    money.capture(paymentId)
    await orders.startFulfillment({ orderId, isOver: false })
    await isIdle(money)
    await end({ orderId, paymentId, money, handle })
    expect(called('capturePayment')).toHaveLength(1)
  })

  it('is started once, by whichever comes first', async () => {
    const begun = await begin(() => undefined)
    await waitForCalls('readPaymentWork', 1)
    await orders.awaitFulfillment(begun.orderId, 1)
    await end(begun)
    expect(await orders.startFulfillment({ orderId: begun.orderId, isOver: true })).toBe(false)
  })

  it('captures, captures again and refunds, one after another, without a case', async () => {
    const begun = await begin((money, paymentId) => {
      money.capture(paymentId)
      money.capture(paymentId)
      money.refund(paymentId)
    })
    await isIdle(begun.money)
    await end(begun)
    expect(worker.calls().filter((name) => name !== 'readPaymentWork' && name !== 'advanceGoods')).toEqual([
      'capturePayment',
      'capturePayment',
      'refundPayment',
    ])
  })

  it('looks up news that the run before it could not, for that was ended meanwhile', async () => {
    const begun = await begin((money, paymentId) => {
      money.news(paymentId)
      money.away.add(paymentId)
    })
    const { money, handle, orderId, paymentId } = begun
    await waitForCalls('refreshPayment', 2)
    await handle.terminate('staged')
    money.away.clear()
    expect(money.items).toMatchObject([{ kind: 'news', object: paymentId }])
    await orders.startFulfillment({ orderId, isOver: false })
    await isIdle(money)
    await end(begun)
    expect(called('openCase')).toEqual([])
  })

  it('asks no more about news that a person knows', async () => {
    const begun = await begin((money, paymentId) => {
      money.news(paymentId)
      money.away.add(paymentId)
    }, 200)
    await waitForCalls('openCase', 1)
    await repair(begun, 'resolveStep', { outcome: 'done' })
    await isIdle(begun.money)
    await end(begun)
    expect(called('skipNews')).toEqual([{ paymentId: begun.paymentId }])
  })

  it('ends with its order, once all of its money is where it belongs', async () => {
    const begun = await begin((money, paymentId) => {
      money.away.add(money.release(paymentId).object)
      money.isOver = true
    })
    await waitForCalls('releasePayment', 3)
    expect((await begun.handle.describe()).status.name).toBe('RUNNING')
    begun.money.away.clear()
    await begun.handle.result()
    expect(begun.money.items).toEqual([])
  })
})

describe('a capture that is refused', () => {
  const refused = async (): Promise<Started> => {
    const begun = await begin((money, paymentId) => void money.refused.add(money.capture(paymentId).object))
    await waitForCalls('openCase', 1)
    return begun
  }

  it('is a case for a person, which shows what the provider says', async () => {
    const begun = await refused()
    expect(called('openCase')).toEqual([
      expect.objectContaining({
        code: 'capture_refused',
        step: 'capturePayment',
        object: 'cap_1',
        workflowId: begun.handle.workflowId,
        detail: 'The provider says `no`.',
      }),
    ])
    await isFoundBy(begun.handle, 'capture_refused')
    const { currentDetails } = await begun.handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
    expect(currentDetails).toContain(`refuses to take GBP 5.00 of payment \`${begun.paymentId}\``)
    expect(currentDetails).toContain('Nothing is tried meanwhile.')
    expect(currentDetails).not.toContain('goes on being tried')
    await repair(begun, 'resolveStep', { outcome: 'not_done' })
    await end(begun)
    await isFoundBy(begun.handle)
  })

  it.each([
    ['retryStep', {}, 'retry', 2, false],
    ['resolveStep', { outcome: 'done' }, 'leave', 1, true],
    ['resolveStep', { outcome: 'not_done' }, 'leave', 1, false],
  ] as const)('%s %p decides: %s', async (action, more, decision, captures, isLookedUp) => {
    const begun = await refused()
    await repair(begun, action, more)
    await waitForCalls('closeCase', 1)
    await isIdle(begun.money)
    await end(begun)
    expect(called('decideCapture')).toEqual([{ captureId: 'cap_1', decision }])
    expect(called('capturePayment')).toHaveLength(captures)
    // The signal of the end may make it ask once more.
    expect(called('refreshPayment').length > 0).toBe(isLookedUp)
    expect(called('recordRepair')).toHaveLength(1)
  })

  it('holds nothing else up, and the news that comes meanwhile flaps no case', async () => {
    const begun = await refused()
    const { money, paymentId, handle } = begun
    const refund = money.refund(paymentId)
    for (let times = 0; times < 5; times++) {
      await handle.signal(providerNewsSignal, { paymentId })
      await handle.signal(paymentWorkSignal)
    }
    await until('the refund is done', () => !money.items.includes(refund))
    await waitForCalls('refreshPayment', 1)
    expect([called('openCase').length, called('closeCase').length]).toEqual([1, 0])
    await repair(begun, 'resolveStep', { outcome: 'not_done' })
    await end(begun)
  })

  it('that somebody takes elsewhere meanwhile is no case any more', async () => {
    const begun = await refused()
    begun.money.items = []
    await begun.handle.signal(providerNewsSignal, { paymentId: begun.paymentId })
    await waitForCalls('closeCase', 1)
    await end(begun)
    expect(called('decideCapture')).toEqual([])
  })
})

describe('a refund', () => {
  it.each([
    ['retryStep', {}, 'retry'],
    ['resolveStep', { outcome: 'done' }, 'elsewhere'],
    ['resolveStep', { outcome: 'not_done' }, 'leave'],
  ] as const)('that is refused: %s %p decides: %s', async (action, more, decision) => {
    const begun = await begin((money, paymentId) => void money.refused.add(money.refund(paymentId).object))
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code: 'refund_refused', object: 'ref_1' })])
    await repair(begun, action, more)
    await waitForCalls('closeCase', 1)
    await isIdle(begun.money)
    await end(begun)
    expect(called('decideRefund')).toEqual([{ refundId: 'ref_1', decision }])
  })

  it('that the provider has taken is watched without a case, and lets other things be done meanwhile', async () => {
    const begun = await begin((money, paymentId) => void money.accepted.add(money.refund(paymentId).object), 1)
    const { money, paymentId, handle } = begun
    await waitForCalls('refundPayment', 1)
    const capture = money.capture(paymentId)
    await handle.signal(paymentWorkSignal)
    await until('the capture is done', () => !money.items.includes(capture))
    await waitForCalls('refundPayment', 2)
    expect(called('openCase')).toEqual([])
    expect(await eventsOf(handle)).not.toContain('activityTaskScheduledEventAttributes')
    money.items = []
    await handle.signal(providerNewsSignal, { paymentId })
    await waitForCalls('refreshPayment', 1)
    await end(begun)
  }, 30_000)

  it('that cannot be looked up any more becomes a case, which closes when that works', async () => {
    const begun = await begin((money, paymentId) => void money.accepted.add(money.refund(paymentId).object), 200)
    const { money } = begun
    await waitForCalls('refundPayment', 1)
    money.away.add('ref_1')
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code: 'step_failing', object: 'ref_1' })])
    money.accepted.clear()
    money.away.clear()
    await waitForCalls('closeCase', 1)
    expect(called('closeCase')).toEqual([expect.objectContaining({ step: 'refundPayment', object: 'ref_1' })])
    await isIdle(money)
    await end(begun)
  }, 30_000)

  it('that the provider leaves undecided for too long becomes a case, and no other run begins the time anew', async () => {
    const begun = await begin((money, paymentId) => {
      money.decideBy = Date.now() + 3_000
      money.accepted.add(money.refund(paymentId).object)
    }, 1)
    const { money, handle, orderId, paymentId } = begun
    await waitForCalls('refundPayment', 1)
    await handle.terminate('staged')
    await orders.startFulfillment({ orderId, isOver: false })
    expect(called('openCase')).toEqual([])
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([
      expect.objectContaining({ code: 'step_failing', step: 'refundPayment', object: 'ref_1' }),
    ])
    const looks = called('refundPayment').length
    await repair(begun, 'retryStep')
    await waitForCalls('openCase', 2)
    expect(called('refundPayment').length).toBe(looks + 1)
    money.items = []
    await handle.signal(providerNewsSignal, { paymentId })
    await waitForCalls('closeCase', 2)
    await end(begun)
    expect(called('settleElsewhere')).toEqual([])
  }, 30_000)

  it.each([
    ['step_failing', false],
    ['late_money', true],
  ] as const)(
    'that the provider never decides is %s, and over once a person has given it back',
    async (code, isOver) => {
      const begun = await begin((money, paymentId) => {
        money.isOver = isOver
        money.refund(paymentId, 'pending', Date.now() - 1)
      })
      const { money, orderId, handle } = begun
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([expect.objectContaining({ code, step: 'refundPayment', object: 'ref_1' })])
      await repair(begun, 'resolveStep', { outcome: 'done' })
      await isIdle(money)
      await (isOver ? handle.result() : end(begun))
      expect(called('settleElsewhere')).toEqual([{ orderId, object: 'ref_1' }])
    },
  )

  it('that failed after it was taken becomes a case', async () => {
    const begun = await begin((money, paymentId) => void money.accepted.add(money.refund(paymentId).object))
    const { money, paymentId, handle } = begun
    await waitForCalls('refundPayment', 1)
    money.items = []
    money.refund(paymentId, 'failed')
    await handle.signal(providerNewsSignal, { paymentId })
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code: 'refund_refused', object: 'ref_2' })])
    await repair(begun, 'resolveStep', { outcome: 'not_done' })
    await end(begun)
  })
})

describe('an authorization that ends soon', () => {
  it.each([
    ['step_failing', 'away', 'not_done'],
    ['authorization_expiring', 'refused', 'done'],
  ] as const)('and cannot be renewed is a case %s, and lapses when a person says so', async (code, reason, outcome) => {
    const begun = await begin((money, paymentId) => {
      money.renewal(paymentId)
      money[reason].add(paymentId)
    }, 200)
    const { money, paymentId } = begun
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code, step: 'renewPayment', object: paymentId })])
    await repair(begun, 'resolveStep', { outcome })
    await isIdle(money)
    await end(begun)
    expect(called('letLapse')).toEqual([{ paymentId }])
  })
})

describe('an outcome that no choice offers', () => {
  it.each([
    ['a renewal', 'done', (money: MoneyStubs, paymentId: PaymentId) => money.renewal(paymentId)],
    ['news', 'not_done', (money: MoneyStubs, paymentId: PaymentId) => money.news(paymentId)],
    ['a refund', 'not_done', (money: MoneyStubs, paymentId: PaymentId) => money.refund(paymentId)],
    ['a release', 'not_done', (money: MoneyStubs, paymentId: PaymentId) => money.release(paymentId)],
  ] as const)('is refused: of %s that keeps failing, %s', async (_what, outcome, ask) => {
    const begun = await begin((money, paymentId) => void money.away.add(ask(money, paymentId).object), 200)
    await waitForCalls('openCase', 1)
    const other = outcome === 'done' ? 'not_done' : 'done'
    await expect(repair(begun, 'resolveStep', { outcome })).rejects.toMatchObject({
      cause: { message: `step_failing takes retryStep, resolveStep ${other}, not resolveStep ${outcome}` },
    })
    begun.money.away.clear()
    await isIdle(begun.money)
    await end(begun)
    expect(called('recordRepair')).toEqual([])
    expect(called('letLapse')).toEqual([])
    expect(called('skipNews')).toEqual([])
  })
})

describe('several cases at once', () => {
  it('a dispute waits for a person', async () => {
    const begun = await begin((money, paymentId) => void money.dispute(paymentId))
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code: 'dispute', object: 'dp_1' })])
    await expect(repair(begun, 'retryStep')).rejects.toMatchObject({ cause: { message: /takes resolveStep/ } })
    await repair(begun, 'resolveStep', { outcome: 'done' })
    await isIdle(begun.money)
    await end(begun)
    expect(called('closeDispute')).toEqual([{ orderId: begun.orderId, reference: 'dp_1' }])
  })

  it('writes its cases one after another: ends that come together go on in no certain order', async () => {
    const turns = { running: 0, most: 0 }
    const begun = await begin((money, paymentId) => {
      money.refused.add(money.capture(paymentId).object)
      money.refused.add(money.refund(paymentId).object)
      money.dispute(paymentId)
      money.openCase = async () => {
        turns.most = Math.max(turns.most, ++turns.running)
        await delay(WRITING_MS)
        turns.running--
      }
    })
    await waitForCalls('openCase', 3)
    begun.money.items = []
    await end(begun)
    expect(turns.most).toBe(1)
  })

  describe('before another run begins', () => {
    /** A history of 4 MiB is long: the fifth of these makes it so. */
    const LONG_SIGNALS = 5
    const TELL_AGAIN_MS = 2_000
    const signalMuch = ({ handle }: Started) => handle.signal(paymentWorkSignal.name, 'x'.repeat(1_000_000))

    /** Makes the history almost long. */
    async function fill(begun: Started): Promise<void> {
      for (let sent = 1; sent < LONG_SIGNALS; sent++) {
        const reads = called('readPaymentWork').length
        await signalMuch(begun)
        await waitForCalls('readPaymentWork', reads + 1)
      }
    }

    async function beginsAnew({ handle }: Started, run: () => Promise<unknown>): Promise<void> {
      const { runId } = await handle.describe()
      await run()
      let toldAt = Date.now()
      await until(
        'another run has begun',
        async () => {
          // How long the history is a workflow hears at the beginning of a task: one that came too early has not heard.
          if (Date.now() - toldAt > TELL_AGAIN_MS) {
            toldAt = Date.now()
            await handle.signal(paymentWorkSignal.name)
          }
          return handle.describe()
        },
        (now) => now.runId !== runId,
      )
    }

    it('are closed when nothing of them is left to do', async () => {
      const begun = await begin((money, paymentId) => void money.dispute(paymentId))
      await waitForCalls('openCase', 1)
      await fill(begun)
      begun.money.items = []
      await beginsAnew(begun, () => signalMuch(begun))
      expect(called('closeCase')).toEqual([expect.objectContaining({ step: 'closeDispute', object: 'dp_1' })])
      await end(begun)
    }, 30_000)

    it('hold it up no longer when they wait for a person or the provider, and are open in it', async () => {
      const begun = await begin((money, paymentId) => {
        money.dispute(paymentId)
        money.away.add(money.capture(paymentId).object)
        money.accepted.add(money.refund(paymentId).object)
      })
      const { money } = begun
      await waitForCalls('openCase', 1)
      await fill(begun)
      await beginsAnew(begun, () => signalMuch(begun))
      expect(called('closeCase')).toEqual([])
      await waitForCalls('openCase', 2)
      money.items = []
      await end(begun)
    }, 30_000)

    it.each([
      ['not_done', 'capture', 'decideCapture', { captureId: 'cap_1', decision: 'leave' }],
      ['done', 'refund', 'decideRefund', { refundId: 'ref_1', decision: 'elsewhere' }],
    ] as const)(
      'are decided as a person said in the same moment, %s of a %s',
      async (outcome, kind, step, input) => {
        const begun = await begin((money, paymentId) => void money.refused.add(money[kind](paymentId).object))
        await waitForCalls('openCase', 1)
        await fill(begun)
        await beginsAnew(begun, async () => {
          let repaired: Promise<unknown> = Promise.resolve()
          await worker.pauseWhile(async () => {
            repaired = repair(begun, 'resolveStep', { outcome })
            await signalMuch(begun)
            await delay(SENDING_MS)
          })
          await repaired
        })
        expect(called('recordRepair')).toHaveLength(1)
        expect(called(step)).toEqual([input])
        expect(called('openCase')).toHaveLength(1)
        await end(begun)
      },
      30_000,
    )
  })

  it('are repaired each by its object', async () => {
    const begun = await begin((money, paymentId) => {
      money.refused.add(money.capture(paymentId).object)
      money.refused.add(money.refund(paymentId).object)
      money.dispute(paymentId)
    })
    await waitForCalls('openCase', 3)
    await expect(repair(begun, 'resolveStep', { outcome: 'not_done' })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('Several steps wait') },
    })
    await repair(begun, 'retryStep', { object: 'ref_2' })
    await waitForCalls('closeCase', 1)
    expect(called('closeCase')).toEqual([expect.objectContaining({ step: 'refundPayment', object: 'ref_2' })])
    await until('it is given back', () => begun.money.items.length === 2)
    await isFoundBy(begun.handle, 'capture_refused', 'dispute')
    await repair(begun, 'resolveStep', { object: 'dp_3', outcome: 'done' })
    await repair(begun, 'resolveStep', { outcome: 'not_done' })
    await isIdle(begun.money)
    await end(begun)
    expect(called('closeCase')).toHaveLength(3)
    expect(called('decideCapture')).toEqual([{ captureId: 'cap_1', decision: 'leave' }])
  })
})

describe('a provider that is away', () => {
  it.each([
    ['step_failing', false, (money: MoneyStubs, paymentId: PaymentId) => money.capture(paymentId)],
    ['late_money', true, (money: MoneyStubs, paymentId: PaymentId) => money.refund(paymentId)],
  ] as const)('is a case %s once patience ends, which closes by itself', async (code, isOver, ask) => {
    const begun = await begin((money, paymentId) => {
      money.isOver = isOver
      money.away.add(ask(money, paymentId).object)
    }, 500)
    await waitForCalls('openCase', 1)
    expect(called('openCase')).toEqual([expect.objectContaining({ code })])
    await isFoundBy(begun.handle, code)
    begun.money.away.clear()
    await waitForCalls('closeCase', 1)
    await isIdle(begun.money)
    await end(begun).catch(() => begun.handle.result())
    expect(called('openCase')).toHaveLength(1)
  })

  it('is no case while patience lasts, and news makes it asked at once', async () => {
    const begun = await begin((money, paymentId) => void money.away.add(money.capture(paymentId).object))
    await waitForCalls('capturePayment', 4)
    begun.money.away.clear()
    await begun.handle.signal(paymentWorkSignal)
    await isIdle(begun.money)
    await end(begun)
    expect(called('openCase')).toEqual([])
  })

  it('and a person who has done it elsewhere end together', async () => {
    const begun = await begin((money, paymentId) => {
      money.isOver = true
      money.away.add(money.release(paymentId).object)
    }, 200)
    await waitForCalls('openCase', 1)
    await repair(begun, 'resolveStep', { outcome: 'done' })
    await begun.handle.result()
    expect(called('settleElsewhere')).toEqual([{ orderId: begun.orderId, object: begun.paymentId }])
  })

  it.each([
    ['capture', 'capturePayment', 'done'],
    ['refund', 'refundPayment', 'done'],
    ['release', 'releasePayment', 'done'],
    ['capture', 'capturePayment', 'not_done'],
  ] as const)(
    'for ever: a person says of a %s of an order that goes on (%s) that it is %s',
    async (kind, step, outcome) => {
      const begun = await begin((money, paymentId) => void money.away.add(money[kind](paymentId).object), 200)
      const { money, orderId } = begun
      const object = money.items[0]?.object
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([expect.objectContaining({ code: 'step_failing', step, object })])
      await repair(begun, 'resolveStep', { outcome })
      await isIdle(money)
      await end(begun)
      const isLeft = outcome === 'not_done'
      expect(called('settleElsewhere')).toEqual(isLeft ? [] : [{ orderId, object }])
      expect(called('decideCapture')).toEqual(isLeft ? [{ captureId: object, decision: 'leave' }] : [])
    },
  )
})
