import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { createExpiryActivities } from '../../../activities/checkout/expiry'
import type { ActivityDeps, OrderWorkflow, OrderWorkflows } from '../../../activities/deps'
import { readSettings } from '../../../config'
import { newId } from '../../../db/id'
import { createRedis, type Redis } from '../../../db/redis'
import { readOrder } from '../../../db/order/read'
import { withBooks } from '../../../db/payment/books'
import { listOpenCases, openCase, readOpenCases } from '../../../db/support/attention'
import type { OrderId, PaymentId } from '../../../domain/ids'
import {
  checkoutWorkflowId,
  expiryWorkflowId,
  fulfillmentWorkflowId,
  settlementWorkflowId,
} from '../../../domain/workflow-id'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { testRedis } from '../../support/redis'

/** Rounds of the sweep on real rows. What Temporal has is told by the test, since here it must lack workflows, and fail. */
let database: TestDatabase
let redis: Redis
let deps: ActivityDeps
let sweep: ReturnType<typeof createExpiryActivities>['sweep']
const open = new Set<string>()
/** When the runs began that are open. */
let begun = new Date(0)
const started: string[] = []
/** Whose tasks keep failing. */
let failing: OrderWorkflow[] = []
const visibility = { isAway: false }
/** There are more workflows than can be listed in time. */
let isListingLong = false
const broken = new Set<OrderId>()
/** Those whose fulfillment has come to its end. */
const ended = new Set<OrderId>()
/** What happens while a settlement is started. */
let atSettlement: () => void = () => undefined

const orders: OrderWorkflows = {
  listRunning: async (isOver) => {
    if (visibility.isAway) throw new Error('staged')
    while (isListingLong && !isOver?.()) jest.setSystemTime(Date.now() + 1_000)
    return new Set()
  },
  listFailing: async (isOver) => {
    while (isListingLong && !isOver?.()) jest.setSystemTime(Date.now() + 1_000)
    return failing
  },
  listStoppedExpiry: async () => [],
  isOpen: async (workflowId) => open.has(workflowId),
  openSince: async (workflowId) => (open.has(workflowId) ? begun : null),
  isCheckoutOpen: async (orderId) => open.has(checkoutWorkflowId(orderId)),
  startCheckout: async ({ orderId }) => {
    if (broken.has(orderId)) throw new Error('staged')
    started.push(orderId)
    return true
  },
  remindOfAttempt: async () => undefined,
  remindOfCancel: async () => undefined,
  startSettlement: async ({ paymentId }) => {
    started.push(paymentId)
    atSettlement()
    return true
  },
  startFulfillment: async ({ orderId, isOver }) => {
    if (ended.has(orderId) && isOver) return false
    started.push(orderId)
    return true
  },
  awaitFulfillment: async () => undefined,
  tellNews: async () => undefined,
  tellCheckout: async () => false,
  tellSettlement: async () => undefined,
}

beforeAll(async () => {
  database = await testDatabase()
  const settings = readSettings({ DATABASE_URL: database.url, REDIS_URL: (await testRedis()).url })
  redis = createRedis(settings)
  deps = { pool: database.pool, redis, settings, orders } as unknown as ActivityDeps
  sweep = createExpiryActivities(deps).sweep
})
beforeEach(() => {
  open.clear()
  begun = new Date(0)
  started.length = 0
  broken.clear()
  failing = []
  visibility.isAway = false
  atSettlement = () => undefined
})
afterAll(async () => {
  redis?.disconnect()
  await database?.drop()
})

const { accepted, cancel, confirm, placed } = orderStatements(() => database.pool)

const round = (after = '') =>
  new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(sweep, { shard: 0, shards: 1, after })

/** As if it had last changed, and its hold had ended, so long ago. */
async function age({ orderId }: AcceptedOrder, seconds: number): Promise<void> {
  await database.pool.query(
    `update orders
     set updated_at = now() - make_interval(secs => $2), created_at = now() - make_interval(secs => $2),
         hold_expires_at = case when hold_expires_at is not null then now() - make_interval(secs => $2) end
     where id = $1`,
    [orderId, seconds],
  )
  await database.pool.query(`update payment set updated_at = now() - make_interval(secs => $2) where order_id = $1`, [
    orderId,
    seconds,
  ])
}

async function aged(seconds: number, order?: AcceptedOrder): Promise<AcceptedOrder> {
  const one = order ?? (await placed())
  await age(one, seconds)
  return one
}

/** Only the clock is the test's. */
const REAL_TIMERS = ['nextTick', 'setImmediate', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] as const

const casesOf = ({ orderId }: AcceptedOrder) => readOpenCases(database.pool, orderId)

/** As if the sweep had first seen so long ago that it does not move. */
const seenUnmoved = ({ orderId }: AcceptedOrder, seconds: number) =>
  database.pool.query('update orders set unmoved_since = now() - make_interval(secs => $2) where id = $1', [
    orderId,
    seconds,
  ])

it('starts the workflow of an orphan, and settles what is left of a cancelled order', async () => {
  const [orphan, over] = [await aged(60), await placed()]
  await cancel(over)
  await age(over, 60)
  expect(await round()).toMatchObject({ restarted: expect.any(Number), failed: 0, after: '' })
  expect(started).toEqual(expect.arrayContaining([orphan.orderId, over.paymentId]))
})

describe('a round whose time is up', () => {
  afterEach(() => {
    jest.useRealTimers()
    isListingLong = false
  })

  it('was not used up by listing what runs', async () => {
    const orphan = await aged(60)
    jest.useFakeTimers({ doNotFake: [...REAL_TIMERS] })
    isListingLong = true
    await round()
    expect(started).toContain(orphan.orderId)
  })

  it('says nothing about workflows whose code fails, as long as they could not all be listed', async () => {
    const order = await placed()
    await confirm(order)
    const workflowId = fulfillmentWorkflowId(order.orderId)
    const key = { workflowId, orderId: order.orderId, step: null, object: null }
    await openCase(database.pool, { ...key, code: 'workflow_failing' })
    open.add(workflowId)
    jest.useFakeTimers({ doNotFake: [...REAL_TIMERS] })
    isListingLong = true
    await round()
    expect(await casesOf(order)).toHaveLength(1)
    isListingLong = false
    await round()
    expect(await casesOf(order)).toEqual([])
  })

  it('finishes the order that it is at, and the next one begins behind that', async () => {
    const before = await accepted()
    const [order, next] = [await aged(60), await aged(60)]
    await cancel(order)
    const secondId = newId('payment')
    await database.pool.query(
      `insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, pending_sync)
       select $2, order_id, 2, $3, provider, method, amount, currency, 'failed', 'cancel' from payment where id = $1`,
      [order.paymentId, secondId, `${order.orderId}/charge/2`],
    )
    await age(order, 60)
    jest.useFakeTimers({ doNotFake: [...REAL_TIMERS] })
    atSettlement = () => {
      jest.setSystemTime(Date.now() + 60_000)
    }
    expect(await round(before.orderId)).toMatchObject({ restarted: 2, after: order.orderId })
    expect(started.toSorted()).toEqual([order.paymentId, secondId].toSorted())
    await round(order.orderId)
    expect(started).toContain(next.orderId)
  })
})

describe('money of a confirmed order that is to be moved', () => {
  async function capturing(): Promise<AcceptedOrder> {
    const order = await placed()
    await confirm(order)
    await withBooks(database.pool, order.orderId, (books) => void books.claimCapture({ amount: 100, actor: null }))
    await age(order, 60)
    await database.pool.query(`update capture set updated_at = now() - interval '1 minute' where order_id = $1`, [
      order.orderId,
    ])
    return order
  }

  it('is for its fulfillment, which is started, and told when it is open', async () => {
    const [gone, waiting] = [await capturing(), await capturing()]
    open.add(fulfillmentWorkflowId(waiting.orderId))
    await round()
    expect(started).toEqual(expect.arrayContaining([gone.orderId, waiting.orderId]))
    expect(started).not.toContain(gone.paymentId)
    started.length = 0
    await round()
    expect(started).not.toContain(waiting.orderId)
  })

  it('is for a settlement once fulfillment has come to its end, and nobody else’s while that is open', async () => {
    const order = await capturing()
    await database.pool.query(`update orders set status = 'completed' where id = $1`, [order.orderId])
    ended.add(order.orderId)
    await round()
    expect(started).toContain(order.paymentId)
    open.add(settlementWorkflowId(order.paymentId))
    for (let times = 0; times < 4; times++) await round()
    expect(started.filter((id) => id === order.paymentId)).toHaveLength(1)
    expect(await casesOf(order)).toEqual([])
  })
})

it('starts the fulfillment of an order that is over for its goods, and never a checkout', async () => {
  const order = await placed()
  await confirm(order)
  const { orderId } = order
  await database.pool.query(`update orders set status = 'completed', planned_at = now() where id = $1`, [orderId])
  await database.pool.query(
    `update shipment set status = 'returned', needs_decision = true, updated_at = now() - interval '1 minute' where order_id = $1`,
    [orderId],
  )
  await age(order, 60)
  ended.add(orderId)
  const checkouts = jest.spyOn(orders, 'startCheckout')
  const fulfillments = jest.spyOn(orders, 'startFulfillment')
  await round()
  expect(fulfillments).toHaveBeenCalledWith({ orderId, isOver: false })
  expect(checkouts.mock.calls.filter(([started]) => started.orderId === orderId)).toEqual([])
  expect(await casesOf(order)).toEqual([])
  checkouts.mockRestore()
  fulfillments.mockRestore()
})

describe('news of a payment that nobody has looked up', () => {
  /** A confirmed order and the renewal of its authorization, of which there is news; nothing else is to be done. */
  async function renewing(outcome: 'superseded' | null): Promise<{ order: AcceptedOrder; renewalId: PaymentId }> {
    const order = await placed()
    await confirm(order)
    const renewalId = newId('payment')
    await database.pool.query(
      `insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, outcome, renews, news_at)
       select $2, order_id, 2, $3, provider, method, amount, currency, 'failed', $4, id, now() - interval '1 minute'
       from payment where id = $1`,
      [order.paymentId, renewalId, `${order.orderId}/charge/2`, outcome],
    )
    return { order, renewalId }
  }

  it('is for fulfillment when it is of a renewal that is not decided, and for a settlement once that came too late', async () => {
    const [undecided, late] = [await renewing(null), await renewing('superseded')]
    await round()
    expect(started).toEqual(expect.arrayContaining([undecided.order.orderId, late.renewalId]))
    expect(started).not.toContain(undecided.renewalId)
    expect(started).not.toContain(late.order.orderId)
  })

  it('is for the fulfillment of the order that was confirmed by it', async () => {
    const order = await placed()
    await confirm(order)
    await database.pool.query(`update payment set news_at = now() - interval '1 minute' where id = $1`, [
      order.paymentId,
    ])
    await round()
    expect(started).toContain(order.orderId)
    expect(started).not.toContain(order.paymentId)
  })
})

it('goes on with the others when one order fails, says how many did, and a person hears of what keeps failing', async () => {
  const all = [await aged(60), await aged(600), await aged(60)]
  const failing = all[1] as AcceptedOrder
  broken.add(failing.orderId)
  expect(await round()).toMatchObject({ failed: 1 })
  expect(started).toEqual(expect.arrayContaining([all[0]?.orderId, all[2]?.orderId]))
  expect(await casesOf(failing)).toEqual([])
  await seenUnmoved(failing, 121)
  await round()
  expect(await casesOf(failing)).toEqual([expect.objectContaining({ code: 'workflow_failing', object: null })])
})

it('counts no restart that was none: an order is taken up again, however often that failed before', async () => {
  const order = await aged(60)
  broken.add(order.orderId)
  for (let times = 0; times < 5; times++) await round()
  expect(started).not.toContain(order.orderId)
  broken.clear()
  await round()
  expect(started).toContain(order.orderId)
  expect(await casesOf(order)).toEqual([])
})

it('has the provider told of what a person decided, also while the order is open; what it shows is for later', async () => {
  const [dead, paid] = [await aged(60), await aged(60)]
  const decide = (order: AcceptedOrder, sync: string) =>
    database.pool.query('update payment set pending_sync = $2 where id = $1', [order.paymentId, sync])
  await decide(dead, 'cancel')
  await decide(paid, 'reference')
  for (const { orderId } of [dead, paid]) open.add(checkoutWorkflowId(orderId))
  await round()
  expect(started).toContain(dead.paymentId)
  for (const id of [dead.orderId, paid.orderId, paid.paymentId]) expect(started).not.toContain(id)
})

it('asks for a person about an order that is long past its hold and does not move, though its workflow is open', async () => {
  const order = await aged(600)
  open.add(checkoutWorkflowId(order.orderId))
  await round()
  // After an outage the workflow has some time to catch up.
  expect(await casesOf(order)).toEqual([])
  await seenUnmoved(order, 121)
  await round()
  expect(await casesOf(order)).toEqual([
    expect.objectContaining({
      code: 'workflow_failing',
      workflowId: checkoutWorkflowId(order.orderId),
      detail: expect.stringContaining('nothing has changed'),
    }),
  ])
  expect(started).not.toContain(order.orderId)
})

it('says nothing about one for which a person has been asked already', async () => {
  const order = await aged(600)
  const workflowId = checkoutWorkflowId(order.orderId)
  open.add(workflowId)
  const step = { workflowId, step: 'confirm', object: order.paymentId }
  await openCase(database.pool, { ...step, orderId: order.orderId, code: 'step_failing' })
  await seenUnmoved(order, 10_000)
  await round()
  expect((await casesOf(order)).map(({ code }) => code)).toEqual(['step_failing'])
})

it('ends an order that could not be placed in time, whether its workflow is open or not', async () => {
  const [working, orphan] = [await aged(1_000, await accepted()), await aged(1_000, await accepted())]
  open.add(checkoutWorkflowId(working.orderId))
  await round()
  for (const { orderId } of [working, orphan])
    expect(await readOrder(database.pool, orderId)).toMatchObject({ status: 'cancelled', cancelReason: 'expired' })
})

it('closes the case of a settled attempt once its workflow is gone', async () => {
  const order = await placed()
  const workflowId = settlementWorkflowId(order.paymentId)
  const key = { workflowId, step: 'resolveCharge', object: order.paymentId }
  await openCase(database.pool, { ...key, orderId: order.orderId, code: 'undo_failed' })
  await cancel(order)
  await database.pool.query(`update payment set status = 'voided' where id = $1`, [order.paymentId])
  open.add(workflowId)
  await round()
  expect(await casesOf(order)).toHaveLength(1)
  open.clear()
  await round()
  expect(await casesOf(order)).toEqual([])
})

it('closes the case of a settled attempt when another run has begun since, which does not know of it', async () => {
  const order = await placed()
  const workflowId = settlementWorkflowId(order.paymentId)
  const key = { workflowId, step: 'resolveCharge', object: order.paymentId }
  await openCase(database.pool, { ...key, orderId: order.orderId, code: 'undo_failed' })
  await cancel(order)
  await database.pool.query(`update payment set status = 'voided' where id = $1`, [order.paymentId])
  open.add(workflowId)
  // A run that was ended may write once more when the next has begun.
  begun = new Date(Date.now() - 60_000)
  await round()
  expect(await casesOf(order)).toHaveLength(1)
  begun = new Date(Date.now() - 10_000)
  await round()
  expect(await casesOf(order)).toEqual([])
})

it('closes what it said about a workflow once that is open, does not fail, and nothing of its order is late', async () => {
  const order = await placed()
  await confirm(order)
  const workflowId = fulfillmentWorkflowId(order.orderId)
  const key = { workflowId, orderId: order.orderId, step: null, object: null }
  await openCase(database.pool, { ...key, code: 'workflow_failing' })
  open.add(workflowId)
  failing = [{ workflowId, orderId: order.orderId, paymentId: null }]
  await round()
  expect((await casesOf(order)).map(({ code }) => code)).toEqual(['workflow_failing'])
  failing = []
  await round()
  expect(await casesOf(order)).toEqual([])
})

it('keeps what it said about a workflow while something of its order is late', async () => {
  const order = await aged(600)
  const workflowId = checkoutWorkflowId(order.orderId)
  await openCase(database.pool, {
    workflowId,
    orderId: order.orderId,
    step: null,
    object: null,
    code: 'workflow_failing',
  })
  open.add(workflowId)
  await round()
  expect((await casesOf(order)).map(({ code }) => code)).toEqual(['workflow_failing'])
})

it('tells a workflow once of what was asked for while Temporal was away for hours', async () => {
  const order = await placed()
  await confirm(order)
  await withBooks(database.pool, order.orderId, (books) => void books.claimCapture({ amount: 100, actor: null }))
  await database.pool.query(`update capture set updated_at = now() - interval '3 hours' where order_id = $1`, [
    order.orderId,
  ])
  open.add(fulfillmentWorkflowId(order.orderId))
  await round()
  expect(started).toContain(order.orderId)
  await database.pool.query(`update orders set reminded_at = now() - interval '2 hours' where id = $1`, [order.orderId])
  started.length = 0
  await round()
  expect(started).not.toContain(order.orderId)
})

/** Changes the counter of what the order reserves; returns what it was. */
const DRIFT = `
  with level as (
    select s.sku, s.warehouse_id, s.reserved from stock_level s join reservation r using (sku, warehouse_id) where r.owner_id = $1
  )
  update stock_level s set reserved = $2 from level where (s.sku, s.warehouse_id) = (level.sku, level.warehouse_id)
  returning level.reserved`

describe('a part of a round that fails', () => {
  const sweepCases = async () =>
    (await listOpenCases(database.pool, { limit: 100, after: 0 })).filter(({ code }) => code === 'sweep_failing')

  it('holds up none of the others: orders are brought back although no list of workflows can be had', async () => {
    const orphan = await aged(60)
    visibility.isAway = true
    await round()
    expect(started).toContain(orphan.orderId)
  })

  /** A hold that is due and cannot be given back while it `isBroken`: less is reserved than its reservation says. */
  async function dueHold(): Promise<(isBroken: boolean) => Promise<void>> {
    const { orderId } = await aged(60)
    await database.pool.query(`update reservation set kind = 'soft', expires_at = now() where owner_id = $1`, [orderId])
    const drift = (units: number) => database.pool.query(DRIFT, [orderId, units])
    const [{ reserved }] = (await drift(0)).rows
    return async (isBroken) => void (await drift(isBroken ? 0 : reserved))
  }

  /** Rounds every half a minute, for so many seconds by the clock of this process alone. */
  async function roundsFor(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 30) {
      jest.setSystemTime(Date.now() + 30_000)
      await round()
    }
  }

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: [...REAL_TIMERS] })
  })
  afterEach(() => void jest.useRealTimers())

  it('is a case once it has failed for two minutes, until it works again', async () => {
    const setBroken = await dueHold()
    const orphan = await aged(60)
    await round()
    expect(started).toContain(orphan.orderId)
    await roundsFor(90)
    expect(await sweepCases()).toEqual([])
    await roundsFor(30)
    expect(await sweepCases()).toMatchObject([{ step: 'expireHolds', orderId: null, workflowId: expiryWorkflowId(0) }])
    await setBroken(false)
    await round()
    expect(await sweepCases()).toEqual([])
  })

  it('is no case when it has worked in between: its two minutes begin anew', async () => {
    const first = await dueHold()
    await round()
    await roundsFor(90)
    await first(false)
    await round()
    const second = await dueHold()
    await roundsFor(90)
    expect(await sweepCases()).toEqual([])
    await roundsFor(60)
    expect(await sweepCases()).toMatchObject([{ step: 'expireHolds' }])
    await second(false)
    await round()
    expect(await sweepCases()).toEqual([])
  })
})

it('keeps what came free for the orders that wait for it, the oldest first', async () => {
  const order = await placed()
  await confirm(order)
  await database.pool.query(
    'insert into back_order (order_id, sku, quantity, confirmed_at) select id, $2, 9, confirmed_at from orders where id = $1',
    [order.orderId, order.sku],
  )
  const level = async () =>
    (await database.pool.query('select on_hand, reserved from stock_level where sku = $1', [order.sku])).rows[0]
  expect(await level()).toEqual({ on_hand: 5, reserved: 2 })
  await round()
  expect(await level()).toEqual({ on_hand: 5, reserved: 5 })
  const { rows } = await database.pool.query('select quantity from back_order where order_id = $1', [order.orderId])
  expect(rows).toEqual([{ quantity: 6 }])
  await round()
  expect(await level()).toEqual({ on_hand: 5, reserved: 5 })
})
