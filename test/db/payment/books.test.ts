import { readEvents, readOrder } from '../../../db/order/read'
import { withBooks } from '../../../db/payment/books'
import { readLedger } from '../../../db/payment/ledger'
import { listCaptures, listRefunds } from '../../../db/payment/move'
import { createPool, type Pool } from '../../../db/pool'
import { newId } from '../../../db/id'
import type { CaptureId, OrderId, RefundId } from '../../../domain/ids'
import type { Books } from '../../../domain/payment/books'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { seenPayment } from '../../support/seen'

let database: TestDatabase
/** As many connections as commands at once: none waits for another in the process. */
let crowd: Pool
beforeAll(async () => {
  database = await testDatabase()
  crowd = createPool({ DATABASE_URL: database.url, DATABASE_POOL_MAX: CROWD }, { name: 'crowd' })
})
afterAll(async () => {
  await crowd?.end()
  await database?.drop()
})

const CROWD = 50
const { confirm, followsTheTable, placed } = orderStatements(() => database.pool)

/** A paid order of 1,000 in two units. */
async function confirmed(): Promise<AcceptedOrder> {
  const order = await placed()
  expect(await confirm(order)).not.toBeNull()
  return order
}

const inBooks = <T>({ orderId }: { orderId: OrderId }, work: (books: Books) => T) =>
  withBooks(database.pool, orderId, work)

/** The rows as the books read them, from a transaction of its own. */
const stored = (order: AcceptedOrder) =>
  inBooks(order, ({ order: money, payments, captures, refunds, disputes }) =>
    structuredClone({ money, payments, captures, refunds, disputes }),
  )

function claim(books: Books, amount: number): CaptureId {
  const claimed = books.claimCapture({ amount, actor: 'key_1' })
  if ('refused' in claimed) throw new Error(claimed.refused)
  return claimed.id
}

function take(books: Books, amount: number): void {
  const id = claim(books, amount)
  books.sendCapture(id)
  books.answerCapture(id, { outcome: 'succeeded', reference: `ca_${amount}` })
}

const staff = (amount: number | 'all') =>
  ({ amount, cause: 'staff', reasonCode: 'goodwill', restock: true, actor: 'key_1' }) as const

describe('books that are saved', () => {
  it('are read again as they were, row by row', async () => {
    const order = await confirmed()
    const steps: ((books: Books) => void)[] = [
      (books) => void claim(books, 300),
      (books) => void books.sendCapture(books.captures[0]?.id as CaptureId),
      (books) => books.answerCapture(books.captures[0]?.id as CaptureId, { outcome: 'succeeded', reference: 'ca_1' }),
      (books) => books.cancel({ amount: 200, isAll: false }),
      (books) => books.answerCapture(claim(books, 100), { outcome: 'failed', code: 'refused', reference: null }),
      (books) => void books.decideCapture(books.captures[1]?.id as CaptureId, 'retry'),
      (books) => void books.claimRefund(staff(50)),
      (books) => books.answerRefund(books.refunds[0]?.id as RefundId, { outcome: 'pending', reference: 're_1' }),
      (books) =>
        books.answerRefund(books.refunds[0]?.id as RefundId, { outcome: 'failed', code: 'no', reference: null }),
      (books) => void books.decideRefund(books.refunds[0]?.id as RefundId, 'elsewhere'),
      (books) =>
        books.observe(
          order.paymentId,
          seenPayment({
            captureBefore: '2099-01-02T03:04:05.678Z',
            captures: [{ reference: 'ca_9', key: null, amount: 40 }],
            refunds: [{ reference: 're_9', key: null, amount: 10, status: 'succeeded', failureCode: null }],
            disputes: [{ reference: 'dp_1', amount: 30, status: 'open' }],
          }),
        ),
      (books) => books.closeDispute('dp_1'),
      (books) => books.cancel({ amount: 0, isAll: true }),
    ]
    for (const step of steps) {
      const left = await inBooks(order, (books) => {
        step(books)
        const { order: money, payments, captures, refunds, disputes } = books
        return structuredClone({ money, payments, captures, refunds, disputes })
      })
      const found = await stored(order)
      // The order's status is written by whoever cancels it: `cancelUnits`.
      expect(found).toEqual({ ...left, money: { ...left.money, stage: 'won' } })
    }
    await followsTheTable(order.orderId)
  })

  it('keep a cancelled part when nothing else changes: it lowers what is due', async () => {
    const order = await confirmed()
    await inBooks(order, (books) => books.cancel({ amount: 400, isAll: false }))
    expect(await inBooks(order, ({ owed, due }) => [owed, due])).toEqual([600, 600])
  })

  it('that nobody changed write nothing', async () => {
    const order = await confirmed()
    const read = async () =>
      (
        await database.pool.query(
          'select o.xmin, o.event_seq, p.xmin from orders o join payment p on p.order_id = o.id where o.id = $1',
          [order.orderId],
        )
      ).rows
    const before = await read()
    await inBooks(order, (books) => books.settle())
    expect(await read()).toEqual(before)
  })

  it('change nothing when the decision throws', async () => {
    const order = await confirmed()
    const before = await stored(order)
    const broken = inBooks(order, (books) => {
      take(books, 500)
      throw new Error('staged')
    })
    await expect(broken).rejects.toThrow('staged')
    expect(await stored(order)).toEqual(before)
  })

  it('of no order throw', async () => {
    await expect(inBooks({ orderId: newId('order') }, () => undefined)).rejects.toThrow('There is no order')
  })
})

describe('the status of the payment', () => {
  it('follows the sums, in the row of the order', async () => {
    const order = await confirmed()
    const status = async () => (await readOrder(database.pool, order.orderId))?.paymentStatus
    const seen: unknown[] = [await status()]
    for (const step of [
      (books: Books) => take(books, 400),
      (books: Books) => take(books, 600),
      (books: Books) => void books.claimRefund(staff(100)),
      (books: Books) =>
        books.answerRefund(books.refunds[0]?.id as RefundId, { outcome: 'succeeded', reference: 're_1' }),
      (books: Books) => void books.claimRefund(staff('all')),
      (books: Books) =>
        books.answerRefund(books.refunds[1]?.id as RefundId, { outcome: 'succeeded', reference: 're_2' }),
      (books: Books) =>
        books.answerRefund(books.refunds[1]?.id as RefundId, { outcome: 'failed', code: 'x', reference: null }),
    ]) {
      await inBooks(order, step)
      seen.push(await status())
    }
    expect(seen).toEqual([
      'authorized',
      'partially_captured',
      'captured',
      'captured',
      'partially_refunded',
      'partially_refunded',
      'refunded',
      'partially_refunded',
    ])
  })
})

describe('ledger and events', () => {
  it('are written once, balanced and without a gap, however often the provider says the same', async () => {
    const order = await confirmed()
    await inBooks(order, (books) => take(books, 1_000))
    const [refund] = (await inBooks(order, (books) => books.claimRefund(staff(300)))) as { id: RefundId; key: string }[]
    const shown = seenPayment({
      state: 'captured',
      captures: [{ reference: 'ca_1000', key: `${order.orderId}/capture/1`, amount: 1_000 }],
      refunds: [{ reference: 're_1', key: refund?.key as string, amount: 300, status: 'succeeded', failureCode: null }],
      disputes: [{ reference: 'dp_1', amount: 200, status: 'lost' }],
    })
    await Promise.all(Array.from({ length: 6 }, () => inBooks(order, (books) => books.observe(order.paymentId, shown))))
    await inBooks(order, (books) =>
      books.answerRefund(refund?.id as RefundId, { outcome: 'succeeded', reference: 're_1' }),
    )
    const ledger = await readLedger(database.pool, order.orderId)
    expect(ledger.map(({ operation, account, amount }) => `${operation} ${account} ${amount}`)).toEqual([
      'authorize authorized 1000',
      'authorize authorized_contra -1000',
      'capture authorized -1000',
      'capture authorized_contra 1000',
      'capture psp_clearing 1000',
      'capture customer_deposits -1000',
      'refund_request customer_deposits 300',
      'refund_request refunds_payable -300',
      'refund refunds_payable 300',
      'refund psp_clearing -300',
      'dispute disputed 200',
      'dispute psp_clearing -200',
      'dispute_lost disputed -200',
      'dispute_lost dispute_losses 200',
    ])
    const events = (await readEvents(database.pool, order.orderId)).map(({ type }) => type)
    expect(events.slice(events.indexOf('order.confirmed') + 1)).toEqual([
      'shipment.allocated',
      'payment.capture_requested',
      'payment.captured',
      'payment.refund_requested',
      'payment.refunded',
      'payment.disputed',
      'payment.dispute_closed',
    ])
    await followsTheTable(order.orderId)
  })
})

describe(`${CROWD} commands at once on one order`, () => {
  const atOnce = <T>({ orderId }: AcceptedOrder, work: (books: Books, n: number) => T) =>
    Promise.all(Array.from({ length: CROWD }, (_, n) => withBooks(crowd, orderId, (books) => work(books, n))))

  it('claim no more captures than are due', async () => {
    const order = await confirmed()
    const claims = await atOnce(order, (books, n) => books.claimCapture({ amount: 30 + (n % 3), actor: null }))
    const claimed = claims.flatMap((one) => ('refused' in one ? [] : [one.amount]))
    const captures = await listCaptures(database.pool, { orderId: order.orderId, after: 0, limit: 100 })
    expect(captures.map(({ amount }) => amount).sort()).toEqual(claimed.sort())
    const sum = claimed.reduce((total, amount) => total + amount, 0)
    expect(sum).toBeLessThanOrEqual(1_000)
    expect(sum).toBeGreaterThan(1_000 - 30)
    expect(captures.map(({ number }) => number)).toEqual(captures.map((_, index) => index + 1))
    await followsTheTable(order.orderId)
  }, 30_000)

  it('claim no more refunds than were captured, for one request or for many', async () => {
    const order = await confirmed()
    await inBooks(order, (books) => take(books, 700))
    const claims = await atOnce(order, (books, n) => books.claimRefund(staff(n % 5 === 0 ? 'all' : 1 + n)))
    expect(claims.some((one) => 'refused' in one)).toBe(true)
    const refunds = (await listRefunds(database.pool, { orderId: order.orderId, after: 0, limit: 100 })).flat()
    expect(refunds.reduce((total, { amount }) => total + amount, 0)).toBe(700)
    await followsTheTable(order.orderId)
  }, 30_000)

  it('captures, refunds, cancels and answers together keep the bounds', async () => {
    const order = await confirmed()
    await atOnce(order, (books, n) => {
      if (n % 5 === 0) books.claimCapture({ amount: 200, actor: null })
      if (n % 5 === 1) books.claimRefund(staff(50))
      if (n % 5 === 2)
        for (const { id } of books.captures) books.answerCapture(id, { outcome: 'succeeded', reference: id })
      if (n % 5 === 3)
        for (const { id } of books.refunds) books.answerRefund(id, { outcome: 'succeeded', reference: id })
      if (n === 49) books.cancel({ amount: 0, isAll: true })
    })
    const { payments, refunds } = await stored(order)
    const [payment] = payments
    expect(payment?.captured).toBeLessThanOrEqual(1_000)
    const given = refunds.filter(({ status }) => status !== 'failed').reduce((total, { amount }) => total + amount, 0)
    expect(given).toBeLessThanOrEqual(payment?.captured ?? 0)
    const { rows } = await database.pool.query(
      'select account, sum(amount)::bigint as sum from ledger_entry where order_id = $1 group by account',
      [order.orderId],
    )
    const sums = Object.fromEntries(rows.map(({ account, sum }) => [account, sum]))
    expect(sums.psp_clearing ?? 0).toBe((payment?.captured ?? 0) - (payment?.refunded ?? 0))
    expect(0 - (sums.refunds_payable ?? 0)).toBe(payment?.refunding ?? 0)
    await followsTheTable(order.orderId)
  }, 30_000)
})
