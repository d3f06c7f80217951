import type { WarehouseMessageKind } from '../../domain/fulfillment/shipment'
import { deadlines } from '../deadline'

/** A system of a warehouse's own. What it answers later it tells by webhook (`verify.ts`). */
export interface WarehouseSystem {
  /**
   * Tells it of a shipment. Again without harm: it knows the message by its id. `refused`: it has read the message, and will never
   * do it. Throws {@link WarehouseUnavailable} when it may or may not have heard.
   */
  tell(message: WarehouseMessage, to: WarehouseAddress, signal?: AbortSignal): Promise<TellOutcome>
  /** Ends its connections. */
  close(): Promise<void>
}

export interface WarehouseAddress {
  readonly endpoint: string
  /** Signs what it is told: `whsec_…` */
  readonly secret: string
}

/** As it is sent. No personal data: whom the parcel is for stands on its label alone. */
export interface WarehouseMessage {
  readonly id: string
  /** Stored before it is sent. */
  readonly key: string
  readonly type: `shipment.${WarehouseMessageKind}`
  readonly shipment_id: string
  /** How often it was told what is in the shipment. */
  readonly revision: number
  readonly wave: string
  readonly shipping_method: string
  readonly lines: readonly { readonly sku: string; readonly title: string; readonly quantity: number }[]
  /** With a release. */
  readonly label: WarehouseLabel | null
  /** RFC 3339. */
  readonly at: string
}

export interface WarehouseLabel {
  readonly carrier: string
  readonly service: string
  readonly tracking_number: string | null
  /** The PDF in base 64; null: the carrier has none. */
  readonly document: string | null
}

export type TellOutcome = { readonly outcome: 'taken' } | { readonly outcome: 'refused'; readonly code: string }

/** Nothing was heard, or nothing that says what became of the message. */
export class WarehouseUnavailable extends Error {
  override readonly name = 'WarehouseUnavailable'
}

/** Throws {@link WarehouseUnavailable} at the end of the time. */
export const withDeadline = deadlines((message) => new WarehouseUnavailable(message))
