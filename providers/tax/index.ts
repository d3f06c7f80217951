import type { Sku } from '../../domain/ids'
import { NO_TAX, type TaxRates } from '../../domain/pricing/price'

/** Where the goods go, as far as it is known. */
export interface TaxAddress {
  readonly country: string | null
  readonly postalCode: string | null
}

/** What a rate may depend on. */
export interface TaxQuestion {
  readonly address: TaxAddress
  readonly skus: readonly Sku[]
}

/** A source of tax rates. Asked before any transaction begins: an adapter may call out. */
export interface TaxProvider {
  rates(question: TaxQuestion): Promise<TaxRates>
}

/** No tax at all: what the store uses until tax rules are set up. */
export const noTaxProvider: TaxProvider = {
  rates: async () => NO_TAX,
}
