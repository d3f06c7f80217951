import fc from 'fast-check'
import type { CaptureId, OrderId, PaymentId, RefundId } from '../../domain/ids'
import { Books, capturableOf, type CaptureBook, type PaymentBook, type RefundBook } from '../../domain/payment/books'
import { type Mood, ProviderModel } from './provider-model'

/**
 * The books against a provider with a mind of its own: it refuses, answers late or never, shows old sights, and others capture,
 * refund and dispute there. What the order's workflow would do is done here, step by step, in any order.
 */

const TOTAL = 500
export const [FIRST, SECOND] = ['pay_1' as PaymentId, 'pay_2' as PaymentId]

type Step =
  | { readonly do: 'claim_capture' | 'claim_refund' | 'cancel'; readonly amount: number }
  | { readonly do: 'cancel_all' | 'arrive' | 'old_sight' | 'keep_sight' }
  /** The workflow takes up something that is to be done. `lost`: the answer; `late`: the request, which arrives some time. */
  | { readonly do: 'work'; readonly pick: number; readonly mood: Mood; readonly result: 'answered' | 'lost' | 'late' }
  | { readonly do: 'decide'; readonly pick: number }
  | { readonly do: 'news' | 'release_there'; readonly which: number }
  | { readonly do: 'capture_there' | 'refund_there' | 'dispute'; readonly which: number; readonly amount: number }
  | { readonly do: 'close_dispute'; readonly which: number; readonly pick: number; readonly isWon: boolean }
  | { readonly do: 'end_refund'; readonly which: number; readonly pick: number; readonly succeeds: boolean }

const amount = fc.integer({ min: 1, max: TOTAL + 50 })
const [pick, which] = [fc.nat(9), fc.nat(1)]
/** Something that happens to the money of an order. */
export const moneyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('claim_capture', 'claim_refund', 'cancel'), amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cancel_all', 'arrive', 'old_sight', 'keep_sight') }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('work'),
      pick,
      mood: fc.constantFrom<Mood>('well', 'well', 'refuses', 'pending'),
      result: fc.constantFrom('answered', 'answered', 'lost', 'late'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('decide'), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('news', 'news', 'release_there'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('capture_there', 'refund_there', 'dispute'), which, amount }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close_dispute'), which, pick, isWon: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end_refund'), which, pick, succeeds: fc.boolean() }) },
) as fc.Arbitrary<Step>

export class MoneyWorld {
  books: Books
  readonly providers: ReadonlyMap<PaymentId, ProviderModel>
  /** Requests on their way, and a sight that somebody still holds. */
  private readonly late: (() => void)[] = []
  private kept: (() => void) | null = null
  private made = 0
  readonly totals = new Map<string, number>()

  constructor(capturesInParts: boolean) {
    const provider = (name: string) => new ProviderModel({ name, amount: TOTAL, capturesInParts })
    this.providers = new Map([
      [FIRST, provider('ch_1')],
      [SECOND, provider('ch_2')],
    ])
    // The second was given up, and its cancellation was lost: it may arrive, and pays for nothing.
    const payments = [paymentOf(FIRST, { capturesInParts }), paymentOf(SECOND, { pays: false, status: 'failed' })]
    this.books = this.load({
      order: {
        id: 'order_1' as OrderId,
        total: TOTAL,
        cancelled: 0,
        waived: 0,
        recognized: 0,
        recognizedTax: 0,
        stage: 'won',
        isHeld: false,
      },
      payments,
      captures: [],
      refunds: [],
      disputes: [],
    })
  }

  /** As it goes through the database between two transactions. */
  reload(): void {
    const { order, payments, captures, refunds, disputes, postings } = this.books
    for (const { account, amount: change } of postings)
      this.totals.set(account, (this.totals.get(account) ?? 0) + change)
    this.books = this.load(structuredClone({ order, payments, captures, refunds, disputes }))
  }

  private load(rows: ConstructorParameters<typeof Books>[0]): Books {
    return new Books(rows, {
      capture: () => `cap_${++this.made}` as CaptureId,
      refund: () => `ref_${++this.made}` as RefundId,
    })
  }

  provider(id: PaymentId): ProviderModel {
    return this.providers.get(id) as ProviderModel
  }

  apply(step: Step): void {
    const { books } = this
    if (step.do === 'claim_capture') {
      const [before, owed] = [books.due, books.owed]
      const claimed = books.claimCapture({ amount: step.amount, actor: null })
      if (!('refused' in claimed)) expect(claimed.amount).toBeLessThanOrEqual(Math.min(before, owed))
    }
    if (step.do === 'claim_refund')
      books.claimRefund({ amount: step.amount, cause: 'staff', reasonCode: null, restock: false, actor: null })
    if (step.do === 'cancel' && books.owed > step.amount) books.cancel({ amount: step.amount, isAll: false })
    if (step.do === 'cancel_all' && books.order.stage === 'won') books.cancel({ amount: 0, isAll: true })
    if (step.do === 'arrive') books.receive(SECOND, this.provider(SECOND).show())
    if (step.do === 'keep_sight') this.kept = this.sightOf(FIRST)
    if (step.do === 'old_sight') this.kept?.()
    if (step.do === 'work') this.work(step)
    if (step.do === 'decide') this.decide(this.failed[step.pick % Math.max(1, this.failed.length)])
    if ('which' in step) this.elsewhere(step, step.which === 0 ? FIRST : SECOND)
  }

  private elsewhere(step: Extract<Step, { which: number }>, id: PaymentId): void {
    const provider = this.provider(id)
    if (step.do === 'news') this.sightOf(id)()
    if (step.do === 'release_there') provider.release()
    if (step.do === 'capture_there') provider.capture({ key: null, amount: step.amount, final: false }, 'well')
    if (step.do === 'refund_there') provider.refund({ key: null, amount: step.amount }, 'well')
    if (step.do === 'dispute') provider.dispute(step.amount)
    if (step.do === 'close_dispute') provider.closeDispute(step.pick, step.isWon ? 'won' : 'lost')
    if (step.do === 'end_refund') provider.endRefund(step.pick, step.succeeds ? 'succeeded' : 'failed')
  }

  /** What the provider shows now, to be written down whenever it is called. */
  private sightOf(id: PaymentId): () => void {
    const shown = this.provider(id).show()
    return () => this.books.observe(id, shown)
  }

  get pending(): (PaymentBook | CaptureBook | RefundBook)[] {
    const { payments, captures, refunds } = this.books
    const isPending = (row: CaptureBook | RefundBook): boolean => row.atWork && row.status === 'pending'
    return [
      ...payments.filter(({ releasing }) => releasing),
      ...captures.filter(isPending),
      ...refunds.filter(isPending),
    ]
  }

  get failed(): (CaptureBook | RefundBook)[] {
    return [...this.books.captures, ...this.books.refunds].filter(({ atWork, status }) => atWork && status === 'failed')
  }

  decide(failed: CaptureBook | RefundBook | undefined): void {
    if (failed && isCapture(failed)) {
      // What no authorization is left for can only be left.
      if (!this.books.decideCapture(failed.id, 'retry')) this.books.decideCapture(failed.id, 'leave')
    } else if (failed) this.books.decideRefund(failed.id, 'retry')
  }

  /** What the effects of `activities/payment/move.ts` do. */
  work({ pick, mood, result }: Pick<Extract<Step, { do: 'work' }>, 'pick' | 'mood' | 'result'>): void {
    const item = this.pending[pick % Math.max(1, this.pending.length)]
    if (!item) return
    const ask =
      'key' in item ? (isCapture(item) ? this.capture(item, mood) : this.refund(item, mood)) : this.release(item)
    if (ask && result === 'late') this.late.push(ask)
    else if (ask) this.hear(ask(), result)
  }

  private hear(answer: () => void, result: 'answered' | 'lost' | 'late'): void {
    if (result === 'answered') answer()
  }

  private release({ id }: PaymentBook): () => () => void {
    return () => {
      this.provider(id).release()
      return this.sightOf(id)
    }
  }

  private capture({ id, paymentId, key, amount: asked }: CaptureBook, mood: Mood): (() => () => void) | null {
    const toSend = this.books.sendCapture(id)
    if (!toSend) return null
    if (this.books.owed === 0)
      return this.release(this.books.payments.find((one) => one.id === paymentId) as PaymentBook)
    const final = toSend.final ?? false
    return () => {
      const reference = this.provider(paymentId).capture({ key, amount: asked, final }, mood)
      const sight = this.sightOf(paymentId)
      return () => {
        if (reference === null)
          return this.books.answerCapture(id, { outcome: 'failed', code: 'refused', reference: null })
        this.books.answerCapture(id, { outcome: 'succeeded', reference })
        sight()
      }
    }
  }

  private refund({ id, paymentId, key, reference, amount: asked }: RefundBook, mood: Mood): () => () => void {
    if (reference !== null) return () => this.sightOf(paymentId)
    return () => {
      const made = {
        ...(this.provider(paymentId).refund({ key, amount: asked }, mood) as { reference: string; status: string }),
      }
      return () => {
        if (made.status === 'failed')
          this.books.answerRefund(id, { outcome: 'failed', code: 'no', reference: made.reference })
        else this.books.answerRefund(id, { outcome: made.status as 'succeeded' | 'pending', reference: made.reference })
      }
    }
  }

  /** All that is on its way arrives, the provider is well, and everything that can be done is done. */
  comeToRest(): void {
    for (const ask of this.late.splice(0)) ask()
    for (let turn = 0; turn < 4; turn++)
      for (const provider of this.providers.values()) provider.closeDispute(turn, turn % 2 === 0 ? 'won' : 'lost')
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const [id, provider] of this.providers) {
        for (const index of provider.refunds.keys())
          if (provider.refunds[index]?.status === 'pending') provider.endRefund(index, 'succeeded')
        this.sightOf(id)()
      }
      for (const failed of this.failed) this.decide(failed)
      const pending = this.pending.length
      if (pending === 0 && this.failed.every((one) => !isCapture(one) && this.isStuck(one))) return
      for (let turn = 0; turn < pending; turn++) this.work({ pick: turn, mood: 'well', result: 'answered' })
      this.reload()
    }
    throw new Error(`It does not come to rest: ${JSON.stringify([this.pending, this.failed])}`)
  }

  /** The customer's bank has taken that money: nothing is left to give back. */
  private isStuck({ paymentId }: RefundBook): boolean {
    return this.provider(paymentId).refundable === 0
  }
}

const ROUNDS_MAX = 20

/** Holds after every step. (One check by `expect` for each of thousands of steps would take most of the time.) */
export function expectBounds({ payments, captures, refunds, postings }: Books): void {
  const wrong: string[] = []
  const must = (holds: boolean, what: string): void => void (holds || wrong.push(what))
  for (const payment of payments) {
    const { id, amount, captured, capturing, released, refunded, refunding, disputed } = payment
    must(Math.min(captured, capturing, released, refunded, refunding, disputed) >= 0, 'a sum is below 0')
    must(captured + capturing + released <= amount, 'more is claimed than was authorized')
    must(refunded + refunding <= captured, 'more goes back than was captured')
    must(captured === sumOf(captures, id, 'succeeded'), 'captured')
    must(capturing === sumOf(captures, id, 'pending'), 'capturing')
    must(refunded === sumOf(refunds, id, 'succeeded'), 'refunded')
    must(refunding === sumOf(refunds, id, 'pending'), 'refunding')
  }
  must(postings.reduce((total, posting) => total + posting.amount, 0) === 0, 'the ledger does not balance')
  must(areUnique(postings.map((one) => [one.paymentId, one.operation, one.seq, one.account].join())), 'posted twice')
  must(areUnique([...captures, ...refunds].map(({ key }) => key)), 'a key has two meanings')
  if (wrong.length > 0) throw new Error(`${wrong.join('; ')}: ${JSON.stringify({ payments, captures, refunds })}`)
}

function areUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

/** Books and provider say the same of these payments; nothing is left that has to go back. */
export function expectAgreement({ books, providers, totals }: MoneyWorld, ids: PaymentId[]): void {
  let clearing = 0
  for (const payment of books.payments.filter(({ id }) => ids.includes(id))) {
    const provider = providers.get(payment.id) as ProviderModel
    const { captured, released, refunded, disputed } = payment
    expect({ captured, released, refunded, disputed }).toEqual({
      captured: provider.captured,
      released: provider.released,
      refunded: provider.refunded,
      disputed: provider.disputed,
    })
    clearing += captured - refunded - disputed
    if (books.order.stage === 'over' || !payment.pays) {
      expect(capturableOf(payment)).toBe(0)
      expect(provider.captured - provider.refunded - provider.disputed).toBeLessThanOrEqual(0)
    }
  }
  expect(totals.get('psp_clearing') ?? 0).toBe(clearing)
  expect(0 - (totals.get('refunds_payable') ?? 0)).toBe(0)
}

function sumOf(
  rows: readonly { readonly paymentId: PaymentId; readonly status: string; readonly amount: number }[],
  id: PaymentId,
  status: string,
): number {
  return rows
    .filter((row) => row.paymentId === id && row.status === status)
    .reduce((total, row) => total + row.amount, 0)
}

function isCapture(row: CaptureBook | RefundBook): row is CaptureBook {
  return row.id.startsWith('cap_')
}

function paymentOf(id: PaymentId, more: Partial<PaymentBook>): PaymentBook {
  return {
    id,
    attempt: id === FIRST ? 1 : 2,
    pays: true,
    status: 'authorized',
    amount: TOTAL,
    reference: null,
    capturesInParts: true,
    captureBefore: null,
    captured: 0,
    capturing: 0,
    released: 0,
    refunded: 0,
    refunding: 0,
    disputed: 0,
    releasing: false,
    ...more,
  }
}
