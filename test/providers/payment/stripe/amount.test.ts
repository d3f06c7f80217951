import fc from 'fast-check'
import { minorDigits } from '../../../../domain/money'
import { ProviderRejected } from '../../../../providers/payment/provider'
import { fromStripeAmount, stripeStep, toStripeAmount } from '../../../../providers/payment/stripe/amount'

/** What ten units of each (10.00, 10, 10.000) are called at Stripe, by https://docs.stripe.com/currencies. */
const TEN_UNITS: readonly (readonly [currency: string, atStripe: number, step: number])[] = [
  ...['USD', 'EUR', 'GBP', 'HUF', 'TWD', 'CZK'].map((currency) => [currency, 1_000, 1] as const),
  ...['BIF', 'CLP', 'DJF', 'GNF', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'VND', 'VUV', 'XAF', 'XOF', 'XPF'].map(
    (currency) => [currency, 10, 1] as const,
  ),
  ['MGA', 10, 100],
  ['ISK', 1_000, 1],
  ['UGX', 1_000, 1],
  ...['BHD', 'JOD', 'KWD', 'OMR', 'TND'].map((currency) => [currency, 10_000, 10] as const),
]

test.each(TEN_UNITS)('ten units of %s are %i at Stripe', (currency, atStripe, step) => {
  const ours = 10 * 10 ** minorDigits(currency)
  expect(toStripeAmount(ours, currency)).toBe(atStripe)
  expect(fromStripeAmount(atStripe, currency.toLowerCase())).toEqual({ amount: ours, currency })
  expect(stripeStep(currency)).toBe(step)
})

test('what goes out comes back the same', () => {
  const currency = fc.constantFrom(...TEN_UNITS.map(([name]) => name))
  fc.assert(
    fc.property(currency, fc.integer({ min: 0, max: 10 ** 9 }), (name, steps) => {
      const amount = steps * stripeStep(name)
      expect(fromStripeAmount(toStripeAmount(amount, name), name.toLowerCase()).amount).toBe(amount)
    }),
  )
})

test.each([
  ['half an ariary', 1_050, 'MGA'],
  ['a thousandth of a dinar', 1_001, 'KWD'],
  ['half a penny', 0.5, 'GBP'],
  ['more than can be exact', Number.MAX_SAFE_INTEGER, 'ISK'],
  ['a currency of which Stripe does not say how it is written', 1_000, 'IQD'],
])('%s cannot be asked for', (_, amount, currency) => {
  expect(() => toStripeAmount(amount, currency)).toThrow(ProviderRejected)
})

test('half a krona that Stripe tells of is refused, not rounded', () => {
  expect(() => fromStripeAmount(150, 'isk')).toThrow(ProviderRejected)
})
