import { condition, setHandler } from '@temporalio/workflow'
import type { CancelReason } from '../domain/order'
import { attemptSignal, attemptUpdate, cancelSignal, providerNewsSignal } from './contract'

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
