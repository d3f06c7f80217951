/** What a test payment method makes the sandbox do. What is not set happens as with an ordinary card. */
export interface Behaviour {
  /** Declines with this code. */
  readonly decline?: string
  /** Waits for the customer to approve or refuse on a page. */
  readonly action?: true
  /** Stays pending, then is paid this long after the charge was made or, where it is later, after it expires. */
  readonly pending?: { readonly payAfterMs: number; readonly from: 'creation' | 'expiry' }
  /** Refuses to be voided while it is pending. */
  readonly uncancellable?: true
  /** The charge is made at once, but nobody hears of it under its key by POST before this time is over. */
  readonly answerAfterMs?: number
  /** The charge is made, then the connection is dropped; the same key asked again is answered. */
  readonly dropFirstAnswer?: true
  /** So many requests with the same key fail with 503 before one works. */
  readonly failures?: number
  /** Each event is sent three times, out of order, a stale one among them. */
  readonly shuffledWebhooks?: true
  /** Allows one capture only: what it leaves is released. */
  readonly singleCapture?: true
  /** Is captured whole as it is paid, whatever was asked for. */
  readonly capturedAtOnce?: true
  /** Refuses the first key under which a capture is asked for; later keys work. */
  readonly firstCaptureRefused?: true
  /**
   * `refused`: every one; `first_refused`: the first key only; `pending`: stays so until somebody settles it;
   * `fail_later`: succeeds, and fails {@link REFUND_FAILS_AFTER_MS} later.
   */
  readonly refunds?: 'refused' | 'first_refused' | 'pending' | 'fail_later'
}

export const REFUND_FAILS_AFTER_MS = 2_000

const METHODS: Readonly<Record<string, Behaviour>> = {
  pm_card_visa: {},
  pm_card_mastercard: {},
  pm_card_chargeDeclined: { decline: 'generic_decline' },
  pm_card_chargeDeclinedInsufficientFunds: { decline: 'insufficient_funds' },
  pm_card_chargeDeclinedExpiredCard: { decline: 'expired_card' },
  pm_card_authenticationRequired: { action: true },
  pm_sandbox_slow: { answerAfterMs: 5_000 },
  pm_sandbox_timeout_after_charge: { dropFirstAnswer: true },
  pm_sandbox_flaky: { failures: 2 },
  pm_sandbox_async: { pending: { payAfterMs: 2_000, from: 'creation' } },
  pm_sandbox_late: { pending: { payAfterMs: 5_000, from: 'expiry' }, uncancellable: true },
  pm_sandbox_duplicate_webhooks: { shuffledWebhooks: true },
  pm_sandbox_single_capture: { singleCapture: true },
  pm_sandbox_captured_at_once: { capturedAtOnce: true },
  pm_sandbox_capture_refused: { firstCaptureRefused: true },
  pm_sandbox_refund_refused: { refunds: 'refused' },
  pm_sandbox_refund_refused_once: { refunds: 'first_refused' },
  pm_sandbox_refund_pending: { refunds: 'pending' },
  pm_sandbox_refund_fails_later: { refunds: 'fail_later' },
}

/** How the sandbox treats a payment method. One that it does not know is declined, as a card network would. */
export function behaviourOf(method: string): Behaviour {
  return Object.hasOwn(METHODS, method) ? (METHODS[method] as Behaviour) : { decline: 'unknown_payment_method' }
}

export function capturesInParts({ singleCapture, capturedAtOnce }: Behaviour): boolean {
  return singleCapture !== true && capturedAtOnce !== true
}
