import type { PaymentProviders } from '../../providers/payment'
import type { PaymentProvider } from '../../providers/payment/provider'

/** The provider that is asked to charge this method: the named one, or the first that takes it. */
export function findProvider(
  { provider: name, method }: { provider?: string | undefined; method: string },
  providers: PaymentProviders,
): PaymentProvider | undefined {
  return name === undefined ? providers.forMethod(method) : providers.get(name)
}

/** In the order in which they are chosen. */
export function providersInOrder(providers: PaymentProviders): PaymentProvider[] {
  return providers.names.map((name) => providers.get(name)).filter((provider) => provider !== undefined)
}
