import type { OrderId, ShipmentId, WarehouseMessageId } from '../ids'
import type { Units, WarehouseMessageKind, WarehouseMessageState } from './shipment'

/** What a warehouse's own system is to be told of a shipment, under a key of its own. */
export interface MessageBook {
  readonly id: WarehouseMessageId
  readonly shipmentId: ShipmentId
  /** Within its order. */
  readonly number: number
  readonly key: string
  readonly kind: WarehouseMessageKind
  /** How often the warehouse was told what is in the shipment, this time included. */
  readonly revision: number
  readonly lines: readonly Units[]
  state: WarehouseMessageState
  /** The system may know of it. */
  readonly wasSent: boolean
}

/** The shipment that a message is about. */
interface Told {
  readonly id: ShipmentId
  readonly lines: readonly Units[]
}

/** The messages of one order to the systems of its warehouses. Those about one shipment go out one after another. */
export class WarehouseMessages {
  readonly rows: MessageBook[]
  private readonly orderId: OrderId
  private readonly newId: () => WarehouseMessageId

  constructor(rows: readonly MessageBook[], orderId: OrderId, newId: () => WarehouseMessageId) {
    this.rows = [...rows]
    this.orderId = orderId
    this.newId = newId
  }

  /** Those that are to go out now: of each shipment the first. */
  get due(): readonly MessageBook[] {
    const pending = this.rows.filter(({ state }) => state === 'pending')
    return pending.filter(
      ({ shipmentId }, index) => pending.findIndex((each) => each.shipmentId === shipmentId) === index,
    )
  }

  /** The warehouse is to pack what the shipment has now; what it was told before counts no more. */
  pack(shipment: Told): void {
    this.withdraw(shipment.id)
    this.push('pack', shipment, this.revisionOf(shipment.id) + 1)
  }

  release(shipment: Told): void {
    this.push('release', shipment, this.revisionOf(shipment.id))
  }

  /** A warehouse that cannot know of the shipment is told nothing. */
  cancel(shipment: Told): void {
    this.withdraw(shipment.id)
    if (this.of(shipment.id).some(({ wasSent }) => wasSent)) this.push('cancel', shipment, this.revisionOf(shipment.id))
  }

  /** What was not sent yet is not sent. */
  withdraw(shipmentId: ShipmentId): void {
    for (const message of this.of(shipmentId))
      if (message.state === 'pending' && !message.wasSent) message.state = 'withdrawn'
  }

  /** It has left: whatever the warehouse has not answered for yet says nothing any more. */
  end(shipmentId: ShipmentId): void {
    for (const message of this.of(shipmentId)) if (message.state === 'pending') message.state = 'withdrawn'
  }

  /** Of what the warehouse was, or is to be, told last; 0: of nothing. */
  revisionOf(shipmentId: ShipmentId): number {
    return Math.max(0, ...this.of(shipmentId).map(({ revision }) => revision))
  }

  private of(shipmentId: ShipmentId): readonly MessageBook[] {
    return this.rows.filter((message) => message.shipmentId === shipmentId)
  }

  private push(kind: WarehouseMessageKind, { id, lines }: Told, revision: number): void {
    const number = Math.max(0, ...this.rows.map((message) => message.number)) + 1
    this.rows.push({
      id: this.newId(),
      shipmentId: id,
      number,
      key: warehouseKey(this.orderId, number),
      kind,
      revision,
      lines,
      state: 'pending',
      wasSent: false,
    })
  }
}

/** `<orderId>/warehouse/<n>` */
function warehouseKey(orderId: OrderId, number: number): string {
  return `${orderId}/warehouse/${number}`
}
