/** What the carrier knows of a parcel: the label that was bought for it, and what became of it. */

/** Grams and millimetres. */
export interface Box {
  readonly weight_grams: number
  readonly length_mm: number
  readonly width_mm: number
  readonly height_mm: number
}

export interface Address {
  readonly name: string
  readonly company: string | null
  readonly line1: string
  readonly line2: string | null
  readonly city: string | null
  readonly region: string | null
  readonly postal_code: string | null
  readonly country: string
  readonly phone: string | null
}

/** Minor units. */
export interface Money {
  readonly amount: number
  readonly currency: string
}

/** What a caller wants to know the price of. */
export interface RateRequest {
  readonly from: Address
  readonly to: Address
  readonly boxes: readonly Box[]
  /** Of what is inside. */
  readonly value: Money
}

/** What a caller wants to buy. */
export interface LabelRequest extends RateRequest {
  readonly service: string
}

export type TrackingType =
  | 'accepted'
  | 'in_transit'
  | 'out_for_delivery'
  | 'delivered'
  | 'lost'
  | 'returned'
  | 'exception'

/** One step of a parcel's way. */
export interface Step {
  readonly type: TrackingType
  /** When it happens, or happened: RFC 3339. */
  readonly happened_at: string
  /** A short code; null where there is nothing to say. */
  readonly detail: string | null
  /** When the parcel is to arrive, as it is known then. */
  readonly expected_at: string | null
}

/** A step that happened, with the id of its webhook. */
export interface TrackingRecord extends Step {
  readonly id: string
}

export interface LabelRecord {
  readonly id: string
  readonly key: string
  readonly request: LabelRequest
  readonly status: 'live' | 'voided'
  readonly price: Money
  readonly days: number
  readonly tracking_number: string
  /** When the parcel is to arrive, as it was known when the label was bought. */
  readonly expected_at: string
  readonly created_at: string
  readonly updated_at: string
  /** When the parcel was handed over; null: the carrier does not have it. */
  readonly handed_over_at: string | null
  /** When somebody wanted it voided, and the carrier began to think about that. */
  readonly void_asked_at?: string
  /** What happened, oldest first. */
  readonly events: readonly TrackingRecord[]
  /** What will happen, in order. */
  readonly plan: readonly Step[]
}

/** As the carrier's API shows it. */
export interface PublicLabel {
  readonly id: string
  readonly key: string
  readonly status: LabelRecord['status']
  readonly service: string
  readonly price: Money
  readonly days: number
  readonly tracking_number: string
  readonly tracking_url: string
  readonly expected_at: string
  readonly handed_over_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

/** @param publicUrl where a browser reaches the carrier, without a slash at the end. */
export function publicLabel(label: LabelRecord, publicUrl: string): PublicLabel {
  return {
    id: label.id,
    key: label.key,
    status: label.status,
    service: label.request.service,
    price: label.price,
    days: label.days,
    tracking_number: label.tracking_number,
    tracking_url: `${publicUrl}/track/${label.tracking_number}`,
    expected_at: label.expected_at,
    handed_over_at: label.handed_over_at,
    created_at: label.created_at,
    updated_at: label.updated_at,
  }
}

/** A step of a parcel's way, as answers and webhooks tell it. */
export interface PublicTracking extends TrackingRecord {
  readonly tracking_number: string
}

export function publicTracking(label: LabelRecord, event: TrackingRecord): PublicTracking {
  return { ...event, tracking_number: label.tracking_number }
}

/** The request is the same, word for word. */
export function sameRequest(label: LabelRecord, request: LabelRequest): boolean {
  return JSON.stringify(label.request) === JSON.stringify(request)
}
