import { type Settings, SettingsError, readSettings } from '../../../config'
import { createPaymentProviders, type PaymentProviders } from '../../../providers/payment'
import { startStripeStub } from '../../support/stripe-stub'

const STRIPE = { STRIPE_SECRET_KEY: 'sk_test_a', STRIPE_WEBHOOK_SECRETS: 'whsec_a' }
const PRODUCTION = { NODE_ENV: 'production', TOKEN_SECRET: 'a secret of its own, long enough' }

let providers: PaymentProviders | undefined
afterEach(async () => {
  await providers?.close()
  providers = undefined
})

function create(environment: Record<string, string>): PaymentProviders {
  providers = createPaymentProviders(readSettings(environment))
  return providers
}

test('there is a sandbox to begin with', () => {
  expect(create({}).names).toEqual(['sandbox'])
  expect(providers?.get('sandbox')?.name).toBe('sandbox')
  expect(providers?.get('stripe')).toBeUndefined()
})

test('a key adds Stripe, which is asked first', () => {
  expect(create(STRIPE).names).toEqual(['stripe', 'sandbox'])
  expect(providers?.forMethod('pm_card_visa')?.name).toBe('stripe')
  expect(providers?.forMethod('pm_sandbox_slow')?.name).toBe('sandbox')
})

test('nobody takes a method that nobody knows', () => {
  expect(create({ ...PRODUCTION, ...STRIPE }).forMethod('a goat')).toBeUndefined()
})

test('in production there is no sandbox', () => {
  expect(create({ ...PRODUCTION, ...STRIPE }).names).toEqual(['stripe'])
})

test('a real shop in which nobody could pay does not start, and says so in one line', () => {
  const settings: Settings = readSettings(PRODUCTION)
  expect(() => createPaymentProviders(settings)).toThrow(SettingsError)
  expect(() => createPaymentProviders(settings)).toThrow(/^NODE_ENV=production has no payment provider: [^\n]*$/)
})

test('each provider is asked', () => {
  expect(Object.fromEntries(create(STRIPE).states())).toEqual({ stripe: 'closed', sandbox: 'closed' })
})

test('a key that is not let in is known before anybody pays, and tried again until it is', async () => {
  const stub = await startStripeStub({ secretKey: 'sk_test_right', webhookSecret: 'whsec_a' })
  const heard: string[] = []
  const environment = { ...PRODUCTION, ...STRIPE, STRIPE_API_URL: stub.url }
  const wrong = createPaymentProviders(
    readSettings({ ...environment, STRIPE_SECRET_KEY: 'sk_test_wrong' }),
    (_, state) => heard.push(state),
  )
  const right = createPaymentProviders(readSettings({ ...environment, STRIPE_SECRET_KEY: 'sk_test_right' }))
  try {
    for (let times = 0; times < 2; times++) await wrong.tryKeys()
    expect([wrong.states().get('stripe'), heard]).toEqual(['refused', ['refused']])
    await right.tryKeys()
    expect(right.states().get('stripe')).toBe('closed')
    await stub.stop()
    // One that has answered is not asked again.
    await right.tryKeys()
    expect(right.states().get('stripe')).toBe('closed')
  } finally {
    await Promise.all([wrong.close(), right.close()])
  }
})
