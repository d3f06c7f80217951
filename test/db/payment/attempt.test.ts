import { randomUUID } from 'node:crypto'
import { newId } from '../../../db/id'
import { readOrder } from '../../../db/order/read'
import {
  abandonCancel,
  beginCancel,
  changeAttempt,
  hasTriedTooOften,
  readAttempt,
  refuseAttempt,
  requestAttempt,
  startAttempt,
} from '../../../db/payment/attempt'
import { withBooks } from '../../../db/payment/books'
import { readLedger } from '../../../db/payment/ledger'
import { listRefunds } from '../../../db/payment/move'
import type { PaymentId, RefundId } from '../../../domain/ids'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { seenPayment } from '../../support/seen'
import { until } from '../../support/wait'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { accept, cancel, cartOfTwo, confirm, followsTheTable, placed } = orderStatements(() => database.pool)

describe('attempts', () => {
  const request = (order: AcceptedOrder) =>
    requestAttempt(database.pool, {
      orderId: order.orderId,
      tokenHash: order.tokenHash,
      paymentId: newId('payment'),
      provider: 'sandbox',
      method: 'pm_card_visa',
      idempotency: { scope: 'test', operation: order.orderId, key: randomUUID(), bodyHash: Buffer.alloc(32) },
    })

  async function requestedOf({ orderId }: AcceptedOrder): Promise<PaymentId> {
    const order = await readOrder(database.pool, orderId)
    return order?.attempts.find((attempt) => attempt.status === 'requested')?.id as PaymentId
  }

  const change = (order: AcceptedOrder, to: 'declined' | 'pending') =>
    changeAttempt(database.pool, {
      orderId: order.orderId,
      paymentId: order.paymentId,
      change: to === 'declined' ? { to, reference: 'ch_1', declineCode: 'no' } : { to, reference: 'ch_1' },
    })

  it('one is asked for at a time, of many at once', async () => {
    const order = await placed()
    await change(order, 'declined')
    const asked = await Promise.all(Array.from({ length: 8 }, () => request(order)))
    expect(asked.filter((one) => one !== null)).toEqual([{ attempt: 2 }])
  })

  it('one is unresolved at a time, by the statement and by the schema', async () => {
    const order = await placed()
    expect(await request(order)).toEqual({ attempt: 2 })
    const paymentId = await requestedOf(order)
    expect(await startAttempt(database.pool, { orderId: order.orderId, paymentId, answerSeconds: 1 })).toBeNull()
    await expect(
      database.pool.query("update payment set status = 'sent', amount = 1 where id = $1", [paymentId]),
    ).rejects.toMatchObject({ constraint: 'one_unresolved_attempt' })
    await change(order, 'declined')
    expect(await startAttempt(database.pool, { orderId: order.orderId, paymentId, answerSeconds: 1 })).toMatchObject({
      holdMs: expect.any(Number),
    })
    await followsTheTable(order.orderId)
  })

  it('pay again once every cancellation was refused, or any of what was captured', async () => {
    const { paymentId } = await placed()
    const begin = () => beginCancel(database.pool, paymentId)
    const isLeft = (isCaptured = false) => abandonCancel(database.pool, { paymentId, isCaptured })
    for (let sent = 0; sent < 3; sent++) await begin()
    expect([await isLeft(), await isLeft(), await isLeft(), await isLeft()]).toEqual([true, true, false, false])
    expect(await readAttempt(database.pool, paymentId)).toMatchObject({ cancelling: false })
    for (let sent = 0; sent < 2; sent++) await begin()
    expect(await readAttempt(database.pool, paymentId)).toMatchObject({ cancelling: true })
    expect(await isLeft(true)).toBe(false)
    expect(await readAttempt(database.pool, paymentId)).toMatchObject({ cancelling: false })
  })

  it('extends the hold once, when too little of it is left', async () => {
    const order = await placed(5)
    await change(order, 'declined')
    await request(order)
    const first = { orderId: order.orderId, paymentId: await requestedOf(order), answerSeconds: 30 }
    const started = await startAttempt(database.pool, first)
    expect(started?.holdMs).toBeGreaterThan(25_000)
    await changeAttempt(database.pool, { ...first, change: { to: 'declined', reference: null, declineCode: 'no' } })
    await request(order)
    const second = { ...first, paymentId: await requestedOf(order), answerSeconds: 60 }
    expect(await startAttempt(database.pool, second)).toBeNull()
    await refuseAttempt(database.pool, second.paymentId, 'expired')
    expect(await readAttempt(database.pool, second.paymentId)).toMatchObject({ status: 'failed', outcome: 'expired' })
  })

  it('ten are sent for a cart, those of its cancelled orders included, and no more', async () => {
    const order = await placed()
    const declineNext = async () => {
      const next = { orderId: order.orderId, paymentId: await requestedOf(order), answerSeconds: 1 }
      expect(await startAttempt(database.pool, next)).not.toBeNull()
      await changeAttempt(database.pool, { ...next, change: { to: 'declined', reference: null, declineCode: 'no' } })
    }
    await change(order, 'declined')
    for (let attempt = 2; attempt < 10; attempt++) {
      expect(await request(order)).toEqual({ attempt })
      await declineNext()
    }
    // What was never sent does not count.
    await request(order)
    await refuseAttempt(database.pool, await requestedOf(order), 'refused')
    expect(await hasTriedTooOften(database.pool, order.cartId)).toBe(false)
    expect(await request(order)).toEqual({ attempt: 11 })
    await declineNext()
    expect(await hasTriedTooOften(database.pool, order.cartId)).toBe(true)
    expect(await request(order)).toBeNull()
    await cancel(order)
    expect(await accept(order)).toBeNull()
    expect(await accept(await cartOfTwo())).not.toBeNull()
  })

  it('does not bring back a hold that is over', async () => {
    const order = await placed()
    await change(order, 'declined')
    await request(order)
    await database.pool.query('update orders set hold_expires_at = now() where id = $1', [order.orderId])
    const next = { orderId: order.orderId, paymentId: await requestedOf(order), answerSeconds: 30 }
    expect(await startAttempt(database.pool, next)).toBeNull()
    expect(await readAttempt(database.pool, next.paymentId)).toMatchObject({ status: 'requested', sentAt: null })
  })

  it('may be sent while the order waits for it and holds its stock', async () => {
    const [held, over, cancelled] = [await placed(), await placed(), await placed()]
    await database.pool.query('update orders set hold_expires_at = now() where id = $1', [over.orderId])
    await cancel(cancelled)
    for (const [order, isHeld] of [
      [held, true],
      [over, false],
      [cancelled, false],
    ] as const)
      expect(await readAttempt(database.pool, order.paymentId)).toMatchObject({ isHeld, sentAt: expect.any(Date) })
  })

  it('what the provider says is noted once, and a decided attempt stays decided', async () => {
    const order = await placed()
    expect(await change(order, 'pending')).toBe(true)
    expect(await change(order, 'pending')).toBe(false)
    expect(await change(order, 'declined')).toBe(true)
    expect(await change(order, 'pending')).toBe(false)
    expect(await confirm(order)).toBeNull()
    await followsTheTable(order.orderId)
  })

  it('two answers about one attempt that wait for the same lock: one of them counts, whole', async () => {
    const orders = await Promise.all(Array.from({ length: 6 }, () => placed()))
    for (const order of orders) {
      const holder = await database.pool.connect()
      await holder.query('begin')
      await holder.query('select from orders where id = $1 for update', [order.orderId])
      const both = Promise.all([confirm(order), change(order, 'declined')])
      await until('both wait', async () => {
        const { rows } = await database.pool.query(
          `select count(*)::int as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        )
        return rows[0].waiting === 2
      })
      await holder.query('commit')
      holder.release()
      const [won, declined] = await both
      expect([won !== null, declined].filter(Boolean)).toHaveLength(1)
      const read = await readOrder(database.pool, order.orderId)
      expect(read).toMatchObject({
        status: won ? 'confirmed' : 'payment_pending',
        attempts: [{ status: won ? 'authorized' : 'declined' }],
      })
      await followsTheTable(order.orderId)
    }
  })

  it('late money of a cancelled order is seen once and goes back once', async () => {
    const order = await placed()
    const { orderId, paymentId } = order
    const shown = seenPayment({ state: 'captured', captures: [{ reference: 'ca_1', key: null, amount: 1_000 }] })
    const arrive = () => withBooks(database.pool, orderId, (books) => books.receive(paymentId, shown))
    await cancel(order)
    expect(await Promise.all([arrive(), arrive(), arrive()])).toEqual(expect.arrayContaining([true, false, false]))
    const refunds = await listRefunds(database.pool, { orderId, after: 0, limit: 10 })
    expect(refunds.flat()).toHaveLength(1)
    const refund = refunds.flat()[0]
    expect(refund).toMatchObject({ amount: 1_000, cause: 'late', status: 'pending', key: `${orderId}/refund/1` })
    for (let times = 0; times < 2; times++)
      await withBooks(database.pool, orderId, (books) =>
        books.answerRefund(refund?.id as RefundId, { outcome: 'succeeded', reference: 're_1' }),
      )
    const ledger = await readLedger(database.pool, orderId)
    const balances = new Map<string, number>()
    for (const { account, amount } of ledger) balances.set(account, (balances.get(account) ?? 0) + amount)
    expect(balances.size).toBe(5)
    expect([...balances.values()].every((balance) => balance === 0)).toBe(true)
    expect(await readAttempt(database.pool, paymentId)).toMatchObject({ status: 'refunded', outcome: 'cancelled' })
    await followsTheTable(orderId)
  })
})
