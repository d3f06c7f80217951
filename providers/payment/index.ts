import { type Settings, SettingsError } from '../../config'
import { withFaultPoints } from '../../fault-point'
import { guarded } from '../../transaction-guard'
import type { BreakerState } from '../breaker'
import { BreakingProvider } from './breaker'
import type { PaymentProvider } from './provider'
import { SandboxProvider } from './sandbox'

/** The payment providers of this installation. */
export interface PaymentProviders {
  readonly names: readonly string[]
  /** Undefined: there is no provider of this name here. */
  get(name: string): PaymentProvider | undefined
  /** The one that is asked to charge a method when a checkout names none. Undefined: nobody here takes it. */
  forMethod(method: string): PaymentProvider | undefined
  /** Whether a provider is asked, left alone because it did not answer, or does not let us in. */
  states(): ReadonlyMap<string, BreakerState>
  /** Asks each one that has not answered yet something harmless: a key that it does not let in is known before a customer pays. */
  tryKeys(): Promise<void>
  /** Ends all their connections; calls in hand finish first. */
  close(): Promise<void>
}

/** How each provider is made; null where the settings do not want it. A new one is a file or a folder, and a line here. The first that takes a method charges it. */
const PROVIDERS: readonly ((settings: Settings) => PaymentProvider | null)[] = [stripe, sandbox]

/**
 * Builds every provider that the settings allow; `onChange` hears when one is left alone, asked again, or does not let us in. Throws a
 * {@link SettingsError} in a real shop that nobody could pay in.
 */
export function createPaymentProviders(
  settings: Settings,
  onChange: (provider: string, state: BreakerState) => void = () => {},
): PaymentProviders {
  const breaking = PROVIDERS.map((make) => make(settings))
    .filter((provider) => provider !== null)
    .map((provider) => new BreakingProvider(provider, (state) => onChange(provider.name, state)))
  if (breaking.length === 0)
    throw new SettingsError('NODE_ENV=production has no payment provider: set STRIPE_SECRET_KEY.')
  const providers = new Map(
    breaking.map((provider) => [
      provider.name,
      withFaultPoints<PaymentProvider>(
        guarded<PaymentProvider>(provider, `the payment provider ${provider.name}`, ['amountStep']),
        settings.FAULT_DIR,
        (call) => (EFFECTS.has(call) ? `provider.${call}` : null),
      ),
    ]),
  )
  return {
    names: [...providers.keys()],
    get: (name) => providers.get(name),
    forMethod: (method) => [...providers.values()].find((provider) => provider.takes(method)),
    states: () => new Map(breaking.map(({ name, state }) => [name, state])),
    async tryKeys() {
      const now = new Date().toISOString()
      const silent = breaking.filter((provider) => !provider.hasAnswered)
      await Promise.allSettled(silent.map((provider) => provider.list(now, null)))
    },
    async close() {
      await Promise.all(breaking.map((provider) => provider.close()))
    },
  }
}

/** What a process may be killed around. */
const EFFECTS: ReadonlySet<string> = new Set(['authorize', 'find', 'cancel', 'capture', 'release', 'refund'])

function stripe(settings: Settings): PaymentProvider | null {
  if (settings.STRIPE_SECRET_KEY === '') return null
  // Its client takes 16 MB and a tenth of a second: from those only who use it.
  const { StripeProvider } = require('./stripe/provider') as typeof import('./stripe/provider')
  return new StripeProvider({
    secretKey: settings.STRIPE_SECRET_KEY,
    publishableKey: settings.STRIPE_PUBLISHABLE_KEY || null,
    webhookSecrets: settings.STRIPE_WEBHOOK_SECRETS,
    url: settings.STRIPE_API_URL,
    timeoutMs: settings.PAYMENT_TIMEOUT_MS,
  })
}

/** Money that is not real has no place in a real shop. */
function sandbox(settings: Settings): PaymentProvider | null {
  if (settings.NODE_ENV === 'production') return null
  return new SandboxProvider({
    url: settings.SANDBOX_URL,
    webhookSecret: settings.SANDBOX_WEBHOOK_SECRET,
    timeoutMs: settings.PAYMENT_TIMEOUT_MS,
  })
}
