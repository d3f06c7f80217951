import type { CaptureId, CommandId, LabelId, OrderId, ShipmentId, Sku, WarehouseId } from '../ids'
import type { CancelReason, HoldCause, OrderStatus, OrderUnits } from '../order'
import type {
  Box,
  CommandKind,
  CommandState,
  FulfillmentStatus,
  LabelStatus,
  ShipmentStatus,
  Units,
  WarehouseOperation,
  WarehouseTrouble,
} from './shipment'
import type { MessageBook } from './warehouse-messages'

/** The rows of one order's goods, as they are loaded, decided about and saved. */

export interface GoodsOrder {
  readonly id: OrderId
  status: OrderStatus
  heldFrom: 'confirmed' | 'processing' | null
  heldFor: readonly HoldCause[]
  cancelReason: CancelReason | null
  readonly total: number
  readonly tax: number
  readonly addressVersion: number
  fulfillmentStatus: FulfillmentStatus
  /** RFC 3339, as all times here. When its workflow has to look by itself; null: only when it is told. */
  lookAt: string | null
  deliveredAt: string | null
  completesAt: string | null
  /** When a person is asked about units that were not on their shelves and wait for stock; null: nobody is. */
  shortAskAt: string | null
}

export interface GoodsLine extends OrderUnits {
  readonly sku: Sku
  readonly tax: number
  cancelled: number
  shipped: number
  delivered: number
}

export interface ShipmentBook {
  readonly id: ShipmentId
  readonly number: number
  readonly warehouseId: WarehouseId
  readonly operation: WarehouseOperation
  status: ShipmentStatus
  lines: readonly Units[]
  readonly replaces: ShipmentId | null
  boxes: readonly Box[] | null
  isLeaving: boolean
  captureId: CaptureId | null
  dueAt: string | null
  askAt: string | null
  needsDecision: boolean
  /** When its money was there, and the warehouse's own system was to be told to let it leave. */
  releasedAt: string | null
  /** When we heard that it has left without being sent for: by that system, or by its carrier. */
  leftAt: string | null
  trouble: WarehouseTrouble | null
  expectedAt: string | null
  shippedAt: string | null
  endedAt: string | null
  /** When the customer was given their money, or content, for one that is lost or came back: nothing more comes of it. */
  settledAt: string | null
}

export interface LabelBook {
  readonly id: LabelId
  readonly shipmentId: ShipmentId
  readonly number: number
  readonly key: string
  readonly carrier: string | null
  readonly service: string | null
  readonly addressVersion: number
  status: LabelStatus
  atWork: boolean
  readonly wasSent: boolean
  reference: string | null
  trackingNumber: string | null
  trackingUrl: string | null
  documentUrl: string | null
  /** Minor units of `currency`. */
  cost: number | null
  currency: string | null
  failureCode: string | null
  /** When its carrier has taken the request to void it, and not decided yet; and when it is asked again what became of that. */
  voidSentAt: string | null
  checkAt: string | null
  /** When we heard that a parcel travels by it, although it is not live. */
  leftAt: string | null
}

export interface CommandBook {
  readonly id: CommandId
  readonly shipmentId: ShipmentId | null
  readonly kind: CommandKind
  state: CommandState
  code: string | null
  readonly detail: CancelDetail | null
  readonly actor: string | null
}

/** What a cancellation that waits wants. */
export interface CancelDetail {
  readonly units: readonly Units[]
  /** Other units of the same request were cancelled at once. */
  readonly isRest: boolean
  readonly reason: CancelReason
  readonly reason_code: string
  /** The payment provider takes multiples of so many minor units. */
  readonly step: number
}

export interface GoodsRows {
  readonly order: GoodsOrder
  readonly lines: readonly GoodsLine[]
  readonly shipments: readonly ShipmentBook[]
  readonly labels: readonly LabelBook[]
  readonly commands: readonly CommandBook[]
  readonly messages: readonly MessageBook[]
  readonly backOrders: readonly Units[]
}
