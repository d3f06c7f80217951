import { condition } from '@temporalio/workflow'
import type { Placed } from '../activities/checkout/checkout'
import type { OrderId, PaymentId } from '../domain/ids'
import type { CancelReason } from '../domain/order'
import type { AttemptStatus } from '../domain/payment'
import { CheckoutMessages } from './checkout-messages'
import { Intervention, formatTime } from './intervention'
import { HoldTimer } from './timer'

/** An attempt to take the money, as its checkout follows it. */
export interface OpenAttempt {
  readonly paymentId: PaymentId
  readonly attempt: number
  readonly key: string
  status: AttemptStatus
  /** Nothing more comes of it. */
  final: boolean
}

/** What one checkout knows while it runs; the rows of its order know the rest. */
export class Checkout {
  readonly orderId: OrderId
  readonly intervention: Intervention
  readonly messages: CheckoutMessages
  readonly hold = new HoldTimer()
  /** The newest attempt that was begun. */
  attempt: OpenAttempt | null = null
  /** How long an answer is waited for before a person is asked. */
  patienceMs = 0
  /** The stock goes back now; the provider is asked afterwards. */
  isOutOfPatience = false

  constructor(orderId: OrderId) {
    this.orderId = orderId
    this.intervention = new Intervention(orderId)
    this.messages = new CheckoutMessages({
      newestAttempt: () => this.attempt?.attempt ?? 1,
      providerHasNews: () => this.intervention.retryNow(),
    })
  }

  begin(placed: Placed): void {
    this.patienceMs = placed.patienceMs
    this.intervention.setAmount({ amount: placed.due, currency: placed.currency })
    // A `requested` attempt is left to `startNextAttempt`.
    this.attempt = placed.attempt && placed.attempt.status !== 'requested' ? { ...placed.attempt, final: false } : null
    this.messages.attemptRequested = placed.repeated
    this.hold.reset(placed.holdMs)
  }

  /** It was cancelled, or its hold is over. */
  get mustEnd(): boolean {
    return this.messages.cancelReason !== null || this.hold.isOver
  }

  get cancelReason(): CancelReason {
    return this.messages.cancelReason ?? 'expired'
  }

  /** Waits for whatever comes next. False when the checkout has to end. */
  async nextMessage(): Promise<boolean> {
    const { messages, hold } = this
    hold.start()
    this.showWaiting()
    await condition(() => messages.attemptRequested || messages.providerNews || this.mustEnd)
    messages.providerNews = false
    return !this.mustEnd
  }

  /** Support wants the stock back at once; the charge is settled afterwards. */
  endNow(): void {
    this.messages.cancelReason = 'merchant'
    this.isOutOfPatience = true
  }

  private showWaiting(): void {
    const waiting = this.attempt && !this.attempt.final
    const forWhom = !waiting
      ? 'the customer to pay with another card.'
      : this.attempt?.status === 'requires_action'
        ? 'the customer to approve the payment.'
        : 'the payment provider to decide.'
    this.intervention.showWaiting(
      forWhom,
      `At the longest until ${formatTime(this.hold.endsAt)}. The stock is held until then and goes back by itself.`,
    )
  }
}
