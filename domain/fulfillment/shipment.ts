import type { Sku } from '../ids'

/** A shipment: units of an order that leave one warehouse together. */
export const SHIPMENT_STATUSES = [
  'allocated',
  'picking',
  'packed',
  'labelled',
  'shipped',
  'delivered',
  'lost',
  'returned',
  'cancelled',
] as const
export type ShipmentStatus = (typeof SHIPMENT_STATUSES)[number]

/**
 * Where each status may go. `picking`: picked, and not packed. What lost units, or a change of mind, leave of a packed one is
 * packed again. A lost parcel may turn up.
 */
export const SHIPMENT_TRANSITIONS: Readonly<Record<ShipmentStatus, readonly ShipmentStatus[]>> = {
  allocated: ['picking', 'cancelled'],
  picking: ['packed', 'cancelled'],
  packed: ['picking', 'labelled', 'cancelled'],
  labelled: ['packed', 'picking', 'shipped', 'cancelled'],
  shipped: ['delivered', 'lost', 'returned'],
  delivered: [],
  lost: ['delivered', 'returned'],
  returned: [],
  cancelled: [],
}

/** It has not left, and may. */
export const INSIDE_STATUSES = [
  'allocated',
  'picking',
  'packed',
  'labelled',
] as const satisfies readonly ShipmentStatus[]

export function isInside(status: ShipmentStatus): boolean {
  return (INSIDE_STATUSES as readonly ShipmentStatus[]).includes(status)
}

/** It has left its warehouse, whatever became of it. */
export function hasLeft(status: ShipmentStatus): boolean {
  return status !== 'cancelled' && !isInside(status)
}

export const LEFT_STATUSES: readonly ShipmentStatus[] = SHIPMENT_STATUSES.filter(hasLeft)

/** Who moves the shipments of a warehouse on: the demo by itself, people by the API, or a system of the warehouse's own. */
export const WAREHOUSE_OPERATIONS = ['automatic', 'manual', 'external'] as const
export type WarehouseOperation = (typeof WAREHOUSE_OPERATIONS)[number]

export const FULFILLMENT_STATUSES = [
  'unfulfilled',
  'partially_fulfilled',
  'fulfilled',
  'partially_delivered',
  'delivered',
  'returned',
] as const
export type FulfillmentStatus = (typeof FULFILLMENT_STATUSES)[number]

/** How many units of a SKU. */
export interface Units {
  readonly sku: Sku
  readonly quantity: number
}

/** A box as it is packed. Grams and millimetres. */
export interface Box {
  readonly weight_grams: number
  readonly length_mm: number
  readonly width_mm: number
  readonly height_mm: number
}

export const LABEL_STATUSES = ['claimed', 'live', 'voiding', 'voided', 'refused'] as const
export type LabelStatus = (typeof LABEL_STATUSES)[number]

/** What a carrier tells of a parcel. `exception`: something keeps it, and it is still on its way. */
export const TRACKING_TYPES = [
  'accepted',
  'in_transit',
  'out_for_delivery',
  'delivered',
  'lost',
  'returned',
  'exception',
] as const
export type TrackingType = (typeof TRACKING_TYPES)[number]

/** That a parcel is where it ends, for now at least; all else says that it is on its way. */
export function isArrival(type: TrackingType): type is 'delivered' | 'lost' | 'returned' {
  return type === 'delivered' || type === 'lost' || type === 'returned'
}

/**
 * What a warehouse's own system is told of a shipment: to pack it (each time that what is in it changes), to let it leave, that
 * it is not wanted any more.
 */
export const WAREHOUSE_MESSAGE_KINDS = ['pack', 'release', 'cancel'] as const
export type WarehouseMessageKind = (typeof WAREHOUSE_MESSAGE_KINDS)[number]
/** `withdrawn`: it was not sent, or not taken, and is not wanted any more. */
export const WAREHOUSE_MESSAGE_STATES = ['pending', 'told', 'refused', 'withdrawn'] as const
export type WarehouseMessageState = (typeof WAREHOUSE_MESSAGE_STATES)[number]

/** What such a system tells. */
export const WAREHOUSE_EVENT_TYPES = [
  'shipment.picked',
  'shipment.packed',
  'shipment.shipped',
  'shipment.refused',
] as const
export type WarehouseEventType = (typeof WAREHOUSE_EVENT_TYPES)[number]

/** Why a person looks at a shipment of such a system: it `left` and was not released, or the system has `refused` it. */
export type WarehouseTrouble = 'left' | 'refused'

/**
 * What a person has to decide about, by what can be done: one that its warehouse does not move on (`inside`), or does not let
 * leave although it may (`released`); of which nobody hears (`silent`); that is lost or came back (`gone`); that left and ought
 * not to have (`left`); that is wanted no more (`over`).
 */
export const PARCEL_PLIGHTS = ['inside', 'released', 'silent', 'gone', 'left', 'over'] as const
export type ParcelPlight = (typeof PARCEL_PLIGHTS)[number]

export function plightOf({
  status,
  trouble,
  isReleased,
  isOver,
}: {
  readonly status: ShipmentStatus
  readonly trouble: WarehouseTrouble | null
  readonly isReleased: boolean
  readonly isOver: boolean
}): ParcelPlight {
  if (isOver || status === 'cancelled' || status === 'delivered') return 'over'
  if (isInside(status)) return trouble === 'left' ? 'left' : isReleased ? 'released' : 'inside'
  if (trouble !== null) return 'over'
  return status === 'shipped' ? 'silent' : 'gone'
}

export const COMMAND_KINDS = ['label', 'ship', 'cancel'] as const
export type CommandKind = (typeof COMMAND_KINDS)[number]
export const COMMAND_STATES = ['pending', 'done', 'refused'] as const
export type CommandState = (typeof COMMAND_STATES)[number]
