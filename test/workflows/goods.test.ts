import type { WorkflowHandle } from '@temporalio/client'
import { Worker } from '@temporalio/worker'
import { newId } from '../../db/id'
import type { OrderId, PaymentId, Sku } from '../../domain/ids'
import { fulfillmentWorkflowId } from '../../domain/workflow-id'
import { BUNDLE_PATH } from '../../workers/bundle'
import { createOrderWorkflows } from '../../workers/order-workflows'
import {
  ORDER_ACTIVITIES,
  paymentWorkSignal,
  type Repair,
  REPAIR_UPDATES,
  type RepairAction,
} from '../../workflows/contract'
import { GoodsStubs } from '../support/goods-stubs'
import { MoneyStubs } from '../support/money-stubs'
import { type StubWorker, startStubWorker, unlessEnded } from '../support/stub-worker'
import { until } from '../support/wait'

/** The story of a confirmed order's goods, with stubs for its effects; that of its money is in `fulfillment.test.ts`. */
let worker: StubWorker
let orders: ReturnType<typeof createOrderWorkflows>
beforeAll(async () => {
  worker = await startStubWorker('fulfillment', ORDER_ACTIVITIES)
  orders = createOrderWorkflows(worker.temporal)
}, 30_000)
afterAll(() => worker?.stop(), 30_000)

const BY = newId('apiKey')

interface Started {
  readonly orderId: OrderId
  readonly paymentId: PaymentId
  readonly money: MoneyStubs
  readonly goods: GoodsStubs
  readonly handle: WorkflowHandle
}

/** A confirmed order whose goods ask for what `ask` says; its workflow has been told. */
async function begin(
  ask: (goods: GoodsStubs, money: MoneyStubs, paymentId: PaymentId) => unknown,
  patienceMs = 60_000,
): Promise<Started> {
  const [orderId, paymentId] = [newId('order'), newId('payment')]
  const money = new MoneyStubs({ patienceMs })
  const goods = new GoodsStubs(money)
  ask(goods, money, paymentId)
  worker.stub(goods.stubs)
  expect(await orders.startFulfillment({ orderId, isOver: false })).toBe(true)
  const handle = worker.temporal.workflow.getHandle(fulfillmentWorkflowId(orderId))
  return { orderId, paymentId, money, goods, handle }
}

const tell = ({ handle }: Started): Promise<void> => handle.signal(paymentWorkSignal)

/** The order is over, and its workflow is told, unless it has seen it by itself; then it follows its own history. */
async function end(begun: Started): Promise<void> {
  begun.money.isOver = true
  begun.goods.isOver = true
  await unlessEnded(tell(begun))
  await hasEnded(begun)
}

async function hasEnded({ handle }: Started): Promise<void> {
  await handle.result()
  const history = await handle.fetchHistory()
  await Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE_PATH } }, history, handle.workflowId)
}

const called = (name: string): unknown[] => worker.inputs(name)
const waitForCalls = (name: string, count: number): Promise<unknown> =>
  until(`${name} is called ${count} times`, () => called(name).length >= count, undefined, 30_000)
const isIdle = ({ goods }: Started): Promise<unknown> =>
  until('nothing is left', () => goods.items.length === 0, undefined, 30_000)

const repair = ({ handle }: Started, action: RepairAction, more: object = {}) =>
  handle.executeUpdate(REPAIR_UPDATES[action], { args: [{ reason_code: 'checked', by: BY, ...more } as Repair] })

const detailsOf = async ({ handle }: Started): Promise<string> =>
  (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails

async function countOf({ handle }: Started, kind: string): Promise<number> {
  const { events } = await handle.fetchHistory()
  return (events ?? []).filter((event) => Object.keys(event).includes(`${kind}EventAttributes`)).length
}

describe('the goods of a confirmed order', () => {
  it('buy and void their labels one after another, inside the workflow task', async () => {
    const begun = await begin((goods) => {
      goods.buy()
      goods.buy()
      goods.void()
    })
    await isIdle(begun)
    await end(begun)
    expect(worker.calls().filter((name) => name.endsWith('Label'))).toEqual(['buyLabel', 'buyLabel', 'voidLabel'])
    expect(await countOf(begun, 'activityTaskScheduled')).toBe(0)
    expect(called('openCase')).toEqual([])
  }, 60_000)

  it('have their money claimed captured at once, and look again when it is there', async () => {
    let claims = 0
    const begun = await begin((goods, money, paymentId) => {
      goods.onAdvance = () => {
        if (++claims > 1) return false
        money.capture(paymentId)
        return true
      }
    })
    await waitForCalls('capturePayment', 1)
    await waitForCalls('advanceGoods', 2)
    expect(worker.calls().slice(0, 4)).toEqual(['readPaymentWork', 'advanceGoods', 'readPaymentWork', 'capturePayment'])
    await end(begun)
  }, 60_000)

  it('look again when money that was long in coming is there, without being told', async () => {
    let claims = 0
    const begun = await begin((goods, money, paymentId) => {
      goods.onAdvance = () => {
        if (++claims > 1) return false
        money.away.add(money.capture(paymentId).object)
        return true
      }
    })
    await waitForCalls('capturePayment', 2)
    const looks = called('advanceGoods').length
    begun.money.away.clear()
    await until('it is captured', () => begun.money.items.length === 0, undefined, 30_000)
    await waitForCalls('advanceGoods', looks + 1)
    await end(begun)
  }, 60_000)

  it('are looked at by themselves when something is due, once', async () => {
    const begun = await begin((goods) => {
      goods.lookAt = Date.now() + 3_000
      goods.onAdvance = () => {
        if (goods.lookAt !== null && Date.now() >= goods.lookAt) goods.lookAt = null
        return false
      }
    })
    await waitForCalls('advanceGoods', 2)
    expect(begun.goods.lookAt).toBeNull()
    expect(await countOf(begun, 'timerStarted')).toBe(1)
    await end(begun)
    expect(called('advanceGoods').length).toBeLessThanOrEqual(4)
  }, 60_000)

  it('show support what they wait for', async () => {
    const begun = await begin((goods) => {
      goods.waitsFor = 'warehouse `wh_1` to pick shipment 1.'
    })
    await until(
      'it shows',
      () => detailsOf(begun),
      (details) => details.includes('**Waits for** warehouse `wh_1` to pick shipment 1.'),
    )
    expect(await detailsOf(begun)).toContain('Nothing needs to be done.')
    await end(begun)
  }, 60_000)

  it('end only when goods and money both are over', async () => {
    const begun = await begin((goods, money, paymentId) => {
      goods.isOver = true
      goods.away.add(goods.void())
      money.isOver = true
      money.away.add(money.release(paymentId).object)
    })
    const { goods, money, handle } = begun
    await waitForCalls('voidLabel', 2)
    await waitForCalls('releasePayment', 2)
    money.away.clear()
    await until('the money is let go', () => money.items.length === 0, undefined, 30_000)
    expect((await handle.describe()).status.name).toBe('RUNNING')
    goods.away.clear()
    await isIdle(begun)
    await hasEnded(begun)
  }, 90_000)
})

it('of an order that is over are looked at by themselves while a carrier thinks about a label, and end then', async () => {
  const begun = await begin((goods, money) => {
    goods.isOver = true
    money.isOver = true
    goods.waitsFor = 'the carrier to say what became of a label.'
    goods.lookAt = Date.now() + 3_000
    goods.onAdvance = () => {
      if (goods.lookAt !== null && Date.now() >= goods.lookAt) goods.lookAt = null
      return false
    }
  })
  await waitForCalls('advanceGoods', 1)
  expect((await begun.handle.describe()).status.name).toBe('RUNNING')
  await hasEnded(begun)
  expect(begun.goods.lookAt).toBeNull()
  expect(await countOf(begun, 'timerStarted')).toBe(1)
}, 60_000)

describe('a carrier that does not answer', () => {
  it.each(['buy', 'void'] as const)(
    'is asked to %s until it does; meanwhile it is a case',
    async (kind) => {
      const begun = await begin((goods) => goods.away.add(goods[kind]()), 300)
      const step = kind === 'buy' ? 'buyLabel' : 'voidLabel'
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([
        expect.objectContaining({ code: 'fulfillment_stalled', step, object: 'lab_1', detail: null }),
      ])
      const other = begun.goods.buy()
      await tell(begun)
      await until('another label is bought meanwhile', () => begun.goods.items.every(({ object }) => object !== other))
      begun.goods.away.clear()
      await waitForCalls('closeCase', 1)
      await isIdle(begun)
      await end(begun)
      expect(called('openCase')).toHaveLength(1)
      expect(called('decideLabel')).toEqual([])
    },
    60_000,
  )

  it('is not asked any more about what the rows do not want any more', async () => {
    const begun = await begin((goods) => goods.away.add(goods.buy()), 300)
    await waitForCalls('openCase', 1)
    begun.goods.done('lab_1')
    begun.goods.void()
    await tell(begun)
    await waitForCalls('closeCase', 1)
    await isIdle(begun)
    await end(begun)
    expect(called('voidLabel')).toHaveLength(1)
  }, 60_000)
})

describe('a label that the carrier refuses', () => {
  it.each([
    ['buy', 'retryStep', {}, 'retry', 2],
    ['buy', 'resolveStep', { outcome: 'not_done' }, 'leave', 1],
    ['void', 'retryStep', {}, 'retry', 2],
    ['void', 'resolveStep', { outcome: 'done' }, 'leave', 1],
  ] as const)(
    'to %s is a case: %s %p',
    async (kind, action, more, decision, calls) => {
      const begun = await begin((goods) => goods.refused.add(goods[kind]()))
      const step = kind === 'buy' ? 'buyLabel' : 'voidLabel'
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([
        expect.objectContaining({
          code: 'fulfillment_stalled',
          step,
          object: 'lab_1',
          detail: 'The carrier says `no`.',
        }),
      ])
      await repair(begun, action, more)
      await waitForCalls('closeCase', 1)
      await isIdle(begun)
      await end(begun)
      expect(called('decideLabel')).toEqual([{ labelId: 'lab_1', decision }])
      expect(called(step)).toHaveLength(calls)
      expect(called('recordRepair')).toHaveLength(1)
    },
    60_000,
  )
})

describe('a parcel about which a person decides', () => {
  it.each([
    ['lost', 'reroute', {}, 'reroute'],
    ['returned', 'resolveStep', { outcome: 'done' }, 'settled'],
    ['shipped', 'retryStep', {}, 'wait'],
    ['allocated', 'cancelShipment', {}, 'cancel'],
  ] as const)(
    '%s: %s %p',
    async (status, action, more, decision) => {
      const begun = await begin((goods) => goods.parcel(status))
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([
        expect.objectContaining({ code: 'fulfillment_stalled', step: 'decideParcel', object: 'shp_1' }),
      ])
      await repair(begun, action, more)
      await waitForCalls('closeCase', 1)
      await isIdle(begun)
      await end(begun)
      expect(called('decideParcel')).toEqual([{ orderId: begun.orderId, shipmentId: 'shp_1', decision }])
    },
    60_000,
  )

  it.each([
    ['lost', 'cancelShipment', {}],
    ['shipped', 'reroute', {}],
    ['shipped', 'cancelShipment', {}],
    ['allocated', 'resolveStep', { outcome: 'done' }],
  ] as const)(
    '%s: %s %p would do nothing, and is refused in words',
    async (status, action, more) => {
      const begun = await begin((goods) => goods.parcel(status))
      await waitForCalls('openCase', 1)
      await expect(repair(begun, action, more)).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/^fulfillment_stalled takes retryStep, .*, not /) },
      })
      await repair(begun, 'retryStep')
      await isIdle(begun)
      await end(begun)
      expect(called('decideParcel')).toEqual([expect.objectContaining({ decision: 'wait' })])
    },
    60_000,
  )

  it('that is cancelled has its money let go at once', async () => {
    const begun = await begin((goods) => goods.parcel('packed'))
    await waitForCalls('openCase', 1)
    await repair(begun, 'cancelShipment')
    await isIdle(begun)
    const since = worker.calls().lastIndexOf('decideParcel')
    await until('its money is looked at', () => worker.calls().slice(since).includes('readPaymentWork'))
    await end(begun)
  }, 60_000)

  it('that moves on by itself is no case any more', async () => {
    const begun = await begin((goods) => goods.parcel('lost'))
    await waitForCalls('openCase', 1)
    begun.goods.items = []
    await tell(begun)
    await waitForCalls('closeCase', 1)
    await end(begun)
    expect(called('decideParcel')).toEqual([])
  }, 60_000)

  it('that was lost and then comes back is another case', async () => {
    const begun = await begin((goods) => goods.parcel('lost'))
    await waitForCalls('openCase', 1)
    begun.goods.items = begun.goods.items.map((item) => ({ ...item, status: 'returned' }) as typeof item)
    await tell(begun)
    await waitForCalls('openCase', 2)
    await repair(begun, 'resolveStep', { outcome: 'done' })
    await isIdle(begun)
    await end(begun)
    expect(called('closeCase')).toHaveLength(2)
  }, 60_000)
})

describe('units that were not on their shelves', () => {
  const UNITS = [{ sku: 'CUP' as Sku, quantity: 2 }]
  it.each([
    ['retryStep', {}, 'wait'],
    ['resolveStep', { outcome: 'done' }, 'settled'],
    ['cancelShipment', {}, 'cancel'],
  ] as const)(
    'are a case that a person decides: %s %p',
    async (action, more, decision) => {
      const begun = await begin(() => {})
      begun.goods.short(begun.orderId, UNITS)
      await tell(begun)
      await waitForCalls('openCase', 1)
      expect(called('openCase')).toEqual([
        expect.objectContaining({
          code: 'fulfillment_stalled',
          step: 'decideShort',
          object: begun.orderId,
          detail: 'No warehouse has 2 × `CUP`.',
        }),
      ])
      await expect(repair(begun, 'reroute')).rejects.toThrow()
      await repair(begun, action, more)
      await isIdle(begun)
      await end(begun)
      expect(called('decideShort')).toEqual([{ orderId: begun.orderId, decision }])
    },
    60_000,
  )

  it('are no case any more once stock has come', async () => {
    const begun = await begin(() => {})
    begun.goods.short(begun.orderId, UNITS)
    await tell(begun)
    await waitForCalls('openCase', 1)
    begun.goods.items = []
    await tell(begun)
    await waitForCalls('closeCase', 1)
    await end(begun)
    expect(called('decideShort')).toEqual([])
  }, 60_000)
})

describe('several things at once', () => {
  it('are repaired each by its object, money and goods alike', async () => {
    const begun = await begin((goods, money, paymentId) => {
      goods.parcel('lost')
      goods.refused.add(goods.buy())
      money.refused.add(money.capture(paymentId).object)
    })
    await waitForCalls('openCase', 3)
    await expect(repair(begun, 'retryStep')).rejects.toMatchObject({
      cause: { message: expect.stringContaining('Several steps wait') },
    })
    await repair(begun, 'reroute', { object: 'shp_1' })
    await repair(begun, 'resolveStep', { object: 'lab_2', outcome: 'not_done' })
    await repair(begun, 'cancelShipment', { object: 'cap_1' })
    await waitForCalls('closeCase', 3)
    await isIdle(begun)
    await end(begun)
    expect(called('decideParcel')).toEqual([expect.objectContaining({ shipmentId: 'shp_1', decision: 'reroute' })])
    expect(called('decideLabel')).toEqual([{ labelId: 'lab_2', decision: 'leave' }])
    expect(called('decideCapture')).toEqual([{ captureId: 'cap_1', decision: 'leave' }])
  }, 60_000)

  it('lose nothing that is told while no worker runs', async () => {
    const begun = await begin((goods) => goods.parcel('lost'))
    await waitForCalls('openCase', 1)
    await worker.pauseWhile(async () => {
      begun.goods.buy()
      await tell(begun)
    })
    await waitForCalls('buyLabel', 1)
    await repair(begun, 'retryStep')
    await isIdle(begun)
    await end(begun)
    expect(called('buyLabel')).toHaveLength(1)
    expect(called('decideParcel')).toHaveLength(1)
  }, 60_000)
})

describe('before another run begins', () => {
  /** A history of 4 MiB is long: the fifth of these makes it so. */
  const LONG_SIGNALS = 5
  const TELL_AGAIN_MS = 2_000

  it('cases stay open, and go on in the next one', async () => {
    const begun = await begin((goods) => {
      goods.parcel('lost')
      goods.refused.add(goods.void())
    })
    const { handle, goods } = begun
    await waitForCalls('openCase', 2)
    const { runId } = await handle.describe()
    for (let sent = 0; sent < LONG_SIGNALS; sent++) {
      const reads = called('advanceGoods').length
      await handle.signal(paymentWorkSignal.name, 'x'.repeat(1_000_000))
      await waitForCalls('advanceGoods', reads + 1)
    }
    let toldAt = Date.now()
    await until(
      'another run has begun',
      async () => {
        // How long the history is a workflow hears at the beginning of a task: one that came too early has not heard.
        if (Date.now() - toldAt > TELL_AGAIN_MS) {
          toldAt = Date.now()
          await tell(begun)
        }
        return handle.describe()
      },
      (now) => now.runId !== runId,
      30_000,
    )
    expect(called('closeCase')).toEqual([])
    await waitForCalls('openCase', 4)
    expect(called('openCase').slice(2)).toEqual(called('openCase').slice(0, 2))
    await repair(begun, 'resolveStep', { object: 'shp_1', outcome: 'done' })
    await repair(begun, 'resolveStep', { object: 'lab_2', outcome: 'done' })
    await isIdle(begun)
    expect(goods.items).toEqual([])
    await end(begun)
  }, 90_000)
})
