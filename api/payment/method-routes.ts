import { z } from 'zod'
import type { PaymentProviders } from '../../providers/payment'
import type { PaymentProvider } from '../../providers/payment/provider'
import { wholeList } from '../http/pagination'
import { defineRoute, type Route } from '../http/route'
import { currency, listPageOf } from '../http/schemas'

/** What a checkout may name as its payment, and which provider it then means. */

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
}).handle(async (_input, { providers }) => ({ status: 200, body: wholeList(inOrder(providers).map(presentOffer)) }))

function presentOffer({ name, offer }: PaymentProvider): z.input<typeof paymentMethod> {
  const { type, methods, publishableKey } = offer
  return { provider: name, type, methods: methods && [...methods], publishable_key: publishableKey }
}

/** The provider that is asked to charge this method: the named one, or the first that takes it. */
export function findProvider(
  { provider: name, method }: { provider?: string | undefined; method: string },
  providers: PaymentProviders,
): PaymentProvider | undefined {
  return name === undefined ? inOrder(providers).find((each) => each.takes(method)) : providers.get(name)
}

function inOrder(providers: PaymentProviders): PaymentProvider[] {
  return providers.names.map((name) => providers.get(name)).filter((provider) => provider !== undefined)
}

export const paymentMethodRoutes: Route[] = [getPaymentMethods]
