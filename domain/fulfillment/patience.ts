import type { ShipmentBook } from './rows'
import { isInside } from './shipment'

/** How long warehouses and carriers may take; then a person is asked. */

/** So long a warehouse that people, or a system of its own, run may take. */
export const WAREHOUSE_PATIENCE_HOURS = 72
/** What a parcel's carrier says of the day, and this much more. */
export const PARCEL_PATIENCE_DAYS = 14

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
  else if (shipment.status === 'shipped') shipment.dueAt = parcelDue(now, shipment)
}

/** RFC 3339. */
export function hoursAfter(from: Date, hours: number): string {
  return new Date(from.getTime() + hours * HOUR_MS).toISOString()
}
