import type { ShipmentBook } from './rows'
import { isInside } from './shipment'

/** How long warehouses and carriers may take; then a person is asked. */

/** So long a warehouse that people, or a system of its own, run may take. */
export const WAREHOUSE_PATIENCE_HOURS = 72
/** What a parcel's carrier says of the day, and this much more. */
export const PARCEL_PATIENCE_DAYS = 14

/** A carrier that has taken a label back, and not decided, is asked again after half of the time that it has taken. */
const VOID_CHECK_MIN_MS = 10_000
const VOID_CHECK_MAX_MS = 6 * 3_600_000
/** Refunds of labels take carriers weeks; then a person is asked. */
const VOID_PATIENCE_DAYS = 45

const HOUR_MS = 3_600_000

export function warehouseDue(now: Date): string {
  return hoursAfter(now, WAREHOUSE_PATIENCE_HOURS)
}

export function parcelDue(now: Date, { expectedAt }: ShipmentBook): string {
  const from = Math.max(now.getTime(), expectedAt === null ? 0 : Date.parse(expectedAt))
  return hoursAfter(new Date(from), PARCEL_PATIENCE_DAYS * 24)
}

/** It is waited for again. */
export function postpone(shipment: ShipmentBook, now: Date): void {
  if (isInside(shipment.status)) shipment.dueAt = warehouseDue(now)
  else if (shipment.status !== 'delivered' && shipment.status !== 'cancelled') shipment.dueAt = parcelDue(now, shipment)
}

/** A person who waits for stock is asked again so long afterwards. */
export const STOCK_PATIENCE_DAYS = 14
/** Whether a lost parcel has turned up its carrier is asked no longer than this. */
export const LOST_ASK_DAYS = 90

export function stockDue(now: Date): string {
  return hoursAfter(now, STOCK_PATIENCE_DAYS * 24)
}

/** When to ask again what became of a label's voiding, which its carrier took at `sentAt`, RFC 3339; null: a person asks. */
export function voidCheckDue(now: Date, sentAt: string): string | null {
  const passed = now.getTime() - Date.parse(sentAt)
  if (passed >= VOID_PATIENCE_DAYS * 24 * HOUR_MS) return null
  const wait = Math.min(VOID_CHECK_MAX_MS, Math.max(VOID_CHECK_MIN_MS, passed / 2))
  return new Date(now.getTime() + wait).toISOString()
}

/** RFC 3339. */
export function hoursAfter(from: Date, hours: number): string {
  return new Date(from.getTime() + hours * HOUR_MS).toISOString()
}
