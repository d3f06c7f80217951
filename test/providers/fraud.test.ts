import { newId } from '../../db/id'
import { type FraudQuestion, noFraudCheck } from '../../providers/fraud'

const ADDRESS = {
  name: 'Sample Buyer',
  line1: '1 High St',
  line2: null,
  city: 'Leeds',
  postal_code: 'LS1 4DY',
  region: null,
  country: 'GB',
}

it.each<[string, Partial<FraudQuestion>]>([
  ['a plain order', {}],
  ['one that cost nothing', { total: 0, provider: null, method: null }],
  ['a very dear one', { total: 1_000_000_000_000, units: 100_000 }],
  ['one that is billed elsewhere', { billingAddress: { ...ADDRESS, country: 'US' } }],
])('without a check %s passes', async (_what, told) => {
  const question: FraudQuestion = {
    orderId: newId('order'),
    number: 'HF-100001',
    currency: 'GBP',
    total: 510,
    units: 2,
    email: 'buyer@example.com',
    shippingAddress: ADDRESS,
    billingAddress: null,
    shippingMethod: 'standard',
    provider: 'sandbox',
    method: 'pm_card_visa',
    createdAt: new Date(0),
    ...told,
  }
  expect(await noFraudCheck.review(question)).toBe('ok')
})
