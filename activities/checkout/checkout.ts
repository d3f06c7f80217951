import { guardPrice, type Refusal } from '../../domain/checkout'
import type { OrderId, PaymentId } from '../../domain/ids'
import type { Currency } from '../../domain/money'
import { type CancelReason, isCompleted } from '../../domain/order'
import { type Priced, type PricedLine, priceCart } from '../../domain/pricing'
import { type Demand, route, type Shortage } from '../../domain/inventory'
import { dropCart } from '../../db/cart/cache'
import { readSupply } from '../../db/inventory/reservation'
import { cancelOrder } from '../../db/order/cancel'
import { confirmOrder } from '../../db/order/confirm'
import type { AttemptToCharge } from '../../db/payment/attempt'
import { type OrderToPlace, placeOrder, readOrderToPlace, refuseOrder } from '../../db/order/place'
import { readPricing } from '../../db/pricing'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import type { ActivityDeps } from '../deps'
import type { SeenCharge } from '../payment/attempt'

export interface Placed {
  readonly outcome: 'placed'
  /** Minor units still to be paid. */
  readonly due: number
  readonly currency: Currency
  readonly attempt: AttemptToCharge | null
  readonly holdMs: number
  /** How long an answer is waited for before somebody is told. */
  readonly patienceMs: number
  /** True when an earlier run of this checkout had placed it. */
  readonly repeated: boolean
  /** The buyer has asked for a cancellation that no run of this checkout may have heard of. */
  readonly cancelWanted: boolean
}

/** Stock that moves between looking and reserving is looked at again this often, then by the next retry. */
const PLACE_TRIES = 8

export type CheckoutActivities = ReturnType<typeof createCheckoutActivities>

/** The effects of a checkout. Each is idempotent on the id that is its first field. */
export function createCheckoutActivities({ pool, redis, tax, settings }: ActivityDeps) {
  const patienceMs = settings.ATTENTION_AFTER_SECONDS * 1000

  /** Idempotent on `orderId`: repeated, it returns what it did. A cancelled order is never placed. */
  async function place({ orderId }: { orderId: OrderId }): Promise<Placed | { outcome: 'over' }> {
    for (let tries = 0; tries < PLACE_TRIES; tries++) {
      const order = await readOrderToPlace(pool, orderId)
      if (!order) return { outcome: 'over' }
      if (order.status !== 'pending') return placedBefore(order)
      if (order.cancelWanted) {
        await endOrder({ orderId, reason: 'customer' })
        return { outcome: 'over' }
      }
      const placed = await tryToPlace(order)
      if (placed) return placed
    }
    throw new Error('The stock kept moving while it was being reserved')
  }

  function placedBefore(order: OrderToPlace): Placed | { outcome: 'over' } {
    if (order.status === 'cancelled' || isCompleted(order.status)) return { outcome: 'over' }
    return {
      outcome: 'placed',
      due: order.total,
      currency: order.currency,
      attempt: order.attempt,
      holdMs: order.holdMs ?? 0,
      patienceMs,
      repeated: true,
      cancelWanted: order.cancelWanted,
    }
  }

  async function tryToPlace(order: OrderToPlace): Promise<Placed | { outcome: 'over' } | null> {
    const demand: Demand[] = Object.entries(order.snapshot).map(([sku, { quantity }]) => ({ sku, quantity }))
    const skus = demand.map((line) => line.sku)
    const [priced, supply, store] = await Promise.all([
      price(order),
      readSupply(pool, skus, order.cartId),
      storeSettings(pool),
    ])
    const routed = route(demand, supply, order.country)
    const refusal = refusalOf(order, priced, routed.outcome === 'short' ? routed.lines : [])
    if (refusal) return refuse(order, refusal, priced)
    if (routed.outcome === 'short') return null
    const placed = await placeOrder(pool, {
      orderId: order.id,
      cartId: order.cartId,
      allocations: routed.allocations,
      lines: priced.lines.map(placedLine),
      totals: priced.totals,
      holdSeconds: holdSeconds(store, settings).checkout,
    })
    if (!placed) return null
    const due = priced.totals.total
    const attempt = order.attempt && due > 0 ? { ...order.attempt, status: 'sent' as const } : null
    return {
      outcome: 'placed',
      due,
      currency: order.currency,
      attempt,
      holdMs: placed.holdMs,
      patienceMs,
      repeated: false,
      cancelWanted: false,
    }
  }

  async function price(order: OrderToPlace): Promise<Priced> {
    const lines = Object.entries(order.snapshot)
      .sort(([, a], [, b]) => a.position - b.position)
      .map(([sku, line]) => ({ sku, quantity: line.quantity, priceAtAdd: line.price_at_add }))
    const [catalog, { taxInclusive }] = await Promise.all([
      readPricing(pool, { currency: order.currency, skus: lines.map((line) => line.sku), cartId: order.cartId }),
      storeSettings(pool),
    ])
    const rates = await tax.rates({ country: order.country, postalCode: null, skus: lines.map((line) => line.sku) })
    return priceCart({
      currency: order.currency,
      lines,
      catalog,
      shippingMethod: order.shippingMethod,
      taxInclusive,
      tax: rates,
    })
  }

  async function refuse(order: OrderToPlace, refusal: Refusal, priced: Priced): Promise<{ outcome: 'over' } | null> {
    const prices =
      refusal.code === 'price_changed' ? Object.fromEntries(priced.lines.map((line) => [line.sku, line.unitPrice])) : {}
    if (!(await refuseOrder(pool, { orderId: order.id, refusal, prices }))) return null
    await dropCart(redis, order.cartId)
    return { outcome: 'over' }
  }

  /** Idempotent on `orderId`. False when the order was over before the money was seen: then the money has to go back. */
  async function confirm({
    orderId,
    paid,
  }: {
    orderId: OrderId
    paid: (SeenCharge & { paymentId: PaymentId }) | null
  }): Promise<boolean> {
    const cartId = await confirmOrder(pool, { orderId, paid })
    if (cartId === null) return isCompletedAlready(orderId)
    await dropCart(redis, cartId)
    return true
  }

  async function isCompletedAlready(orderId: OrderId): Promise<boolean> {
    const order = await readOrderToPlace(pool, orderId)
    return order !== null && isCompleted(order.status)
  }

  /** Idempotent on `orderId`: an order that is over stays as it is. */
  async function endOrder({ orderId, reason }: { orderId: OrderId; reason: CancelReason }): Promise<void> {
    const cartId = await cancelOrder(pool, { orderId, reason })
    if (cartId !== null) await dropCart(redis, cartId)
  }

  return { place, confirm, cancelOrder: endOrder }
}

/** Stock first, then price: a buyer who cannot have it need not hear what it costs. */
function refusalOf(order: OrderToPlace, priced: Priced, short: readonly Shortage[]): Refusal | null {
  const unavailable = priced.problems.filter((problem) => problem.code === 'unavailable').map((problem) => problem.sku)
  const gone = priced.lines
    .filter((line) => unavailable.includes(line.skuWritten) && !short.some((shortage) => shortage.sku === line.sku))
    .map((line) => ({ sku: line.sku, requested: line.quantity, available: 0 }))
  const lines = [...short, ...gone].map((line) => ({
    ...line,
    sku: priced.lines.find(({ sku }) => sku === line.sku)?.skuWritten ?? line.sku,
  }))
  if (lines.length > 0) return { code: 'out_of_stock', lines }
  return guardPrice({
    lines: priced.lines,
    total: priced.totals.total,
    expectedTotal: order.expectedTotal,
    currency: order.currency,
  })
}

function placedLine(line: PricedLine) {
  if (line.productId === null) throw new Error(`${line.sku} has no product`)
  return { ...line, productId: line.productId }
}
