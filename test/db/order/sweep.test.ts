import { buffersOf } from '../../../bench/checkout/buffers'
import { writeHistory } from '../../../bench/checkout/history'
import { expireDueHolds } from '../../../db/inventory/reservation'
import { listOrdersAtWork, noteUnmoved } from '../../../db/order/sweep'
import { requireSync } from '../../../db/payment/attempt'
import { withBooks } from '../../../db/payment/books'
import { readGauges } from '../../../db/platform/gauges'
import type { Db, Pool } from '../../../db/pool'
import type { Query } from '../../../db/sql'
import { listOpenCases, listSettledCases, openCase } from '../../../db/support/attention'
import type { CaptureId, OrderId, RefundId } from '../../../domain/ids'
import type { Books } from '../../../domain/payment/books'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { seenPayment } from '../../support/seen'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { accepted, cancel, confirm, placed } = orderStatements(() => database.pool)

const ALL = { shard: 0, shards: 1, limit: 1_000, after: '', holdSeconds: 900, overdueSeconds: 120 }

/** As if nothing had changed of it for a while. */
async function rest({ orderId }: { orderId: OrderId }, seconds = 60, { pool } = database): Promise<void> {
  for (const [table, key] of [
    ['orders', 'id'],
    ['payment', 'order_id'],
    ['capture', 'order_id'],
    ['refund', 'order_id'],
    ['dispute', 'order_id'],
  ]) {
    await pool.query(
      `update ${table} set updated_at = now() - make_interval(secs => $2), created_at = now() - make_interval(secs => $2)
       where ${key} = $1`,
      [orderId, seconds],
    )
  }
}

const workOf = async ({ orderId }: { orderId: OrderId }, more: Partial<typeof ALL> = {}) =>
  (await listOrdersAtWork(database.pool, { ...ALL, ...more })).filter((order) => order.orderId === orderId)

const late = async (order: AcceptedOrder) => {
  await cancel(order)
  await withBooks(database.pool, order.orderId, (books) => books.receive(order.paymentId, seenPayment({})))
}

function capture(books: Books): CaptureId {
  const claimed = books.claimCapture({ amount: 100, actor: null })
  if ('refused' in claimed) throw new Error(claimed.refused)
  return claimed.id
}

/** Of what was captured for it. */
function refund(books: Books): RefundId {
  books.answerCapture(capture(books), { outcome: 'succeeded', reference: 'ca_1' })
  books.claimRefund({ amount: 10, cause: 'staff', reasonCode: null, restock: false, actor: null })
  return books.refunds[0]?.id as RefundId
}

describe('what is at work', () => {
  it('is an open order, for its checkout', async () => {
    const order = await placed()
    expect(await workOf(order)).toEqual([])
    await rest(order)
    expect(await workOf(order)).toEqual([
      expect.objectContaining({ owner: 'checkout', object: null, status: 'payment_pending', stale: false }),
    ])
  })

  it.each<[string, (order: AcceptedOrder) => Promise<unknown>]>([
    ['an unresolved attempt of a cancelled order', cancel],
    ['money that came when its order was over', late],
    [
      'a decision that the provider has not heard',
      async (order) => {
        await confirm(order)
        await requireSync(database.pool, order.paymentId, 'reference')
      },
    ],
  ])('is %s, for its settlement', async (_what, become) => {
    const order = await placed()
    await become(order)
    await rest(order)
    expect(await workOf(order)).toEqual([expect.objectContaining({ owner: 'settlement', object: order.paymentId })])
  })

  it.each<[string, (books: Books, order: AcceptedOrder) => unknown]>([
    ['an authorization that is to be let go', (books) => books.cancel({ amount: 0, isAll: true })],
    ['a capture', (books) => void books.claimCapture({ amount: 100, actor: null })],
    [
      'a capture that was refused',
      (books) => books.answerCapture(capture(books), { outcome: 'failed', code: 'no', reference: null }),
    ],
    ['a refund', (books) => void refund(books)],
    [
      'a refund that the provider has taken',
      (books) => books.answerRefund(refund(books), { outcome: 'pending', reference: 're_1' }),
    ],
    [
      'a refund that failed',
      (books) => books.answerRefund(refund(books), { outcome: 'failed', code: 'no', reference: null }),
    ],
    [
      'a dispute',
      (books, { paymentId }) => {
        books.answerCapture(capture(books), { outcome: 'succeeded', reference: 'ca_1' })
        books.see(paymentId, seenPayment({ disputes: [{ reference: 'dp', amount: 70, status: 'open' }] }))
      },
    ],
  ])('is %s of a confirmed order, for its fulfillment, once', async (_what, become) => {
    const order = await placed()
    await confirm(order)
    await withBooks(database.pool, order.orderId, (books) => become(books, order))
    await rest(order)
    expect(await workOf(order)).toEqual([expect.objectContaining({ owner: 'fulfillment', object: null })])
  })

  it('is not late while the provider takes its days for a refund, or a bank for a dispute', async () => {
    const order = await placed()
    await confirm(order)
    await withBooks(database.pool, order.orderId, (books) => {
      books.answerRefund(refund(books), { outcome: 'pending', reference: 're_1' })
      books.see(order.paymentId, seenPayment({ disputes: [{ reference: 'dp', amount: 70, status: 'open' }] }))
    })
    await rest(order, 13 * 86_400)
    expect((await workOf(order)).map(({ overdue }) => overdue)).toEqual([false, false])
    await rest(order, 15 * 86_400)
    expect((await workOf(order)).map(({ overdue }) => overdue).sort()).toEqual([false, true])
  })

  it('is neither a confirmed order that holds its money nor a cancelled one that was never sent', async () => {
    const [paid, unsent] = [await placed(), await accepted()]
    await confirm(paid)
    await cancel(unsent)
    await Promise.all([rest(paid), rest(unsent)])
    expect(await workOf(paid)).toEqual([])
    expect(await workOf(unsent)).toEqual([])
  })

  it('goes on behind any order, and is shared between shards', async () => {
    const orders = [await placed(), await placed(), await placed()]
    await Promise.all(orders.map((order) => rest(order)))
    const ids = orders.map(({ orderId }) => orderId).sort()
    expect(await workOf({ orderId: ids[0] as OrderId }, { after: ids[0] as string })).toEqual([])
    expect(await workOf({ orderId: ids[1] as OrderId }, { after: ids[0] as string })).toHaveLength(1)
    for (const order of orders) {
      const found = await Promise.all([workOf(order, { shard: 0, shards: 2 }), workOf(order, { shard: 1, shards: 2 })])
      expect(found.flat()).toHaveLength(1)
    }
  })

  it('is stale when it was not placed in time', async () => {
    const order = await accepted()
    await rest(order, 901)
    expect(await workOf(order)).toEqual([expect.objectContaining({ status: 'pending', stale: true })])
  })
})

describe('what does not move', () => {
  it('is overdue long after its hold, until a person is asked', async () => {
    const order = await placed(1)
    await rest(order)
    expect(await workOf(order)).toEqual([expect.objectContaining({ overdue: false, unmovedSeconds: null })])
    await database.pool.query(`update orders set hold_expires_at = now() - interval '3 minutes' where id = $1`, [
      order.orderId,
    ])
    expect(await workOf(order)).toEqual([expect.objectContaining({ overdue: true, unmovedSeconds: null })])
    await openCase(database.pool, {
      orderId: order.orderId,
      workflowId: `checkout-${order.orderId}`,
      code: 'step_failing',
      step: 'confirm',
      object: null,
    })
    expect(await workOf(order)).toEqual([expect.objectContaining({ overdue: false })])
  })

  it('is timed from when the sweep saw it, anew after every change', async () => {
    const order = await placed()
    await rest(order)
    await noteUnmoved(database.pool, order.orderId)
    const [seen] = await workOf(order)
    expect(seen?.unmovedSeconds).toBeGreaterThanOrEqual(0)
    await database.pool.query(
      `update orders set unmoved_since = now() - interval '1 hour', updated_at = now() - interval '1 minute' where id = $1`,
      [order.orderId],
    )
    expect(await workOf(order)).toEqual([expect.objectContaining({ unmovedSeconds: null })])
  })
})

/** The statements of one round, as they are sent. */
async function statementsOf(pool: Pool): Promise<Map<string, Query>> {
  const sent = new Map<string, Query>()
  const noting = {
    query: (query: Query) => {
      sent.set(query.name ?? '', query)
      return pool.query(query)
    },
  } as unknown as Db
  const shard = { shard: 0, shards: 2 }
  await expireDueHolds(noting, { ...shard, limit: 500 })
  await listOrdersAtWork(noting, { ...ALL, ...shard, limit: 500 })
  await listSettledCases(noting, { ...shard, limit: 200 })
  await readGauges(noting)
  await listOpenCases(noting, { limit: 50, after: 0 })
  return sent
}

describe('what a round costs', () => {
  it('does not grow with the orders of the past', async () => {
    const past = await testDatabase()
    try {
      await writeHistory(past.url, { from: 0, to: 500 })
      const { placed: place, cancel: end } = orderStatements(() => past.pool)
      for (let n = 0; n < 6; n++) {
        const order = await place()
        if (n % 2 === 0) await end(order)
        await rest(order, 60, past)
        await openCase(past.pool, {
          orderId: order.orderId,
          workflowId: `checkout-${order.orderId}`,
          code: 'provider_unreachable',
          step: 'retryCharge',
          object: order.paymentId,
        })
      }
      const statements = await statementsOf(past.pool)
      const cost = () =>
        Promise.all([...statements].map(async ([name, query]) => [name, await buffersOf(past.url, query)] as const))
      const few = new Map(await cost())
      await writeHistory(past.url, { from: 500, to: 20_000 })
      const ratios = (await cost()).map(([name, buffers]) => ({ name, buffers, ratio: buffers / (few.get(name) ?? 0) }))
      expect(ratios.filter(({ ratio }) => ratio > 1.2)).toEqual([])
    } finally {
      await past.drop()
    }
  }, 60_000)
})
