import { Agent, request } from 'undici'
import type { WarehouseOperation } from '../domain/fulfillment/shipment'
import type { Stack } from '../scripts/stack/supervisor'

/** A storefront that buys, with as few cycles of its own as it can: it shares the machine with what it measures. */
export class Shop {
  private readonly api: string
  private readonly adminKey: string
  private readonly agent = new Agent({ connections: 64, pipelining: 1 })

  constructor({ file }: Pick<Stack, 'file'>) {
    this.api = file.api
    this.adminKey = file.admin_key
  }

  async call(
    method: 'GET' | 'POST' | 'PATCH' | 'PUT',
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: string }> {
    const answer = await request(this.api + path, {
      method,
      dispatcher: this.agent,
      headers: { 'content-type': 'application/json', ...headers },
      body: body === undefined ? null : JSON.stringify(body),
    })
    return { status: answer.statusCode, body: await answer.body.text() }
  }

  async admin(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<string> {
    const key = `bench-${Math.random()}`
    const answer = await this.call(method, path, body, {
      authorization: `Bearer ${this.adminKey}`,
      'idempotency-key': key,
    })
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`)
    return answer.body
  }

  /** Changes a product whatever its version; returns it. */
  async patchProduct(id: string, patch: unknown): Promise<{ readonly version: number }> {
    const answer = await this.call('PATCH', `/v1/admin/products/${id}`, patch, {
      authorization: `Bearer ${this.adminKey}`,
      'if-match': '*',
    })
    if (answer.status !== 200) throw new Error(`PATCH ${id}: ${answer.status} ${answer.body}`)
    return JSON.parse(answer.body) as { version: number }
  }

  /** A cart with these lines, if any: ready to be bought. */
  async cart(lines: readonly { sku: string; quantity: number }[]): Promise<{ id: string; token: string }> {
    const made = await this.call('POST', '/v1/store/carts', { currency: 'GBP' })
    const { id, token } = JSON.parse(made.body) as { id: string; token: string }
    if (lines.length === 0) return { id, token }
    const filled = await this.call('POST', `/v1/store/carts/${id}/lines`, { lines }, { 'x-cart-token': token })
    if (filled.status !== 200) throw new Error(`lines: ${filled.status} ${filled.body}`)
    return { id, token }
  }

  /**
   * The completing call: anything but 201 ends the measurement.
   * @param line2 of the address: the sandbox carrier goes by words in it
   */
  async buy({ id, token }: { id: string; token: string }, line2: string | null = null): Promise<void> {
    const body = line2 === null ? CHECKOUT : { ...CHECKOUT, shipping_address: { ...CHECKOUT.shipping_address, line2 } }
    const answer = await this.call('POST', `/v1/store/carts/${id}/checkout`, body, {
      'x-cart-token': token,
      'idempotency-key': id,
    })
    if (answer.status !== 201) throw new Error(`checkout: ${answer.status} ${answer.body}`)
  }

  /** Buys by a card whose bank asks its customer first: what is bought, and where the bank asks. */
  async buyUpToAction({ id, token }: { id: string; token: string }): Promise<{ orderId: string; actionUrl: string }> {
    const payment = { method: 'pm_card_authenticationRequired' }
    const headers = { 'x-cart-token': token, 'idempotency-key': id }
    const answer = await this.call('POST', `/v1/store/carts/${id}/checkout`, { ...CHECKOUT, payment }, headers)
    if (answer.status !== 202) throw new Error(`checkout: ${answer.status} ${answer.body}`)
    const { order_id: orderId, action } = JSON.parse(answer.body) as { order_id: string; action: { url: string } }
    return { orderId, actionUrl: action.url }
  }

  /** Buys whatever happens on the way: asks again under the same key until the order is paid. */
  async buyEventually({ id, token }: { id: string; token: string }): Promise<void> {
    for (;;) {
      const answer = await this.call('POST', `/v1/store/carts/${id}/checkout`, CHECKOUT, {
        'x-cart-token': token,
        'idempotency-key': id,
      }).catch(() => ({ status: 0 }))
      if (answer.status === 201) return
    }
  }

  /** Sets after how many days an order that has arrived is complete; returns what it was before. */
  async setReturnWindow(days: number): Promise<number> {
    const settings = JSON.parse(await this.admin('GET', '/v1/admin/settings')) as { return_window_days: number }
    await this.admin('PUT', '/v1/admin/settings', { ...settings, return_window_days: days })
    return settings.return_window_days
  }

  /** Products with plenty of stock, one SKU each, in a warehouse where people would have to send them. */
  async stock(prefix: string, count: number): Promise<string[]> {
    const { skus } = await this.stockIn('manual', prefix, count)
    return skus
  }

  /** The same in a new warehouse that is run like this; answers its id too. */
  async stockIn(
    operation: WarehouseOperation,
    prefix: string,
    count: number,
  ): Promise<{ skus: string[]; warehouseId: string }> {
    const warehouse = JSON.parse(
      await this.admin('POST', '/v1/admin/warehouses', {
        ...{ name: `${prefix} warehouse`, country: 'GB', priority: 10 },
        operation,
      }),
    ) as { id: string }
    const skus = Array.from({ length: count }, (_, n) => `${prefix}-${n}`)
    for (const sku of skus) {
      await this.admin('POST', '/v1/admin/products', {
        title: sku,
        variants: [{ sku, prices: [{ amount: 255, currency: 'GBP' }] }],
      })
      await this.admin('POST', '/v1/admin/inventory/adjustments', {
        sku,
        warehouse_id: warehouse.id,
        set_on_hand: 10_000_000,
        reason: 'bench',
      })
    }
    return { skus, warehouseId: warehouse.id }
  }

  async close(): Promise<void> {
    await this.agent.close()
  }
}

const CHECKOUT = {
  email: 'buyer@example.com',
  shipping_address: { name: 'Sample Buyer', line1: '1 High St', city: 'Leeds', postal_code: 'LS1 4DY', country: 'GB' },
  shipping_method: 'standard',
  payment: { provider: 'sandbox', method: 'pm_card_visa' },
}
