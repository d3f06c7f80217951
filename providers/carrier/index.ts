import { type Settings, SettingsError } from '../../config'
import { withFaultPoints } from '../../fault-point'
import { guarded } from '../../transaction-guard'
import type { BreakerState } from '../breaker'
import { BreakingCarrier } from './breaker'
import type { CarrierProvider } from './carrier'
import { EasyPostCarrier } from './easypost/carrier'
import { SandboxCarrier } from './sandbox'

/** The carriers of this installation. */
export interface Carriers {
  readonly names: readonly string[]
  /** Undefined: there is no carrier of this name here. */
  get(name: string): CarrierProvider | undefined
  /** In the order in which they are asked for rates. */
  all(): readonly CarrierProvider[]
  /** Whether a carrier is asked, left alone because it did not answer, or does not let us in. */
  states(): ReadonlyMap<string, BreakerState>
  /** Ends all their connections; calls in hand finish first. */
  close(): Promise<void>
}

/** How each carrier is made; null where the settings do not want it. A new one is a file or a folder, and a line here. */
const CARRIERS: readonly ((settings: Settings) => CarrierProvider | null)[] = [easypost, sandbox]

/**
 * Builds every carrier that the settings allow; `onChange` hears when one is left alone, asked again, or does not let us in.
 * Throws a {@link SettingsError} in a real shop that could send nothing.
 */
export function createCarriers(
  settings: Settings,
  onChange: (carrier: string, state: BreakerState) => void = () => {},
): Carriers {
  const breaking = CARRIERS.map((make) => make(settings))
    .filter((carrier) => carrier !== null)
    .map((carrier) => new BreakingCarrier(carrier, (state) => onChange(carrier.name, state)))
  if (breaking.length === 0) throw new SettingsError('NODE_ENV=production has no carrier: set EASYPOST_API_KEY.')
  const carriers = new Map(
    breaking.map((carrier) => [
      carrier.name,
      withFaultPoints<CarrierProvider>(guarded(carrier, `the carrier ${carrier.name}`), settings.FAULT_DIR, (call) =>
        EFFECTS.has(call) ? `carrier.${call}` : null,
      ),
    ]),
  )
  return {
    names: [...carriers.keys()],
    get: (name) => carriers.get(name),
    all: () => [...carriers.values()],
    states: () => new Map(breaking.map(({ name, state }) => [name, state])),
    async close() {
      await Promise.all(breaking.map((carrier) => carrier.close()))
    },
  }
}

/** What a process may be killed around. */
const EFFECTS: ReadonlySet<string> = new Set(['buyLabel', 'voidLabel', 'handOver'])

function easypost(settings: Settings): CarrierProvider | null {
  if (settings.EASYPOST_API_KEY === '') return null
  return new EasyPostCarrier({
    apiKey: settings.EASYPOST_API_KEY,
    webhookSecret: settings.EASYPOST_WEBHOOK_SECRET,
    url: settings.EASYPOST_API_URL,
    timeoutMs: settings.CARRIER_TIMEOUT_MS,
  })
}

/** Parcels that do not exist have no place in a real shop. */
function sandbox(settings: Settings): CarrierProvider | null {
  if (settings.NODE_ENV === 'production') return null
  return new SandboxCarrier({
    url: settings.CARRIER_SANDBOX_URL,
    webhookSecret: settings.CARRIER_SANDBOX_WEBHOOK_SECRET,
    timeoutMs: settings.CARRIER_TIMEOUT_MS,
  })
}
