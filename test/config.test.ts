import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSettings, ROOT, SettingsError, warningsOf } from '../config'

const refused = (environment: Record<string, string>): string => {
  try {
    readSettings(environment)
  } catch (error) {
    if (error instanceof SettingsError) return error.message
    throw error
  }
  throw new Error('the settings were taken')
}

describe('the timeout of a payment provider', () => {
  const proxies = readFileSync(join(ROOT, 'workflows', 'proxies.ts'), 'utf8')
  const oneTryMs = Number(/const ONE_TRY[^\n]*startToCloseTimeout: '(\d+)s'/.exec(proxies)?.[1]) * 1_000
  const longest = Number(/at most (\d+)/.exec(refused({ PAYMENT_TIMEOUT_MS: '999999' }))?.[1])

  it('leaves the first try of a charge half a second to write the answer down', () => {
    expect(longest).toBe(oneTryMs - 500)
    expect(readSettings({ PAYMENT_TIMEOUT_MS: String(longest) }).PAYMENT_TIMEOUT_MS).toBe(longest)
  })

  it('is refused by name when it does not', () => {
    expect(refused({ PAYMENT_TIMEOUT_MS: String(longest + 1) })).toContain('  PAYMENT_TIMEOUT_MS: at most')
  })
})

describe('Stripe', () => {
  it('is not wanted without a key', () => {
    expect(readSettings({})).toMatchObject({ STRIPE_SECRET_KEY: '', STRIPE_WEBHOOK_SECRETS: [] })
  })

  it('needs the secrets of its webhooks', () => {
    expect(refused({ STRIPE_SECRET_KEY: 'sk_test_a' })).toBe(
      'STRIPE_SECRET_KEY is set: STRIPE_WEBHOOK_SECRETS is missing.',
    )
    const settings = readSettings({ STRIPE_SECRET_KEY: 'sk_test_a', STRIPE_WEBHOOK_SECRETS: 'whsec_a, whsec_b' })
    expect(settings.STRIPE_WEBHOOK_SECRETS).toEqual(['whsec_a', 'whsec_b'])
  })

  const stripe = (secret: string, publishable: string) => ({
    STRIPE_SECRET_KEY: secret,
    STRIPE_PUBLISHABLE_KEY: publishable,
    STRIPE_WEBHOOK_SECRETS: 'whsec_a',
  })

  it.each([
    ['sk_live_a', 'pk_test_a'],
    ['rk_test_a', 'pk_live_a'],
  ])('has keys of one mode: not %s and %s', (secret, publishable) => {
    expect(refused(stripe(secret, publishable))).toContain('are of two modes')
  })

  it('warns of a test key in a real shop, and of nothing else', () => {
    const settings = readSettings(stripe('sk_test_a', 'pk_test_a'))
    expect(warningsOf(settings)).toEqual([])
    expect(warningsOf({ ...settings, NODE_ENV: 'production' })).toEqual([expect.stringContaining('no money is real')])
    expect(warningsOf({ ...settings, NODE_ENV: 'production', STRIPE_SECRET_KEY: 'sk_live_a' })).toEqual([])
  })
})
