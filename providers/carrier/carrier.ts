import type { Box, TrackingType } from '../../domain/fulfillment/shipment'
import type { Money } from '../../domain/money'

/**
 * The port to carriers. A new one is a file or a folder, and a line in `index.ts`. Every call has a deadline and throws
 * {@link CarrierUnavailable} when no answer came or the answer said nothing: what became of the request is then unknown, and
 * only the same call again can tell. {@link CarrierRejected} is a fault of ours.
 */
export interface CarrierProvider {
  readonly name: string
  /** What each of its services costs for these parcels, and when it would arrive. Empty: it does not go there. */
  rates(request: RateRequest, signal?: AbortSignal): Promise<Rate[]>
  /**
   * Buys a label under `request.key`; repeated, it answers the one that was bought. `keep` is awaited with the carrier's id
   * before anything is paid, where the carrier cannot be asked by our key.
   */
  buyLabel(request: LabelRequest, keep: KeepReference, signal?: AbortSignal): Promise<LabelOutcome>
  /**
   * Voids the label that was bought, or may have been, under `request.key`. Afterwards a late purchase under that key is
   * refused, or bought and voided at once. Repeated, it answers what became of that.
   */
  voidLabel(request: VoidRequest, signal?: AbortSignal): Promise<VoidOutcome>
  /**
   * Tells the carrier that it has the parcel: again without harm. Only for carriers that do not find out by scanning it, such
   * as the sandbox; to be called for each parcel that has left, once its shipment says so.
   */
  handOver?(reference: string, signal?: AbortSignal): Promise<void>
  /** All that it knows of a parcel, oldest first; null: it knows no such number. */
  track(trackingNumber: string, signal?: AbortSignal): Promise<TrackingEvent[] | null>
  /** The label as PDF; null: it has none. */
  document(reference: string, signal?: AbortSignal): Promise<Buffer | null>
  /** What a signed webhook tells; empty: nothing of a parcel. Throws {@link InvalidSignature}. */
  verifyWebhook(body: Buffer, headers: WebhookHeaders): TrackingEvent[]
  close(): Promise<void>
}

export interface PostalAddress {
  readonly name: string
  readonly company?: string | null
  readonly line1: string
  readonly line2?: string | null
  readonly city: string | null
  readonly region: string | null
  readonly postal_code: string | null
  readonly country: string
  readonly phone?: string | null
}

export interface RateRequest {
  readonly from: PostalAddress
  readonly to: PostalAddress
  readonly boxes: readonly Box[]
  /** Of what is inside, for customs and insurance. */
  readonly value: Money
}

export interface Rate {
  readonly carrier: string
  readonly service: string
  readonly price: Money
  /** When it arrives, in days from its pick-up; null: the carrier does not say. */
  readonly days: number | null
}

export interface LabelRequest extends RateRequest {
  /** `<orderId>/label/<n>` */
  readonly key: string
  readonly service: string
  /** The carrier's id of it, once it is known. */
  readonly reference: string | null
  /** When it was last asked to sell this label, RFC 3339, as far as it is known: that request may still be under way. */
  readonly sentAt?: string | null
}

/**
 * Writes down the carrier's id. It must throw where another id stands there already, or the label is not wanted any more:
 * nothing is bought then, and what it throws is thrown.
 */
export type KeepReference = (reference: string) => Promise<void>

export type LabelOutcome =
  | { readonly outcome: 'bought'; readonly label: BoughtLabel }
  /** It will never be bought under this key: `code` says why, in the carrier's word. */
  | { readonly outcome: 'refused'; readonly code: string }

export interface BoughtLabel {
  readonly reference: string
  readonly trackingNumber: string
  readonly trackingUrl: string | null
  readonly price: Money
  /** RFC 3339; null: the carrier does not say. */
  readonly expectedAt: string | null
}

export interface VoidRequest extends LabelRequest {
  /** When the carrier answered `pending` first, RFC 3339: what it refuses since then is refused, and not asked for once more. */
  readonly acceptedAt?: string | null
}

export type VoidOutcome =
  /** Also where there was none. */
  | { readonly outcome: 'voided' }
  /** It is asked for, and the carrier may still refuse it: ask again in some hours, or days. */
  | { readonly outcome: 'pending' }
  /** It is paid for and stays live, used perhaps. */
  | { readonly outcome: 'refused'; readonly code: string }

export interface TrackingEvent {
  /** The carrier's id of it: the same event twice is one. */
  readonly eventId: string
  readonly trackingNumber: string
  readonly type: TrackingType
  /** RFC 3339. */
  readonly happenedAt: string
  /** A short code or sentence without personal data. */
  readonly detail: string | null
  /** RFC 3339: when it is expected to arrive now; null: it does not say. */
  readonly expectedAt: string | null
}

export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** The carrier did not answer, in time or at all: what became of the call is unknown. */
export class CarrierUnavailable extends Error {
  override readonly name = 'CarrierUnavailable'
}

/** It did answer, and what becomes of the call is not decided yet: ask again later. */
export class CarrierUndecided extends CarrierUnavailable {}

/** The carrier understood, and says that the request itself is wrong, or that it does not let us in. */
export class CarrierRejected extends Error {
  override readonly name = 'CarrierRejected'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export class InvalidSignature extends Error {
  override readonly name = 'InvalidSignature'
}
