import type { OrderId } from '../../domain/ids'
import type { Money } from '../../domain/money'

/**
 * `authorized`: the money is set aside; `captured`: taken, in part or whole; `refunded`: all that was taken went back.
 * `requires_action` waits for the customer, `pending` for the provider. The other four never come to life again.
 */
export type ChargeState =
  | 'requires_action'
  | 'pending'
  | 'authorized'
  | 'captured'
  | 'voided'
  | 'refunded'
  | 'declined'
  | 'failed'

/** A charge as the provider sees it now. */
export interface Charge {
  /** The provider's own id of the charge. */
  readonly reference: string
  /** The key under which we asked for it. */
  readonly key: string
  /** What the provider was told: our order's id, unless the account is used by others too. */
  readonly orderId: string
  /** What was asked for. */
  readonly amount: Money
  readonly state: ChargeState
  /** Why it was declined, in the provider's words (`insufficient_funds`); null unless `declined`. */
  readonly declineCode: string | null
  /** Minor units taken so far. */
  readonly captured: number
  /** Minor units given back or on the way back. */
  readonly refunded: number
  /** Where the customer has to go; null unless `requires_action`. */
  readonly actionUrl: string | null
  /** RFC 3339. */
  readonly createdAt: string
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
}

export interface CaptureRequest {
  readonly key: string
  /** {@link Charge.reference} */
  readonly reference: string
  readonly amount: Money
}

export interface RefundRequest {
  readonly key: string
  /** {@link Charge.reference} */
  readonly reference: string
  readonly amount: Money
}

/**
 * `dead`: no money is held and none will be taken under this key; `charge` is null when the provider had never heard of
 * the key and now refuses it for ever. `refused`: the charge is pending and cannot be stopped, or it is `captured`
 * and needs a refund instead: its state tells which.
 */
export type CancelOutcome =
  | { readonly outcome: 'dead'; readonly charge: Charge | null }
  | { readonly outcome: 'refused'; readonly charge: Charge }

export type CaptureOutcome =
  | { readonly outcome: 'captured'; readonly charge: Charge }
  | { readonly outcome: 'refused'; readonly reason: string }

/** `reference` is the provider's id of the refund. A refused refund stays refused under its key. */
export type RefundOutcome =
  | { readonly outcome: 'succeeded'; readonly reference: string }
  | { readonly outcome: 'pending'; readonly reference: string }
  | { readonly outcome: 'refused'; readonly reason: string }

export interface ChargeListPage {
  readonly charges: readonly Charge[]
  /** Null after the last page. */
  readonly nextCursor: string | null
}

/** A hint that a charge changed: read the charge, never trust the order in which hints arrive. */
export interface WebhookEvent {
  /** Unique at the provider: the same event may be delivered again. */
  readonly eventId: string
  readonly type: string
  readonly chargeKey: string
  readonly orderId: string
  /** As it was when the hint was sent. */
  readonly state: ChargeState
}

export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * A payment provider in the words of the shop. Every call has a deadline and throws {@link ProviderUnavailable} when no
 * answer came or the answer said nothing (timeout, broken connection, 5xx, 429): what became of the request is then
 * unknown, and only `find`, or the same call under the same key, can tell. {@link ProviderRejected} is a fault of ours.
 */
export interface PaymentProvider {
  readonly name: string

  /**
   * Sets the money aside, or learns why not: a decline is a returned charge. A repeated key answers the charge as it
   * stands now. A key that was cancelled before it was used answers a charge in state `voided`.
   */
  authorize(request: AuthorizeRequest, signal?: AbortSignal): Promise<Charge>

  /** The charge under this key. Null: there is none, and unless the key was cancelled one may still be on its way. */
  find(key: string, signal?: AbortSignal): Promise<Charge | null>

  /** Ends the charge, or makes sure that it never begins. May be repeated. */
  cancel(key: string, signal?: AbortSignal): Promise<CancelOutcome>

  /** Takes an authorized amount, once per key; refused when more than was authorized would be taken. */
  capture(request: CaptureRequest, signal?: AbortSignal): Promise<CaptureOutcome>

  /** Gives captured money back, once per key; refused when more than was captured would go back. */
  refund(request: RefundRequest, signal?: AbortSignal): Promise<RefundOutcome>

  /** Every charge of the account, oldest first; `cursor` is null for the first page. */
  list(cursor: string | null, signal?: AbortSignal): Promise<ChargeListPage>

  /**
   * Checks who sent a webhook and when, and reads it. Throws {@link InvalidSignature}.
   * @param rawBody the body as it was received, byte for byte.
   */
  verifyWebhook(rawBody: Buffer, headers: WebhookHeaders): WebhookEvent

  /** Ends its connections; calls in hand finish first. */
  close(): Promise<void>
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
