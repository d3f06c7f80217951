/** What EasyPost says, as far as it is read (https://docs.easypost.com/docs/shipments, …/trackers). */

export interface WireShipment {
  readonly id: string
  readonly created_at: string
  /** Ours. */
  readonly reference: string | null
  readonly rates: readonly WireRate[]
  /** Null until it is bought. */
  readonly selected_rate: WireRate | null
  readonly postage_label: WireLabel | null
  readonly tracking_code: string | null
  readonly tracker: WireTracker | null
  /** Null until somebody asks for the money back. */
  readonly refund_status: RefundStatus | null
}

export type RefundStatus = 'submitted' | 'refunded' | 'rejected' | 'not_applicable'

export interface WireRate {
  readonly id: string
  readonly carrier: string
  readonly service: string
  /** A decimal number. */
  readonly rate: string
  readonly currency: string
  readonly delivery_days: number | null
}

interface WireLabel {
  readonly label_url: string
  readonly label_pdf_url: string | null
}

export interface WireTracker {
  readonly object: 'Tracker'
  readonly tracking_code: string
  readonly public_url: string | null
  readonly est_delivery_date: string | null
  readonly tracking_details: readonly WireTrackingDetail[]
}

export interface WireTrackingDetail {
  readonly message: string | null
  readonly status: string
  readonly status_detail: string | null
  readonly datetime: string
}

export interface WireEvent {
  readonly id: string
  readonly object: 'Event'
  readonly description: string
  readonly result: { readonly object?: string }
}

/** Of every 4xx and 5xx. `message` may quote an address: it goes no further. */
export interface WireError {
  readonly error?: { readonly code?: string }
}
