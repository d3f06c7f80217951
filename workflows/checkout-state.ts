import { CancellationScope, condition, isCancellation, setHandler, sleep } from '@temporalio/workflow'
import type { Placed } from '../activities/checkout/checkout'
import type { OrderId, PaymentId } from '../domain/ids'
import type { CancelReason } from '../domain/order'
import type { AttemptStatus } from '../domain/payment/attempt'
import { attemptSignal, attemptUpdate, cancelSignal, providerNewsSignal } from './contract'
import { formatTime, Intervention } from './intervention'

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
    this.intervention.patienceMs = placed.patienceMs
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

  /** How long an answer is waited for before a person is asked. */
  get patienceMs(): number {
    return this.intervention.patienceMs
  }

  get cancelReason(): CancelReason {
    return this.messages.cancelReason ?? 'expired'
  }

  /**
   * Waits for whatever comes next. False when the checkout has to end. While an attempt waits for the customer or the
   * provider, `hasNews` looks it up, ever more rarely: the provider's word of it may be lost.
   */
  async nextMessage(hasNews: (attempt: OpenAttempt) => Promise<boolean>): Promise<boolean> {
    const { attempt, messages, hold } = this
    const came = (): boolean => messages.attemptRequested || messages.providerNews || this.mustEnd
    hold.start()
    this.showWaiting()
    if (!attempt || attempt.final) await condition(came)
    else await messageOrNews(came, () => hasNews(attempt))
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

/** How soon an attempt that waits is looked up, and how often at the least. */
const LOOK_UP_FIRST_MS = 5_000
const LOOK_UP_RARELY_MS = 30_000

/** Waits for a message, or for a look-up that has news. */
async function messageOrNews(came: () => boolean, hasNews: () => Promise<boolean>): Promise<void> {
  for (let waitMs = LOOK_UP_FIRST_MS; ; waitMs = Math.min(LOOK_UP_RARELY_MS, waitMs * 1.5)) {
    let isDue = false
    const timer = startTimer(waitMs, 'Then the provider is asked what became of the payment', () => {
      isDue = true
    })
    await condition(() => isDue || came())
    timer.cancel()
    if (came() || (await hasNews())) return
  }
}

interface Listener {
  /** The newest attempt that the checkout has taken up. */
  newestAttempt(): number
  providerHasNews(): void
}

/** What customer, API, sweep and provider tell a checkout. It stays here until the checkout acts upon it. */
export class CheckoutMessages {
  /** A further attempt waits to be taken up. */
  attemptRequested = false
  providerNews = false
  cancelReason: Extract<CancelReason, 'customer' | 'merchant'> | null = null
  private answeredAttempt = 0
  private isOver = false

  constructor(listener: Listener) {
    this.waitForAttempts(listener)
    setHandler(attemptSignal, ({ attempt }) => this.noteAttempt(attempt, listener), {
      description: 'An attempt waits to be taken up. For the sweep.',
    })
    setHandler(cancelSignal, () => this.cancel('customer'), {
      description: 'Ends the checkout: the customer wants it so.',
    })
    setHandler(
      providerNewsSignal,
      () => {
        this.providerNews = true
        listener.providerHasNews()
      },
      { description: 'The payment provider has news: look it up.' },
    )
  }

  /** The first reason stays. */
  cancel(reason: Extract<CancelReason, 'customer' | 'merchant'>): void {
    this.cancelReason ??= reason
  }

  /** Whoever waits for this attempt, or for one before it, finds the answer in the rows now. */
  answer(attempt: number): void {
    this.answeredAttempt = Math.max(this.answeredAttempt, attempt)
  }

  /** The checkout is over: nobody waits any longer. */
  answerAll(): void {
    this.isOver = true
  }

  private waitForAttempts(listener: Listener): void {
    setHandler(
      attemptUpdate,
      async ({ attempt }) => {
        this.noteAttempt(attempt, listener)
        await condition(() => this.isOver || this.answeredAttempt >= attempt)
      },
      { description: 'Waits for the answer to a payment attempt. For the API.' },
    )
  }

  private noteAttempt(attempt: number, listener: Listener): void {
    if (attempt > listener.newestAttempt()) this.attemptRequested = true
  }
}

/** How long an order's stock is held. Its timer exists only while something is waited for: most orders never have one. */
export class HoldTimer {
  /** Milliseconds since the epoch. */
  endsAt = 0
  isOver = false
  private timer: CancellationScope | null = null

  /** The hold ends in `holdMs`. */
  reset(holdMs: number): void {
    this.endsAt = Date.now() + Math.max(0, holdMs)
    this.isOver = false
    if (this.timer === null) return
    this.stop()
    this.start()
  }

  start(): void {
    this.timer ??= startTimer(Math.max(1, this.endsAt - Date.now()), 'The stock is held until then', () => {
      this.isOver = true
    })
  }

  stop(): void {
    this.timer?.cancel()
    this.timer = null
  }
}

/** Calls `fired` after `ms`, unless the scope that it returns is cancelled first. Support sees the summary. */
export function startTimer(ms: number, summary: string, fired: () => void): CancellationScope {
  const scope = new CancellationScope()
  void scope.run(() => sleep(ms, { summary })).then(fired, ignoreCancellation)
  return scope
}

function ignoreCancellation(error: unknown): void {
  if (!isCancellation(error)) throw error
}
