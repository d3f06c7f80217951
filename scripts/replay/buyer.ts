import { setTimeout as delay } from 'node:timers/promises'
import { multiply, sum } from '../../domain/money'
import { shippingPrice } from '../../domain/pricing/shipping'
import type { Client } from './client'
import type { BoughtOrder } from './money'
import { type Article, type Basket, CURRENCY, SHIPPING_METHOD } from './plan'

export interface RefusedLine {
  readonly invoice: string
  readonly sku: string
  readonly requested: number
  readonly available: number
  /** The problem's code. */
  readonly reason: string
}

/** What came of a basket. Money in pence; `order` is null when nothing of it could be had. */
export interface Purchase {
  readonly refused: readonly RefusedLine[]
  readonly order: BoughtOrder | null
}

interface Money {
  readonly amount: number
}

interface Order {
  readonly id: string
  readonly status: string
  readonly lines: readonly { sku: string; quantity: number; unit_price: Money; total: Money }[]
  readonly totals: { readonly total: Money }
}

interface Shop {
  readonly client: Client
  readonly articles: ReadonlyMap<string, Article>
  /** Tells the keys of this replay from those of others. */
  readonly run: string
}

const POLL_MS = 500
const ADDRESS = { name: 'Sample Buyer', line1: '1 High St', city: 'Leeds', postal_code: 'LS1 4DY', country: 'GB' }

/**
 * One customer: a cart, all lines in one step, checkout; drops the lines that are short and submits the rest.
 * Throws when the shop answers anything but an order, or an order that is not what was asked for.
 */
export async function buy(shop: Shop, basket: Basket): Promise<Purchase> {
  const cart = await fillCart(shop, basket)
  const wanted = new Map(basket.lines)
  const refused: RefusedLine[] = []
  for (let submission = 1; wanted.size > 0; submission++) {
    const answer = await checkOut(shop, cart, basket, wanted, submission)
    if ('order' in answer) return { refused, order: asAskedFor(answer.order, wanted, { basket, shop }) }
    for (const { sku, requested, available } of answer.short) {
      if (!wanted.delete(sku)) throw new Error(`${sku} is short, and not in the cart`)
      refused.push({ invoice: basket.invoice, sku, requested, available, reason: 'out_of_stock' })
      await dropLine(shop, cart, sku)
    }
  }
  return { refused, order: null }
}

interface Cart {
  readonly id: string
  readonly token: string
}

async function fillCart({ client, run }: Shop, { invoice, lines }: Basket): Promise<Cart> {
  const key = `${run}-${invoice}`
  const cart = await client.json<Cart>('POST', '/v1/store/carts', {
    body: { currency: CURRENCY },
    key,
    expected: [201],
  })
  const body = { lines: [...lines].map(([sku, quantity]) => ({ sku, quantity })) }
  const path = `/v1/store/carts/${cart.id}/lines`
  const { status, text } = await client.call('POST', path, { body, token: cart.token, key })
  if (status !== 200) throw new Error(`the lines were answered ${status}: ${text.slice(0, 500)}`)
  return cart
}

async function checkOut(
  { client, articles, run }: Shop,
  { id, token }: Cart,
  { invoice, email }: Basket,
  wanted: ReadonlyMap<string, number>,
  submission: number,
): Promise<{ order: Order } | { short: { sku: string; requested: number; available: number }[] }> {
  const body = {
    email,
    shipping_address: ADDRESS,
    shipping_method: SHIPPING_METHOD,
    payment: { provider: 'sandbox', method: 'pm_card_visa' },
    expected_total: { amount: totalOf(wanted, articles), currency: CURRENCY },
  }
  const submit = () =>
    client.call('POST', `/v1/store/carts/${id}/checkout`, { body, token, key: `${run}-${invoice}-${submission}` })
  let { status, text } = await submit()
  if (status === 202) {
    await ended(client, (JSON.parse(text) as { order_id: string }).order_id, token)
    // The key answers what became of it.
    ;({ status, text } = await submit())
  }
  if (status === 201) return { order: JSON.parse(text) as Order }
  const problem = JSON.parse(text) as { code?: string; lines?: { sku: string; requested: number; available: number }[] }
  if (status === 409 && problem.code === 'out_of_stock' && problem.lines?.length) return { short: problem.lines }
  throw new Error(`the checkout was answered ${status}: ${text.slice(0, 500)}`)
}

/** Waits until a checkout goes on without us no more. */
async function ended(client: Client, orderId: string, token: string): Promise<void> {
  for (;;) {
    const path = `/v1/store/checkouts/${orderId}`
    const { state } = await client.json<{ state: string }>('GET', path, { token, expected: [200] })
    if (state !== 'in_progress') return
    await delay(POLL_MS)
  }
}

/** Gone already when the answer to the first try was lost. */
async function dropLine({ client }: Shop, { id, token }: Cart, sku: string): Promise<void> {
  const path = `/v1/store/carts/${id}/lines/${encodeURIComponent(sku)}`
  const { status, text } = await client.call('DELETE', path, { token })
  if (status !== 200 && status !== 404) throw new Error(`${path} was answered ${status}: ${text.slice(0, 500)}`)
}

function asAskedFor(
  order: Order,
  wanted: ReadonlyMap<string, number>,
  { basket, shop: { articles } }: { basket: Basket; shop: Shop },
): BoughtOrder {
  const expected = totalOf(wanted, articles)
  const money = order.totals.total.amount
  if (money !== expected) throw new Error(`the order costs ${money} pence, not ${expected}`)
  const right = order.lines.filter(({ sku, quantity, unit_price, total }) => {
    const price = articles.get(sku)?.price ?? Number.NaN
    return wanted.get(sku) === quantity && unit_price.amount === price && total.amount === price * quantity
  })
  if (right.length !== wanted.size || order.lines.length !== wanted.size) {
    throw new Error(`of ${wanted.size} lines the order has ${right.length} as asked for, ${order.lines.length} in all`)
  }
  const { invoice, day, customer } = basket
  const lines = order.lines.map(({ sku, quantity, unit_price }) => ({ sku, quantity, price: unit_price.amount }))
  return { id: order.id, invoice, day, customer, total: money, lines }
}

function totalOf(wanted: ReadonlyMap<string, number>, articles: ReadonlyMap<string, Article>): number {
  const goods = [...wanted].map(([sku, quantity]) => multiply(articles.get(sku)?.price ?? Number.NaN, quantity))
  return sum(goods) + shippingPrice(SHIPPING_METHOD, CURRENCY)
}
