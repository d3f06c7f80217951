import type { PaymentId } from '../../domain/ids'
import type { Money } from '../../domain/money'
import { type PaymentDeps, requireAttempt } from './charge'

/** What a settlement has to know of its attempt. */
export interface Settlement {
  readonly key: string
  /** How long the provider may be silent before a person is asked. */
  readonly patienceMs: number
  readonly money: Money
  /** A person decided while the provider was away, and the provider does not know it yet. */
  readonly needsSync: boolean
  /** The order was confirmed by it: fulfillment owns its money. */
  readonly pays: boolean
}

export async function readSettlement(deps: PaymentDeps, { paymentId }: { paymentId: PaymentId }): Promise<Settlement> {
  const { key, amount, currency, pendingSync, outcome } = await requireAttempt(deps, paymentId)
  const patienceMs = deps.settings.ATTENTION_AFTER_SECONDS * 1000
  return {
    key,
    patienceMs,
    money: { amount, currency },
    needsSync: pendingSync !== null,
    pays: outcome === 'completed',
  }
}
