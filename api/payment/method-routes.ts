import { z } from 'zod'
import type { PaymentProvider } from '../../providers/payment/provider'
import { wholeList } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { currency, listPageOf } from '../http/schemas'
import { providersInOrder } from './choose'

const paymentMethod = z
  .strictObject({
    provider: z.string(),
    type: z.enum(['card']),
    methods: z
      .array(z.string())
      .nullable()
      .meta({ description: "names to send; null: the provider's own page or field makes one for each buyer" }),
    publishable_key: z.string().nullable().meta({ description: "the provider's key for browsers, where it has one" }),
  })
  .meta({ id: 'PaymentMethod' })

const getPaymentMethods = defineRoute({
  method: 'get',
  path: '/v1/store/payment-methods',
  tag: 'Checkout',
  summary: 'List what a checkout can be paid by',
  description: 'The first provider that takes a method is asked for the money when a checkout names none.',
  caller: 'anyone',
  query: z.strictObject({ currency: currency.optional().meta({ description: 'of the cart' }) }),
  answers: { 200: listPageOf(paymentMethod) },
  example: { answer: 200 },
}).handle(async (_input, { providers }) => ({
  status: 200,
  body: wholeList(providersInOrder(providers).map(presentOffer)),
}))

function presentOffer({ name, offer }: PaymentProvider): z.input<typeof paymentMethod> {
  const { type, methods, publishableKey } = offer
  return { provider: name, type, methods: methods && [...methods], publishable_key: publishableKey }
}

export const paymentMethodRoutes: Route[] = [getPaymentMethods]
