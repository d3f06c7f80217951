import { type Judgement, judgeSale, type Refusal } from '../../domain/checkout'
import type { CartId, OrderId, PaymentId } from '../../domain/ids'
import { freeUnits, route } from '../../domain/inventory'
import type { Currency } from '../../domain/money'
import { type CancelReason, isCompleted } from '../../domain/order'
import type { PricedLine } from '../../domain/pricing/price'
import { dropCart } from '../../db/cart/cache'
import { readSupply } from '../../db/inventory/reservation'
import { cancelOrder } from '../../db/order/cancel'
import { confirmOrder } from '../../db/order/confirm'
import { type OrderToPlace, placeOrder, readOrderToPlace, refuseOrder } from '../../db/order/place'
import type { AttemptToCharge } from '../../db/payment/attempt'
import { holdSeconds, storeSettings } from '../../db/platform/settings'
import { readPriceInputs } from '../../db/pricing'
import type { ActivityDeps } from '../deps'
import type { SeenCharge } from '../payment/charge'

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

/** Stock that changes between reading and reserving is read again this often, then by the next retry. */
const PLACE_TRIES_MAX = 8

type Over = { readonly outcome: 'over' }

export type CheckoutActivities = ReturnType<typeof createCheckoutActivities>

/** The effects of a checkout. Each is idempotent on the id that is its first field. */
export function createCheckoutActivities({
  pool,
  redis,
  tax,
  settings,
}: Pick<ActivityDeps, 'pool' | 'redis' | 'tax' | 'settings'>) {
  const patienceMs = settings.ATTENTION_AFTER_SECONDS * 1000

  /**
   * Idempotent on `orderId`: repeated, it returns what it did. A cancelled order is never placed. Nor is one that is older
   * than a hold lasts, because workers were away perhaps: its buyer has left.
   */
  async function place({ orderId }: { orderId: OrderId }): Promise<Placed | Over> {
    for (let tries = 0; tries < PLACE_TRIES_MAX; tries++) {
      const order = await readOrderToPlace(pool, orderId)
      if (!order) return { outcome: 'over' }
      if (order.status !== 'pending') return placedBefore(order)
      const seconds = holdSeconds(await storeSettings(pool), settings).checkout
      const reason = order.cancelWanted ? 'customer' : order.ageMs >= seconds * 1000 ? 'expired' : null
      if (reason) {
        await cancel({ orderId, reason })
        return { outcome: 'over' }
      }
      const placed = await tryToPlace(order, seconds)
      if (placed) return placed
    }
    throw new Error('The stock kept moving while it was being reserved')
  }

  async function placedBefore(order: OrderToPlace): Promise<Placed | Over> {
    if (order.status === 'cancelled' || isCompleted(order.status)) return over(order.cartId)
    const { currency, total, attempt, holdMs, cancelWanted } = order
    return {
      outcome: 'placed',
      due: total,
      currency,
      attempt,
      holdMs: holdMs ?? 0,
      patienceMs,
      repeated: true,
      cancelWanted,
    }
  }

  /** Null: the stock or the order has changed meanwhile. */
  async function tryToPlace(order: OrderToPlace, seconds: number): Promise<Placed | Over | null> {
    const { judgement, supply } = await judge(order)
    if (judgement.outcome === 'refused') return refuse(order, judgement)
    const { lines, totals } = judgement.priced
    const routed = route(lines, supply, order.country)
    if (routed.outcome === 'short') return null
    const placed = await placeOrder(pool, {
      orderId: order.id,
      cartId: order.cartId,
      allocations: routed.allocations,
      scores: routed.scores,
      lines: lines.map(placedLine),
      totals,
      holdSeconds: seconds,
    })
    return placed && placedNow(order, totals.total, placed.holdMs)
  }

  function placedNow(order: OrderToPlace, due: number, holdMs: number): Placed {
    const attempt = order.attempt && due > 0 ? { ...order.attempt, status: 'sent' as const } : null
    const { currency } = order
    return { outcome: 'placed', due, currency, attempt, holdMs, patienceMs, repeated: false, cancelWanted: false }
  }

  /** The judgement of the order's snapshot by today's catalog, and the stock that it counted. */
  async function judge(order: OrderToPlace) {
    const { currency, cartId, snapshot, country, postalCode, shippingMethod, expectedTotal } = order
    const skus = Object.keys(snapshot)
    const [inputs, supply, rates] = await Promise.all([
      readPriceInputs(pool, { currency, lines: snapshot, cartId }),
      readSupply(pool, skus, cartId),
      tax.rates({ address: { country, postalCode }, skus }),
    ])
    const judgement = judgeSale({ ...inputs, shippingMethod, tax: rates, free: freeUnits(supply), expectedTotal })
    return { judgement, supply }
  }

  async function refuse(
    { id: orderId, cartId }: OrderToPlace,
    { refusal, prices }: Extract<Judgement<Refusal>, { outcome: 'refused' }>,
  ): Promise<Over | null> {
    return (await refuseOrder(pool, { orderId, refusal, prices })) ? over(cartId) : null
  }

  /** Also said again: whoever ended the order may have been killed before it dropped the cart. */
  async function over(cartId: CartId): Promise<Over> {
    await dropCart(redis, cartId)
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
    const cartId = (await confirmOrder(pool, { orderId, paid })) ?? (await cartOfCompleted(orderId))
    if (cartId === null) return false
    await dropCart(redis, cartId)
    return true
  }

  /** The cart of an order that was confirmed before; null when it was not. */
  async function cartOfCompleted(orderId: OrderId): Promise<CartId | null> {
    const order = await readOrderToPlace(pool, orderId)
    return order && isCompleted(order.status) ? order.cartId : null
  }

  /** Idempotent on `orderId`: an order that is over stays as it is. */
  async function cancel({ orderId, reason }: { orderId: OrderId; reason: CancelReason }): Promise<void> {
    const cartId = (await cancelOrder(pool, { orderId, reason })) ?? (await readOrderToPlace(pool, orderId))?.cartId
    if (cartId !== undefined) await dropCart(redis, cartId)
  }

  return { place, confirm, cancelOrder: cancel }
}

function placedLine(line: PricedLine) {
  if (line.productId === null) throw new Error(`${line.sku} has no product`)
  return { ...line, productId: line.productId }
}
