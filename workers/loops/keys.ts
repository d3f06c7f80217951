import { setTimeout as delay } from 'node:timers/promises'
import type { PaymentProviders } from '../../providers/payment'

const AGAIN_MS = 60_000

/** Sees whether each payment provider lets our key in, until it has answered. What it refuses stands in the log and the metrics. */
export async function runKeys(
  { providers }: { providers: Pick<PaymentProviders, 'tryKeys'> },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await providers.tryKeys()
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined)
  }
}
