import type { CaptureId, OrderId, PaymentId, RefundId, ShipmentId } from '../ids'
import type { AttemptStatus, PaymentStatus } from './attempt'
import { type PlainOperation, type Posting, postingsOf, refundPostings, type RefundParts, shipPostings } from './ledger'

/**
 * The money of one order: what its payments authorized, what was captured and refunded, and what is still to be done. All
 * rules about it are here, and none elsewhere: `db/payment/books.ts` locks the order, loads its rows, lets one of these
 * methods decide, and saves what changed in the same transaction. All amounts are minor units of the order's currency.
 *
 * The bounds (they hold after each method, whatever came before):
 * - per payment, captured + capturing + released ≤ authorized, and refunded + refunding ≤ captured − disputed when a refund
 *   is asked for;
 * - per order, what is claimed by captures never exceeds what is owed when it is claimed.
 */

/** What the books must know of the order itself. */
export interface OrderMoney {
  readonly id: OrderId
  readonly total: number
  /** The value of what will not be delivered. */
  cancelled: number
  /** Of what is left then, what the payment provider cannot take in its steps: nobody owes it. */
  waived: number
  /** What of the total its parcels have earned by leaving, and the tax in it. */
  recognized: number
  recognizedTax: number
  /** `open`: its checkout is still at work; `won`: it was confirmed; `over`: it was cancelled, and nothing is owed. */
  stage: 'open' | 'won' | 'over'
  /** Nothing is captured meanwhile; what was claimed before goes on. */
  readonly isHeld: boolean
}

export interface PaymentBook {
  readonly id: PaymentId
  readonly attempt: number
  /** It pays for the order. Whatever another one took goes back. */
  pays: boolean
  status: AttemptStatus
  /** What it authorizes: what was asked for, unless the provider shows more; 0 for an attempt that was never sent. */
  amount: number
  reference: string | null
  capturesInParts: boolean
  /** RFC 3339. */
  captureBefore: string | null
  captured: number
  capturing: number
  released: number
  refunded: number
  refunding: number
  /** In disputes that are open or lost. */
  disputed: number
  /** The provider is to let go what is not captured. */
  releasing: boolean
}

export const MOVE_STATUSES = ['pending', 'succeeded', 'failed'] as const
export type MoveStatus = (typeof MOVE_STATUSES)[number]
export type CaptureCause = 'staff' | 'shipment' | 'authorization' | 'provider'
export type RefundCause = 'staff' | 'cancel' | 'late' | 'provider'

export interface CaptureBook {
  readonly id: CaptureId
  readonly paymentId: PaymentId
  readonly number: number
  readonly key: string
  readonly amount: number
  status: MoveStatus
  /** It is not over, or it failed and nobody has decided what follows. */
  atWork: boolean
  wasSent: boolean
  /** Decided when it is sent: nothing more will be captured of this payment. */
  final: boolean | null
  readonly cause: CaptureCause
  /** The shipment that waits for it. */
  readonly shipmentId: ShipmentId | null
  readonly actor: string | null
  reference: string | null
  failureCode: string | null
  readonly retries: CaptureId | null
}

export interface RefundBook {
  readonly id: RefundId
  /** The first of the rows that carry out the same request. */
  readonly requestId: RefundId
  readonly paymentId: PaymentId
  readonly number: number
  readonly key: string
  readonly amount: number
  status: MoveStatus
  atWork: boolean
  readonly cause: RefundCause
  readonly reasonCode: string | null
  readonly restock: boolean
  /** Of the amount, what is for units that had left, and the tax in it. */
  readonly returned: number
  readonly returnedTax: number
  readonly actor: string | null
  /** It was given back by another way than the provider. */
  isElsewhere: boolean
  reference: string | null
  failureCode: string | null
  readonly retries: RefundId | null
}

export const DISPUTE_STATUSES = ['open', 'won', 'lost'] as const
export type DisputeStatus = (typeof DISPUTE_STATUSES)[number]

export interface DisputeBook {
  readonly paymentId: PaymentId
  readonly reference: string
  readonly number: number
  readonly amount: number
  status: DisputeStatus
  atWork: boolean
}

/** A payment as its provider shows it, as far as the books go. */
export interface SeenPayment {
  readonly reference: string
  readonly amount: number
  readonly state: 'authorized' | 'captured' | 'refunded' | 'voided'
  readonly released: number
  readonly capturesInParts: boolean
  readonly captureBefore: string | null
  readonly captures: readonly { readonly reference: string; readonly key: string | null; readonly amount: number }[]
  readonly refunds: readonly {
    readonly reference: string
    readonly key: string | null
    readonly amount: number
    readonly status: MoveStatus
    readonly failureCode: string | null
  }[]
  readonly disputes: readonly {
    readonly reference: string
    readonly amount: number
    readonly status: DisputeStatus
  }[]
}

/** What the provider answered to a capture or a refund. */
export type MoveAnswer =
  | { readonly outcome: 'succeeded'; readonly reference: string }
  | { readonly outcome: 'pending'; readonly reference: string }
  | { readonly outcome: 'failed'; readonly code: string; readonly reference: string | null }

/** Why a capture or a refund cannot be. `available`: how much could. */
export interface BoundRefusal {
  readonly refused: 'amount_exceeds_available'
  readonly available: number
}

export interface HoldRefusal {
  readonly refused: 'order_on_hold'
}

/** An event of the order that its books ask for, by its type's last word. */
export interface BookEvent {
  readonly type:
    | 'payment.authorized'
    | 'payment.received'
    | 'payment.capture_requested'
    | 'payment.captured'
    | 'payment.capture_failed'
    | 'payment.refund_requested'
    | 'payment.refunded'
    | 'payment.refund_failed'
    | 'payment.released'
    | 'payment.voided'
    | 'payment.disputed'
    | 'payment.dispute_closed'
  readonly data: Readonly<Record<string, string | number>>
}

export interface RefundRequest {
  /** Minor units; `all`: whatever can be refunded. */
  readonly amount: number | 'all'
  readonly cause: RefundCause
  readonly reasonCode: string | null
  readonly restock: boolean
  readonly actor: string | null
}

export interface BooksRows {
  readonly order: OrderMoney
  /** Oldest first. */
  readonly payments: readonly PaymentBook[]
  readonly captures: readonly CaptureBook[]
  readonly refunds: readonly RefundBook[]
  readonly disputes: readonly DisputeBook[]
}

/** What a parcel has earned by leaving, in minor units, taxes inside: of its units, and the fee with the first one. */
export interface ShippedValue {
  readonly goods: number
  readonly goodsTax: number
  readonly fee: number
  readonly feeTax: number
}

/** Makes ids: the books must not draw random numbers themselves. */
export interface NewIds {
  capture(): CaptureId
  refund(): RefundId
}

export class Books {
  readonly order: OrderMoney
  readonly payments: readonly PaymentBook[]
  readonly captures: CaptureBook[]
  readonly refunds: RefundBook[]
  readonly disputes: DisputeBook[]
  /** What was written into the ledger, and which events were caused, since the rows were loaded. */
  readonly postings: Posting[] = []
  readonly events: BookEvent[] = []
  private readonly newIds: NewIds

  constructor({ order, payments, captures, refunds, disputes }: BooksRows, newIds: NewIds) {
    this.order = order
    this.payments = payments
    this.captures = [...captures]
    this.refunds = [...refunds]
    this.disputes = [...disputes]
    this.newIds = newIds
  }

  /** What the order costs its customer now: nothing once it is over. */
  get owed(): number {
    return this.order.stage === 'over' ? 0 : this.order.total - this.order.cancelled - this.order.waived
  }

  /** What may still be captured, of all payments together. */
  get due(): number {
    return Math.max(0, this.owed - this.claimed)
  }

  /** What the payments that pay have captured, and what they are to capture. */
  private get claimed(): number {
    return sumOf(this.paying, (payment) => payment.captured + payment.capturing)
  }

  /** What the payments that pay have captured. */
  get captured(): number {
    return sumOf(this.paying, (payment) => payment.captured)
  }

  /** The payment that the next capture takes from. */
  private get toCapture(): PaymentBook | undefined {
    return this.paying.findLast((each) => !each.releasing && capturableOf(each) > 0)
  }

  /** What the next capture may take of a payment. */
  private takeableOf(payment: PaymentBook | undefined): number {
    return payment ? Math.min(this.due, capturableOf(payment)) : 0
  }

  private get paying(): readonly PaymentBook[] {
    return this.payments.filter(({ pays }) => pays)
  }

  /** What may still be refunded, of all payments together. */
  get refundable(): number {
    return sumOf(this.payments, refundableOf)
  }

  /**
   * The first that fits (design §5, payment); null: the attempts themselves say it. What came by an attempt that pays for
   * nothing says nothing of an order that another one pays for, unless it is disputed.
   */
  get paymentStatus(): PaymentStatus | null {
    if (this.payments.some(({ disputed }) => disputed > 0)) return 'disputed'
    const payments = this.paying.length > 0 ? this.paying : this.payments
    const captured = sumOf(payments, (payment) => payment.captured)
    const refunded = sumOf(payments, (payment) => payment.refunded)
    if (refunded > 0) return refunded === captured ? 'refunded' : 'partially_refunded'
    if (captured > 0) return captured >= this.owed ? 'captured' : 'partially_captured'
    if (payments.some(({ status }) => status === 'authorized')) return 'authorized'
    return payments.some(({ status }) => status === 'voided') ? 'voided' : null
  }

  /**
   * Claims a capture of `amount`, to be carried out by the order's workflow. Of a payment that can be captured only once, all
   * that is due is claimed.
   */
  claimCapture({ amount, actor }: { amount: number; actor: string | null }): CaptureBook | BoundRefusal | HoldRefusal {
    if (this.order.isHeld) return { refused: 'order_on_hold' }
    const payment = this.toCapture
    const available = this.takeableOf(payment)
    if (!payment || amount > available) return { refused: 'amount_exceeds_available', available }
    return this.addCapture(payment, {
      amount: payment.capturesInParts ? amount : available,
      cause: 'staff',
      shipmentId: null,
      actor,
      retries: null,
    })
  }

  /**
   * Claims what a parcel has to have captured before it leaves, so that all captures together come to `covers`, the value of
   * all that has left or leaves with it (design §5, payment). `waiting`: captures that are on their way cover it.
   */
  claimShipment({
    shipmentId,
    covers,
    step,
  }: {
    shipmentId: ShipmentId
    covers: number
    /** The provider takes multiples of so many minor units. */
    step: number
  }): CaptureBook | 'waiting' | 'held' | 'nothing_authorized' {
    const needed = Math.min(covers, this.owed) - this.claimed
    if (needed <= 0) return 'waiting'
    if (this.order.isHeld) return 'held'
    const payment = this.toCapture
    const available = this.takeableOf(payment)
    if (!payment || available <= 0) return 'nothing_authorized'
    // What the provider cannot take in its steps is taken with this one already.
    const wanted = Math.ceil(needed / step) * step
    const amount = payment.capturesInParts ? Math.min(wanted, available) : available
    this.dropRefused(shipmentId)
    return this.addCapture(payment, { amount, cause: 'shipment', shipmentId, actor: null, retries: null })
  }

  /** Nobody has to decide about a refused capture of this parcel any more: its money is asked for anew, or the parcel stays. */
  dropRefused(shipmentId: ShipmentId): void {
    for (const capture of this.captures)
      if (capture.shipmentId === shipmentId && capture.status === 'failed') capture.atWork = false
  }

  /** A parcel has left: what its units cost is earned, and no deposit any more. Minor units, taxes inside. */
  recognize({ shipmentNumber, goods, goodsTax, fee, feeTax }: ShippedValue & { shipmentNumber: number }): void {
    this.order.recognized += goods + fee
    this.order.recognizedTax += goodsTax + feeTax
    const payment = this.paying.at(-1)
    if (payment)
      this.postings.push(...shipPostings({ paymentId: payment.id, seq: shipmentNumber, goods, goodsTax, fee, feeTax }))
  }

  /**
   * The capture may be sent now. Null when it must not be (any more): it is decided, or the order does not want as much and it
   * was never sent; then it has failed. The first call decides whether it is the last of its payment.
   */
  sendCapture(id: CaptureId): CaptureBook | null {
    const capture = this.capture(id)
    if (!capture.wasSent) this.settle()
    if (capture.status !== 'pending') return null
    const payment = this.payment(capture.paymentId)
    capture.wasSent = true
    capture.final ??= !payment.capturesInParts || (this.due === 0 && payment.capturing === capture.amount)
    return capture
  }

  /**
   * Writes down what became of a capture. A late answer to one that is decided changes nothing. What the last one has left is
   * to be let go, until the provider shows that it was.
   */
  answerCapture(id: CaptureId, answer: MoveAnswer): void {
    const capture = this.capture(id)
    if (capture.status !== 'pending' || answer.outcome === 'pending') return
    if (answer.outcome === 'failed') this.failCapture(capture, answer.code)
    else this.completeCapture(capture, answer.reference)
    this.settle()
  }

  /**
   * A person decided about a capture that the provider refused: it is tried again under a new key, or left. One that the
   * provider does not answer can only be left: it was not taken.
   */
  decideCapture(id: CaptureId, decision: 'retry' | 'leave'): CaptureBook | null {
    const failed = this.capture(id)
    if (failed.status === 'pending' && decision === 'leave') {
      this.failCapture(failed, 'not_taken')
      failed.atWork = false
      this.settle()
    }
    if (failed.status !== 'failed' || !failed.atWork) return null
    if (decision === 'retry' && this.order.isHeld) return null
    const payment = this.toCapture
    const amount = payment ? Math.min(failed.amount, this.due, capturableOf(payment)) : 0
    // What is due, and has no authorization left, still waits for somebody.
    failed.atWork = decision === 'retry' && amount === 0 && this.due > 0
    if (decision === 'leave' || !payment || amount === 0) return null
    const { cause, shipmentId, actor } = failed
    return this.addCapture(payment, { amount, cause, shipmentId, actor, retries: failed.id })
  }

  /** Claims a refund, from as many payments as it takes; the first row's id names the request. */
  claimRefund({ amount, ...request }: RefundRequest): RefundBook[] | BoundRefusal {
    const available = this.refundable
    const wanted = amount === 'all' ? available : amount
    if (wanted > available || wanted === 0) return { refused: 'amount_exceeds_available', available }
    const others = this.payments.filter(({ pays }) => !pays)
    const added = this.addRefunds([...this.paying, ...others], wanted, request)
    this.settle()
    return added
  }

  /** Writes down what became of a refund. `succeeded` may still become `failed`; what failed stays so. */
  answerRefund(id: RefundId, answer: MoveAnswer): void {
    const refund = this.refund(id)
    if (refund.status === 'failed') {
      if (answer.outcome === 'succeeded') this.seeBesides(refund, answer.reference)
      return
    }
    refund.reference ??= answer.reference
    if (answer.outcome === 'succeeded') this.completeRefund(refund)
    if (answer.outcome === 'failed') this.failRefund(refund, answer.code)
    this.settle()
  }

  /**
   * A person decided about a refund that the provider refused: it is tried again under a new key; or it was given back
   * elsewhere, and counts as done. Given back at the provider's own pages it is there already, and is not counted twice.
   */
  decideRefund(id: RefundId, decision: 'retry' | 'elsewhere' | 'leave'): RefundBook | null {
    const failed = this.refund(id)
    if (failed.status !== 'failed' || !failed.atWork) return null
    const instead = decision === 'elsewhere' ? this.madeInstead(failed) : undefined
    if (instead) {
      failed.reference = instead.reference
      failed.atWork = false
      this.settle()
      return instead
    }
    const payment = this.payment(failed.paymentId)
    const amount = Math.min(failed.amount, refundableOf(payment))
    // While an open dispute holds all of it, the decision is still to come.
    if (amount === 0 && decision !== 'leave') return null
    failed.atWork = false
    if (decision === 'leave') {
      // What a cancellation gives back is owed all the same when it was staff who asked for this one.
      this.settle()
      return null
    }
    const again = this.addRefund(payment, amount, { ...failed, retries: failed.id, requestId: failed.requestId })
    if (decision === 'elsewhere') {
      this.completeRefund(again, 'elsewhere')
      this.settle()
    }
    return again
  }

  /**
   * The customer will not get units of this value; everything that is left, when `isAll`. What is authorized for them is
   * let go, what was captured for them goes back. The provider takes multiples of `step` only: what is left is rounded down to
   * one, or it could never be captured, nor the rest given back.
   */
  cancel({ amount, isAll, step = 1 }: { amount: number; isAll: boolean; step?: number }): void {
    this.order.cancelled = isAll ? this.order.total : this.order.cancelled + amount
    this.order.waived = (this.order.total - this.order.cancelled) % step
    if (isAll) this.order.stage = 'over'
    this.settle()
  }

  /**
   * Money arrived by an attempt that pays for nothing: its order is over, or it was given up. False when it is known already.
   */
  receive(paymentId: PaymentId, seen: SeenPayment): boolean {
    const payment = this.payment(paymentId)
    const isNew = !HOLDING.has(payment.status) && payment.released === 0
    if (isNew) {
      payment.status = 'authorized'
      payment.amount = seen.amount
      this.post('authorize', payment, 1, payment.amount)
      this.tell('payment.received', payment, { amount: payment.amount, status: seen.state })
    }
    this.observe(paymentId, seen)
    return isNew
  }

  /**
   * Brings the books to what the provider shows: captures and refunds of ours that it has decided, those that nobody here
   * asked for, what was let go, disputes. Nothing older undoes what is known: a sum only grows, and only a refund may fail late.
   */
  observe(paymentId: PaymentId, seen: SeenPayment): void {
    const payment = this.payment(paymentId)
    if (!HOLDING.has(payment.status) && payment.released === 0) return
    payment.reference = seen.reference
    payment.capturesInParts = seen.capturesInParts
    payment.captureBefore = seen.captureBefore ?? payment.captureBefore
    for (const capture of seen.captures) this.seeCapture(payment, capture)
    this.release(payment, seen.released - payment.released)
    for (const refund of seen.refunds) this.seeRefund(payment, refund)
    for (const dispute of seen.disputes) this.seeDispute(payment, dispute)
    this.settle()
  }

  /**
   * What is due has been authorized anew, by `renewalId`: the authorization before is let go once nothing is captured of it. A
   * renewal that was given up meanwhile pays for nothing, and is cancelled at the provider.
   */
  renew(renewalId: PaymentId, seen: SeenPayment): void {
    const renewal = this.payment(renewalId)
    if (renewal.status !== 'sent') return
    // What was claimed meanwhile of the authorization before is held twice now: this one goes, and another asks for the rest.
    const isTooMuch = renewal.amount > this.due
    renewal.status = 'authorized'
    renewal.pays = !isTooMuch
    this.post('authorize', renewal, 1, renewal.amount)
    if (isTooMuch) this.tell('payment.received', renewal, { amount: renewal.amount, status: 'authorized' })
    else this.tell('payment.authorized', renewal, { amount: renewal.amount })
    this.observe(renewalId, seen)
  }

  /** A person has taken, let go, or given back, at the provider's own pages or in another way, what the provider was to do. */
  settleElsewhere(id: PaymentId | CaptureId | RefundId): void {
    const capture = this.captures.find((each) => each.id === id)
    const payment = this.payments.find((each) => each.id === id)
    const refund = this.refunds.find((each) => each.id === id)
    // The provider may name it later.
    if (capture?.status === 'pending') this.completeCapture(capture, null)
    if (payment?.releasing) this.release(payment, capturableOf(payment))
    // The provider may still refuse the one that it was asked for: that changes nothing any more.
    if (refund?.status === 'pending') this.failRefund(refund, SETTLED_ELSEWHERE)
    if (refund?.status === 'failed') this.decideRefund(refund.id, 'elsewhere')
    this.settle()
  }

  /** A person has dealt with a dispute. */
  closeDispute(reference: string): void {
    for (const dispute of this.disputes) if (dispute.reference === reference) dispute.atWork = false
  }

  /** Gives back and lets go whatever the order does not owe (any more). */
  settle(): void {
    this.takeNoMoreThanOwed()
    if (sumOf(this.paying, ({ captured }) => captured) >= this.owed)
      // Nobody has to decide about money that nobody owes (any more).
      for (const capture of this.captures) if (capture.status === 'failed') capture.atWork = false
    for (const payment of this.payments) {
      const isNeeded = payment.capturing > 0 || (this.due > 0 && !this.isRenewed(payment))
      const isUsedUp = !payment.pays || !isNeeded
      if (isUsedUp && capturableOf(payment) > 0) payment.releasing = true
      this.rename(payment)
    }
    this.returnExcess(this.paying, this.owed)
    for (const payment of this.payments) if (!payment.pays) this.returnExcess([payment], 0)
    for (const refund of this.refunds) if (refund.status === 'failed' && this.isMoot(refund)) refund.atWork = false
  }

  /**
   * What is claimed beyond what is owed, and was never sent, is not taken, the newest first: of the last one, what is still due
   * is claimed anew. What was sent may be taken already, and goes back then.
   */
  private takeNoMoreThanOwed(): void {
    const unsent = this.captures.filter(
      ({ paymentId, status, wasSent }) => status === 'pending' && !wasSent && this.payment(paymentId).pays,
    )
    for (const capture of unsent.reverse()) {
      if (this.claimed <= this.owed) return
      this.failCapture(capture, 'order_cancelled')
      capture.atWork = false
      const amount = Math.min(capture.amount, this.due)
      if (amount > 0) this.addCapture(this.payment(capture.paymentId), { ...capture, amount, retries: capture.id })
    }
  }

  /**
   * Nothing is left that a refused refund could give back: other refunds have taken all, or a lost dispute. An open dispute may
   * still be won.
   */
  private isMoot({ paymentId }: RefundBook): boolean {
    const mayComeBack = this.disputes.some((dispute) => dispute.paymentId === paymentId && dispute.status === 'open')
    return !mayComeBack && refundableOf(this.payment(paymentId)) === 0
  }

  /** Another payment authorizes what this one was to pay for. */
  private isRenewed(payment: PaymentBook): boolean {
    return this.paying.findLast(({ status }) => status === 'authorized')?.id !== payment.id
  }

  /** What was captured beyond what is owed goes back, once: a refund that failed counts until somebody has decided. */
  private returnExcess(payments: readonly PaymentBook[], owed: number): void {
    const captured = sumOf(payments, (payment) => payment.captured)
    const retried = new Set(this.refunds.map(({ retries }) => retries))
    const returned = this.refunds.filter(
      ({ id, cause, paymentId, status, atWork }) =>
        (cause === 'cancel' || cause === 'late' || (status === 'failed' && atWork)) &&
        !retried.has(id) &&
        payments.some((payment) => payment.id === paymentId),
    )
    const excess = Math.min(captured - sumOf(returned, ({ amount }) => amount) - owed, sumOf(payments, refundableOf))
    if (excess <= 0) return
    const cause = payments.every(({ pays }) => pays) ? 'cancel' : 'late'
    this.addRefunds(payments, excess, { cause, reasonCode: null, restock: false, actor: null })
  }

  private seeCapture(payment: PaymentBook, seen: SeenPayment['captures'][number]): void {
    const { reference, amount } = seen
    const known = this.captureOf(payment, seen)
    if (known?.status === 'succeeded') {
      known.reference ??= reference
      return
    }
    if (known?.status === 'pending') return this.completeCapture(known, reference)
    this.makeRoom(payment, amount)
    if (known) return this.reviveCapture(known, reference)
    const unasked = { cause: 'provider', shipmentId: null, actor: null, retries: null, silently: true } as const
    const added = this.addCapture(payment, { amount, ...unasked })
    this.completeCapture(added, reference)
  }

  /**
   * Ours that the provider shows, by key or reference. What was taken by the authorization, or by a person at the provider's own
   * pages, has no reference yet: it is taken for one of those, the same amount first.
   */
  private captureOf(
    payment: PaymentBook,
    { reference, key, amount }: SeenPayment['captures'][number],
  ): CaptureBook | undefined {
    const captures = this.captures.filter(({ paymentId }) => paymentId === payment.id)
    const unnamed = captures.filter(
      (capture) =>
        capture.reference === null &&
        (capture.cause === 'authorization' || (key === null && capture.status === 'succeeded')),
    )
    return (
      this.captures.find((capture) => capture.key === key) ??
      captures.find((capture) => capture.reference === reference) ??
      unnamed.find((capture) => capture.amount === amount) ??
      unnamed[0]
    )
  }

  /** It was thought to be refused, and the money is there: the provider is right. */
  private reviveCapture(capture: CaptureBook, reference: string): void {
    capture.status = 'pending'
    capture.failureCode = null
    this.payment(capture.paymentId).capturing += capture.amount
    this.completeCapture(capture, reference)
  }

  /**
   * Somebody captured what a capture of ours was to take: the provider can only refuse that one now. If it took more than
   * we knew to be authorized, the provider is right.
   */
  private makeRoom(payment: PaymentBook, amount: number): void {
    const left = (): number => payment.amount - payment.captured - payment.capturing - payment.released
    for (const capture of this.captures) {
      if (left() >= amount) return
      if (capture.paymentId === payment.id && capture.status === 'pending')
        this.failCapture(capture, 'amount_exceeds_available')
    }
    const missing = amount - left()
    if (missing <= 0) return
    payment.amount += missing
    this.post('authorize', payment, payment.amount, missing)
  }

  private seeRefund(
    payment: PaymentBook,
    { reference, key, amount, status, failureCode }: SeenPayment['refunds'][number],
  ): void {
    const named = this.refunds.filter((refund) => refund.paymentId === payment.id && refund.reference === reference)
    let known =
      named.find((refund) => refund.status !== 'failed') ??
      this.refunds.find((refund) => refund.key === key) ??
      named[0]
    if (!known) {
      if (status === 'failed' || payment.captured - payment.refunded - payment.refunding < amount) return
      const request = { cause: 'provider' as const, reasonCode: null, restock: false, actor: null, retries: null }
      known = this.addRefund(payment, amount, request)
    }
    if (known.isElsewhere) return
    if (known.status === 'failed' && status === 'succeeded') return this.seeBesides(known, reference)
    known.reference ??= reference
    if (status === 'succeeded' && known.status === 'pending') this.completeRefund(known)
    if (status === 'failed' && known.status !== 'failed') this.failRefund(known, failureCode ?? 'failed')
  }

  /** The refund that was made at the provider's own pages in the place of this one: no other one names it. */
  private madeInstead(failed: RefundBook): RefundBook | undefined {
    const named = new Set(this.refunds.filter(({ status }) => status === 'failed').map(({ reference }) => reference))
    return this.refunds.find(
      ({ paymentId, number, amount, cause, status, reference }) =>
        paymentId === failed.paymentId &&
        number > failed.number &&
        amount === failed.amount &&
        cause === 'provider' &&
        status !== 'failed' &&
        !named.has(reference),
    )
  }

  /** The provider gave it back all the same, after a person had done so elsewhere: as far as there is room, that is a refund more. */
  private seeBesides({ paymentId, amount, failureCode }: RefundBook, reference: string | null): void {
    const payment = this.payment(paymentId)
    const isKnown = this.refunds.some(
      (refund) => refund.paymentId === paymentId && refund.reference === reference && refund.status !== 'failed',
    )
    if (failureCode !== SETTLED_ELSEWHERE || isKnown || refundableOf(payment) < amount) return
    const request = { cause: 'provider', reasonCode: null, restock: false, actor: null, retries: null } as const
    const besides = this.addRefund(payment, amount, request)
    besides.reference = reference
    this.completeRefund(besides)
  }

  private seeDispute(payment: PaymentBook, { reference, amount, status }: SeenPayment['disputes'][number]): void {
    let known = this.disputes.find((dispute) => dispute.paymentId === payment.id && dispute.reference === reference)
    if (!known) {
      known = {
        paymentId: payment.id,
        reference,
        number: this.nextNumber(this.disputes),
        amount,
        status: 'open',
        atWork: true,
      }
      this.disputes.push(known)
      payment.disputed += amount
      this.post('dispute', payment, known.number, amount)
      this.tell('payment.disputed', payment, { amount })
    }
    if (status === 'open' || known.status !== 'open') return
    known.status = status
    if (status === 'won') {
      payment.disputed -= known.amount
      known.atWork = false
    }
    this.post(status === 'won' ? 'dispute_won' : 'dispute_lost', payment, known.number, known.amount)
    this.tell('payment.dispute_closed', payment, { amount: known.amount, status })
  }

  private addCapture(
    payment: PaymentBook,
    {
      amount,
      silently = false,
      ...capture
    }: Pick<CaptureBook, 'amount' | 'cause' | 'shipmentId' | 'actor' | 'retries'> & { silently?: boolean },
  ): CaptureBook {
    const number = this.nextNumber(this.captures)
    const added: CaptureBook = {
      ...capture,
      id: this.newIds.capture(),
      paymentId: payment.id,
      number,
      key: captureKey(this.order.id, number),
      amount,
      status: 'pending',
      atWork: true,
      wasSent: false,
      final: null,
      reference: null,
      failureCode: null,
    }
    this.captures.push(added)
    payment.capturing += amount
    if (!silently) this.tell('payment.capture_requested', payment, { capture_id: added.id, amount })
    return added
  }

  private completeCapture(capture: CaptureBook, reference: string | null): void {
    const payment = this.payment(capture.paymentId)
    capture.status = 'succeeded'
    capture.atWork = false
    capture.reference = reference
    payment.capturing -= capture.amount
    payment.captured += capture.amount
    this.post('capture', payment, capture.number, capture.amount)
    this.tell('payment.captured', payment, { capture_id: capture.id, amount: capture.amount })
  }

  /** What nobody waits for any more needs no decision. */
  private failCapture(capture: CaptureBook, code: string): void {
    const payment = this.payment(capture.paymentId)
    capture.status = 'failed'
    capture.failureCode = code
    capture.atWork = this.owed > 0
    payment.capturing -= capture.amount
    this.tell('payment.capture_failed', payment, {
      capture_id: capture.id,
      amount: capture.amount,
      failure_code: code,
    })
  }

  private addRefunds(
    payments: readonly PaymentBook[],
    amount: number,
    request: Omit<RefundRequest, 'amount'>,
  ): RefundBook[] {
    const added: RefundBook[] = []
    let left = amount
    for (const payment of payments) {
      const part = Math.min(left, refundableOf(payment))
      if (part <= 0) continue
      const requestId = added[0]?.id
      added.push(this.addRefund(payment, part, { ...request, retries: null, ...(requestId && { requestId }) }))
      left -= part
    }
    return added
  }

  private addRefund(
    payment: PaymentBook,
    amount: number,
    {
      cause,
      reasonCode,
      restock,
      actor,
      retries,
      requestId,
    }: Pick<RefundBook, 'cause' | 'reasonCode' | 'restock' | 'actor' | 'retries'> & { requestId?: RefundId },
  ): RefundBook {
    const number = this.nextNumber(this.refunds)
    const id = this.newIds.refund()
    const added: RefundBook = {
      id,
      requestId: requestId ?? id,
      paymentId: payment.id,
      number,
      key: refundKey(this.order.id, number),
      amount,
      status: 'pending',
      atWork: true,
      cause,
      reasonCode,
      restock,
      ...this.partsOf(payment, amount),
      actor,
      isElsewhere: false,
      reference: null,
      failureCode: null,
      retries,
    }
    this.refunds.push(added)
    payment.refunding += amount
    this.postRefund('refund_request', payment, added)
    this.tell('payment.refund_requested', payment, { refund_id: id, amount })
    return added
  }

  private completeRefund(refund: RefundBook, where: 'provider' | 'elsewhere' = 'provider'): void {
    if (refund.status !== 'pending') return
    const payment = this.payment(refund.paymentId)
    refund.status = 'succeeded'
    refund.atWork = false
    refund.isElsewhere = where === 'elsewhere'
    payment.refunding -= refund.amount
    payment.refunded += refund.amount
    this.post(where === 'provider' ? 'refund' : 'refund_elsewhere', payment, refund.number, refund.amount)
    this.tell('payment.refunded', payment, { refund_id: refund.id, amount: refund.amount })
  }

  private failRefund(refund: RefundBook, code: string): void {
    const payment = this.payment(refund.paymentId)
    if (refund.status === 'succeeded') {
      payment.refunded -= refund.amount
      this.post('refund_return', payment, refund.number, refund.amount)
    } else payment.refunding -= refund.amount
    refund.status = 'failed'
    refund.failureCode = code
    refund.atWork = true
    this.postRefund('refund_failure', payment, refund)
    this.tell('payment.refund_failed', payment, { refund_id: refund.id, amount: refund.amount, failure_code: code })
  }

  /** `amount` of the authorization is gone. Captures that were to take it cannot succeed. */
  private release(payment: PaymentBook, amount: number): void {
    if (amount <= 0) return
    for (const capture of this.captures) {
      if (capturableOf(payment) >= amount) break
      if (capture.paymentId === payment.id && capture.status === 'pending') this.failCapture(capture, 'released')
    }
    const gone = Math.min(amount, capturableOf(payment))
    if (gone === 0) return
    payment.released += gone
    // A second release, should there be one, has a number of its own.
    this.post('release', payment, payment.released, gone)
    this.tell(payment.captured > 0 ? 'payment.released' : 'payment.voided', payment, { amount: gone })
  }

  /** The status that its sums make. */
  private rename(payment: PaymentBook): void {
    if (!HOLDING.has(payment.status) && payment.captured === 0) return
    if (payment.captured + payment.released < payment.amount) return
    payment.releasing = false
    if (payment.captured === 0) payment.status = 'voided'
    else payment.status = payment.refunded === payment.captured ? 'refunded' : 'captured'
  }

  private payment(id: PaymentId): PaymentBook {
    return required(
      this.payments.find((payment) => payment.id === id),
      id,
    )
  }

  private capture(id: CaptureId): CaptureBook {
    return required(
      this.captures.find((capture) => capture.id === id),
      id,
    )
  }

  private refund(id: RefundId): RefundBook {
    return required(
      this.refunds.find((refund) => refund.id === id),
      id,
    )
  }

  private nextNumber(rows: readonly { readonly number: number }[]): number {
    return Math.max(0, ...rows.map(({ number }) => number)) + 1
  }

  private post(operation: PlainOperation, payment: PaymentBook, seq: number, amount: number): void {
    this.postings.push(...postingsOf(operation, { paymentId: payment.id, seq, amount }))
  }

  /** A deposit goes back first; what is beyond that was earned, and is for units that are returned. */
  private partsOf(payment: PaymentBook, amount: number): Pick<RefundBook, 'returned' | 'returnedTax'> {
    const { recognized, recognizedTax } = this.order
    if (!payment.pays || recognized === 0) return { returned: 0, returnedTax: 0 }
    const paying = new Set(this.paying.map(({ id }) => id))
    const before = this.refunds.filter(({ paymentId, status }) => paying.has(paymentId) && status !== 'failed')
    const deposits = this.captured - recognized - sumOf(before, (refund) => refund.amount - refund.returned)
    const returned = Math.max(0, amount - Math.max(0, deposits))
    return { returned, returnedTax: Number((BigInt(returned) * BigInt(recognizedTax)) / BigInt(recognized)) }
  }

  private postRefund(
    operation: 'refund_request' | 'refund_failure',
    payment: PaymentBook,
    refund: RefundParts & { readonly number: number },
  ): void {
    this.postings.push(...refundPostings(operation, { paymentId: payment.id, seq: refund.number }, refund))
  }

  private tell(type: BookEvent['type'], payment: PaymentBook, data: BookEvent['data']): void {
    this.events.push({ type, data: { payment_id: payment.id, ...data } })
  }
}

/** Why a refund has failed that a person has given back in another way. */
const SETTLED_ELSEWHERE = 'settled_elsewhere'

/** Statuses of payments that hold money of the customer, or did. */
const HOLDING: ReadonlySet<AttemptStatus> = new Set(['authorized', 'captured', 'refunded'])

/** What of a payment is authorized, and not captured, claimed or let go. */
export function capturableOf({ status, amount, captured, capturing, released }: PaymentBook): number {
  return status === 'authorized' ? amount - captured - capturing - released : 0
}

/** What of a payment may go back. */
export function refundableOf({ captured, refunded, refunding, disputed }: PaymentBook): number {
  return Math.max(0, captured - disputed - refunded - refunding)
}

/** `<orderId>/capture/<n>` */
export function captureKey(orderId: OrderId, number: number): string {
  return `${orderId}/capture/${number}`
}

/** `<orderId>/refund/<n>` */
export function refundKey(orderId: OrderId, number: number): string {
  return `${orderId}/refund/${number}`
}

function sumOf<T>(rows: readonly T[], amountOf: (row: T) => number): number {
  return rows.reduce((sum, row) => sum + amountOf(row), 0)
}

function required<T>(row: T | undefined, id: string): T {
  if (row === undefined) throw new Error(`The books do not have ${id}`)
  return row
}
