/** Digits behind the point, where they are not two: ISO 4217. `Intl` follows CLDR, which has others for some currencies. */
const DIGITS: readonly { readonly digits: number; readonly currencies: string }[] = [
  { digits: 0, currencies: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF' },
  { digits: 3, currencies: 'BHD IQD JOD KWD LYD OMR TND' },
  { digits: 4, currencies: 'CLF UYW' },
]

/** As readers write it: `£5.10`. */
export function formatAmount(minorUnits: number, currency: string): string {
  const digits = minorDigits(currency)
  const format = new Intl.NumberFormat('en-GB', {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
  return format.format(minorUnits / 10 ** digits)
}

export function minorDigits(currency: string): number {
  return DIGITS.find(({ currencies }) => currencies.includes(currency))?.digits ?? 2
}
