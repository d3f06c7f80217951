import type { LabelId, OrderId, ShipmentId } from '../../domain/ids'
import { plightOf, type ShipmentStatus, type Units } from '../../domain/fulfillment/shipment'
import type { FulfillmentItem } from '../../domain/fulfillment/work'
import type { MoneyStubs } from './money-stubs'
import type { Stubs } from './stub-worker'

/** The rows of an order's goods as its workflow sees them, beside those of its money: what the carrier would answer. */
export class GoodsStubs {
  items: FulfillmentItem[] = []
  isOver = false
  lookAt: number | null = null
  waitsFor = 'the warehouse.'
  /** Labels about which the carrier does not answer. */
  readonly away = new Set<string>()
  /** Labels that it refuses, to sell or to take back. */
  readonly refused = new Set<string>()
  /** What happens whenever the goods are brought on, to claim money say. True: money was claimed. */
  onAdvance: () => boolean = () => false
  private readonly money: MoneyStubs
  private made = 0

  constructor(money: MoneyStubs) {
    this.money = money
  }

  buy(): LabelId {
    return this.label('buy')
  }

  void(): LabelId {
    return this.label('void')
  }

  parcel(status: ShipmentStatus): ShipmentId {
    const object = `shp_${++this.made}` as ShipmentId
    const plight = plightOf({ status, trouble: null, isReleased: false, isOver: false })
    this.items = [...this.items, { kind: 'parcel', object, status, trouble: null, plight }]
    return object
  }

  short(orderId: OrderId, units: readonly Units[]): void {
    this.items = [...this.items, { kind: 'short', object: orderId, units }]
  }

  done(object: string): void {
    this.items = this.items.filter((item) => item.object !== object)
  }

  /** The effects of a fulfillment, on money and on goods. */
  get stubs(): Stubs {
    return {
      ...this.money.stubs,
      advanceGoods: async () => {
        const hasClaimedMoney = this.onAdvance()
        return { isOver: this.isOver, items: this.items, lookAt: this.lookAt, waitsFor: this.waitsFor, hasClaimedMoney }
      },
      buyLabel: async ({ labelId }: { labelId: LabelId }) => this.answer(labelId, 'refused'),
      voidLabel: async ({ labelId }: { labelId: LabelId }) => this.answer(labelId, 'voiding'),
      decideLabel: async ({ labelId, decision }: { labelId: LabelId; decision: string }) => {
        const decided = this.items.find(({ object }) => object === labelId)
        this.done(labelId)
        if (decision === 'retry' && decided?.kind === 'label') this.label(decided.status === 'refused' ? 'buy' : 'void')
      },
      decideShort: async ({ orderId }: { orderId: OrderId }) => this.done(orderId),
      decideParcel: async ({ shipmentId }: { shipmentId: ShipmentId }) => this.done(shipmentId),
    }
  }

  private label(kind: 'buy' | 'void'): LabelId {
    const object = `lab_${++this.made}` as LabelId
    this.items = [...this.items, { kind, object, shipmentId: 'shp_0' as ShipmentId }]
    return object
  }

  private answer(object: LabelId, status: 'refused' | 'voiding'): void {
    if (this.away.has(object)) throw new Error('away')
    const isThere = this.items.some((item) => item.object === object)
    this.done(object)
    if (isThere && this.refused.has(object))
      this.items = [...this.items, { kind: 'label', object, shipmentId: 'shp_0' as ShipmentId, status, code: 'no' }]
  }
}
