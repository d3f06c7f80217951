import type { Settings } from '../../config'
import { withFaultPoints } from '../../fault-point'
import { guarded } from '../../transaction-guard'
import type { PaymentProvider } from './provider'
import { SandboxProvider } from './sandbox'

/** The payment providers of this installation. */
export interface PaymentProviders {
  readonly names: readonly string[]
  /** Undefined: there is no provider of this name here. */
  get(name: string): PaymentProvider | undefined
  /** Ends all their connections; calls in hand finish first. */
  close(): Promise<void>
}

/** Builds every provider that the settings allow. A new one is a file and a line here. */
export function createPaymentProviders(settings: Settings): PaymentProviders {
  const providers = new Map<string, PaymentProvider>()
  const add = (provider: PaymentProvider) =>
    providers.set(
      provider.name,
      withFaultPoints(guarded(provider, `the payment provider ${provider.name}`), settings.FAULT_DIR, (call) =>
        EFFECTS.has(call) ? `provider.${call}` : null,
      ),
    )

  // Money that is not real has no place in a real shop.
  if (settings.NODE_ENV !== 'production') add(sandbox(settings))

  return {
    names: [...providers.keys()],
    get: (name) => providers.get(name),
    async close() {
      await Promise.all([...providers.values()].map((provider) => provider.close()))
    },
  }
}

/** What a process may be killed around. */
const EFFECTS: ReadonlySet<string> = new Set(['authorize', 'find', 'cancel', 'capture', 'release', 'refund'])

function sandbox(settings: Settings): PaymentProvider {
  return new SandboxProvider({
    url: settings.SANDBOX_URL,
    webhookSecret: settings.SANDBOX_WEBHOOK_SECRET,
    timeoutMs: settings.PAYMENT_TIMEOUT_MS,
  })
}
