import fc from 'fast-check'
import type { CaptureId, OrderId, PaymentId, RefundId, ShipmentId } from '../../../domain/ids'
import {
  Books,
  type BooksRows,
  capturableOf,
  type CaptureBook,
  type PaymentBook,
  type SeenPayment,
} from '../../../domain/payment/books'
import { expectAgreement, expectBounds, FIRST, moneyStep, MoneyWorld, SECOND } from '../../support/money-world'

const ORDER = 'order_1' as OrderId
const PAYMENT = 'pay_1' as PaymentId
const GIVEN_UP = 'pay_2' as PaymentId

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
    expect(books.payments[0]).toMatchObject({ status: 'authorized', captured: 300, releasing: true })
    books.observe(
      PAYMENT,
      seen(books, { captures: [{ reference: 'c', key: capture.key, amount: 300 }], released: 200 }),
    )
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

  test('that the provider never answers was not taken, as a person says: it may be captured by another one', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 500)
    books.sendCapture(capture.id)
    expect(books.decideCapture(capture.id, 'retry')).toBeNull()
    expect(capture.status).toBe('pending')
    expect(books.decideCapture(capture.id, 'leave')).toBeNull()
    expect(capture).toMatchObject({ status: 'failed', failureCode: 'not_taken', atWork: false })
    expect(books.due).toBe(500)
    expect(claimed(books, 500).key).toBe('order_1/capture/2')
  })

  test('that a person says was not taken is found to be taken all the same', () => {
    const books = booksOf({ total: 500 })
    const { id, key } = claimed(books, 200)
    books.decideCapture(id, 'leave')
    books.observe(PAYMENT, seen(books, { captures: [{ reference: 'c', key, amount: 200 }] }))
    expect(books.captures).toMatchObject([{ status: 'succeeded', reference: 'c', atWork: false }])
    expect(books.payments[0]).toMatchObject({ captured: 200, capturing: 0 })
  })

  test('of an order that is over ends by what a person says of it', () => {
    const books = booksOf({ total: 500 })
    const [left, taken] = [claimed(books, 100), claimed(books, 100)]
    for (const { id } of [left, taken]) books.sendCapture(id)
    books.cancel({ amount: 0, isAll: true })
    books.decideCapture(left.id, 'leave')
    books.settleElsewhere(taken.id)
    expect([left.status, taken.status, left.atWork, taken.atWork]).toEqual(['failed', 'succeeded', false, false])
    expect(books.refunds).toMatchObject([{ amount: 100, cause: 'cancel' }])
    expect(books.payments[0]).toMatchObject({ captured: 100, capturing: 0, releasing: true })
  })

  test('that a person has seen taken gets its name from the provider later, and is taken once', () => {
    const books = booksOf({ total: 500 })
    const { id, key } = claimed(books, 500)
    books.sendCapture(id)
    for (let times = 0; times < 2; times++) books.settleElsewhere(id)
    expect(books.captures).toMatchObject([{ status: 'succeeded', reference: null }])
    expect(books.paymentStatus).toBe('captured')
    books.observe(PAYMENT, seen(books, { captures: [{ reference: 'c', key, amount: 500 }] }))
    expect(books.captures).toMatchObject([{ status: 'succeeded', reference: 'c' }])
    expect(books.payments[0]?.captured).toBe(500)
  })

  test('that a person has taken at the pages of the provider is the one that the provider shows without our key', () => {
    for (const amount of [200, 190]) {
      const books = booksOf({ total: 500 })
      const { id } = claimed(books, 200)
      books.sendCapture(id)
      books.settleElsewhere(id)
      books.observe(PAYMENT, seen(books, { captures: [{ reference: 'c', key: null, amount }] }))
      expect(books.captures).toMatchObject([{ id, amount: 200, reference: 'c' }])
      expect(books.refunds).toEqual([])
    }
  })

  test('takes what is left of cancelled units in steps of the provider, and waives the rest', () => {
    for (const capturesInParts of [true, false]) {
      const books = booksOf({ total: 10_000, capturesInParts })
      books.cancel({ amount: 3_334, isAll: false, step: 10 })
      expect([books.owed, books.due, books.order.waived]).toEqual([6_660, 6_660, 6])
      expect(books.claimCapture({ amount: 6_670, actor: null })).toMatchObject({ available: 6_660 })
      const refused = claimed(books, 6_660)
      books.answerCapture(refused.id, { outcome: 'failed', code: 'refused', reference: null })
      const { id, amount } = books.decideCapture(refused.id, 'retry') as CaptureBook
      expect([amount, books.sendCapture(id)?.final]).toEqual([6_660, true])
      books.answerCapture(id, { outcome: 'succeeded', reference: 'c' })
      expect([books.paymentStatus, books.due, books.payments[0]?.releasing]).toEqual(['captured', 0, true])
    }
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

test('a refused capture needs no decision once all that is owed was captured by others', () => {
  const books = booksOf({ total: 500 })
  const refused = claimed(books, 500)
  books.sendCapture(refused.id)
  books.answerCapture(refused.id, { outcome: 'failed', code: 'no', reference: null })
  expect(refused).toMatchObject({ status: 'failed', atWork: true })
  const parts = [claimed(books, 200), claimed(books, 300)]
  for (const [index, { id }] of parts.entries()) {
    expect(refused.atWork).toBe(true)
    books.sendCapture(id)
    books.answerCapture(id, { outcome: 'succeeded', reference: `c${index}` })
    books.settle()
  }
  expect(refused).toMatchObject({ status: 'failed', atWork: false })
})

describe('refund', () => {
  test('is bounded by what was captured and is not disputed', () => {
    const books = captured({ total: 500 })
    books.observe(PAYMENT, seen(books, { disputes: [{ reference: 'd', amount: 200, status: 'open' }] }))
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
    expect(books.payments[0]).toMatchObject({ status: 'refunded', refunded: 500, refunding: 0 })
    expect(balance(books, 'psp_clearing')).toBe(500)
    expect(balance(books, 'settled_elsewhere')).toBe(-500)
  })

  test('that staff asked for, and a person lets be, is no reason to keep what a cancellation gives back', () => {
    const books = captured({ total: 500 })
    const [refused] = refunded(books, 200)
    books.answerRefund(refused.id, { outcome: 'failed', code: 'refused', reference: null })
    books.cancel({ amount: 0, isAll: true })
    expect(books.refunds.map(({ amount, cause }) => [amount, cause])).toEqual([
      [200, 'staff'],
      [300, 'cancel'],
    ])
    books.decideRefund(refused.id, 'leave')
    expect(books.refunds.slice(2)).toMatchObject([{ amount: 200, cause: 'cancel' }])
    const [, , own] = books.refunds
    books.answerRefund(own?.id as RefundId, { outcome: 'failed', code: 'refused', reference: null })
    books.decideRefund(own?.id as RefundId, 'leave')
    expect(books.refunds).toHaveLength(3)
  })

  test('that was refused needs no decision once other refunds have left nothing to give back', () => {
    const books = captured({ total: 500 })
    const [refused] = refunded(books, 200)
    books.answerRefund(refused.id, { outcome: 'failed', code: 'refused', reference: null })
    books.claimRefund({ amount: 100, cause: 'staff', reasonCode: null, restock: false, actor: null })
    expect(books.refunds[0]).toMatchObject({ status: 'failed', atWork: true })
    books.claimRefund({ amount: 'all', cause: 'staff', reasonCode: null, restock: false, actor: null })
    expect(books.refunds[0]).toMatchObject({ status: 'failed', atWork: false })
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
    books.observe(PAYMENT, sight)
    const [postings, events] = [books.postings.length, books.events.length]
    books.observe(PAYMENT, sight)
    expect([books.postings.length, books.events.length]).toEqual([postings, events])
  })

  test('a capture thought to be refused that is there counts', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 500)
    books.answerCapture(capture.id, { outcome: 'failed', code: 'refused', reference: null })
    books.observe(PAYMENT, seen(books, { captures: [{ reference: 'c', key: capture.key, amount: 500 }] }))
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
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), fc.boolean(), (steps, capturesInParts) => {
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
          books.observe(PAYMENT, seen(books, { captures: foreign, disputes }))
        }
        if (each.do === 'foreign' && payment.amount - payment.captured - payment.released >= each.amount) {
          foreign.push({ reference: `f${++serial}`, key: null, amount: each.amount })
          books.observe(PAYMENT, seen(books, { captures: foreign, disputes }))
        }
        expectSound(books)
      }
    }),
    { numRuns: 400 },
  )
})

test('nothing is ever asked of the provider that is no multiple of its step', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('capture' as const), amount: fc.integer({ min: 1, max: 1_000 }) }),
    fc.record({ do: fc.constant('cancel' as const), amount: fc.integer({ min: 1, max: 3_333 }) }),
    fc.record({ do: fc.constant('answer' as const), isRefused: fc.boolean() }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), (steps, capturesInParts) => {
      const books = booksOf({ total: 10_000, capturesInParts })
      for (const each of steps) {
        if (each.do === 'capture') books.claimCapture({ amount: each.amount * 10, actor: null })
        if (each.do === 'cancel' && books.owed > each.amount)
          books.cancel({ amount: each.amount, isAll: false, step: 10 })
        const pending = books.captures.find(({ status }) => status === 'pending')
        if (each.do === 'answer' && pending) {
          books.sendCapture(pending.id)
          const refused = { outcome: 'failed', code: 'refused', reference: null } as const
          books.answerCapture(pending.id, each.isRefused ? refused : { outcome: 'succeeded', reference: pending.id })
          if (each.isRefused) books.decideCapture(pending.id, 'retry')
        }
        for (const { amount } of [...books.captures, ...books.refunds, { amount: books.due }])
          expect(amount % 10).toBe(0)
        expectBounds(books)
      }
    }),
    { numRuns: 200 },
  )
})

test('books and provider agree in the end, whatever came in between; what an order that is over took has gone back', () => {
  fc.assert(
    fc.property(fc.array(moneyStep, { maxLength: 40, size: 'max' }), fc.boolean(), (steps, capturesInParts) => {
      const world = new MoneyWorld(capturesInParts)
      for (const step of steps) {
        world.apply(step)
        expectBounds(world.books)
        world.reload()
      }
      const hasArrived = world.books.payments[1]?.status !== 'failed'
      world.comeToRest()
      expectBounds(world.books)
      world.reload()
      expectAgreement(world, hasArrived ? [FIRST, SECOND] : [FIRST])
    }),
    { numRuns: 300 },
  )
})

/** Beside the bounds: the ledger says what the sums say, and an order that is over lets go of what it does not need. */
function expectSound(books: Books): void {
  expectBounds(books)
  const payment = books.payments[0] as PaymentBook
  const { captured, released, refunding, releasing, capturing } = payment
  const isLetGo = releasing || capturableOf(payment) === 0 || capturing > 0
  const sound =
    balance(books, 'authorized') === 0 - captured - released &&
    balance(books, 'refunds_payable') === 0 - refunding &&
    (books.order.stage !== 'over' || isLetGo)
  if (!sound) throw new Error(JSON.stringify([payment, books.postings]))
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
    order: { id: ORDER, total, cancelled: 0, waived: 0, recognized: 0, recognizedTax: 0, stage, isHeld: false },
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
  return load(rows)
}

function load(rows: BooksRows): Books {
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
  if ('refused' in capture) throw new Error(capture.refused)
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

describe('money that pays for nothing', () => {
  /** The first attempt was given up, the second one pays. */
  const superseded = (): Books => {
    const { order, payments } = booksOf({ total: 500 })
    const pays = payments[0] as PaymentBook
    const gone: PaymentBook = { ...pays, id: GIVEN_UP, attempt: 2, pays: false, status: 'voided', reference: null }
    return load({ order, payments: [pays, gone], captures: [], refunds: [], disputes: [] })
  }

  test('goes back, and the order is as well paid as before', () => {
    const books = superseded()
    const shown = seen(books, {
      reference: 'ch_2',
      state: 'captured',
      captures: [{ reference: 'c', key: null, amount: 500 }],
    })
    expect([books.receive(GIVEN_UP, shown), books.receive(GIVEN_UP, shown)]).toEqual([true, false])
    expect(books.due).toBe(500)
    expect(books.refunds).toMatchObject([{ paymentId: GIVEN_UP, amount: 500, cause: 'late' }])
    expect(books.paymentStatus).toBe('authorized')
    books.answerRefund(idOfFirst(books), { outcome: 'succeeded', reference: 'r' })
    expect(books.payments[1]).toMatchObject({ status: 'refunded' })
    expect(books.paymentStatus).toBe('authorized')
  })

  test('is let go when it was only set aside, and never captured for the order', () => {
    const books = superseded()
    books.receive(GIVEN_UP, seen(books, { reference: 'ch_2' }))
    expect(books.payments.map(({ releasing }) => releasing)).toEqual([false, true])
    expect(claimed(books, 500)).toMatchObject({ paymentId: PAYMENT })
    expect(books.claimCapture({ amount: 1, actor: null })).toMatchObject({ available: 0 })
  })

  test('is what came, not what was asked for', () => {
    const books = booksOf({ total: 500, stage: 'over', wasConfirmed: false, status: 'sent' })
    books.receive(PAYMENT, { ...seen(books, { captures: [{ reference: 'c', key: null, amount: 700 }] }), amount: 700 })
    expect(books.refunds).toMatchObject([{ amount: 700, cause: 'late' }])
    expect(books.payments[0]).toMatchObject({ amount: 700, captured: 700 })
  })

  test('that has gone back by itself needs nothing', () => {
    const books = booksOf({ total: 500, stage: 'over', wasConfirmed: false, status: 'sent' })
    const shown = seen(books, {
      state: 'refunded',
      captures: [{ reference: 'c', key: null, amount: 500 }],
      refunds: [{ reference: 'r', key: null, amount: 500, status: 'succeeded', failureCode: null }],
    })
    books.receive(PAYMENT, shown)
    expect(books.payments[0]).toMatchObject({ status: 'refunded', refunded: 500, refunding: 0 })
    expect(books.refunds).toMatchObject([{ cause: 'provider', status: 'succeeded' }])
  })
})

describe('a capture with the authorization', () => {
  test('is the one that the provider shows, also when it took another amount than was asked for', () => {
    for (const amount of [500, 300]) {
      const { order, payments } = booksOf({ total: 500 })
      const taken: PaymentBook = { ...(payments[0] as PaymentBook), status: 'captured', captured: 500 }
      const capture = { ...claimed(booksOf({ total: 500 }), 500), cause: 'authorization', status: 'succeeded' } as const
      const books = load({
        order,
        payments: [taken],
        captures: [{ ...capture, atWork: false }],
        refunds: [],
        disputes: [],
      })
      books.observe(PAYMENT, seen(books, { captures: [{ reference: 'c', key: null, amount }] }))
      expect(books.captures).toMatchObject([{ cause: 'authorization', reference: 'c' }])
      expect(books.payments[0]).toMatchObject({ captured: 500, refunding: 0 })
    }
  })
})

describe('what a person has settled elsewhere', () => {
  test('is over, whatever the provider says later of the refund that it never decided', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 500)
    books.answerRefund(refund.id, { outcome: 'pending', reference: 'r' })
    books.settleElsewhere(refund.id)
    expect(books.payments[0]).toMatchObject({ refunded: 500, refunding: 0 })
    books.observe(
      PAYMENT,
      seen(books, { refunds: [{ reference: 'r', key: refund.key, amount: 500, status: 'failed', failureCode: 'no' }] }),
    )
    expect(books.payments[0]).toMatchObject({ refunded: 500, refunding: 0, status: 'refunded' })
    expect([balance(books, 'psp_clearing'), balance(books, 'settled_elsewhere')]).toEqual([500, -500])
    expect(books.refunds.filter(({ atWork }) => atWork)).toEqual([])
  })

  test('at the provider’s own pages, where it is on its way yet, is that one', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 100)
    books.answerRefund(refund.id, { outcome: 'failed', code: 'no', reference: null })
    const byHand = { reference: 'r', key: null, amount: 100, failureCode: null }
    books.observe(PAYMENT, seen(books, { refunds: [{ ...byHand, status: 'pending' }] }))
    expect(books.decideRefund(refund.id, 'elsewhere')).toMatchObject({ cause: 'provider', reference: 'r' })
    books.observe(PAYMENT, seen(books, { refunds: [{ ...byHand, status: 'succeeded' }] }))
    expect(books.payments[0]).toMatchObject({ refunded: 100, refunding: 0 })
    expect(books.refunds.filter(({ atWork }) => atWork)).toEqual([])
  })

  test('and by the provider all the same, is a refund more, once, as far as there is room', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 200)
    books.settleElsewhere(refund.id)
    expect(books.payments[0]).toMatchObject({ refunded: 200, refunding: 0 })
    for (const _ of ['the answer', 'the same once more'])
      books.answerRefund(refund.id, { outcome: 'succeeded', reference: 'r' })
    books.observe(
      PAYMENT,
      seen(books, {
        refunds: [{ reference: 'r', key: refund.key, amount: 200, status: 'succeeded', failureCode: null }],
      }),
    )
    expect(books.payments[0]).toMatchObject({ refunded: 400, refunding: 0 })
    expect(books.refunds.map(({ cause, status, isElsewhere }) => [cause, status, isElsewhere])).toEqual([
      ['staff', 'failed', false],
      ['staff', 'succeeded', true],
      ['provider', 'succeeded', false],
    ])
  })

  test('is an authorization that the provider could not be told to let go', () => {
    const books = booksOf({ total: 500 })
    books.cancel({ amount: 0, isAll: true })
    books.settleElsewhere(PAYMENT)
    expect(books.payments[0]).toMatchObject({ status: 'voided', releasing: false, released: 500 })
    books.settleElsewhere(PAYMENT)
    expect(books.events.filter(({ type }) => type === 'payment.voided')).toHaveLength(1)
  })
})

describe('disputes', () => {
  const dispute = (books: Books, status: 'open' | 'won' | 'lost', amount = 500): void =>
    books.observe(PAYMENT, seen(books, { disputes: [{ reference: 'd', amount, status }] }))

  test.each([
    ['open', { disputed: 500 }, { atWork: true }, 'disputed', [0, 500, 0]],
    ['won', { disputed: 0 }, { atWork: false }, 'captured', [500, 0, 0]],
    ['lost', { disputed: 500 }, { atWork: true }, 'disputed', [0, 0, 500]],
  ] as const)('%s, seen once or after it was opened', (status, payment, row, paymentStatus, balances) => {
    for (const first of ['open', status] as const) {
      const books = captured({ total: 500 })
      dispute(books, first)
      dispute(books, status)
      dispute(books, 'open')
      expect(books.payments[0]).toMatchObject(payment)
      expect(books.disputes).toMatchObject([{ ...row, status }])
      expect(books.paymentStatus).toBe(paymentStatus)
      expect(['psp_clearing', 'disputed', 'dispute_losses'].map((account) => balance(books, account))).toEqual(balances)
    }
  })

  test('of a part leave the rest to be refunded', () => {
    const books = captured({ total: 500 })
    dispute(books, 'lost', 200)
    books.cancel({ amount: 0, isAll: true })
    expect(books.refunds).toMatchObject([{ amount: 300, cause: 'cancel' }])
  })

  test('that are won give a cancelled order back what could not go back before', () => {
    const books = captured({ total: 500 })
    dispute(books, 'open', 500)
    books.cancel({ amount: 0, isAll: true })
    expect(books.refunds).toEqual([])
    dispute(books, 'won', 500)
    expect(books.refunds).toMatchObject([{ amount: 500, cause: 'cancel' }])
  })

  test('do not let a refused refund be forgotten: it waits for a decision until there is something to give back', () => {
    const books = captured({ total: 500 })
    books.cancel({ amount: 0, isAll: true })
    const id = idOfFirst(books)
    books.answerRefund(id, { outcome: 'failed', code: 'disputed', reference: null })
    dispute(books, 'open')
    expect(books.decideRefund(id, 'retry')).toBeNull()
    expect(books.refunds).toMatchObject([{ status: 'failed', atWork: true }])
    dispute(books, 'won')
    expect(books.decideRefund(id, 'retry')).toMatchObject({ amount: 500, retries: id })
  })

  test('that are lost leave nothing to decide about a refused refund', () => {
    const disputed = captured({ total: 500 })
    const [other] = refunded(disputed, 500)
    disputed.answerRefund(other.id, { outcome: 'failed', code: 'disputed', reference: null })
    dispute(disputed, 'open')
    expect(disputed.refunds[0]).toMatchObject({ atWork: true })
    dispute(disputed, 'lost')
    expect(disputed.refunds[0]).toMatchObject({ atWork: false })
  })

  test('that a person has dealt with are asked about no more', () => {
    const books = captured({ total: 500 })
    dispute(books, 'lost')
    books.closeDispute('d')
    dispute(books, 'lost')
    expect(books.disputes).toMatchObject([{ status: 'lost', atWork: false }])
    expect(books.payments[0]?.disputed).toBe(500)
  })
})

describe('a renewal', () => {
  const RENEWAL = 'pay_2' as PaymentId

  /** What is due is authorized anew, and the provider has yet to say so. */
  function renewing(): Books {
    const { order, payments } = booksOf({ total: 500 })
    const [old] = payments as [PaymentBook]
    const renewal: PaymentBook = { ...old, id: RENEWAL, attempt: 2, pays: false, status: 'sent', reference: null }
    return load({ order, payments: [old, renewal], captures: [], refunds: [], disputes: [] })
  }
  const arrives = (books: Books) => books.renew(RENEWAL, { ...seen(books, {}), reference: 'ch_2', amount: 500 })

  test('takes over what is due, and the authorization before is let go', () => {
    const books = renewing()
    arrives(books)
    expect(books.payments).toMatchObject([{ releasing: true }, { pays: true, status: 'authorized', releasing: false }])
    expect(claimed(books, 500)).toMatchObject({ paymentId: RENEWAL })
  })

  test('that was given up meanwhile changes nothing when its answer comes', () => {
    const books = renewing()
    const renewal = books.payments[1] as PaymentBook
    renewal.status = 'declined'
    arrives(books)
    expect(books.payments).toMatchObject([{ releasing: false }, { pays: false, status: 'declined' }])
    expect(books.postings).toEqual([])
  })

  test('of more than is due, as some was claimed meanwhile, is let go itself', () => {
    const books = renewing()
    claimed(books, 200)
    arrives(books)
    expect(books.payments).toMatchObject([
      { pays: true, capturing: 200, releasing: false },
      { pays: false, status: 'authorized', releasing: true },
    ])
    expect([books.due, books.events.at(-1)?.type]).toEqual([300, 'payment.received'])
  })
})

describe('answers that come late, or twice', () => {
  test('of a capture: what is decided stays, and only a sight of the money revives what was refused', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 500)
    books.answerCapture(capture.id, { outcome: 'failed', code: 'refused', reference: null })
    const [postings, events] = [books.postings.length, books.events.length]
    books.answerCapture(capture.id, { outcome: 'succeeded', reference: 'c' })
    books.answerCapture(capture.id, { outcome: 'failed', code: 'other', reference: null })
    expect([books.postings.length, books.events.length]).toEqual([postings, events])
    expect(capture).toMatchObject({ status: 'failed', failureCode: 'refused' })
  })

  test('of a refund: only its failure counts after its success', () => {
    const books = captured({ total: 500 })
    const [refund] = refunded(books, 500)
    for (const outcome of ['succeeded', 'pending', 'succeeded'] as const)
      books.answerRefund(refund.id, { outcome, reference: 'r' })
    expect(refund).toMatchObject({ status: 'succeeded', atWork: false })
    for (let times = 0; times < 2; times++)
      books.answerRefund(refund.id, { outcome: 'failed', code: 'late', reference: 'r' })
    books.answerRefund(refund.id, { outcome: 'succeeded', reference: 'r' })
    expect(refund).toMatchObject({ status: 'failed', atWork: true, failureCode: 'late' })
    expect(books.payments[0]).toMatchObject({ refunded: 0, refunding: 0 })
  })

  test('of a capture whose order was cancelled after it was sent, and which never arrived: nothing was taken', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 500)
    books.sendCapture(capture.id)
    books.cancel({ amount: 0, isAll: true })
    expect(books.sendCapture(capture.id)).toMatchObject({ status: 'pending' })
    books.observe(PAYMENT, seen(books, { released: 500, state: 'voided' }))
    expect(capture).toMatchObject({ status: 'failed', atWork: false })
    expect(books.payments[0]).toMatchObject({ status: 'voided', releasing: false })
    expect(books.refunds).toEqual([])
  })
})

describe('a cancelled part', () => {
  test('lowers what is due before anything is captured', () => {
    const books = booksOf({ total: 500 })
    books.cancel({ amount: 120, isAll: false })
    expect([books.owed, books.due]).toEqual([380, 380])
    expect(books.claimCapture({ amount: 381, actor: null })).toMatchObject({ available: 380 })
    expect(books.payments[0]).toMatchObject({ releasing: false })
  })

  test('lets go of the rest once all that is owed is captured', () => {
    const books = booksOf({ total: 500 })
    const capture = claimed(books, 380)
    books.sendCapture(capture.id)
    books.answerCapture(capture.id, { outcome: 'succeeded', reference: 'c' })
    expect(books.payments[0]).toMatchObject({ releasing: false })
    books.cancel({ amount: 120, isAll: false })
    expect(books.payments[0]).toMatchObject({ releasing: true })
    books.observe(
      PAYMENT,
      seen(books, { released: 120, captures: [{ reference: 'c', key: capture.key, amount: 380 }] }),
    )
    expect(books.payments[0]).toMatchObject({ status: 'captured', releasing: false, released: 120 })
  })
})

describe('a cancelled part of what is to be captured', () => {
  /** Of 500, captures are claimed, the first `sent` of them sent; then `cancelled` is. `left`: what is still to be taken. */
  test.each<[string, { claims: number[]; sent?: number; cancelled: number; left: number[]; failed: number[] }]>([
    ['takes the less', { claims: [100], cancelled: 460, left: [40], failed: [100] }],
    ['takes all that still fits', { claims: [100, 200], cancelled: 200, left: [100, 200], failed: [] }],
    ['gives up the newest first', { claims: [100, 100], cancelled: 360, left: [100, 40], failed: [100] }],
    ['gives up as many as it must', { claims: [50, 60, 70], cancelled: 460, left: [40], failed: [50, 60, 70] }],
    ['takes nothing of what fits no more', { claims: [100, 100], cancelled: 400, left: [100], failed: [100] }],
    ['leaves what was sent', { claims: [100], sent: 1, cancelled: 460, left: [100], failed: [] }],
    ['counts what was sent', { claims: [100, 100], sent: 1, cancelled: 420, left: [100], failed: [100] }],
  ])('%s', (_what, { claims, sent = 0, cancelled, left, failed }) => {
    const books = booksOf({ total: 500 })
    for (const amount of claims) books.claimCapture({ amount, actor: 'key_1' })
    for (const { id } of books.captures.slice(0, sent)) books.sendCapture(id)
    books.cancel({ amount: cancelled, isAll: false })
    const of = (status: string) => books.captures.filter((capture) => capture.status === status)
    expect(of('pending').map(({ amount }) => amount)).toEqual(left)
    expect(of('failed').map(({ amount }) => amount)).toEqual(failed)
    for (const capture of of('failed')) expect(capture).toMatchObject({ failureCode: 'order_cancelled', atWork: false })
    for (const capture of books.captures) expect(capture).toMatchObject({ cause: 'staff', actor: 'key_1' })
    for (const { id } of of('pending')) {
      expect(books.sendCapture(id)).not.toBeNull()
      books.answerCapture(id, { outcome: 'succeeded', reference: `c${id}` })
    }
    expect(books.refunds).toEqual(
      sent > 0 && books.owed < 100 ? [expect.objectContaining({ amount: 100 - books.owed })] : [],
    )
  })

  test('of a payment that allows one takes all that is due then, and ends it', () => {
    const books = booksOf({ total: 500, capturesInParts: false })
    const first = claimed(books, 500)
    books.cancel({ amount: 120, isAll: false })
    const again = books.captures[1] as CaptureBook
    expect([first.status, again.amount, again.retries]).toEqual(['failed', 380, first.id])
    expect(books.sendCapture(first.id)).toBeNull()
    expect(books.sendCapture(again.id)?.final).toBe(true)
  })
})

describe('the status of a payment', () => {
  test.each<[string, (books: Books) => void, string | null]>([
    ['authorized', () => undefined, 'authorized'],
    ['partly captured', (books) => take(books, 200), 'partially_captured'],
    ['captured', (books) => take(books, 500), 'captured'],
    [
      'captured for all that is owed',
      (books) => {
        take(books, 300)
        books.cancel({ amount: 200, isAll: false })
      },
      'captured',
    ],
    [
      'partly refunded',
      (books) => {
        take(books, 500)
        giveBack(books, 100)
      },
      'partially_refunded',
    ],
    [
      'refunded',
      (books) => {
        take(books, 500)
        giveBack(books, 500)
      },
      'refunded',
    ],
    [
      'voided',
      (books) => {
        books.cancel({ amount: 0, isAll: true })
        books.observe(PAYMENT, seen(books, { released: 500 }))
      },
      'voided',
    ],
  ])('is %s', (_what, become, status) => {
    const books = booksOf({ total: 500 })
    become(books)
    expect(books.paymentStatus).toBe(status)
  })
})

function take(books: Books, amount: number): void {
  books.answerCapture(claimed(books, amount).id, { outcome: 'succeeded', reference: `c${amount}` })
}

function giveBack(books: Books, amount: number): void {
  books.answerRefund(refunded(books, amount)[0].id, { outcome: 'succeeded', reference: `r${amount}` })
}

function idOfFirst({ refunds }: Books): RefundId {
  return refunds[0]?.id as RefundId
}

describe('what a parcel has to have captured', () => {
  const claim = (books: Books, covers: number, step = 1) =>
    books.claimShipment({ shipmentId: 'shp_1' as ShipmentId, covers, step })

  test('is what was not claimed before, of all captures together', () => {
    const books = booksOf({ total: 500 })
    expect(claim(books, 200)).toMatchObject({ amount: 200, cause: 'shipment', shipmentId: 'shp_1', status: 'pending' })
    expect(claim(books, 200)).toBe('waiting')
    expect(claim(books, 350)).toMatchObject({ amount: 150 })
    expect(claim(books, 999)).toMatchObject({ amount: 150 })
    expect([claim(books, 999), books.due]).toEqual(['waiting', 0])
    expectBounds(books)
  })

  test('is no more than is owed', () => {
    const books = booksOf({ total: 500 })
    books.cancel({ amount: 200, isAll: false })
    expect(claim(books, 500)).toMatchObject({ amount: 300 })
  })

  test('is all that is due where the charge allows one capture', () => {
    const books = booksOf({ total: 500, capturesInParts: false })
    expect(claim(books, 200)).toMatchObject({ amount: 500 })
  })

  test.each([
    [201, 210],
    [210, 210],
    [499, 500],
  ])('is rounded up to what the provider can take: of %i it is %i', (covers, amount) => {
    expect(claim(booksOf({ total: 500 }), covers, 10)).toMatchObject({ amount })
  })

  test('is not taken while the order is on hold, unless it was claimed before', () => {
    const { order, payments } = booksOf({ total: 500 })
    const held = load({ order: { ...order, isHeld: true }, payments, captures: [], refunds: [], disputes: [] })
    expect(claim(held, 200)).toBe('held')
    expect(claim(held, 0)).toBe('waiting')
  })

  test('is not to be had of an authorization that is gone', () => {
    const books = booksOf({ total: 500 })
    books.observe(PAYMENT, seen(books, { released: 500 }))
    expect(claim(books, 200)).toBe('nothing_authorized')
  })

  test('that was refused is tried again for the same shipment', () => {
    const books = booksOf({ total: 500 })
    const refused = claim(books, 200) as CaptureBook
    books.sendCapture(refused.id)
    books.answerCapture(refused.id, { outcome: 'failed', code: 'no', reference: null })
    expect(books.decideCapture(refused.id, 'retry')).toMatchObject({
      amount: 200,
      cause: 'shipment',
      shipmentId: 'shp_1',
    })
  })
})

describe('what a parcel has earned', () => {
  const balances = (books: Books) =>
    Object.fromEntries(
      ['customer_deposits', 'revenue', 'shipping_revenue', 'tax_payable', 'returns', 'refunds_payable', 'psp_clearing']
        .map((account) => [account, balance(books, account)] as const)
        .filter(([, amount]) => amount !== 0),
    )
  /** Goods of 400 with 67 of tax in them, and a fee of 100 with 17. */
  const all = { shipmentNumber: 1, goods: 400, goodsTax: 67, fee: 100, feeTax: 17 }

  test('is no deposit any more, but revenue, and tax that is owed', () => {
    const books = captured({ total: 500 })
    expect(balances(books)).toEqual({ customer_deposits: -500, psp_clearing: 500 })
    books.recognize(all)
    expect(balances(books)).toEqual({ revenue: -333, shipping_revenue: -83, tax_payable: -84, psp_clearing: 500 })
    expect(books.order).toMatchObject({ recognized: 500, recognizedTax: 84 })
    expect(books.postings.filter(({ operation }) => operation === 'ship').map(({ seq }) => seq)).toEqual([1, 1, 1, 1])
  })

  test('of a parcel without a fee, or without tax, has no line of nothing', () => {
    const books = captured({ total: 500 })
    books.recognize({ shipmentNumber: 2, goods: 300, goodsTax: 0, fee: 0, feeTax: 0 })
    expect(books.postings.filter(({ operation }) => operation === 'ship').map(({ account }) => account)).toEqual([
      'customer_deposits',
      'revenue',
    ])
  })

  test('of an order that nobody had to pay for is kept by the order alone', () => {
    const { order } = booksOf({ total: 500 })
    const books = load({ order, payments: [], captures: [], refunds: [], disputes: [] })
    books.recognize(all)
    expect([books.postings, books.order.recognized]).toEqual([[], 500])
  })

  test('goes back as a return with its share of the tax; a deposit goes back first', () => {
    const books = captured({ total: 500 })
    books.recognize({ shipmentNumber: 1, goods: 300, goodsTax: 50, fee: 0, feeTax: 0 })
    // 200 of it is still a deposit.
    const [refund] = refunded(books, 320)
    expect(refund).toMatchObject({ returned: 120, returnedTax: 20 })
    expect(balances(books)).toMatchObject({ returns: 100, tax_payable: -50 + 20, refunds_payable: -320, revenue: -250 })
    expect(balance(books, 'customer_deposits')).toBe(0)
    const [rest] = refunded(books, 30)
    expect(rest).toMatchObject({ returned: 30, returnedTax: 5 })
    expect(balances(books)).toMatchObject({ returns: 125, tax_payable: -25 })
  })

  test('before anything has left is all deposit', () => {
    const books = captured({ total: 500 })
    expect(refunded(books, 500)).toMatchObject([{ returned: 0, returnedTax: 0 }])
    expect(balance(books, 'customer_deposits')).toBe(0)
  })

  test.each([
    ['before it succeeded', false],
    ['after it had succeeded', true],
  ])('and whose refund fails %s is earned again, to the last minor unit', (_what, hasSucceeded) => {
    const books = captured({ total: 500 })
    books.recognize({ ...all, goods: 333, goodsTax: 56, fee: 0, feeTax: 0 })
    const before = balances(books)
    const [refund] = refunded(books, 400)
    expect(refund).toMatchObject({ returned: 400 - 167 })
    if (hasSucceeded) books.answerRefund(refund.id, { outcome: 'succeeded', reference: 'r' })
    books.answerRefund(refund.id, { outcome: 'failed', code: 'no', reference: null })
    expect(balances(books)).toEqual(before)
    // Tried again it has its own parts anew.
    expect(books.decideRefund(refund.id, 'retry')).toMatchObject({
      returned: 400 - 167,
      returnedTax: refund.returnedTax,
    })
    expectBounds(books)
  })

  test('does not change with money that pays for nothing', () => {
    const books = captured({ total: 500 })
    books.recognize(all)
    const { order, captures, refunds, disputes } = books
    const unpaid = { ...(books.payments[0] as PaymentBook), id: GIVEN_UP, pays: false }
    const late = load({ order, payments: [...books.payments, unpaid], captures, refunds, disputes })
    late.settle()
    expect(late.refunds).toMatchObject([{ paymentId: GIVEN_UP, returned: 0, returnedTax: 0 }])
  })
})
