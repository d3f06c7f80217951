import { costsOfHistory } from '../../../bench/checkout/sweep'
import { newId } from '../../../db/id'
import { listOrdersAtWork, noteUnmoved, type OrderAtWork } from '../../../db/order/sweep'
import { requireSync } from '../../../db/payment/attempt'
import { withBooks } from '../../../db/payment/books'
import { openCase } from '../../../db/support/attention'
import type { CaptureId, OrderId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { accepted, cancel, confirm, placed } = orderStatements(() => database.pool)

const ALL = { shard: 0, shards: 1, limit: 1_000, after: '', holdSeconds: 900, overdueSeconds: 120 }

/** As if nothing had changed of it for a while. */
async function rest({ orderId }: { orderId: OrderId }, seconds = 60): Promise<void> {
  for (const [table, key] of [
    ['orders', 'id'],
    ...['payment', 'capture', 'refund', 'dispute', 'shipment', 'label'].map((one) => [one, 'order_id']),
  ]) {
    await database.pool.query(
      `update ${table} set updated_at = now() - make_interval(secs => $2), created_at = now() - make_interval(secs => $2)
       where ${key} = $1`,
      [orderId, seconds],
    )
  }
  await database.pool.query(
    `update order_command set created_at = now() - make_interval(secs => $2) where order_id = $1`,
    [orderId, seconds],
  )
}

const workOf = async ({ orderId }: { orderId: OrderId }, more: Partial<typeof ALL> = {}) =>
  (await listOrdersAtWork(database.pool, { ...ALL, ...more })).filter((order) => order.orderId === orderId)

/** A movement of a payment that its workflow has yet to see to, as a row. */
async function asked(table: 'capture' | 'refund' | 'dispute', order: AcceptedOrder): Promise<void> {
  const id = `${{ capture: 'cap', refund: 'ref', dispute: 'dp' }[table]}_${newId('event').slice('evt_'.length)}`
  const values: Record<string, unknown> = {
    order_id: order.orderId,
    payment_id: order.paymentId,
    number: 1,
    amount: 100,
    currency: 'GBP',
    ...(table === 'dispute' ? { reference: id, status: 'open' } : { id, key: id, cause: 'staff' }),
    ...(table === 'refund' && { request_id: id }),
  }
  const columns = Object.keys(values)
  await database.pool.query(
    `insert into ${table} (${columns.join(', ')}) values (${columns.map((_, n) => `$${n + 1}`).join(', ')})`,
    Object.values(values),
  )
}

const releasing = ({ paymentId }: AcceptedOrder) =>
  database.pool.query('update payment set releasing = true where id = $1', [paymentId])

/** An attempt of the order beside its first, of which the provider has yet to hear what a person decided. */
async function secondAttempt({ paymentId, orderId }: AcceptedOrder, status: string): Promise<void> {
  await database.pool.query(
    `insert into payment (id, order_id, attempt, key, provider, method, amount, currency, status, pending_sync)
     select $2, order_id, 2, $3, provider, method, amount, currency, $4, 'cancel' from payment where id = $1`,
    [paymentId, newId('payment'), `${orderId}/charge/2`, status],
  )
}

async function idOfCapture({ orderId }: AcceptedOrder): Promise<CaptureId> {
  const { rows } = await database.pool.query<{ id: CaptureId }>('select id from capture where order_id = $1', [orderId])
  return rows[0]?.id as CaptureId
}

/** All that is at work, in pages of so many rows. */
async function pagesOf(limit: number): Promise<OrderAtWork[][]> {
  const pages: OrderAtWork[][] = []
  for (let after = ''; ; ) {
    const page = await listOrdersAtWork(database.pool, { ...ALL, limit, after })
    if (page.length === 0) return pages
    pages.push(page)
    after = page.at(-1)?.orderId as OrderId
  }
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
    [
      'an authorization of a cancelled order that is to be let go',
      async (order) => {
        await cancel(order)
        await releasing(order)
      },
    ],
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

  it.each<[string, (order: AcceptedOrder) => Promise<unknown>]>([
    ['a capture', (order) => asked('capture', order)],
    ['a refund', (order) => asked('refund', order)],
    ['a dispute', (order) => asked('dispute', order)],
    ['an authorization that is to be let go', releasing],
  ])('is %s of a confirmed order, for its fulfillment, until it is over', async (_what, ask) => {
    const order = await placed()
    await confirm(order)
    await ask(order)
    await rest(order)
    expect(await workOf(order)).toEqual([expect.objectContaining({ owner: 'fulfillment' })])
    for (const text of [
      'update capture set at_work = false where order_id = $1',
      'update refund set at_work = false where order_id = $1',
      'update dispute set at_work = false where order_id = $1',
      'update payment set releasing = false where order_id = $1',
    ])
      await database.pool.query(text, [order.orderId])
    expect(await workOf(order)).toEqual([])
  })

  it.each<[what: string, become: string, over: string]>([
    [
      'units that were given to no warehouse',
      'update orders set planned_at = null where id = $1',
      'update orders set planned_at = now() where id = $1',
    ],
    [
      'something that is due',
      `update orders set look_at = now() - interval '1 minute' where id = $1`,
      `update orders set look_at = now() + interval '1 hour' where id = $1`,
    ],
    [
      'a label that is to be bought',
      `insert into label (id, shipment_id, order_id, number, key, address_version)
       select 'lbl_' || right(id, 26), id, order_id, 1, order_id || '/label/1', 1 from shipment where order_id = $1`,
      `update label set at_work = false, status = 'refused' where order_id = $1`,
    ],
    [
      'a parcel that is to leave',
      `update shipment set status = 'labelled', is_leaving = true where order_id = $1`,
      'update shipment set is_leaving = false where order_id = $1',
    ],
    [
      'a parcel about which a person has to decide',
      'update shipment set needs_decision = true where order_id = $1',
      'update shipment set needs_decision = false where order_id = $1',
    ],
    [
      'something that was asked for',
      `insert into order_command (id, order_id, kind) select 'cmd_' || right(id, 26), id, 'cancel' from orders where id = $1`,
      `update order_command set state = 'done', ended_at = now() where order_id = $1`,
    ],
  ])('is %s, of a confirmed order, for its fulfillment, until it is over', async (_what, become, over) => {
    const order = await placed()
    await confirm(order)
    await rest(order)
    expect(await workOf(order)).toEqual([])
    await database.pool.query(become, [order.orderId])
    await rest(order)
    const [found, ...others] = await workOf(order)
    expect([found, others]).toEqual([expect.objectContaining({ owner: 'fulfillment', object: null }), []])
    await database.pool.query(over, [order.orderId])
    expect(await workOf(order)).toEqual([])
  })

  it('is a label that its carrier thinks about taking back, only when it is to be asked again', async () => {
    const order = await placed()
    await confirm(order)
    await rest(order)
    await database.pool.query(
      `insert into label (id, shipment_id, order_id, number, key, address_version, status, void_sent_at, check_at)
       select 'lbl_' || right(id, 26), id, order_id, 1, order_id || '/label/1', 1, 'voiding', now(), now() + interval '1 hour'
       from shipment where order_id = $1`,
      [order.orderId],
    )
    await rest(order)
    const mustRemind = async () => (await workOf(order)).some((work) => work.mustRemind)
    expect(await mustRemind()).toBe(false)
    await database.pool.query(`update label set check_at = now() - interval '1 minute' where order_id = $1`, [
      order.orderId,
    ])
    expect(await mustRemind()).toBe(true)
  })

  it('is no parcel that is to leave, and nothing that was asked for, while the order is on hold', async () => {
    const order = await placed()
    await confirm(order)
    for (const text of [
      `update shipment set status = 'labelled', is_leaving = true where order_id = $1`,
      `insert into order_command (id, order_id, kind) select 'cmd_' || right(id, 26), id, 'ship' from orders where id = $1`,
    ])
      await database.pool.query(text, [order.orderId])
    await rest(order)
    expect(await workOf(order)).not.toEqual([])
    await database.pool.query(
      `update orders set status = 'on_hold', held_from = 'processing', held_for = array['staff'] where id = $1`,
      [order.orderId],
    )
    await rest(order)
    expect(await workOf(order)).toEqual([])
  })

  it('is no parcel that waits for its warehouse, or is on its way, and no order that is complete', async () => {
    const orders = [await placed(), await placed(), await placed()]
    for (const order of orders) await confirm(order)
    const [waits, isOnItsWay, isComplete] = orders as [AcceptedOrder, AcceptedOrder, AcceptedOrder]
    for (const [{ orderId }, order, shipment] of [
      [waits, 'confirmed', 'packed'],
      [isOnItsWay, 'shipped', 'shipped'],
      [isComplete, 'completed', 'delivered'],
    ] as const) {
      await database.pool.query('update orders set status = $2 where id = $1', [orderId, order])
      await database.pool.query('update shipment set status = $2 where order_id = $1', [orderId, shipment])
    }
    await Promise.all(orders.map((order) => rest(order)))
    expect((await Promise.all(orders.map((order) => workOf(order)))).flat()).toEqual([])
  })

  /** A confirmed order of which a row was written a minute ago by `write`. */
  async function goods(write: string, ...more: string[]): Promise<AcceptedOrder> {
    const order = await placed()
    await confirm(order)
    for (const text of [write, ...more]) await database.pool.query(text, [order.orderId])
    await rest(order)
    return order
  }
  const ask = async (order: AcceptedOrder, object: string, code: 'fulfillment_stalled' | 'step_failing') =>
    openCase(database.pool, {
      orderId: order.orderId,
      workflowId: `fulfillment-${order.orderId}`,
      code,
      step: 'any',
      object,
    })
  const objectOf = async ({ orderId }: AcceptedOrder, table: string): Promise<string> =>
    (await database.pool.query(`select id from ${table} where order_id = $1`, [orderId])).rows[0].id

  it.each([
    ['a parcel', 'shipment', 'update shipment set needs_decision = true where order_id = $1'],
    ['units that wait for stock', null, `update orders set short_ask_at = now() - interval '1 minute' where id = $1`],
  ])(
    'that a person has to decide about, %s, is to be told to its workflow until that has asked one',
    async (_what, table, write) => {
      const order = await goods(write)
      expect(await workOf(order)).toEqual([expect.objectContaining({ owner: 'fulfillment', mustRemind: true })])
      await ask(order, table === null ? order.orderId : await objectOf(order, table), 'fulfillment_stalled')
      expect(await workOf(order)).toEqual([expect.objectContaining({ mustRemind: false, overdue: false })])
    },
  )

  const LEAVES = `update shipment set status = 'labelled', is_leaving = true where order_id = $1`

  it('that waits for its money is not overdue while a person is asked about the capture', async () => {
    const order = await goods(LEAVES)
    await asked('capture', order)
    await rest(order, 600)
    expect((await workOf(order)).map(({ overdue }) => overdue)).toContain(true)
    await ask(order, await idOfCapture(order), 'step_failing')
    expect((await workOf(order)).map(({ overdue }) => overdue)).not.toContain(true)
  })

  it('is no cancellation that waits for a released parcel to leave', async () => {
    const order = await goods(
      `update shipment set status = 'labelled', is_leaving = true, released_at = now() where order_id = $1`,
      `insert into order_command (id, order_id, kind) select 'cmd_' || right(id, 26), id, 'cancel' from orders where id = $1`,
    )
    await rest(order, 600)
    expect(await workOf(order)).toEqual([])
    await database.pool.query('update shipment set released_at = null, is_leaving = false where order_id = $1', [
      order.orderId,
    ])
    expect(await workOf(order)).toEqual([expect.objectContaining({ owner: 'fulfillment' })])
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

  it('is never divided: a page ends with all that is at work of an order', async () => {
    const [cancelled, open, confirmed] = [await placed(), await placed(), await placed()]
    await cancel(cancelled)
    await secondAttempt(cancelled, 'failed')
    // One row is about the order, the other about a payment.
    await requireSync(database.pool, open.paymentId, 'cancel')
    await confirm(confirmed)
    // Two rows about one payment.
    await asked('capture', confirmed)
    await asked('refund', confirmed)
    await Promise.all([cancelled, open, confirmed].map((order) => rest(order)))
    const pages = await pagesOf(1)
    const sizesOf = (order: AcceptedOrder) =>
      pages.map((page) => page.filter(({ orderId }) => orderId === order.orderId).length).filter((size) => size > 0)
    expect([cancelled, open, confirmed].map(sizesOf)).toEqual([[2], [2], [2]])
    expect(pages.flat()).toHaveLength((await listOrdersAtWork(database.pool, ALL)).length)
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

describe('an authorization that fulfillment has to renew', () => {
  /** A confirmed order whose authorization was made so many hours ago and lasts for so many. */
  async function authorized(ago: number, lasts: number, isRenewal = false): Promise<AcceptedOrder> {
    const order = await placed()
    await confirm(order)
    await rest(order)
    await database.pool.query(
      `update payment
       set sent_at = now() - make_interval(hours => $2), capture_before = now() - make_interval(hours => $2 - $3),
           renews = case when $4 then id end
       where id = $1`,
      [order.paymentId, ago, lasts, isRenewal],
    )
    return order
  }

  /** Hours of its making and of its lasting: one of a week is renewed after 120, a renewal of three days after 36. */
  it.each<[string, number, number, boolean]>([
    ['one of a week', 120, 168, false],
    ['one of two days', 24, 48, false],
    ['a renewal of three days', 36, 72, true],
    ['a renewal of a week', 120, 168, true],
  ])('is late an hour after that was due, be it %s', async (_what, dueAfter, lasts, isRenewal) => {
    const [due, late] = [await authorized(dueAfter, lasts, isRenewal), await authorized(dueAfter + 2, lasts, isRenewal)]
    expect(await workOf(due)).toEqual([])
    expect(await workOf(late)).toEqual([
      expect.objectContaining({ owner: 'fulfillment', object: late.paymentId, overdue: true }),
    ])
  })

  it('is not late while no more is due than what a capture takes, which is', async () => {
    const order = await authorized(160, 168)
    await withBooks(database.pool, order.orderId, (books) => void books.claimCapture({ amount: 1_000, actor: null }))
    await rest(order, 600)
    const [capture, ...others] = await workOf(order)
    expect(others).toEqual([])
    expect(capture).toMatchObject({ owner: 'fulfillment', overdue: true })
    // A person was asked about the capture: nothing else is late.
    await openCase(database.pool, {
      orderId: order.orderId,
      workflowId: `fulfillment-${order.orderId}`,
      code: 'step_failing',
      step: 'capturePayment',
      object: await idOfCapture(order),
    })
    expect(await workOf(order)).toEqual([expect.objectContaining({ overdue: false })])
  })

  it.each([
    ['may lapse', 'update payment set may_lapse = true where order_id = $1'],
    ['was cancelled', `update orders set status = 'cancelled', cancel_reason = 'merchant' where id = $1`],
    ['owes nothing more', 'update orders set waived = total where id = $1'],
  ])('is not late when its order %s', async (_what, text) => {
    const order = await authorized(160, 168)
    expect(await workOf(order)).toHaveLength(1)
    await database.pool.query(text, [order.orderId])
    expect(await workOf(order)).toEqual([])
  })
})

describe('what a round costs', () => {
  it('does not grow with the orders of the past', async () => {
    const past = await testDatabase()
    try {
      const costs = await costsOfHistory(past.url, 500, 20_000)
      expect(costs.map(({ statement }) => statement)).toContain('order.atWork')
      // A statement that reads five pages may read one more.
      expect(costs.filter(({ few, many }) => !(many <= Math.max(few * 1.2, few + 2)))).toEqual([])
      const sum = (of: 'few' | 'many') => costs.reduce((pages, cost) => pages + cost[of], 0)
      expect(sum('many') / sum('few')).toBeLessThanOrEqual(1.2)
    } finally {
      await past.drop()
    }
  }, 60_000)
})
