/** What a payment method does when an intent is confirmed with it. The tokens are Stripe's own, but for `pm_stub_…`. */
export interface Behaviour {
  /** The bank says no. */
  readonly decline?: { readonly code: string; readonly decline_code?: string }
  /** The customer has to go to their bank first. */
  readonly action?: true
  /** Stripe does not know yet. */
  readonly processing?: true
  /** The card can be captured once only, also where the account has multicapture. */
  readonly single?: true
  readonly refund?: 'pending' | 'fails later'
  /** The bank wants the money back as soon as it is captured. */
  readonly disputed?: true
  /** The answer to the confirmation takes this long, or is lost. */
  readonly answer?: 'slow' | 'lost'
}

const METHODS: Readonly<Record<string, Behaviour>> = {
  pm_card_visa: {},
  pm_card_mastercard: {},
  pm_card_credit_disableEnterpriseCardFeatures: { single: true },
  pm_card_chargeDeclined: { decline: { code: 'card_declined', decline_code: 'generic_decline' } },
  pm_card_chargeDeclinedInsufficientFunds: { decline: { code: 'card_declined', decline_code: 'insufficient_funds' } },
  pm_card_chargeDeclinedExpiredCard: { decline: { code: 'expired_card' } },
  pm_card_authenticationRequired: { action: true },
  pm_card_pendingRefund: { refund: 'pending' },
  pm_card_refundFail: { refund: 'fails later' },
  pm_card_createDispute: { disputed: true },
  pm_stub_processing: { processing: true },
  pm_stub_slow: { answer: 'slow' },
  pm_stub_lost: { answer: 'lost' },
}

/** Undefined: there is no such payment method. */
export function behaviourOf(method: string): Behaviour | undefined {
  return Object.hasOwn(METHODS, method) ? METHODS[method] : undefined
}
