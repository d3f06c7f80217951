import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  setHandler,
  sleep,
} from '@temporalio/workflow'
import type { Placed } from '../activities/checkout/checkout'
import type { OpenAttempt, Stopped, Verdict } from '../activities/payment/payment'
import type { OrderId } from '../domain/ids'
import type { CancelReason } from '../domain/order'
import { attemptSignal, attemptUpdate, type CheckoutInput, cancelSignal, providerNewsSignal } from './contract'
import { Desk, type DutyEnd, readable } from './intervention'
import {
  askOnceMore,
  charge,
  confirm,
  decideAttempt,
  cancelOrder,
  lookUp,
  place,
  settleCharge,
  startNextAttempt,
  stopCharge,
} from './proxies'
import { Saga } from './saga'
import { returnLateMoney } from './settlement'

/** What became of a checkout; the rows say more. */
export interface CheckoutEnd {
  readonly outcome: 'confirmed' | 'cancelled' | 'over'
}

/**
 * Sells one accepted order, or puts everything back.
 *
 * | step   | do                                                  | undo                                       |
 * |--------|-----------------------------------------------------|--------------------------------------------|
 * | place  | price, reserve, write the attempt (commit 2)        | cancel the order, give the stock back       |
 * | charge | take the money under the attempt's key              | cancel the charge by its key                |
 * | confirm| payment, ledger, order, cart (commit 3)             | none: the order has won                     |
 */
export async function checkout({ orderId }: CheckoutInput): Promise<CheckoutEnd> {
  const process = new Checkout(orderId)
  const end = await process.run()
  await condition(allHandlersFinished)
  return end
}

class Checkout {
  private readonly orderId: OrderId
  private readonly desk: Desk
  private readonly saga = new Saga()

  private attempt: OpenAttempt | null = null
  private patienceMs = 0
  private deadline = 0
  private clock: CancellationScope | null = null

  // What others told us, until it is acted upon.
  private answered = 0
  private over = false
  private asked = false
  private news = false
  private cancelled: Extract<CancelReason, 'customer' | 'merchant'> | null = null
  private late = false
  private outOfPatience = false

  constructor(orderId: OrderId) {
    this.orderId = orderId
    this.desk = new Desk(orderId)
    this.listen()
  }

  async run(): Promise<CheckoutEnd> {
    const placed = await this.saga.step({ run: () => place({ orderId: this.orderId }), undo: () => this.release() })
    if (placed.outcome === 'over') return this.finish('over')
    this.remember(placed)
    try {
      if (placed.cancelWanted) return await this.endAsWanted()
      return (await this.collect(placed)) ? this.finish('confirmed') : await this.endUnpaid()
    } catch (error) {
      if (!isCancellation(error)) throw error
      this.cancelled ??= 'merchant'
      return await CancellationScope.nonCancellable(() => this.endUnpaid())
    }
  }

  /** True once the order is paid and confirmed; false when it has to end unpaid. */
  private async collect(placed: Placed): Promise<boolean> {
    if (placed.due === 0) return confirm({ orderId: this.orderId, paid: null })
    for (;;) {
      if (this.attempt && !this.attempt.final && (await this.pursue(this.attempt))) return true
      if (!(await this.nextMessage())) return false
      if (this.asked && (await this.takeNextAttempt())) return true
    }
  }

  /** Learns what an attempt came to; its undo stands before anything is sent. True when it paid for the order. */
  private async pursue(attempt: OpenAttempt): Promise<boolean> {
    const verdict = await this.saga.step({
      undo: () => this.stop(attempt),
      run: () => this.ask(attempt),
    })
    return this.act(attempt, verdict)
  }

  /** No answer within seconds means unknown: look it up by its key. */
  private async ask(attempt: OpenAttempt): Promise<Verdict> {
    const { paymentId } = attempt
    const asked = attempt.status === 'sent' ? charge({ paymentId }) : lookUp({ paymentId })
    const verdict = await asked.catch((error: unknown): Verdict => {
      if (isCancellation(error)) throw error
      return { verdict: 'unknown' }
    })
    return verdict.verdict === 'unknown' ? this.settle(attempt) : verdict
  }

  private async settle(attempt: OpenAttempt): Promise<Verdict> {
    this.watchDeadline()
    this.desk.tellWaiting(
      `the payment provider to say what became of charge \`${attempt.key}\`, which it did not answer in time.`,
      'It is asked again every few seconds. The stock is held.',
    )
    const end = await this.desk.see(
      {
        step: 'settleCharge',
        code: 'provider_unreachable',
        paymentId: attempt.paymentId,
        waitsFor: `the payment provider to say what became of charge \`${attempt.key}\``,
        patienceMs: this.patienceMs,
      },
      () => settleCharge({ paymentId: attempt.paymentId }),
      () => this.mustEnd(),
    )
    return this.verdictOf(attempt, end)
  }

  private async verdictOf({ paymentId }: OpenAttempt, end: DutyEnd<Verdict>): Promise<Verdict> {
    if (end.by === 'done') return end.result
    if (end.by === 'resolved') return decideAttempt({ paymentId, happened: end.outcome === 'done' })
    if (end.by === 'forced') this.endNow()
    return { verdict: 'unknown' }
  }

  private async act(attempt: OpenAttempt, verdict: Verdict): Promise<boolean> {
    if (verdict.verdict === 'paid') {
      attempt.final = await confirm({
        orderId: this.orderId,
        paid: { paymentId: attempt.paymentId, ...verdict.charge },
      })
      return attempt.final
    }
    if (verdict.verdict === 'mismatch') return this.askAboutMismatch(attempt, verdict)
    if (verdict.verdict === 'waiting') attempt.status = verdict.status
    attempt.final = verdict.verdict === 'declined' || verdict.verdict === 'dead'
    if (attempt.final || attempt.status === 'requires_action') this.answered = Math.max(this.answered, attempt.attempt)
    return false
  }

  private async askAboutMismatch(
    attempt: OpenAttempt,
    { charge, words }: Extract<Verdict, { verdict: 'mismatch' }>,
  ): Promise<boolean> {
    this.watchDeadline()
    const end = await this.desk.see(
      { step: 'charge', code: 'amount_mismatch', paymentId: attempt.paymentId, waitsFor: words, patienceMs: 1 },
      () => CancellationScope.current().cancelRequested,
      () => this.mustEnd(),
    )
    if (end.by === 'resolved' && end.outcome === 'done') return this.act(attempt, { verdict: 'paid', charge })
    if (end.by !== 'interrupted') this.cancelled ??= 'merchant'
    return false
  }

  /** Waits for whatever comes next. False when the checkout has to end: it was cancelled, or its time is over. */
  private async nextMessage(): Promise<boolean> {
    this.watchDeadline()
    this.tellWaiting()
    await condition(() => this.asked || this.news || this.mustEnd())
    this.news = false
    return !this.mustEnd()
  }

  /**
   * Another card. An attempt that waits for the customer is cancelled at the provider first; one that cannot be cancelled
   * refuses the new one, and one that turns out to be paid pays for the order: then true.
   */
  private async takeNextAttempt(): Promise<boolean> {
    this.asked = false
    const waiting = this.attempt && !this.attempt.final ? this.attempt : null
    const current = this.attempt?.paymentId ?? null
    const next = await startNextAttempt({ orderId: this.orderId, current, supersedes: waiting?.paymentId ?? null })
    if (next.outcome === 'paid' && waiting) return this.act(waiting, { verdict: 'paid', charge: next.charge })
    if (next.outcome === 'cancelled') this.cancelled ??= 'customer'
    if (next.outcome === 'refused') this.answered = Math.max(this.answered, next.attempt)
    if (next.outcome === 'started') {
      if (waiting) waiting.final = true
      this.attempt = { ...next.attempt, final: false }
      this.setDeadline(next.holdMs)
    }
    return false
  }

  /** The cancellation was there before this run, which therefore asks for no money; what an earlier run asked for is stopped. */
  private async endAsWanted(): Promise<CheckoutEnd> {
    const { attempt } = this
    this.cancelled ??= 'customer'
    if (attempt) this.saga.owe(() => this.stop(attempt))
    return this.endUnpaid()
  }

  /** Nothing more is taken. What is in flight is looked up; unless it paid, it is cancelled by its key, then the stock goes back. */
  private async endUnpaid(): Promise<CheckoutEnd> {
    const attempt = this.attempt
    if (attempt && !attempt.final && this.cancelled === null && (await this.paidAfterAll(attempt)))
      return this.finish('confirmed')
    await this.saga.compensate()
    this.over = true
    if (attempt && !attempt.final) {
      const code = this.cancelled ? 'undo_failed' : 'provider_unreachable'
      await returnLateMoney(this.desk, {
        orderId: this.orderId,
        paymentId: attempt.paymentId,
        key: attempt.key,
        code,
        patienceMs: 1,
        returnPatienceMs: this.patienceMs,
      })
    }
    return this.finish('cancelled')
  }

  /** At the deadline: paid means confirmed, the stock is still held. A cancellation that comes meanwhile wins. */
  private async paidAfterAll(attempt: OpenAttempt): Promise<boolean> {
    const stopped = await this.tryToStop(attempt, true)
    const verdict = stopped ? verdictOfStopped(stopped) : await this.askOnceMore(attempt)
    return this.cancelled === null && this.act(attempt, verdict)
  }

  /** Patience may have run out while it was us who were away: only the provider's own silence gives the stock back. */
  private async askOnceMore(attempt: OpenAttempt): Promise<Verdict> {
    const end = await this.desk.see(
      {
        step: 'askOnceMore',
        code: 'provider_unreachable',
        paymentId: attempt.paymentId,
        waitsFor: `the payment provider to be asked once more about charge \`${attempt.key}\``,
        patienceMs: this.patienceMs,
      },
      () => askOnceMore({ paymentId: attempt.paymentId }),
      () => this.cancelled !== null,
    )
    return this.verdictOf(attempt, end)
  }

  /** The undo of a charge. What is not final when patience ends is settled after the stock has gone back. */
  private async stop(attempt: OpenAttempt): Promise<void> {
    if (!attempt.final) await this.tryToStop(attempt, false)
  }

  private async tryToStop(attempt: OpenAttempt, keepIfPaid: boolean) {
    if (this.outOfPatience) return null
    const clock = this.startPatience()
    this.desk.tellWaiting(
      `the payment provider to cancel charge \`${attempt.key}\`.`,
      `It is tried until ${readable(Date.now() + this.patienceMs)}; then the stock goes back, and the charge is settled afterwards.`,
    )
    const end = await this.desk.see(
      {
        step: 'stopCharge',
        code: 'undo_failed',
        paymentId: attempt.paymentId,
        waitsFor: `the payment provider to cancel charge \`${attempt.key}\``,
        // Longer than the clock: what is not final then is parked after the stock has gone back.
        patienceMs: 2 * this.patienceMs,
      },
      () => stopCharge({ paymentId: attempt.paymentId, keepIfPaid, reason: this.reason() }),
      () => this.outOfPatience,
    )
    clock.cancel()
    if (end.by !== 'done') return null
    attempt.final = end.result.fate === 'dead'
    return end.result
  }

  private startPatience(): CancellationScope {
    const clock = new CancellationScope()
    void clock
      .run(() => sleep(this.patienceMs, { summary: 'The longest wait for the provider before the stock goes back' }))
      .then(() => {
        this.outOfPatience = true
      }, ignoreCancellation)
    return clock
  }

  /** The undo of place. */
  private async release(): Promise<void> {
    const duty = {
      step: 'cancelOrder',
      code: 'undo_failed',
      paymentId: null,
      waitsFor: 'the stock to be given back',
      patienceMs: this.patienceMs,
    } as const
    const end = await this.desk.see(duty, () => cancelOrder({ orderId: this.orderId, reason: this.reason() }))
    if (end.by === 'resolved' && end.outcome === 'not_done') await this.release()
  }

  /** Support wants the stock back at once; the charge is settled afterwards. */
  private endNow(): void {
    this.cancelled = 'merchant'
    this.outOfPatience = true
  }

  private reason(): CancelReason {
    return this.cancelled ?? 'expired'
  }

  private mustEnd(): boolean {
    return this.cancelled !== null || this.late
  }

  private finish(outcome: CheckoutEnd['outcome']): CheckoutEnd {
    this.clock?.cancel()
    this.over = true
    this.desk.tell(
      outcome === 'confirmed' ? 'The order is paid and confirmed.' : 'The checkout is over; the order says why.',
    )
    return { outcome }
  }

  private listen(): void {
    setHandler(
      attemptUpdate,
      async ({ attempt }) => {
        this.hearOf(attempt)
        await condition(() => this.over || this.answered >= attempt)
      },
      { description: 'Waits for the answer to a payment attempt. For the API.' },
    )
    setHandler(attemptSignal, ({ attempt }) => this.hearOf(attempt), {
      description: 'An attempt waits to be taken up. For the sweep.',
    })
    setHandler(
      cancelSignal,
      () => {
        this.cancelled ??= 'customer'
      },
      { description: 'Ends the checkout: the customer wants it so.' },
    )
    setHandler(
      providerNewsSignal,
      () => {
        this.news = true
        this.desk.hurry()
      },
      { description: 'The payment provider has news: look it up.' },
    )
  }

  private hearOf(attempt: number): void {
    if (attempt > (this.attempt?.attempt ?? 1)) this.asked = true
  }

  private remember(placed: Placed): void {
    this.patienceMs = placed.patienceMs
    this.desk.learnMoney({ amount: placed.due, currency: placed.currency })
    // One that was only asked for is taken up as any other.
    this.attempt = placed.attempt && placed.attempt.status !== 'requested' ? { ...placed.attempt, final: false } : null
    this.asked = placed.repeated
    this.setDeadline(placed.holdMs)
  }

  private setDeadline(holdMs: number): void {
    this.deadline = Date.now() + Math.max(0, holdMs)
    this.late = false
    const watching = this.clock !== null
    this.clock?.cancel()
    this.clock = null
    if (watching) this.watchDeadline()
  }

  /** The timer of the hold exists only when there is something to wait for. */
  private watchDeadline(): void {
    if (this.clock) return
    this.clock = new CancellationScope()
    void this.clock
      .run(() => sleep(Math.max(1, this.deadline - Date.now()), { summary: 'The stock is held until then' }))
      .then(() => {
        this.late = true
      }, ignoreCancellation)
  }

  private tellWaiting(): void {
    const waiting = this.attempt && !this.attempt.final
    const forWhom = !waiting
      ? 'the customer to pay with another card.'
      : this.attempt?.status === 'requires_action'
        ? 'the customer to approve the payment.'
        : 'the payment provider to decide.'
    this.desk.tellWaiting(
      forWhom,
      `At the longest until ${readable(this.deadline)}. The stock is held until then and goes back by itself.`,
    )
  }
}

function verdictOfStopped(stopped: Stopped): Verdict {
  if (stopped.fate === 'paid') return { verdict: 'paid', charge: stopped.charge }
  return { verdict: stopped.fate === 'dead' ? 'dead' : 'unknown' }
}

function ignoreCancellation(error: unknown): void {
  if (!isCancellation(error)) throw error
}
