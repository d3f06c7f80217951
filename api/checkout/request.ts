import { z } from 'zod'
import type { Address, Cart } from '../../db/cart/cart'
import { storeSettings } from '../../db/platform/settings'
import { SHIPPING_METHODS } from '../../domain/fulfillment'
import type { ApiDeps } from '../deps'
import { type FieldError, invalid } from '../http/problem'
import { address, email, money } from '../http/schemas'

export const paymentRequest = z.strictObject({
  provider: z.string().min(1).max(50).default('sandbox'),
  method: z
    .string()
    .min(1)
    .max(200)
    .meta({ description: "the provider's token of a payment method", example: 'pm_card_visa' }),
})
export type PaymentRequest = z.output<typeof paymentRequest>

export const checkoutRequest = z.strictObject({
  email: email.nullish(),
  shipping_address: address.nullish(),
  billing_address: address.nullish(),
  shipping_method: z.enum(SHIPPING_METHODS).nullish(),
  cart_version: z.int().min(1).nullish(),
  return_url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .nullish(),
  payment: paymentRequest,
  expected_total: money.nullish(),
})
export type CheckoutRequest = z.output<typeof checkoutRequest>

/** Who buys, and where the goods go. */
export interface CheckoutDetails {
  readonly email: string
  readonly shippingAddress: Address
  readonly shippingMethod: string
}

/** What the body leaves out the cart must know. Throws 400 `validation_failed` that names every field at fault. */
export async function requireDetails(cart: Cart, body: CheckoutRequest, deps: ApiDeps): Promise<CheckoutDetails> {
  const email = body.email ?? cart.email
  const shippingAddress = body.shipping_address ?? cart.shippingAddress
  const shippingMethod = body.shipping_method ?? cart.shippingMethod
  requireProvider(body.payment.provider, deps)
  const { countries } = await storeSettings(deps.pool)
  const errors: FieldError[] = [
    ...(email ? [] : [missing('/email')]),
    ...(shippingAddress ? [] : [missing('/shipping_address')]),
    ...(shippingMethod ? [] : [missing('/shipping_method')]),
    ...wrongCurrency(body.expected_total?.currency, cart.currency),
    ...notServed(shippingAddress?.country, countries),
  ]
  if (errors.length > 0 || !email || !shippingAddress || !shippingMethod) throw invalid(errors)
  return { email, shippingAddress, shippingMethod }
}

export function requireProvider(name: string, { providers }: Pick<ApiDeps, 'providers'>): void {
  if (providers.get(name)) return
  throw invalid([
    {
      in: 'body',
      pointer: '/payment/provider',
      code: 'unknown',
      message: `We take payments by ${providers.names.join(', ')}.`,
    },
  ])
}

function missing(pointer: string): FieldError {
  return { in: 'body', pointer, code: 'required', message: 'Neither the body nor the cart has it.' }
}

function wrongCurrency(given: string | undefined, expected: string): FieldError[] {
  if (given === undefined || given === expected) return []
  const message = `The cart is in ${expected}.`
  return [{ in: 'body', pointer: '/expected_total/currency', code: 'wrong_currency', message }]
}

function notServed(country: string | undefined, countries: readonly string[]): FieldError[] {
  if (country === undefined || countries.includes(country)) return []
  const message = `We send to ${countries.join(', ')}.`
  return [{ in: 'body', pointer: '/shipping_address/country', code: 'not_served', message }]
}
