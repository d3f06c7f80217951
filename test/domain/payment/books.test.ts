import fc from 'fast-check'
import type { CaptureId, OrderId, PaymentId, RefundId } from '../../../domain/ids'
import { Books, type BooksRows, capturableOf, type PaymentBook, type SeenPayment } from '../../../domain/payment/books'

const ORDER = 'order_1' as OrderId
const PAYMENT = 'pay_1' as PaymentId

describe('capture', () => {
  test('is claimed up to what is due, in parts', () => {
    const books = booksOf({ total: 500 })
    expect(books.claimCapture({ amount: 200, actor: 'key_1' })).toMatchObject({ amount: 200, status: 'pending' })
    expect(books.claimCapture({ amount: 301, actor: null })).toEqual({
      refused: 'amount_exceeds_available',
      available: 300,
    })
    expect(books.claimCapture({ amount: 300, actor: null })).toMatchObject({ key: 'order_1/capture/2' })
    expect(books.due).toBe(0)
  })

  test('of a payment that allows one takes all that is due, and ends it', () => {
    const books = booksOf({ total: 500, capturesInParts: false })
    const capture = claimed(books, 200)
    expect(capture.amount).toBe(500)
    expect(books.sendCapture(capture.id)?.final).toBe(true)
  })

  test('lets go what is left with the last one', () => {
    const books = booksOf({ total: 500 })
    books.cancel({ amount: 200, isAll: false })
    const capture = claimed(books, 300)
    expect(books.sendCapture(capture.id)?.final).toBe(true)
    books.answerCapture(capture.id, { outcome: 'succeeded', reference: 'c' })
    expect(books.payments[0]).toMatchObject({ status: 'captured', captured: 300, released: 200, releasing: false })
    expect(balance(books, 'authorized')).toBe(-500)
  })

  test('that was never sent fails when the order is cancelled; one that was sent waits for its answer', () => {
    const books = booksOf({ total: 500 })
    const [first, second] = [claimed(books, 100), claimed(books, 100)]
    books.sendCapture(first.id)
    books.cancel({ amount: 0, isAll: true })
    expect(second).toMatchObject({ status: 'failed', failureCode: 'order_cancelled', atWork: false })
    expect(first.status).toBe('pending')
    books.answerCapture(first.id, { outcome: 'succeeded', reference: 'c' })
    expect(books.refunds).toMatchObject([{ amount: 100, cause: 'cancel', status: 'pending' }])
    expect(books.payments[0]?.releasing).toBe(true)
  })

  test('that was refused is tried again under a key of its own', () => {
    const books = booksOf({ total: 500 })
    const refused = claimed(books, 500)
    books.answerCapture(refused.id, { outcome: 'failed', code: 'refused', reference: null })
    expect(refused).toMatchObject({ status: 'failed', atWork: true })
    expect(books.decideCapture(refused.id, 'retry')).toMatchObject({
      key: 'order_1/capture/2',
      retries: refused.id,
      amount: 500,
    })
    expect(books.decideCapture(refused.id, 'retry')).toBeNull()
  })
})

describe('refund', () => {
  test('is bounded by what was captured and is not disputed', () => {
    const books = captured({ total: 500 })
    books.see(PAYMENT, seen(books, { disputes: [{ reference: 'd', amount: 200, status: 'open' }] }))
    expect(books.claimRefund(staff(301))).toEqual({ refused: 'amount_exceeds_available', available: 300 })
    expect(books.claimRefund(staff('all'))).toMatchObject([{ amount: 300 }])
    expect(books.claimRefund(staff(1))).toEqual({ refused: 'amount_exceeds_available', available: 0 })
  })

  test('that fails after it succeeded takes its entries back, and its bound is free again', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 500)
    books.answerRefund(refund.id, { outcome: 'succeeded', reference: 'r' })
    expect(books.payments[0]).toMatchObject({ status: 'refunded', refunded: 500 })
    books.answerRefund(refund.id, { outcome: 'failed', code: 'late', reference: 'r' })
    expect(books.payments[0]).toMatchObject({ status: 'captured', refunded: 0 })
    expect(books.refundable).toBe(500)
    expect(balance(books, 'refunds_payable')).toBe(0)
    expect(balance(books, 'psp_clearing')).toBe(500)
  })

  test('that was refused for a cancelled order is not claimed again by itself, but by a decision', () => {
    const books = captured({ total: 500 })
    books.cancel({ amount: 0, isAll: true })
    const refund = books.refunds[0] as (typeof books.refunds)[number]
    books.answerRefund(refund.id, { outcome: 'failed', code: 'refused', reference: null })
    books.settle()
    expect(books.refunds).toHaveLength(1)
    expect(books.decideRefund(refund.id, 'retry')).toMatchObject({ key: 'order_1/refund/2', amount: 500 })
  })

  test('given back elsewhere counts, and not as money of the provider', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 500)
    books.answerRefund(refund.id, { outcome: 'failed', code: 'refused', reference: null })
    books.decideRefund(refund.id, 'elsewhere')
    expect(books.payments[0]).toMatchObject({ refunded: 500, refunding: 0 })
    expect(balance(books, 'psp_clearing')).toBe(500)
    expect(balance(books, 'settled_elsewhere')).toBe(-500)
  })

  test('of a cancelled part is what was captured beyond what is owed', () => {
    const books = captured({ total: 500 })
    books.cancel({ amount: 120, isAll: false })
    expect(books.refunds).toMatchObject([{ amount: 120, cause: 'cancel' }])
    books.cancel({ amount: 80, isAll: false })
    expect(books.refunds.map(({ amount }) => amount)).toEqual([120, 80])
  })
})

describe('what the provider shows', () => {
  test('money that nobody here asked for is written down, and goes back when the order is over', () => {
    const books = booksOf({ total: 500, stage: 'over', wasConfirmed: false, status: 'sent' })
    books.receive(PAYMENT, {
      ...seen(books, { captures: [{ reference: 'c', key: null, amount: 300 }] }),
      state: 'captured',
      released: 200,
    })
    expect(books.payments[0]).toMatchObject({ status: 'captured', captured: 300, released: 200, refunding: 300 })
    expect(books.refunds).toMatchObject([{ amount: 300, cause: 'late' }])
  })

  test('the same sight twice changes nothing', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 100)
    const sight = seen(books, {
      refunds: [{ reference: 'r', key: refund.key, amount: 100, status: 'succeeded', failureCode: null }],
      disputes: [{ reference: 'd', amount: 50, status: 'lost' }],
    })
    books.see(PAYMENT, sight)
    const [postings, events] = [books.postings.length, books.events.length]
    books.see(PAYMENT, sight)
    expect([books.postings.length, books.events.length]).toEqual([postings, events])
  })

  test('a capture thought to be refused that is there counts', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 500)
    books.answerCapture(capture.id, { outcome: 'failed', code: 'refused', reference: null })
    books.see(PAYMENT, seen(books, { captures: [{ reference: 'c', key: capture.key, amount: 500 }] }))
    expect(capture).toMatchObject({ status: 'succeeded', atWork: false })
    expect(books.payments[0]?.captured).toBe(500)
  })
})

/** A provider that refuses what goes beyond its own bounds, and answers captures and refunds when it is asked to. */
test('no order of captures, refunds, cancels, answers, disputes and refusals breaks a bound or the ledger', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('capture' as const), amount: fc.integer({ min: 1, max: 600 }) }),
    fc.record({ do: fc.constant('refund' as const), amount: fc.integer({ min: 1, max: 600 }) }),
    fc.record({ do: fc.constant('cancel' as const), amount: fc.integer({ min: 1, max: 200 }), isAll: fc.boolean() }),
    fc.record({ do: fc.constant('send' as const), pick: fc.nat(5) }),
    fc.record({
      do: fc.constant('answer' as const),
      pick: fc.nat(9),
      outcome: fc.constantFrom('succeeded' as const, 'failed' as const),
    }),
    fc.record({ do: fc.constant('decide' as const), pick: fc.nat(9), retry: fc.boolean() }),
    fc.record({ do: fc.constant('dispute' as const), amount: fc.integer({ min: 1, max: 100 }) }),
    fc.record({ do: fc.constant('foreign' as const), amount: fc.integer({ min: 1, max: 100 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, capturesInParts) => {
      const books = booksOf({ total: 500, capturesInParts })
      let serial = 0
      const disputes: SeenPayment['disputes'][number][] = []
      const foreign: SeenPayment['captures'][number][] = []
      for (const each of steps) {
        const payment = books.payments[0] as PaymentBook
        if (each.do === 'capture') books.claimCapture({ amount: each.amount, actor: null })
        if (each.do === 'refund') books.claimRefund(staff(each.amount))
        if (each.do === 'cancel' && books.order.stage === 'won')
          books.cancel({ amount: Math.min(each.amount, books.owed - 1), isAll: each.isAll })
        if (each.do === 'send' && books.captures[each.pick]) books.sendCapture(idOf(books.captures[each.pick]))
        if (each.do === 'answer') {
          const move = [...books.captures, ...books.refunds][each.pick]
          const answer =
            each.outcome === 'failed'
              ? ({ outcome: 'failed', code: 'refused', reference: null } as const)
              : ({ outcome: 'succeeded', reference: `x${++serial}` } as const)
          if (move?.id.startsWith('cap_')) books.answerCapture(move.id as CaptureId, answer)
          else if (move) books.answerRefund(move.id as RefundId, answer)
        }
        if (each.do === 'decide') {
          const move = [...books.captures, ...books.refunds][each.pick]
          if (move?.id.startsWith('cap_')) books.decideCapture(move.id as CaptureId, each.retry ? 'retry' : 'leave')
          else if (move) books.decideRefund(move.id as RefundId, each.retry ? 'retry' : 'elsewhere')
        }
        if (each.do === 'dispute' && payment.captured - payment.disputed >= each.amount) {
          disputes.push({ reference: `d${++serial}`, amount: each.amount, status: 'open' })
          books.see(PAYMENT, seen(books, { captures: foreign, disputes }))
        }
        if (each.do === 'foreign' && payment.amount - payment.captured - payment.released >= each.amount) {
          foreign.push({ reference: `f${++serial}`, key: null, amount: each.amount })
          books.see(PAYMENT, seen(books, { captures: foreign, disputes }))
        }
        expectSound(books)
      }
    }),
    { numRuns: 400 },
  )
})

function expectSound(books: Books): void {
  for (const payment of books.payments) {
    const { amount, captured, capturing, released, refunded, refunding } = payment
    expect(Math.min(captured, capturing, released, refunded, refunding)).toBeGreaterThanOrEqual(0)
    expect(captured + capturing + released).toBeLessThanOrEqual(amount)
    expect(refunded + refunding).toBeLessThanOrEqual(captured)
    const of = <T extends { paymentId: PaymentId; status: string; amount: number }>(
      rows: readonly T[],
      status: string,
    ) =>
      rows
        .filter((row) => row.paymentId === payment.id && row.status === status)
        .reduce((sum, row) => sum + row.amount, 0)
    expect([captured, capturing]).toEqual([of(books.captures, 'succeeded'), of(books.captures, 'pending')])
    expect([refunded, refunding]).toEqual([of(books.refunds, 'succeeded'), of(books.refunds, 'pending')])
    expect(balance(books, 'authorized')).toBe(0 - captured - released)
    expect(balance(books, 'refunds_payable')).toBe(0 - refunding)
    if (books.order.stage === 'over')
      expect(payment.releasing || capturableOf(payment) === 0 || capturing > 0).toBe(true)
  }
  expect(books.postings.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
  const keys = [...books.captures, ...books.refunds].map(({ key }) => key)
  expect(new Set(keys).size).toBe(keys.length)
}

function balance(books: Books, account: string): number {
  return books.postings.filter((posting) => posting.account === account).reduce((sum, { amount }) => sum + amount, 0)
}

function booksOf({
  total,
  stage = 'won',
  wasConfirmed = true,
  status = 'authorized',
  capturesInParts = true,
}: {
  total: number
  stage?: 'won' | 'over'
  wasConfirmed?: boolean
  status?: PaymentBook['status']
  capturesInParts?: boolean
}): Books {
  const rows: BooksRows = {
    order: { id: ORDER, total, cancelled: 0, stage },
    payments: [
      {
        id: PAYMENT,
        attempt: 1,
        pays: wasConfirmed,
        status,
        amount: total,
        reference: 'ch_1',
        capturesInParts,
        captureBefore: null,
        captured: 0,
        capturing: 0,
        released: 0,
        refunded: 0,
        refunding: 0,
        disputed: 0,
        releasing: false,
      },
    ],
    captures: [],
    refunds: [],
    disputes: [],
  }
  let made = 0
  return new Books(rows, {
    capture: () => `cap_${++made}` as CaptureId,
    refund: () => `ref_${++made}` as RefundId,
  })
}

function captured({ total }: { total: number }): Books {
  const books = booksOf({ total })
  const capture = claimed(books, total)
  books.sendCapture(capture.id)
  books.answerCapture(capture.id, { outcome: 'succeeded', reference: 'c' })
  return books
}

function claimed(books: Books, amount: number) {
  const capture = books.claimCapture({ amount, actor: null })
  if ('refused' in capture) throw new Error(`refused: ${capture.available}`)
  return capture
}

function refunded(books: Books, amount: number) {
  const refunds = books.claimRefund(staff(amount))
  if ('refused' in refunds) throw new Error(`refused: ${refunds.available}`)
  return refunds as [(typeof refunds)[number]]
}

function staff(amount: number | 'all') {
  return { amount, cause: 'staff', reasonCode: 'goodwill', restock: false, actor: null } as const
}

function seen(books: Books, shown: Partial<SeenPayment>): SeenPayment {
  const payment = books.payments[0] as PaymentBook
  return {
    reference: 'ch_1',
    amount: payment.amount,
    state: 'authorized',
    released: payment.released,
    capturesInParts: payment.capturesInParts,
    captureBefore: null,
    captures: [],
    refunds: [],
    disputes: [],
    ...shown,
  }
}

function idOf(capture: { id: CaptureId } | undefined): CaptureId {
  return capture?.id as CaptureId
}
