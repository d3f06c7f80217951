import { randomUUID } from 'node:crypto'
import type { Answer } from './http'
import { ADDRESS, type Buyer, type Shop } from './shop'
import { until } from './wait'

type Body = Answer['body']

export interface PaidOrder {
  readonly id: string
  readonly buyer: Buyer
  /** In minor units. */
  readonly total: number
}

interface Bought {
  readonly lines: Readonly<Record<string, number>>
  readonly method?: string
  /** A word for the sandbox carrier: the second line of the address. */
  readonly word?: string
  readonly shippingMethod?: string
}

/** How long anything that the workers do may take on a busy machine. */
export const WITHIN_MS = 60_000

/** What warehouses do with the parcels of a shop: over HTTP, as staff. */
export class Parcels {
  readonly shop: Shop
  private readonly carrier: string

  constructor(shop: Shop, carrier: string) {
    this.shop = shop
    this.carrier = carrier
  }

  /** A new warehouse; returns its id. */
  async warehouse(operation: 'automatic' | 'manual' = 'manual', priority = 100): Promise<string> {
    const body = { name: `W ${randomUUID()}`, country: 'GB', operation, priority }
    return (await this.shop.admin('post', '/v1/admin/warehouses', body)).body.id
  }

  /** A product of its own, and how much of it lies in which warehouse; returns its SKU. */
  async product(stock: Readonly<Record<string, number>>, price = 1_000): Promise<string> {
    const sku = await this.shop.product({ price, stock: 0 })
    for (const [warehouse_id, set_on_hand] of Object.entries(stock)) {
      const body = { sku, warehouse_id, set_on_hand, reason: 'stocktake' }
      expect(await this.shop.admin('post', '/v1/admin/inventory/adjustments', body)).toMatchObject({ status: 200 })
    }
    return sku
  }

  /** Buys it, and waits until it is paid. */
  async paid({ lines, method = 'pm_card_visa', word, shippingMethod = 'standard' }: Bought): Promise<PaidOrder> {
    const buyer = await this.shop.buyer(lines)
    const key = randomUUID()
    const shipping_address = { ...ADDRESS, line2: word ?? null }
    const { body } = await until(
      'it is paid',
      () => buyer.checkout({ method, key, body: { shipping_address, shipping_method: shippingMethod } }),
      ({ status }) => status === 201,
      WITHIN_MS,
    )
    return { id: body.id, buyer, total: body.totals.total.amount }
  }

  async order(orderId: string): Promise<Body> {
    return (await this.shop.order(orderId)).body
  }

  /** Waits until the order has so many shipments that are not cancelled; the first allocated first. */
  async shipments(orderId: string, count = 1): Promise<Body[]> {
    const { shipments } = await until(
      `${orderId} has ${count} shipments`,
      () => this.order(orderId),
      (order) => liveOf(order).length === count,
      WITHIN_MS,
    )
    return (shipments as Body[]).filter(({ status }) => status !== 'cancelled')
  }

  /** The id of its only shipment. */
  async shipmentOf(orderId: string): Promise<string> {
    return (await this.shipments(orderId))[0].id
  }

  step(id: string, step: string, body: object = {}, key?: string): Promise<Answer> {
    return this.shop.admin('post', `/v1/admin/shipments/${id}/${step}`, body, key)
  }

  async read(id: string): Promise<Body> {
    return (await this.shop.admin('get', `/v1/admin/shipments/${id}`)).body
  }

  /** Picks and packs it, and waits for its label. */
  async labelled(id: string): Promise<Body> {
    expect(await this.step(id, 'pick')).toMatchObject({ status: 200, body: { status: 'picking' } })
    expect(await this.step(id, 'pack')).toMatchObject({ status: 200, body: { status: 'packed' } })
    expect([200, 202]).toContain((await this.step(id, 'label')).status)
    return this.becomes(id, 'labelled')
  }

  /** Hands it over, and waits until it has left. */
  async shipped(id: string): Promise<Body> {
    expect([200, 202]).toContain((await this.step(id, 'ship')).status)
    return this.hasLeft(id)
  }

  /** Waits until the shipment has this status. */
  becomes(id: string, status: string): Promise<Body> {
    return until(
      `${id} is ${status}`,
      () => this.read(id),
      (shipment) => shipment.status === status,
      WITHIN_MS,
    )
  }

  hasLeft(id: string): Promise<Body> {
    return until(
      `${id} has left`,
      () => this.read(id),
      ({ status }) => ['shipped', 'delivered', 'lost', 'returned'].includes(status),
      WITHIN_MS,
    )
  }

  orderBecomes(orderId: string, status: string): Promise<Body> {
    return this.shop.orderBecomes(orderId, status, WITHIN_MS)
  }

  /** Waits for a case of this kind, and returns it. */
  caseOf(orderId: string, code: string): Promise<Body> {
    return this.shop.waitForCase(orderId, code, WITHIN_MS)
  }

  /** Repairs the order's open case; waits until it has none any more. */
  async repaired(orderId: string, repair: object): Promise<void> {
    await this.repair(orderId, repair)
    await this.hasNoCase(orderId)
  }

  /** On a busy machine no worker may take it in time: then it is sent again. */
  async repair(orderId: string, repair: object): Promise<void> {
    const body = { reason_code: 'checked', ...repair }
    const key = randomUUID()
    const answer = await until(
      `${JSON.stringify(repair)} is taken`,
      () => this.shop.admin('post', `/v1/admin/orders/${orderId}/repairs`, body, key),
      ({ status }) => status !== 503,
      WITHIN_MS,
    )
    expect(answer).toMatchObject({ status: 202 })
  }

  async hasNoCase(orderId: string): Promise<void> {
    await until(
      `${orderId} has no open case`,
      () => this.shop.cases(orderId),
      (open) => open.length === 0,
      WITHIN_MS,
    )
  }

  cancel(orderId: string, body: object = {}, key?: string): Promise<Answer> {
    return this.shop.admin('post', `/v1/admin/orders/${orderId}/cancel`, { reason_code: 'customer', ...body }, key)
  }

  /** Sums of the order's ledger by account, those of nothing left out. */
  async ledger(orderId: string): Promise<Record<string, number>> {
    const { ledger } = await this.order(orderId)
    const sums: Record<string, number> = {}
    for (const { account, amount } of ledger as Body[]) sums[account] = (sums[account] ?? 0) + amount.amount
    return Object.fromEntries(Object.entries(sums).filter(([, sum]) => sum !== 0))
  }

  /** The amounts of the order's captures, oldest first, with their status. */
  async captures(orderId: string): Promise<[number, string][]> {
    const { body } = await this.shop.admin('get', `/v1/admin/orders/${orderId}/captures`)
    return (body.data as Body[]).map(({ amount, status }) => [amount.amount, status])
  }

  /** What the payment provider's journal has as captured and as refunded for the order. */
  async moneyTaken(orderId: string): Promise<{ captured: number; refunded: number }> {
    const charges = (await this.shop.charges(orderId)) as unknown as { captured: number; refunded: number }[]
    const sum = (of: 'captured' | 'refunded') => charges.reduce((total, charge) => total + charge[of], 0)
    return { captured: sum('captured'), refunded: sum('refunded') }
  }

  /** The labels that the carrier's journal has for the order, by their keys. */
  async labels(orderId: string): Promise<{ id: string; key: string; status: string }[]> {
    const found: { id: string; key: string; status: string }[] = []
    for (let number = 1; ; number++) {
      const response = await fetch(`${this.carrier}/v1/labels?key=${encodeURIComponent(`${orderId}/label/${number}`)}`)
      const { data } = (await response.json()) as { data: { id: string; key: string; status: string }[] }
      if (data.length === 0) return found
      found.push(...data)
    }
  }

  /** Makes the carrier fail, or travel faster; without arguments it works again, and a day takes a second. */
  async carrierFaults(faults: Readonly<Record<string, number>> = {}): Promise<void> {
    const response = await fetch(`${this.carrier}/v1/faults`, {
      method: 'put',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(faults),
    })
    expect(response.status).toBe(200)
  }

  /** Changes some of the store's settings. */
  async settings(changes: object): Promise<void> {
    const { body } = await this.shop.admin('get', '/v1/admin/settings')
    const { effective_hold_seconds: _, updated_at: __, ...settings } = body
    const answer = await this.shop.admin('put', '/v1/admin/settings', { ...settings, ...changes })
    expect(answer).toMatchObject({ status: 200, body: changes })
  }

  /** Time passes for what waits: whatever of the order would be due in so many hours is due now. */
  async hoursPass(orderId: string, hours: number): Promise<void> {
    const { pool } = this.shop.address.database
    await pool.query(
      `with earlier as (
         update shipment set due_at = due_at - make_interval(hours => $2) where order_id = $1 and due_at is not null
       )
       update orders
       set look_at = greatest(look_at - make_interval(hours => $2), now() - interval '1 second'), reminded_at = null,
           completes_at = completes_at - make_interval(hours => $2), updated_at = now()
       where id = $1`,
      [orderId, hours],
    )
  }
}

function liveOf({ shipments }: Body): Body[] {
  return (shipments as Body[]).filter(({ status }) => status !== 'cancelled')
}

/** Every invariant holds, once nothing is in flight. */
export async function auditHolds(shop: Shop): Promise<void> {
  const { body } = await until(
    'nothing is in flight',
    () => shop.admin('get', '/v1/admin/invariants'),
    (answer) => answer.body.settled,
    WITHIN_MS,
  )
  expect(body.checks.filter((check: { ok: boolean }) => !check.ok)).toEqual([])
  expect(body.ok).toBe(true)
}
