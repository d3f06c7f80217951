import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { createExpiryActivities } from '../../../activities/checkout/expiry'
import type { ActivityDeps, OrderWorkflows } from '../../../activities/deps'
import { readSettings } from '../../../config'
import { createRedis, type Redis } from '../../../db/redis'
import { readOrder } from '../../../db/order/read'
import { withBooks } from '../../../db/payment/books'
import { openCase, readOpenCases } from '../../../db/support/attention'
import type { OrderId } from '../../../domain/ids'
import { checkoutWorkflowId, fulfillmentWorkflowId, settlementWorkflowId } from '../../../domain/workflow-id'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { testRedis } from '../../support/redis'

/** Rounds of the sweep on real rows. What Temporal has is told by the test, since here it must lack workflows, and fail. */
let database: TestDatabase
let redis: Redis
let deps: ActivityDeps
let sweep: ReturnType<typeof createExpiryActivities>['sweep']
const open = new Set<string>()
const started: string[] = []
const broken = new Set<OrderId>()
/** Those whose fulfillment has come to its end. */
const ended = new Set<OrderId>()

const orders: OrderWorkflows = {
  listRunning: async () => new Set(),
  listFailing: async () => [],
  listStoppedExpiry: async () => [],
  isOpen: async (workflowId) => open.has(workflowId),
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
    return true
  },
  startFulfillment: async ({ orderId }) => {
    if (ended.has(orderId)) return false
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
  started.length = 0
  broken.clear()
})
afterAll(async () => {
  redis?.disconnect()
  await database?.drop()
})

const { accepted, cancel, confirm, placed } = orderStatements(() => database.pool)

const round = () =>
  new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(sweep, { shard: 0, shards: 1, after: '' })

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
    ended.add(order.orderId)
    await round()
    expect(started).toContain(order.paymentId)
    open.add(settlementWorkflowId(order.paymentId))
    for (let times = 0; times < 4; times++) await round()
    expect(started.filter((id) => id === order.paymentId)).toHaveLength(1)
    expect(await casesOf(order)).toEqual([])
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
