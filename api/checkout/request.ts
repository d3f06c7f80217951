import { z } from 'zod'
import { SHIPPING_METHODS } from '../../domain/pricing/shipping'
import { address, email, money } from '../http/schemas'

export const paymentRequest = z.strictObject({
  provider: z
    .string()
    .min(1)
    .max(50)
    .optional()
    .meta({ description: 'left out: the first that takes the method', example: 'sandbox' }),
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
  payment: paymentRequest.nullish().transform((payment) => payment ?? null),
  expected_total: money.nullish(),
})
export type CheckoutRequest = z.output<typeof checkoutRequest>
