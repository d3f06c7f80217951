import { newId } from '../../../db/id'
import { withBooks } from '../../../db/payment/books'
import { isMoneyAtWork, noteTold, readFirstLooks, readPaymentWork } from '../../../db/payment/work'
import type { CaptureId, RefundId } from '../../../domain/ids'
import type { Books } from '../../../domain/payment/books'
import { testDatabase, type TestDatabase } from '../../support/database'
import { type AcceptedOrder, orderStatements } from '../../support/order-statements'
import { seenPayment } from '../../support/seen'

let database: TestDatabase
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const { confirm, placed } = orderStatements(() => database.pool)

async function confirmed(): Promise<AcceptedOrder> {
  const order = await placed()
  expect(await confirm(order)).not.toBeNull()
  return order
}

const inBooks = ({ orderId }: AcceptedOrder, work: (books: Books) => unknown) =>
  withBooks(database.pool, orderId, (books) => void work(books))
const workOf = ({ orderId }: AcceptedOrder, paymentId: AcceptedOrder['paymentId'] | null = null) =>
  readPaymentWork(database.pool, { orderId, paymentId })
const isAtWork = ({ orderId }: AcceptedOrder) => isMoneyAtWork(database.pool, orderId)

function take(books: Books, amount: number): void {
  const claimed = books.claimCapture({ amount, actor: null })
  if ('refused' in claimed) throw new Error(claimed.refused)
  books.answerCapture(claimed.id, { outcome: 'succeeded', reference: `ca_${amount}` })
}

const refund = (amount: number) => ({ amount, cause: 'staff', reasonCode: null, restock: false, actor: null }) as const
const firstCapture = (books: Books): CaptureId => books.captures[0]?.id as CaptureId
const firstRefund = (books: Books): RefundId => books.refunds[0]?.id as RefundId

describe('what is to be done with the money of an order', () => {
  it('is nothing while it is paid and waits', async () => {
    const order = await confirmed()
    expect(await workOf(order)).toEqual({
      isOver: false,
      currency: 'GBP',
      total: 1_000,
      renewInMs: null,
      items: [],
    })
    expect(await isAtWork(order)).toBe(false)
  })

  /** Each with whether it goes on by itself: what waits for a person or for the provider does not. */
  it.each<[string, (books: Books, order: AcceptedOrder) => unknown, object[], boolean]>([
    [
      'a capture',
      (books) => books.claimCapture({ amount: 400, actor: null }),
      [{ kind: 'capture', amount: 400, status: 'pending', failureCode: null }],
      true,
    ],
    [
      'a capture that was refused',
      (books) => {
        books.claimCapture({ amount: 400, actor: null })
        books.answerCapture(firstCapture(books), { outcome: 'failed', code: 'no', reference: null })
      },
      [{ kind: 'capture', amount: 400, status: 'failed', failureCode: 'no' }],
      false,
    ],
    [
      'a refund',
      (books) => {
        take(books, 1_000)
        books.claimRefund(refund(50))
      },
      [{ kind: 'refund', amount: 50, status: 'pending', isAccepted: false, decideBy: null }],
      true,
    ],
    [
      'a refund that the provider has taken',
      (books) => {
        take(books, 1_000)
        books.claimRefund(refund(50))
        books.answerRefund(firstRefund(books), { outcome: 'pending', reference: 're_1' })
      },
      [{ kind: 'refund', amount: 50, status: 'pending', isAccepted: true, decideBy: expect.any(Number) }],
      false,
    ],
    [
      'a refund that failed',
      (books) => {
        take(books, 1_000)
        books.claimRefund(refund(50))
        books.answerRefund(firstRefund(books), { outcome: 'failed', code: 'no', reference: null })
      },
      [{ kind: 'refund', amount: 50, status: 'failed', failureCode: 'no' }],
      false,
    ],
    [
      'a rest that is not needed',
      (books) => {
        take(books, 600)
        books.cancel({ amount: 400, isAll: false })
      },
      [{ kind: 'release', amount: 400 }],
      true,
    ],
    [
      'a dispute',
      (books, { paymentId }) => {
        take(books, 1_000)
        books.observe(paymentId, seenPayment({ disputes: [{ reference: 'dp', amount: 70, status: 'open' }] }))
      },
      [{ kind: 'dispute', object: 'dp', amount: 70, status: 'open' }],
      false,
    ],
    [
      'nothing, of a dispute that was won',
      (books, { paymentId }) => {
        take(books, 1_000)
        books.observe(paymentId, seenPayment({ disputes: [{ reference: 'dp', amount: 70, status: 'won' }] }))
      },
      [],
      false,
    ],
  ])('is %s', async (_what, become, items, goesOn) => {
    const order = await confirmed()
    await inBooks(order, (books) => become(books, order))
    const work = await workOf(order)
    expect(work?.items).toEqual(items.map((item) => expect.objectContaining({ ...item, paymentId: order.paymentId })))
    expect(await workOf(order, order.paymentId)).toEqual(work)
    expect((await workOf(order, newId('payment')))?.items).toEqual([])
    expect(await isAtWork(order)).toBe(goesOn)
  })

  it('is a refund that the provider should have decided two weeks after it took it', async () => {
    const order = await confirmed()
    await inBooks(order, (books) => {
      take(books, 1_000)
      books.claimRefund(refund(50))
      books.answerRefund(firstRefund(books), { outcome: 'pending', reference: 're_1' })
    })
    const takenAt = new Date('2026-05-01T12:00:00Z')
    await database.pool.query('update refund set updated_at = $2 where order_id = $1', [order.orderId, takenAt])
    expect((await workOf(order))?.items).toMatchObject([{ decideBy: Date.parse('2026-05-15T12:00:00Z') }])
  })

  it('is done in this order: what is let go, taken, given back, and last what a person decides', async () => {
    const order = await confirmed()
    await inBooks(order, (books) => {
      for (const amount of [100, 200]) take(books, amount)
      books.claimRefund(refund(10))
      books.observe(order.paymentId, seenPayment({ disputes: [{ reference: 'dp', amount: 70, status: 'open' }] }))
      books.claimCapture({ amount: 300, actor: null })
      books.sendCapture(books.captures[2]?.id as CaptureId)
    })
    await database.pool.query('update payment set releasing = true where id = $1', [order.paymentId])
    expect((await workOf(order))?.items.map(({ kind }) => kind)).toEqual(['release', 'capture', 'refund', 'dispute'])
  })

  it('is over with the order', async () => {
    const order = await confirmed()
    for (const [status, isOver] of [
      ['on_hold', false],
      ['delivered', false],
      ['completed', true],
      ['cancelled', true],
    ] as const) {
      await database.pool.query(
        `update orders
         set status = $2, cancel_reason = case when $2 = 'cancelled' then 'merchant' end,
             held_from = case when $2 = 'on_hold' then 'confirmed' end,
             held_for = case when $2 = 'on_hold' then array['staff'] else '{}' end
         where id = $1`,
        [order.orderId, status],
      )
      expect(await workOf(order)).toMatchObject({ isOver })
    }
  })

  it('is unknown of no order', async () => {
    expect(await readPaymentWork(database.pool, { orderId: newId('order'), paymentId: null })).toBeNull()
  })
})

it.each(['fulfillment', 'a settlement'] as const)('is told again once %s has read the rows', async (owner) => {
  const order = await confirmed()
  const isTold = () => noteTold(database.pool, order.orderId)
  expect([await isTold(), await isTold()]).toEqual([true, false])
  await workOf(order, owner === 'fulfillment' ? null : order.paymentId)
  expect(await isTold()).toBe(true)
})

describe('when fulfillment looks by itself', () => {
  it('is two days before the authorization ends, half way when it is shorter, and a month when nobody says', async () => {
    const [soon, late, never] = [await confirmed(), await confirmed(), await confirmed()]
    const ends = ({ paymentId }: AcceptedOrder, hours: number) =>
      database.pool.query('update payment set capture_before = now() + make_interval(hours => $2) where id = $1', [
        paymentId,
        hours,
      ])
    await ends(soon, 7 * 24)
    await ends(late, 1)
    // Nothing of their goods is due by itself.
    await database.pool.query('update orders set look_at = null')
    const looks = await readFirstLooks(
      database.pool,
      [soon, late, never].map(({ orderId }) => orderId),
    )
    const hours = new Map(looks.map(({ orderId, delayMs }) => [orderId, delayMs / 3_600_000]))
    expect(hours.get(soon.orderId)).toBeCloseTo(5 * 24, 0)
    expect(hours.get(late.orderId)).toBeCloseTo(0.5, 1)
    expect(hours.get(never.orderId)).toBeCloseTo(30 * 24, 0)
  })
})
