import fc from 'fast-check'
import {
  attemptToJoin,
  type CartSale,
  type CheckoutOrder,
  type CheckoutState,
  checkoutState,
  decideCheckout,
  decidePayment,
  freeInCatalog,
  guardPrice,
  judgeCart,
  judgeSale,
  type OrderDecision,
} from '../../domain/checkout'
import { SHIPPING_METHODS } from '../../domain/pricing/shipping'
import type { ProductId } from '../../domain/ids'
import { freeUnits, route, type Supply } from '../../domain/inventory'
import { ORDER_STATUSES, type OrderStatus } from '../../domain/order'
import { ATTEMPT_STATUSES, type AttemptStatus } from '../../domain/payment/attempt'
import { type CatalogEntry, NO_TAX, priceCart } from '../../domain/pricing/price'

const GBP = (amount: number) => ({ amount, currency: 'GBP' })
const guard = (lines: { quantity: number; unitPrice: number; priceAtAdd: number }[], expectedTotal: number | null) =>
  guardPrice({
    lines,
    total: lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0),
    expectedTotal,
    currency: 'GBP',
  })

describe('the price guard', () => {
  it.each([
    [1_000, 1_000, false],
    [1_000, 1_050, false],
    [1_000, 1_051, true],
    [1_000, 10, false],
    [19, 20, true],
    [20, 21, false],
    [0, 1, true],
    [0, 0, false],
  ])('added at %i, now %i: refused %s', (priceAtAdd, unitPrice, refused) => {
    expect(guard([{ quantity: 3, unitPrice, priceAtAdd }], null) !== null).toBe(refused)
  })

  it('names what the buyer was promised and what it costs now', () => {
    const lines = [
      { quantity: 2, unitPrice: 1_100, priceAtAdd: 1_000 },
      { quantity: 1, unitPrice: 500, priceAtAdd: 500 },
    ]
    expect(guard(lines, null)).toEqual({ code: 'price_changed', old_total: GBP(2_500), new_total: GBP(2_700) })
  })

  it('a total that the buyer saw counts alone: any difference refuses, no other does', () => {
    const lines = [{ quantity: 1, unitPrice: 5_000, priceAtAdd: 1 }]
    expect(guard(lines, 5_000)).toBeNull()
    expect(guard(lines, 5_001)).toEqual({ code: 'price_changed', old_total: GBP(5_001), new_total: GBP(5_000) })
    expect(guard(lines, 4_999)).not.toBeNull()
  })

  it('never refuses a fall, always a rise of more than 5 %, whatever the amounts', () => {
    const amount = fc.integer({ min: 0, max: 1_000_000_000 })
    fc.assert(
      fc.property(amount, amount, fc.integer({ min: 1, max: 1_000 }), (priceAtAdd, unitPrice, quantity) => {
        const refusal = guard([{ quantity, unitPrice, priceAtAdd }], null)
        if (unitPrice <= priceAtAdd) expect(refusal).toBeNull()
        expect(refusal !== null).toBe(BigInt(unitPrice) * 100n > BigInt(priceAtAdd) * 105n)
      }),
    )
  })
})

/** A line and what the catalog says of it; `price` of undefined: the catalog does not know the SKU. */
interface Row {
  readonly quantity?: number
  readonly priceAtAdd?: number
  readonly price?: number | null | undefined
  readonly active?: boolean
  readonly free?: number
}

function entryOf(sku: string, { price, active = true, free = 10 }: Row): CatalogEntry | null {
  if (price === undefined) return null
  const productId = 'prod_00000000000000000000000000' as ProductId
  const skuWritten = sku.toLowerCase()
  return { sku, skuWritten, productId, title: sku, sellerId: 'house', active, price, available: free }
}

function cartOf(rows: Readonly<Record<string, Row>>, rest: Partial<CartSale> = {}): CartSale {
  const entries = Object.entries(rows).flatMap(([sku, row]) => entryOf(sku, row) ?? [])
  const catalog = new Map(entries.map((entry) => [entry.sku, entry]))
  return {
    currency: 'GBP',
    lines: Object.entries(rows).map(([sku, { quantity = 1, priceAtAdd = 100 }]) => ({ sku, quantity, priceAtAdd })),
    catalog,
    shippingMethod: 'standard',
    taxInclusive: true,
    tax: NO_TAX,
    free: freeInCatalog(catalog),
    expectedTotal: null,
    version: 3,
    expectedVersion: null,
    ...rest,
  }
}

describe('the judgement of a cart', () => {
  it('is sellable at the price of the cart', () => {
    const cart = cartOf({ A: { price: 100 }, B: { price: 95, quantity: 2 } })
    expect(judgeCart(cart)).toEqual({ outcome: 'sellable', priced: priceCart(cart) })
  })

  it('refuses a cart of another version before anything else, then an empty one', () => {
    const gone = { GONE: {} }
    const changed = { outcome: 'refused', refusal: { code: 'cart_changed', version: 3 }, prices: {} }
    expect(judgeCart(cartOf(gone, { expectedVersion: 2 }))).toEqual(changed)
    expect(judgeCart(cartOf({}, { expectedVersion: 2 }))).toEqual(changed)
    expect(judgeCart(cartOf({}, { expectedVersion: 3, expectedTotal: 5 }))).toEqual({
      outcome: 'refused',
      refusal: { code: 'cart_empty' },
      prices: {},
    })
  })

  it('names every line that cannot be had, as the merchant wrote it, in the order of the cart', () => {
    const cart = cartOf({
      SHORT: { price: 100, quantity: 5, free: 3 },
      FINE: { price: 100, quantity: 10 },
      ARCHIVED: { price: 100, active: false, free: 7 },
      SOLD: { price: 100, free: 0 },
      UNPRICED: { price: null },
      GONE: { quantity: 2 },
    })
    expect(judgeCart(cart)).toEqual({
      outcome: 'refused',
      refusal: {
        code: 'out_of_stock',
        lines: [
          { sku: 'short', requested: 5, available: 3 },
          { sku: 'archived', requested: 1, available: 0 },
          { sku: 'sold', requested: 1, available: 0 },
          { sku: 'unpriced', requested: 1, available: 0 },
          { sku: 'GONE', requested: 2, available: 0 },
        ],
      },
      prices: {},
    })
  })

  it('tells of stock before it tells of the price', () => {
    const dearer = { price: 200, priceAtAdd: 100 }
    expect(judgeCart(cartOf({ A: { ...dearer, free: 0 } }))).toMatchObject({ refusal: { code: 'out_of_stock' } })
    expect(judgeCart(cartOf({ A: dearer, B: { price: 300 } }, { expectedTotal: 400 }))).toEqual({
      outcome: 'refused',
      refusal: { code: 'price_changed', old_total: GBP(400), new_total: GBP(500) },
      prices: { A: 200, B: 300 },
    })
  })

  it('counts less than nothing as nothing, and knows nothing of a SKU without a figure', () => {
    const cart = cartOf({ A: { price: 100, free: -4 }, B: { price: 100 } })
    expect(judgeCart({ ...cart, free: new Map([['A', cart.free.get('A') ?? -1]]) })).toMatchObject({
      refusal: { lines: [{ available: 0 }, { available: 0 }] },
    })
  })
})

const row: fc.Arbitrary<Row> = fc.record({
  quantity: fc.integer({ min: 1, max: 12 }),
  priceAtAdd: fc.integer({ min: 0, max: 300 }),
  price: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(null, undefined)),
  active: fc.boolean(),
  free: fc.integer({ min: -2, max: 12 }),
})
const skus = fc.stringMatching(/^[A-Z]{1,3}$/)
const carts: fc.Arbitrary<CartSale> = fc
  .record({
    rows: fc.dictionary(skus, fc.oneof({ arbitrary: row, weight: 1 }, { arbitrary: sellable(), weight: 3 })),
    shippingMethod: fc.constantFrom(...SHIPPING_METHODS),
    taxInclusive: fc.boolean(),
    rate: fc.integer({ min: 0, max: 3_000 }),
    expectedTotal: fc.option(fc.integer({ min: 0, max: 2_000 })),
    expectedVersion: fc.option(fc.constantFrom(2, 3, 3, 3)),
  })
  .map(({ rows, rate, ...rest }) => {
    const lines = Object.fromEntries(Object.keys(rows).map((sku) => [sku, rate]))
    return cartOf(rows, { ...rest, tax: { lines, shipping: rate } })
  })

function sellable(): fc.Arbitrary<Row> {
  return fc
    .record({ price: fc.integer({ min: 0, max: 300 }), quantity: fc.integer({ min: 1, max: 12 }) })
    .map(({ price, quantity }) => ({ price, quantity, priceAtAdd: price, free: quantity }))
}

describe('accepting and placing', () => {
  it('agree on the same lines, whatever the cart', () => {
    fc.assert(
      fc.property(carts, (cart) => {
        const accepted = judgeCart({ ...cart, expectedVersion: null })
        if (cart.lines.length > 0) expect(judgeSale(cart)).toEqual(accepted)
        else expect(accepted).toMatchObject({ refusal: { code: 'cart_empty' } })
      }),
    )
  })

  it('refuse for stock exactly the lines that ask for more than is free of what is for sale', () => {
    fc.assert(
      fc.property(carts, (cart) => {
        const judgement = judgeSale(cart)
        const unavailable = new Set(
          priceCart(cart).problems.flatMap(({ code, sku }) => (code === 'unavailable' ? [sku.toUpperCase()] : [])),
        )
        const tooMany = cart.lines.filter(
          ({ sku, quantity }) => unavailable.has(sku) || quantity > (cart.free.get(sku) ?? 0),
        )
        const refused =
          judgement.outcome === 'refused' && judgement.refusal.code === 'out_of_stock' ? judgement.refusal.lines : []
        expect(refused.map(({ sku }) => sku.toUpperCase())).toEqual(tooMany.map(({ sku }) => sku))
        for (const { requested, available } of refused) {
          expect(available).toBeGreaterThanOrEqual(0)
          expect(available).toBeLessThan(requested)
        }
      }),
    )
  })

  it('ask for what the cart costs, or for nothing', () => {
    fc.assert(
      fc.property(carts, (cart) => {
        const judgement = judgeCart(cart)
        const { lines, totals } = priceCart(cart)
        if (judgement.outcome === 'sellable') {
          expect(judgement.priced.totals).toEqual(totals)
          if (cart.expectedTotal !== null) expect(totals.total).toBe(cart.expectedTotal)
        } else if (judgement.refusal.code === 'price_changed') {
          expect(judgement.refusal.new_total).toEqual(GBP(totals.total))
          expect(judgement.prices).toEqual(Object.fromEntries(lines.map((line) => [line.sku, line.unitPrice])))
        } else {
          expect(judgement.prices).toEqual({})
        }
      }),
    )
  })

  it('never call sellable what cannot be routed from the stock that was counted', () => {
    const levels = fc.array(fc.integer({ min: -3, max: 8 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(carts, fc.infiniteStream(levels), (cart, stream) => {
        const supply = cart.lines.flatMap(({ sku }) =>
          (stream.next().value as number[]).map(
            (available, n): Supply => ({
              sku,
              warehouseId: `wh_${n}`,
              available,
              priority: n,
              country: 'GB',
              ...NOWHERE,
            }),
          ),
        )
        const judgement = judgeSale({ ...cart, free: freeUnits(supply) })
        const routed = route(cart.lines, supply, 'GB')
        if (judgement.outcome === 'sellable') expect(routed.outcome).toBe('routed')
        if (routed.outcome === 'short') expect(judgement).toMatchObject({ refusal: { code: 'out_of_stock' } })
      }),
    )
  })
})

/** Only the country is known. */
const NOWHERE = { latitude: null, longitude: null }

type Given = AttemptStatus | 'completed'

function orderOf(status: OrderStatus, attempts: readonly Given[] = [], cancelReason: string | null = null) {
  return {
    status,
    cancelReason,
    attempts: attempts.map((given, n): CheckoutOrder['attempts'][number] => ({
      attempt: n + 1,
      status: given === 'completed' ? 'captured' : given,
      outcome: given === 'completed' ? 'completed' : given === 'declined' ? 'declined' : null,
    })),
  }
}

describe('how a checkout stands, and what a request for its order comes to', () => {
  it.each<
    [
      OrderStatus,
      readonly Given[],
      string | null,
      CheckoutState,
      same: OrderDecision,
      other: OrderDecision,
      pay: OrderDecision,
    ]
  >([
    ['pending', ['requested'], null, 'in_progress', 'join', 'join', 'payment_in_progress'],
    ['pending', [], null, 'in_progress', 'join', 'join', 'payment_in_progress'],
    ['payment_pending', [], null, 'in_progress', 'join', 'join', 'pay'],
    ['payment_pending', ['sent'], null, 'in_progress', 'join', 'join', 'payment_in_progress'],
    ['payment_pending', ['pending'], null, 'in_progress', 'join', 'join', 'pay'],
    ['payment_pending', ['declined'], null, 'ready_for_payment', 'pay', 'checkout_in_progress', 'pay'],
    ['payment_pending', ['voided', 'failed'], null, 'ready_for_payment', 'pay', 'checkout_in_progress', 'pay'],
    ['payment_pending', ['requires_action'], null, 'requires_action', 'pay', 'checkout_in_progress', 'pay'],
    ['payment_pending', ['requires_action', 'requested'], null, 'in_progress', 'join', 'join', 'payment_in_progress'],
    ['confirmed', ['declined', 'completed'], null, 'completed', 'join', 'join', 'join'],
    ['confirmed', [], null, 'completed', 'join', 'join', 'join'],
    ['on_hold', ['completed'], null, 'completed', 'join', 'join', 'join'],
    ['cancelled', ['declined'], 'expired', 'expired', 'read_again', 'read_again', 'checkout_expired'],
    ['cancelled', ['failed'], 'out_of_stock', 'cancelled', 'read_again', 'read_again', 'checkout_expired'],
    ['cancelled', ['sent'], 'customer', 'cancelled', 'read_again', 'read_again', 'checkout_expired'],
  ])('%s with attempts %j (%s): %s', (status, attempts, reason, state, same, other, pay) => {
    const order = orderOf(status, attempts, reason)
    expect(checkoutState(order)).toBe(state)
    expect([decideCheckout(order, true), decideCheckout(order, false), decidePayment(order)]).toEqual([
      same,
      other,
      pay,
    ])
  })

  it('nobody pays again while the provider is asked, nor what is over', () => {
    const attempts = fc.array(fc.constantFrom(...ATTEMPT_STATUSES), { maxLength: 4 })
    fc.assert(
      fc.property(fc.constantFrom(...ORDER_STATUSES), attempts, fc.boolean(), (status, given, same) => {
        const order = orderOf(status, given)
        const decisions = [decideCheckout(order, same), decidePayment(order)]
        if (given.includes('requested') || given.includes('sent')) expect(decisions).not.toContain('pay')
        if (!['pending', 'inventory_reserved', 'payment_pending'].includes(status))
          expect(decisions).not.toContain('pay')
      }),
    )
  })

  it.each<[readonly Given[], number]>([
    [[], 1],
    [['requested'], 1],
    [['declined', 'sent'], 2],
    [['declined', 'completed', 'failed'], 2],
  ])('of attempts %j the one to join is number %i', (attempts, joined) => {
    expect(attemptToJoin(orderOf('payment_pending', attempts))).toBe(joined)
  })
})
