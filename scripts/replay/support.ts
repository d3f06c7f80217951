import { type Client, Unreachable } from './client'
import { chanceOf } from './chance'
import { worthOf, type BoughtOrder } from './money'
import { inParallel } from './parallel'
import { moveMoney } from './pay'
import { receive, type ShownShipment, type Warehouse } from './warehouse'

/**
 * Support: decides about parcels that are lost or came back. Half of those that are lost are sent once more, the first time, from
 * goods that were received for that; what all others were worth is given back.
 */

export type ParcelDecision = 'replaced' | 'refunded'

export interface Decision {
  readonly decision: ParcelDecision
  readonly shipment: ShownShipment
  /** Pence. */
  readonly refunded: number
}

export interface OpenCase {
  readonly order_id: string | null
  readonly case: string
  readonly step: string | null
  readonly object: string | null
  readonly detail: string | null
}

/** Of what is lost for the first time. */
const SENT_ONCE_MORE = 0.5
const AT_ONCE = 8
/** `repair_not_allowed`: it was decided before, or its workflow begins again. */
const REPAIRED = [202, 409]

export class Support {
  /** By the id of the parcel. */
  readonly decisions = new Map<string, Decision>()
  /** Why it could not decide so far, by the id of the parcel: it tries again. */
  readonly troubles = new Map<string, { readonly invoice: string; readonly message: string }>()
  private readonly warehouse: Warehouse
  private readonly orders: ReadonlyMap<string, BoughtOrder>
  private readonly seed: number

  /** @param orders by id: it works for these alone. */
  constructor(warehouse: Warehouse, orders: ReadonlyMap<string, BoughtOrder>, seed: number) {
    this.warehouse = warehouse
    this.orders = orders
    this.seed = seed
  }

  /** Decides all cases about parcels of these orders that are open now. */
  async decideAll(): Promise<void> {
    const { client } = this.warehouse
    const cases = await openCases(client)
    await inParallel(cases, AT_ONCE, async ({ order_id: orderId, case: kind, step, object }) => {
      const order = orderId === null ? undefined : this.orders.get(orderId)
      if (!order || kind !== 'fulfillment_stalled' || step !== 'decideParcel' || object === null) return
      try {
        await this.decideCase(order, object)
        this.troubles.delete(object)
      } catch (error) {
        if (error instanceof Unreachable) throw error
        this.troubles.set(object, { invoice: order.invoice, message: (error as Error).message })
      }
    })
  }

  private async decideCase(order: BoughtOrder, object: string): Promise<void> {
    const { client } = this.warehouse
    const shipment = await client.json<ShownShipment>('GET', `/v1/admin/shipments/${object}`, { expected: [200] })
    if (shipment.status === 'lost' || shipment.status === 'returned') await this.decide(order, shipment)
    else await this.repair(order, shipment.id, { action: 'retryStep' })
  }

  private async decide(order: BoughtOrder, shipment: ShownShipment): Promise<void> {
    const decided = this.decisions.get(shipment.id)?.decision ?? this.wayOf(order, shipment)
    if (decided === 'replaced') {
      if (!this.decisions.has(shipment.id)) {
        await receive(this.warehouse, `${shipment.id}-again`, shipment.lines)
        this.decisions.set(shipment.id, { decision: decided, shipment, refunded: 0 })
      }
      return this.repair(order, shipment.id, { action: 'reroute' })
    }
    if (!this.decisions.has(shipment.id)) {
      const { client, run } = this.warehouse
      const body = { lines: shipment.lines, reason_code: `parcel_${shipment.status}` }
      const key = `${run}-${shipment.id}-refund`
      const refunded = await moveMoney(client, { what: 'refund', orderId: order.id, key, body })
      const worth = worthOf(order, new Map(shipment.lines.map(({ sku, quantity }) => [sku, quantity])))
      if (refunded !== worth) throw new Error(`${shipment.id} is worth ${worth} pence, and ${refunded} went back`)
      this.decisions.set(shipment.id, { decision: decided, shipment, refunded })
    }
    await this.repair(order, shipment.id, { action: 'resolveStep', outcome: 'done' })
  }

  private wayOf({ invoice }: BoughtOrder, { status, replaces, lines }: ShownShipment): ParcelDecision {
    if (status !== 'lost' || replaces !== null) return 'refunded'
    const about = `${invoice} ${lines.map(({ sku }) => sku).join(' ')}`
    return chanceOf(this.seed, 'once more', about).next() < SENT_ONCE_MORE ? 'replaced' : 'refunded'
  }

  private async repair(order: BoughtOrder, object: string, repair: object): Promise<void> {
    const { client, run } = this.warehouse
    const body = { ...repair, step: 'decideParcel', object, reason_code: 'replay' }
    const key = `${run}-${object}-${JSON.stringify(repair)}-${this.repairs++}`
    await client.json('POST', `/v1/admin/orders/${order.id}/repairs`, { body, key, expected: REPAIRED })
  }

  private repairs = 0
}

/** All that wait for a person. */
export async function openCases(client: Client): Promise<OpenCase[]> {
  const cases: OpenCase[] = []
  for (let path = '/v1/admin/attention?limit=100'; path !== ''; ) {
    const page = await client.json<{ data: OpenCase[]; next_cursor: string | null }>('GET', path, { expected: [200] })
    cases.push(...page.data)
    path = page.next_cursor === null ? '' : `/v1/admin/attention?limit=100&cursor=${page.next_cursor}`
  }
  return cases
}
