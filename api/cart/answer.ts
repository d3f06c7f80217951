import { z } from 'zod'
import type { Cart } from '../../db/cart/cart'
import { readPriceInputs } from '../../db/pricing'
import type { Money } from '../../domain/money'
import { type CartProblem, type Priced, priceCart } from '../../domain/pricing/price'
import type { ApiDeps } from '../deps'
import { address, currency, idOf, money, orNull, timestamp } from '../http/schemas'

/** A cart as it is answered: its shape, and how it is made from a row. */

const cartLine = z
  .strictObject({
    sku: z.string(),
    product_id: idOf('product').nullable(),
    title: z.string(),
    quantity: z.int(),
    unit_price: money,
    price_at_add: money,
    discount: money,
    tax: money,
    total: money,
  })
  .meta({ id: 'CartLine' })

const cartProblem = z
  .object({
    code: z
      .string()
      .meta({ description: 'price_changed, insufficient_stock, out_of_stock, unavailable; more will come' }),
    sku: z.string().optional(),
    message: z.string(),
    old_price: money.optional(),
    new_price: money.optional(),
    available_quantity: z.int().optional(),
  })
  .meta({ id: 'CartProblem' })

export const cartBody = z
  .strictObject({
    id: idOf('cart'),
    token: z.string().optional().meta({ description: 'answered once, when the cart is made: send it as X-Cart-Token' }),
    version: z.int(),
    state: z.enum(['open', 'bought', 'merged', 'expired']),
    currency,
    lines: z.array(cartLine),
    coupons: z.array(z.unknown()),
    email: z.string().nullable(),
    shipping_address: orNull(address),
    shipping_method: z.string().nullable(),
    tenders: z.array(z.unknown()),
    totals: z.strictObject({
      subtotal: money,
      discount: money,
      shipping: money,
      tax: money,
      total: money,
      tendered: money,
      due: money,
      estimated: z.boolean().meta({ description: 'true until address and shipping method are known' }),
    }),
    problems: z.array(cartProblem),
    hold: z.strictObject({ expires_at: timestamp }).nullable(),
    checkout: z
      .strictObject({ order_id: idOf('order') })
      .nullable()
      .meta({ description: 'the order that locks or bought it' }),
    expires_at: timestamp,
  })
  .meta({ id: 'Cart' })

export type CartBody = z.input<typeof cartBody>

/** The priced cart as JSON text. */
export async function cartJson(cart: Cart, deps: Pick<ApiDeps, 'pool' | 'tax'>): Promise<string> {
  return JSON.stringify(await presentCart(cart, deps))
}

export async function presentCart(cart: Cart, { pool, tax }: Pick<ApiDeps, 'pool' | 'tax'>): Promise<CartBody> {
  const { shippingAddress, shippingMethod } = cart
  const inputs = await readPriceInputs(pool, cart)
  const rates = await tax.rates({
    address: { country: shippingAddress?.country ?? null, postalCode: shippingAddress?.postal_code ?? null },
    skus: inputs.lines.map((line) => line.sku),
  })
  return bodyOf(cart, priceCart({ ...inputs, shippingMethod, tax: rates }))
}

function bodyOf(cart: Cart, priced: Priced): CartBody {
  const inCurrency = (amount: number): Money => ({ amount, currency: cart.currency })
  const { subtotal, discount, shipping, tax, total } = priced.totals
  return {
    id: cart.id,
    version: cart.version,
    state: cart.state,
    currency: cart.currency,
    lines: priced.lines.map((line) => ({
      sku: line.skuWritten,
      product_id: line.productId,
      title: line.title,
      quantity: line.quantity,
      unit_price: inCurrency(line.unitPrice),
      price_at_add: inCurrency(line.priceAtAdd),
      discount: inCurrency(line.discount),
      tax: inCurrency(line.tax),
      total: inCurrency(line.total),
    })),
    coupons: [],
    email: cart.email,
    shipping_address: cart.shippingAddress,
    shipping_method: cart.shippingMethod,
    tenders: [],
    totals: {
      subtotal: inCurrency(subtotal),
      discount: inCurrency(discount),
      shipping: inCurrency(shipping),
      tax: inCurrency(tax),
      total: inCurrency(total),
      tendered: inCurrency(0),
      due: inCurrency(total),
      estimated: cart.shippingAddress === null || cart.shippingMethod === null,
    },
    problems: priced.problems.map((problem) => problemBody(problem, inCurrency)),
    hold: cart.holdExpiresAt && { expires_at: cart.holdExpiresAt.toISOString() },
    checkout: cart.orderId ? { order_id: cart.orderId } : null,
    expires_at: cart.expiresAt.toISOString(),
  }
}

function problemBody(problem: CartProblem, inCurrency: (amount: number) => Money): z.input<typeof cartProblem> {
  const { code, sku } = problem
  switch (code) {
    case 'price_changed':
      return {
        code,
        sku,
        message: `The price of ${sku} has changed.`,
        old_price: inCurrency(problem.oldPrice),
        new_price: inCurrency(problem.newPrice),
      }
    case 'insufficient_stock':
      return {
        code,
        sku,
        message: `Only ${problem.availableQuantity} of ${sku} are left.`,
        available_quantity: problem.availableQuantity,
      }
    case 'out_of_stock':
      return { code, sku, message: `${sku} is sold out.`, available_quantity: 0 }
    case 'unavailable':
      return { code, sku, message: `${sku} cannot be bought any more.` }
  }
}
