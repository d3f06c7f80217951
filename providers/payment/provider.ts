import type { OrderId } from '../../domain/ids'
import type { Currency, Money } from '../../domain/money'

/**
 * `authorized`: money is set aside, and some of it may still be captured; `captured`: some was taken, and no more will be;
 * `refunded`: all that was taken went back. `requires_action` waits for the customer, `pending` for the provider. The last
 * three never come to life again.
 */
export type ChargeState =
  | 'requires_action'
  | 'pending'
  | 'authorized'
  | 'captured'
  | 'refunded'
  | 'voided'
  | 'declined'
  | 'failed'

/** A charge as the provider sees it now. All amounts are minor units of its currency. */
export interface Charge {
  /** The provider's own id of the charge; of one that it refused to make, the key. */
  readonly reference: string
  /** The key under which we asked for it; null when the provider does not know of one. */
  readonly key: string | null
  /** What the provider was told: our order's id, unless the account is used by others too. */
  readonly orderId: string
  /** What was asked for. */
  readonly amount: Money
  readonly state: ChargeState
  /** Why it was declined, in the provider's words (`insufficient_funds`); null unless `declined`. */
  readonly declineCode: string | null
  /** Taken so far. */
  readonly captured: number
  /** Of what was authorized, let go again: it can be captured no more. */
  readonly released: number
  /** Given back; what is still on its way is not in it. */
  readonly refunded: number
  readonly captures: readonly SeenCapture[]
  readonly refunds: readonly SeenRefund[]
  readonly disputes: readonly SeenDispute[]
  /** Whether this charge can be captured in parts. If not, what its only capture leaves is released. */
  readonly capturesInParts: boolean
  /** Until when it can be captured, RFC 3339; null when it is not authorized, or the provider does not say. */
  readonly captureBefore: string | null
  /** Where the customer has to go; null unless `requires_action`. */
  readonly actionUrl: string | null
  /** RFC 3339. */
  readonly createdAt: string
}

/** Money of a charge that was taken. */
export interface SeenCapture {
  /** The provider's own id. */
  readonly reference: string
  /** The key under which we asked; null when somebody else did. */
  readonly key: string | null
  readonly amount: number
}

/** A refund that was succeeded may still become failed. */
export interface SeenRefund {
  readonly reference: string
  readonly key: string | null
  readonly amount: number
  readonly status: 'pending' | 'succeeded' | 'failed'
  /** Why it failed, in the provider's words; null unless `failed`. */
  readonly failureCode: string | null
}

/** The customer's bank wants money back. */
export interface SeenDispute {
  readonly reference: string
  readonly amount: number
  readonly status: 'open' | 'won' | 'lost'
}

export interface AuthorizeRequest {
  /** Makes the charge happen once. A repetition must say the same as the first request, word for word. */
  readonly key: string
  readonly orderId: OrderId
  readonly amount: Money
  /** The provider's token of a payment method, such as `pm_card_visa`. */
  readonly method: string
  /** Where the customer comes back to after an action. */
  readonly returnUrl: string | null
  /** When we lose interest, RFC 3339. A hint to the provider: money may still come later. */
  readonly expiresAt: string | null
  /** When we asked first, RFC 3339: tells whether the provider still knows the key. */
  readonly requestedAt: string
}

/** A charge that was asked for, to look it up or to end it. */
export interface ChargeRequest extends AuthorizeRequest {
  /** {@link Charge.reference}, once it is known. */
  readonly reference: string | null
}

/**
 * Keeps the provider's id of a charge before any money moves under it. False: it must not go on, because the attempt was
 * cancelled or is over; the adapter then throws {@link AttemptOver}.
 */
export type KeepReference = (reference: string) => Promise<boolean>

export interface CaptureRequest {
  readonly key: string
  readonly charge: ChargeRequest
  readonly amount: number
  /** Nothing more will be captured: what is left of the authorization is released with it. */
  readonly final: boolean
}

export interface RefundRequest {
  readonly key: string
  readonly charge: ChargeRequest
  readonly amount: number
}

/**
 * `dead`: no money is held and none will be taken under this key; `charge` is null when the provider had never heard of
 * the key and now refuses it for ever. `refused`: the charge is pending and cannot be stopped, or something of it was
 * captured and needs a refund instead: its state tells which.
 */
export type CancelOutcome =
  | { readonly outcome: 'dead'; readonly charge: Charge | null }
  | { readonly outcome: 'refused'; readonly charge: Charge }

/** `charge` is as it is after the capture. A refused capture stays refused under its key. */
export type CaptureOutcome =
  | { readonly outcome: 'captured'; readonly reference: string; readonly charge: Charge }
  | { readonly outcome: 'refused'; readonly reason: string }

/** `reference` is the provider's id of the refund. A refused refund stays refused under its key. */
export type RefundOutcome =
  | { readonly outcome: 'succeeded' | 'pending'; readonly reference: string }
  | { readonly outcome: 'refused'; readonly reason: string; readonly reference: string | null }

export interface ChargeListPage {
  readonly charges: readonly Charge[]
  /**
   * {@link Charge.reference} of those that say what this port has no words for, and of those for which alone there was no
   * answer: one of them hides no other.
   */
  readonly unreadable: readonly string[]
  /** Null after the last page. */
  readonly nextCursor: string | null
}

/** One movement of money between the provider's account and ours; what is only authorized moves nothing. */
export interface Movement {
  /** The provider's own id of the movement. */
  readonly id: string
  /** `refund_failed`: a refund that came back; `dispute_won`: what a dispute had taken came back. */
  readonly type: 'capture' | 'refund' | 'refund_failed' | 'dispute' | 'dispute_won'
  /** {@link Charge.reference} */
  readonly chargeReference: string
  /** {@link Charge.key} and what the provider was told of the order, where it says so. */
  readonly chargeKey: string | null
  readonly orderId: string | null
  /** {@link SeenCapture.reference}, {@link SeenRefund.reference} or {@link SeenDispute.reference}. */
  readonly reference: string
  /** The key under which we asked for it; null when we did not, or the provider does not say. */
  readonly key: string | null
  /** Positive to us, negative to the customer. */
  readonly amount: Money
  /** RFC 3339. */
  readonly at: string
}

export interface MovementPage {
  /** Oldest first. */
  readonly movements: readonly Movement[]
  /** {@link Movement.chargeReference} of such movements, where it is known. */
  readonly unreadable: readonly string[]
  /** Null after the last page. */
  readonly nextCursor: string | null
}

/** A hint that a charge changed: read the charge, never trust the order in which hints arrive. */
export interface WebhookEvent {
  /** Unique at the provider: the same event may be delivered again. */
  readonly eventId: string
  readonly type: string
  /** {@link Charge.reference} */
  readonly chargeReference: string
  /** Null where the event does not carry it. */
  readonly chargeKey: string | null
  readonly orderId: string | null
  /** As it was when the hint was sent; null where the event is not about the charge's state. */
  readonly state: ChargeState | null
  /** Its sums then, where the event carries them: who knows them already need not look. */
  readonly sums?: ChargeSums
}

/** Minor units: `refunding` is on its way back, `disputed` in disputes that are open or lost, `lost` in lost ones. */
export interface ChargeSums {
  readonly captured: number
  readonly released: number
  readonly refunded: number
  readonly refunding: number
  readonly disputed: number
  readonly lost: number
}

export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** The payment methods of a provider, as far as they are the same for every buyer. */
export interface MethodOffer {
  readonly type: 'card'
  /** The names that a checkout may send; null: the provider's own page or field in the storefront makes one for each buyer. */
  readonly methods: readonly string[] | null
  /** The provider's key for browsers, which is no secret; null where there is none. */
  readonly publishableKey: string | null
}

/**
 * A payment provider in the words of the shop. Every call has a deadline and throws {@link ProviderUnavailable} when no
 * answer came or the answer said nothing (timeout, broken connection, 5xx, 429, a key in flight): what became of the request
 * is then unknown, and only `find`, or the same call under the same key, can tell. {@link ProviderRejected} is a fault of ours.
 */
export interface PaymentProvider {
  readonly name: string
  /** How long it knows a key, in milliseconds; null: for ever. */
  readonly keyLifetimeMs: number | null

  /** Whether it authorizes an amount again by the same method, without the customer. */
  readonly renews: boolean

  /** What a storefront has to know of it. */
  readonly offer: MethodOffer

  /** Whether it can be asked to charge this method. */
  takes(method: string): boolean

  /** Amounts in this currency are multiples of so many minor units: 1, or more where it cannot send every amount. */
  amountStep(currency: Currency): number

  /**
   * Sets the money aside, or learns why not: a decline is a returned charge, and so is what the provider does not make for
   * such an amount or currency. A repeated key answers the charge as it stands now. A key that was cancelled before it was used answers a charge in state `voided`. Where the provider cannot
   * be asked by our key, `keep` is called with its id before any money moves. Throws {@link AttemptOver}.
   */
  authorize(request: ChargeRequest, keep: KeepReference, signal?: AbortSignal): Promise<Charge>

  /** The charge. Null: there is none that holds or may take money, and unless it was cancelled one may still be on its way. */
  find(charge: ChargeRequest, signal?: AbortSignal): Promise<Charge | null>

  /**
   * Any charge of the account, also one that we did not ask for, by {@link Charge.reference}. Changes nothing at the
   * provider. Null: there is none that holds or may take money.
   */
  read(reference: string, signal?: AbortSignal): Promise<Charge | null>

  /** Ends the charge, or makes sure that it never begins. May be repeated. */
  cancel(charge: ChargeRequest, signal?: AbortSignal): Promise<CancelOutcome>

  /** Takes an authorized amount, once per key; refused when more than is authorized would be taken. */
  capture(request: CaptureRequest, signal?: AbortSignal): Promise<CaptureOutcome>

  /** Lets go what is authorized and not captured: a charge of which nothing was captured is voided. May be repeated. */
  release(charge: ChargeRequest, signal?: AbortSignal): Promise<Charge>

  /** Gives captured money back, once per key; refused when more than was captured would go back. */
  refund(request: RefundRequest, signal?: AbortSignal): Promise<RefundOutcome>

  /** Charges of the account that changed since then (RFC 3339), the longest unchanged first; `cursor` is null for the first page. */
  list(since: string, cursor: string | null, signal?: AbortSignal): Promise<ChargeListPage>

  /** Movements of the account since then (RFC 3339), oldest first; `cursor` is null for the first page. */
  movements(since: string, cursor: string | null, signal?: AbortSignal): Promise<MovementPage>

  /**
   * Checks who sent a webhook and when, and reads it. Null: it is of no charge. Throws {@link InvalidSignature}.
   * @param rawBody the body as it was received, byte for byte.
   */
  verifyWebhook(rawBody: Buffer, headers: WebhookHeaders): WebhookEvent | null

  /** Ends its connections; calls in hand finish first. */
  close(): Promise<void>
}

/** The attempt was cancelled, or is over, before its money could move: nothing was taken, and nothing will be. */
export class AttemptOver extends Error {
  override readonly name = 'AttemptOver'
}

/** No answer, or one that says nothing: what became of the request is unknown. */
export class ProviderUnavailable extends Error {
  override readonly name = 'ProviderUnavailable'
}

/** The provider does not understand the request (4xx without a meaning in this port). Trying again does not help. */
export class ProviderRejected extends Error {
  override readonly name = 'ProviderRejected'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The webhook is not from the provider, is too old, or is not readable as one of its events. */
export class InvalidSignature extends Error {
  override readonly name = 'InvalidSignature'
}
