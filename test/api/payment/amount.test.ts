import { amountIn, amountStepOf, requireLines, requireRoom, requireStep } from '../../../api/payment/amount'
import type { OrderAttempt } from '../../../db/order/read'
import type { PaymentProvider } from '../../../providers/payment/provider'

/** A provider of which only this matters: its steps. */
const providers = {
  names: ['ones', 'tens'],
  get: (name: string) => ({ amountStep: () => (name === 'tens' ? 10 : 1) }) as unknown as PaymentProvider,
  close: async () => undefined,
} as unknown as Parameters<typeof amountStepOf>[1]['providers']

const paidBy = (...names: string[]) => ({
  currency: 'KWD',
  attempts: names.map((provider) => ({ provider, status: 'authorized' })) as unknown as OrderAttempt[],
})

it('an amount is in the currency of its order, or refused', () => {
  expect(amountIn('GBP', 255)).toBe(255)
  expect(amountIn('GBP', { amount: 255, currency: 'GBP' })).toBe(255)
  expect(() => amountIn('GBP', { amount: 255, currency: 'EUR' })).toThrow('/amount/currency: The order is in GBP.')
})

it('moves in the largest step of its providers', () => {
  expect(amountStepOf(paidBy(), { providers })).toBe(1)
  expect(amountStepOf(paidBy('ones'), { providers })).toBe(1)
  expect(amountStepOf(paidBy('ones', 'tens'), { providers })).toBe(10)
})

it('a provider that declined has no say in that', () => {
  const [paid, declined] = paidBy('ones', 'tens').attempts as [OrderAttempt, OrderAttempt]
  const attempts: OrderAttempt[] = [paid, { ...declined, status: 'declined' }]
  expect(amountStepOf({ currency: 'KWD', attempts }, { providers })).toBe(1)
})

it.each([
  [20, 25, null],
  [30, 30, null],
  [25, 25, '/amount: The payment provider takes multiples of 10. Of the 25 that are left it cannot move 5.'],
  ['all' as const, 30, null],
  [
    'all' as const,
    25,
    '/amount: The payment provider takes multiples of 10. Of the 25 that are left it cannot move 5.',
  ],
  [21, 30, /multiples of 10\.$/],
])('%p of %i that are left, in tens', (amount, left, refusal) => {
  const check = () => requireStep(amount, { step: 10, left, pointer: '/amount' })
  if (refusal === null) expect(check).not.toThrow()
  else expect(check).toThrow(refusal)
})

it('an order has room for 200', () => {
  expect(() => requireRoom(199, 'captures')).not.toThrow()
  expect(() => requireRoom(200, 'refunds')).toThrow('An order has at most 200 refunds.')
})

it('lines are known by their SKU, whatever its case', () => {
  const known = [{ sku: '85123A' }]
  expect(() => requireLines([{ sku: '85123a', quantity: 1 }], known)).not.toThrow()
  expect(() =>
    requireLines(
      [
        { sku: '85123A', quantity: 1 },
        { sku: 'X', quantity: 1 },
      ],
      known,
    ),
  ).toThrow('/lines/1/sku')
})
